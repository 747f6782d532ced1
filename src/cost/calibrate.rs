//! Calibration: the speed of a platform, fitted to measurements of deployments on it, with what it gets wrong.
//!
//! A function reads its inputs, sums them, writes its sum, one after another, with v vCPUs:
//!
//! ```text
//! t = gets · c / v  +  bytes read / B  +  bytes read / (v · R)  +  puts · p  +  bytes written / W
//! ```
//!
//! Five parameters, in which t is linear once B, R and W are reciprocals: c, the CPU time of a read request; p, the time
//! of a write request; the throughputs B and W of the store to one function; R, what one vCPU sums. They minimise the
//! squared relative errors.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::statistics::Statistics;

use crate::cost::estimate::function_usd;
use crate::cost::functions::Duration;
use crate::cost::least_squares::{dot, fit_relative};
use crate::cost::measurements::{Billed, Deployment, LevelTimes, Statistic};
use crate::cost::slowest::expected_slowest;
use crate::cost::sourced::{NotNegative, Positive};
use crate::cost::workload::MIB;
use crate::cost::{Asked, Case, CostError, Estimate, Function, Functions, Measurements, Speed, Usd, estimate};

/// What the five parameters are called where measurements say nothing about one.
const PARAMETERS: [&str; 5] = ["requests that read", "reading", "requests that write", "writing", "summing"];
/// Share of intervals that hold what they are of.
const LEVEL: f64 = 0.95;

/// The phase of a function that a time measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum MeasuredPhase {
    /// The function reads its inputs.
    Read,
    /// The function sums its inputs.
    Sum,
    /// The function writes its sum.
    Write,
    /// All phases together.
    Function,
}

/// A measured time, and what the parameters are multiplied by to give it.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The deployment's number.
    pub deployment: usize,
    /// Level.
    pub level: u32,
    /// What it is of.
    pub phase: MeasuredPhase,
    /// Inputs of a function, on average.
    pub inputs: f64,
    /// MiB of an input.
    pub object_mib: f64,
    /// Memory of the function, MiB.
    pub memory_mib: u64,
    /// Seconds, as published.
    pub seconds: f64,
    /// Of how many functions it is the slowest; 1 where it is a mean.
    pub slowest_of: u64,
    coefficients: [f64; 5],
}

/// An observation beside what the model says.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// What was measured.
    pub observation: Observation,
    /// ln(predicted / measured), of the fit to everything.
    pub fitted: f64,
    /// The same, of the fit to all other deployments.
    pub left_out: f64,
}

/// A deployment predicted from the others.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// The deployment's number.
    pub deployment: usize,
    /// Predicted and published seconds of a round.
    pub wall_s: (f64, f64),
    /// Predicted and published price of a round, counted as published.
    pub usd: (Usd, Usd),
}

/// An estimate with a 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranged {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What calibration found.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The fit to everything.
    pub speed: Speed,
    /// c, 1 / B, p, 1 / W, 1 / R with their jackknife intervals; throughputs are the reciprocals.
    pub parameters: [Ranged; 5],
    /// Every time used.
    pub residuals: Vec<Residual>,
    /// Every deployment, predicted from the others.
    pub left_out: Vec<LeftOut>,
    /// The fits that leave one deployment out, in the deployments' order.
    pub without_one: Vec<Speed>,
}

/// Fits `platform`'s speed to `measurements`; its memory rule and CPU share are taken as they are.
///
/// # Errors
/// If there are fewer than three deployments, one names what does not exist, or nothing tells a parameter.
pub fn calibrate(measurements: &Measurements, platform: &Functions) -> Result<Calibration, CostError> {
    let deployed: Vec<usize> = (0..measurements.deployments.len())
        .filter(|at| measurements.deployments[*at].feasible && !measurements.deployments[*at].phases.is_empty())
        .collect();
    if deployed.len() < 3 {
        return Err(CostError::TooFew(deployed.len()));
    }
    let mut cases = Vec::new();
    let mut observed = Vec::new();
    for at in &deployed {
        let deployment = &measurements.deployments[*at];
        let case = measurements.case(deployment)?;
        observed.extend(observations(*at, deployment, &case, platform)?);
        cases.push((*at, case));
    }
    let mut speed = fit(&observed, measurements, &cases, None, platform)?;
    let mut without_one = Vec::new();
    for at in &deployed {
        without_one.push(fit(&observed, measurements, &cases, Some(*at), platform)?);
    }
    let of = |at: usize| &without_one[deployed.iter().position(|other| *other == at).unwrap_or(0)];
    let residuals: Vec<Residual> = observed
        .iter()
        .map(|observation| Residual {
            fitted: error_of(observation, &speed),
            left_out: error_of(observation, of(observation.deployment)),
            observation: observation.clone(),
        })
        .collect();
    let whole = |r: &&Residual| matches!(r.observation.phase, MeasuredPhase::Read | MeasuredPhase::Function);
    let spread = residuals.iter().filter(whole).map(|r| r.left_out).quadratic_mean();
    speed.deployment_spread = NotNegative::new(spread).unwrap_or_default();
    let mut left_out = Vec::new();
    for (at, case) in &cases {
        left_out.extend(predict(*at, &measurements.deployments[*at], case, platform, of(*at))?);
    }
    let all: Vec<[f64; 5]> = without_one.iter().map(reciprocals).collect();
    let values = reciprocals(&speed);
    let parameters = std::array::from_fn(|p| {
        let replicates: Vec<f64> = all.iter().map(|one| one[p]).collect();
        let half = jackknife(&replicates);
        Ranged { value: values[p], low: (values[p] - half).max(0.0), high: values[p] + half }
    });
    Ok(Calibration { speed, parameters, residuals, left_out, without_one })
}

