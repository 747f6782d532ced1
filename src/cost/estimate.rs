//! The price of a workload on functions: memory, time, dollars, and feasibility.

use crate::cost::functions::Duration;
use crate::cost::slowest::expected_phase;
use crate::cost::workload::MIB;
use crate::cost::{Functions, Usd, Workload};

/// Settings of an estimate besides the workload and the platform.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// Memory of the functions, MiB; None: the platform's rule decides.
    pub memory_mib: Option<u64>,
    /// Cold start of every invocation, seconds, which is billed like the rest; 0: warm functions.
    pub cold_start_s: f64,
    /// Factor of all durations.
    pub time_factor: f64,
}

impl Default for Asked {
    fn default() -> Self {
        Asked { memory_mib: None, cold_start_s: 0.0, time_factor: 1.0 }
    }
}

/// The functions of one level. They start together, and the next level starts when all have ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelEstimate {
    /// Number of the level, from 1.
    pub level: u32,
    /// Number of functions.
    pub functions: u64,
    /// Mean duration of each phase of a function, seconds.
    pub mean: Duration,
    /// Mean duration of a function, seconds, cold start included.
    pub mean_s: f64,
    /// Duration of the level, seconds.
    pub phase_s: f64,
}

/// The estimated cost of one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Memory of a function, MiB.
    pub memory_mib: u64,
    /// The levels, ascending.
    pub levels: Vec<LevelEstimate>,
    /// Time from the first invocation to the last object, seconds.
    pub latency_s: f64,
    /// Duration of all functions together, seconds.
    pub function_s: f64,
    /// Number of invocations.
    pub invocations: u64,
    /// Number of read requests by functions.
    pub gets: u64,
    /// Number of write requests by functions.
    pub puts: u64,
    /// Number of read requests by clients.
    pub client_gets: u64,
    /// Number of write requests by clients.
    pub client_puts: u64,
    /// Price of the functions' time.
    pub functions_usd: Usd,
    /// Price of the functions' requests and invocations.
    pub requests_usd: Usd,
    /// Price of the clients' requests.
    pub clients_usd: Usd,
    /// The reason why the round is infeasible; None if it is feasible.
    pub infeasible: Option<String>,
}

impl Estimate {
    /// Returns the price without the clients' requests.
    pub fn without_clients_usd(&self) -> Usd {
        self.functions_usd + self.requests_usd
    }

    /// Returns the whole price.
    pub fn usd(&self) -> Usd {
        self.without_clients_usd() + self.clients_usd
    }

    /// Returns the cost of a round, with the clients' own requests if they count.
    pub fn counted_usd(&self, with_clients: bool) -> Usd {
        if with_clients { self.usd() } else { self.without_clients_usd() }
    }
}

/// Estimates the cost of a round of `work` on `platform`.
pub fn estimate(work: &Workload, platform: &Functions, asked: &Asked) -> Estimate {
    let rule_mib = platform.memory_mib(work);
    let memory_mib = asked.memory_mib.unwrap_or(rule_mib);
    let vcpus = platform.vcpus(memory_mib);
    let mut functions_usd = Usd::default();
    let (mut function_s, mut levels) = (0.0, Vec::new());
    // The levels of a ring are alike, and the slowest of many functions takes an integration.
    let mut before: Option<(Vec<(f64, u64)>, f64)> = None;
    for level in work.levels() {
        let alike = work.at_level(level);
        let count: u64 = alike.iter().map(|function| function.count).sum();
        let mut mean = Duration::default();
        let mut durations = Vec::with_capacity(alike.len());
        for function in &alike {
            let duration = platform.speed.duration(function, vcpus);
            let share = function.count as f64 / count as f64 * asked.time_factor;
            mean.read_s += duration.read_s * share;
            mean.sum_s += duration.sum_s * share;
            mean.write_s += duration.write_s * share;
            let seconds = duration.total_s() * asked.time_factor;
            durations.push((seconds, function.count));
            functions_usd =
                functions_usd + function_usd(seconds + asked.cold_start_s, memory_mib, platform).times(function.count);
            function_s += (seconds + asked.cold_start_s) * function.count as f64;
        }
        let slowest = match &before {
            Some((same, slowest)) if *same == durations => *slowest,
            _ => expected_phase(&durations, platform.speed.spread.get(), platform.limits.concurrent.value),
        };
        before = Some((durations, slowest));
        let phase_s = platform.speed.dispatch_s.get() + asked.cold_start_s + slowest;
        let mean_s = mean.total_s() + asked.cold_start_s;
        levels.push(LevelEstimate { level, functions: count, mean, mean_s, phase_s });
    }
    let sum = |of: fn(&crate::cost::Function) -> u64| work.functions.iter().map(|f| f.count * of(f)).sum::<u64>();
    let (gets, puts) = (sum(|f| f.gets), sum(|f| f.puts()));
    let prices = &platform.prices;
    let put = |count: u64| prices.put_usd_per_1000.value.times(count).over(1000);
    let get = |count: u64| prices.get_usd_per_1000.value.times(count).over(1000);
    Estimate {
        memory_mib,
        latency_s: levels.iter().map(|level| level.phase_s).sum(),
        function_s,
        invocations: work.invocations(),
        gets,
        puts,
        client_gets: work.client_gets,
        client_puts: work.client_puts,
        functions_usd,
        requests_usd: get(gets) + put(puts) + prices.invocation_usd_per_1000.value.times(work.invocations()).over(1000),
        clients_usd: get(work.client_gets) + put(work.client_puts),
        infeasible: obstacle(work, platform, rule_mib, memory_mib, &levels),
        levels,
    }
}

/// Returns the price of an invocation of `seconds` seconds with `memory_mib` MiB of memory.
pub fn function_usd(seconds: f64, memory_mib: u64, platform: &Functions) -> Usd {
    let step_s = platform.prices.billed_step_ms.value.get() / 1000.0;
    // The tolerance of a millionth of a step absorbs rounding errors, which must not cost another step.
    let seconds = if step_s > 0.0 { ((seconds / step_s) - 1e-6).ceil().max(0.0) * step_s } else { seconds };
    let vcpus = memory_mib as f64 / platform.memory.mib_per_vcpu.value.get();
    platform.prices.gib_second_usd.value.times(memory_mib).over(1024).for_amount(seconds)
        + platform.prices.vcpu_second_usd.value.for_amount(seconds * vcpus)
}

fn obstacle(
    work: &Workload,
    platform: &Functions,
    rule_mib: u64,
    memory_mib: u64,
    levels: &[LevelEstimate],
) -> Option<String> {
    let limits = &platform.limits;
    let limit_mib = platform.memory.limit_mib.value;
    if memory_mib > limit_mib {
        return Some(format!("needs {memory_mib} MiB, the limit is {limit_mib} MiB"));
    }
    if memory_mib < rule_mib {
        return Some(format!("needs {rule_mib} MiB, not {memory_mib} MiB"));
    }
    let longest = levels.iter().map(|level| level.mean_s).fold(0.0, f64::max) * (1.0 + platform.speed.spread.get());
    if longest > limits.seconds.value.get() {
        let limit = limits.seconds.value.get();
        return Some(format!("a function takes about {longest:.0} s, the limit is {limit:.0} s"));
    }
    let least = limits.least_part_mib.value.get();
    let parted = || work.functions.iter().filter(|function| function.parts > 1);
    if let Some(small) = parted().find(|function| (function.piece_bytes as f64) < least * MIB) {
        let piece = small.piece_bytes as f64 / MIB;
        return Some(format!("pieces of {piece:.3} MiB; parts of an object are at least {least} MiB"));
    }
    let most = limits.most_parts.value;
    let parts = parted().map(|function| function.parts).max()?;
    (parts > most).then(|| format!("{parts} parts of an object; there may be {most}"))
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