/// Half the width of a 95 % interval from estimates that each left one of n parts out: t(n − 1) times √((n − 1) / n ·
/// Σ (θᵢ − θ̄)²) (Tukey 1958; Efron and Tibshirani, An Introduction to the Bootstrap, chapter 11).
pub fn jackknife(replicates: &[f64]) -> f64 {
    let n = replicates.len() as f64;
    match StudentsT::new(0.0, 1.0, n - 1.0) {
        Ok(t) => t.inverse_cdf(0.5 + LEVEL / 2.0) * replicates.population_std_dev() * (n - 1.0).sqrt(),
        Err(_) => f64::INFINITY,
    }
}

fn reciprocals(speed: &Speed) -> [f64; 5] {
    [
        speed.get_vcpu_s.get(),
        1.0 / speed.read_mib_per_s.get(),
        speed.put_s.get(),
        1.0 / speed.write_mib_per_s.get(),
        1.0 / speed.sum_mib_per_vcpu_s.get(),
    ]
}

/// ln(predicted / measured). The slowest of several is brought to their mean.
fn error_of(observation: &Observation, speed: &Speed) -> f64 {
    let measured = observation.seconds / expected_slowest(&[(1.0, observation.slowest_of)], speed.spread.get());
    (dot(&observation.coefficients, &reciprocals(speed)) / measured).ln()
}

fn observations(
    at: usize,
    deployment: &Deployment,
    case: &Case,
    platform: &Functions,
) -> Result<Vec<Observation>, CostError> {
    let work = case.workload()?;
    let memory_mib = deployment.memory_mib.unwrap_or_else(|| platform.memory_mib(&work));
    let vcpus = platform.vcpus(memory_mib);
    let mut found = Vec::new();
    for phase in &deployment.phases {
        let alike = work.at_level(phase.level);
        let count: u64 = alike.iter().map(|function| function.count).sum();
        if count == 0 {
            let levels = work.levels().last().copied().unwrap_or(0);
            return Err(CostError::Level { deployment: deployment.name.clone(), level: phase.level, levels });
        }
        let mean =
            |of: fn(&Function) -> u64| alike.iter().map(|f| f.count as f64 * of(f) as f64).sum::<f64>() / count as f64;
        let (gets, read) = (mean(|f| f.gets), mean(|f| f.read_bytes) / MIB);
        let (puts, written) = (mean(Function::puts), mean(|f| f.written_bytes) / MIB);
        let parts = [
            (MeasuredPhase::Read, phase.read_s, [gets / vcpus, read, 0.0, 0.0, 0.0]),
            (MeasuredPhase::Sum, phase.sum_s, [0.0, 0.0, 0.0, 0.0, read / vcpus]),
            (MeasuredPhase::Write, phase.write_s, [0.0, 0.0, puts, written, 0.0]),
        ];
        // Where its parts are known the whole says nothing more.
        let in_parts = parts.iter().any(|(_, seconds, _)| seconds.is_some());
        let whole = phase.function_s.filter(|_| !in_parts);
        let all = [(MeasuredPhase::Function, whole, [gets / vcpus, read, puts, written, read / vcpus])];
        for (part, seconds, coefficients) in parts.into_iter().chain(all) {
            let Some(seconds) = seconds else { continue };
            found.push(Observation {
                deployment: at,
                level: phase.level,
                phase: part,
                inputs: gets,
                object_mib: read / gets,
                memory_mib,
                seconds: seconds.get(),
                slowest_of: if phase.of == Statistic::Slowest { count } else { 1 },
                coefficients,
            });
        }
    }
    Ok(found)
}

fn fit(
    observed: &[Observation],
    measurements: &Measurements,
    cases: &[(usize, Case)],
    without: Option<usize>,
    platform: &Functions,
) -> Result<Speed, CostError> {
    let kept: Vec<&(usize, Case)> = cases.iter().filter(|(at, _)| Some(*at) != without).collect();
    let (spread, dispatch_s) = spread_and_dispatch(measurements, &kept, platform.limits.concurrent.value)?;
    let rows: Vec<(Vec<f64>, f64)> = observed
        .iter()
        .filter(|observation| Some(observation.deployment) != without)
        .map(|o| (o.coefficients.to_vec(), o.seconds / expected_slowest(&[(1.0, o.slowest_of)], spread)))
        .collect();
    if let Some(silent) = (0..PARAMETERS.len()).find(|p| rows.iter().all(|(row, _)| row[*p] == 0.0)) {
        return Err(CostError::Unidentified(PARAMETERS[silent]));
    }
    let x = fit_relative(&rows);
    let rate = |p: usize| Positive::new(1.0 / x[p]).ok_or(CostError::Unidentified(PARAMETERS[p]));
    let time = |p: usize| NotNegative::new(x[p]).ok_or(CostError::Unidentified(PARAMETERS[p]));
    Ok(Speed {
        get_vcpu_s: time(0)?,
        read_mib_per_s: rate(1)?,
        put_s: time(2)?,
        write_mib_per_s: rate(3)?,
        sum_mib_per_vcpu_s: rate(4)?,
        spread: NotNegative::new(spread).unwrap_or_default(),
        deployment_spread: NotNegative::default(),
        dispatch_s: NotNegative::new(dispatch_s).unwrap_or_default(),
        source: measurements.source.clone(),
    })
}

/// Standard deviation of equal functions over their mean, from how much longer the slowest takes; and what a level takes
/// beyond its slowest function. Means over the levels that tell; functions that wait for each other tell nothing.
fn spread_and_dispatch(
    measurements: &Measurements,
    kept: &[&(usize, Case)],
    concurrent: u64,
) -> Result<(f64, f64), CostError> {
    let mut levels: Vec<(&LevelTimes, u64, bool)> = Vec::new();
    for (at, case) in kept {
        let work = case.workload()?;
        for phase in &measurements.deployments[*at].phases {
            let alike = work.at_level(phase.level);
            // Shards that differ by an element are equal enough, groups of three and of two are not.
            let equal = alike.iter().all(|function| function.gets == alike[0].gets);
            levels.push((phase, alike.iter().map(|function| function.count).sum(), equal));
        }
    }
    let mean = |values: Vec<f64>| {
        if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
    };
    let dispatch = mean(
        levels
            .iter()
            .filter_map(|(phase, count, _)| {
                let alone = phase.function_s.filter(|_| *count == 1);
                Some(phase.phase_s?.get() - phase.slowest_s.or(alone)?.get())
            })
            .collect(),
    );
    let spread = mean(
        levels
            .iter()
            .filter(|(_, count, equal)| *equal && (2..=concurrent).contains(count))
            .filter_map(|(phase, count, _)| {
                let slowest = phase.slowest_s.map(Positive::get).or(phase.phase_s.map(|s| s.get() - dispatch))?;
                let normal = expected_slowest(&[(1.0, *count)], UNIT) - 1.0;
                Some((slowest / phase.function_s?.get() - 1.0) * UNIT / normal)
            })
            .collect(),
    );
    Ok((spread.max(0.0), dispatch.max(0.0)))
}

/// A spread for which the excess of the slowest is taken, to divide by: the excess is proportional to it.
const UNIT: f64 = 0.1;

/// Predicts a deployment with the speed that the others gave.
fn predict(
    at: usize,
    deployment: &Deployment,
    case: &Case,
    platform: &Functions,
    speed: &Speed,
) -> Result<Option<LeftOut>, CostError> {
    let (Some(wall_s), Some(usd)) = (deployment.wall_s, deployment.usd_per_round) else { return Ok(None) };
    let platform = Functions { speed: speed.clone(), ..platform.clone() };
    let asked = Asked { memory_mib: deployment.memory_mib, ..Asked::default() };
    let found = estimate(&case.workload()?, &platform, &asked);
    let counted = as_billed(&found, deployment.billed, &platform);
    Ok(Some(LeftOut { deployment: at, wall_s: (found.latency_s, wall_s.get()), usd: (counted, usd) }))
}

/// The price of `found`, without the clients' traffic, counted as a publication counts it.
pub fn as_billed(found: &Estimate, billed: Billed, platform: &Functions) -> Usd {
    match billed {
        Billed::Mean => found.without_clients_usd(),
        Billed::SlowestWithoutWrite => {
            let level = |level: &crate::cost::estimate::LevelEstimate| {
                let Duration { read_s, sum_s, .. } = level.mean;
                let slowest = expected_slowest(&[(read_s + sum_s, level.functions)], platform.speed.spread.get());
                function_usd(slowest, found.memory_mib, platform).times(level.functions)
            };
            found.levels.iter().map(level).sum::<Usd>() + found.requests_usd
        }
    }
}

#[cfg(test)]
#[path = "calibrate_tests.rs"]
mod tests;
