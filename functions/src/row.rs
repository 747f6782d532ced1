//! The row of a round: what was counted and measured, beside what `gradshard cost` calculates.

use gradshard::cost::estimate::function_usd;
use gradshard::cost::sourced::NotNegative;
use gradshard::cost::{Asked, Case, CostError, Functions, Usd, estimate};
use serde::Serialize;

use crate::round::CarriedRound;

/// The requests of one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Number of invocations, without those that were killed.
    pub invocations: u64,
    /// Number of read requests of the functions.
    pub gets: u64,
    /// Number of write requests of the functions.
    pub puts: u64,
    /// Number of read requests of the clients.
    pub client_gets: u64,
    /// Number of write requests of the clients.
    pub client_puts: u64,
}

/// The requests, times and price of one round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bill {
    /// The requests.
    #[serde(flatten)]
    pub requests: RequestCounts,
    /// Time from the first invocation to the last object, seconds.
    pub latency_s: f64,
    /// Duration of all functions together, seconds.
    pub function_s: f64,
    /// Price of 1,000 rounds with the clients' requests, dollars; None: the platform cannot carry the round out.
    pub usd_per_1000_rounds: Option<f64>,
}

impl Bill {
    /// Calculates the bill of `case` on `platform`, all of whose functions take equally long.
    ///
    /// # Errors
    /// The errors of [`Case::workload`].
    pub fn calculated(case: &Case, platform: &Functions) -> Result<Bill, CostError> {
        let mut even = platform.clone();
        // A function here has no spread of its own; that of this machine is measured.
        even.speed.spread = NotNegative::new(0.0).unwrap_or(even.speed.spread);
        let found = estimate(&case.workload()?, &even, &Asked::default());
        Ok(Bill {
            requests: RequestCounts {
                invocations: found.invocations,
                gets: found.gets,
                puts: found.puts,
                client_gets: found.client_gets,
                client_puts: found.client_puts,
            },
            latency_s: found.latency_s,
            function_s: found.function_s,
            usd_per_1000_rounds: found.infeasible.is_none().then(|| found.usd().times(1000).to_f64()),
        })
    }

    /// Makes the bill of a round that was carried out, whose functions have `memory_mib` MiB on `platform`.
    pub fn measured(carried: &CarriedRound, platform: &Functions, memory_mib: u64) -> Bill {
        let accounts = || carried.functions.iter().map(|called| &called.account);
        let requests = RequestCounts {
            invocations: carried.functions.len() as u64,
            gets: accounts().map(|account| account.gets).sum(),
            puts: accounts().map(|account| account.puts).sum(),
            client_gets: carried.client_gets,
            client_puts: carried.client_puts,
        };
        let prices = &platform.prices;
        let request_usd = |usd: Usd, count: u64| usd.times(count).over(1000);
        let usd = accounts().map(|account| function_usd(account.seconds, memory_mib, platform)).sum::<Usd>()
            + request_usd(prices.get_usd_per_1000.value, requests.gets + requests.client_gets)
            + request_usd(prices.put_usd_per_1000.value, requests.puts + requests.client_puts)
            + request_usd(prices.invocation_usd_per_1000.value, requests.invocations);
        Bill {
            requests,
            latency_s: carried.latency_s,
            function_s: accounts().map(|account| account.seconds).sum(),
            usd_per_1000_rounds: Some(usd.times(1000).to_f64()),
        }
    }
}

/// A limit on the memory of functions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MemoryLimit {
    /// The mechanism.
    pub by: &'static str,
    /// Bytes that a sum may have; the runtime has some more.
    pub bytes: u64,
}

/// The outcome of a round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundRow {
    /// Name of the model.
    pub model: String,
    /// Number of elements, |θ|.
    pub elements: u64,
    /// Element type.
    pub dtype: &'static str,
    /// Number of clients, N.
    pub clients: u64,
    /// Name of the strategy.
    pub strategy: &'static str,
    /// Number of shards, M.
    pub shards: u64,
    /// The flow.
    pub flow: String,
    /// The platform whose prices and memory rule count.
    pub platform: String,
    /// True if requests and sums took as long as the platform's speed says.
    pub keeps_time: bool,
    /// Memory of a function that is paid, MiB: by the platform's rule.
    pub memory_mib: u64,
    /// `ok`, or `failed`.
    pub status: &'static str,
    /// The reason of a failure.
    pub reason: Option<String>,
    /// The bill as counted and measured; None for a failed round.
    pub measured: Option<Bill>,
    /// The bill that `gradshard cost` calculates, for functions that take equally long.
    pub calculated: Bill,
    /// Number of attempts that were killed, whose requests are not counted.
    pub killed: Option<u64>,
    /// The limit on memory.
    pub memory_limit: Option<MemoryLimit>,
    /// Greatest memory of a sum as predicted, bytes.
    pub sum_bytes: Option<u64>,
    /// Greatest peak of private memory that a process added for its sum, bytes.
    pub seen_bytes: Option<u64>,
    /// Number of elements whose bits differ from the flat server's.
    pub differing: Option<u64>,
}

impl RoundRow {
    /// Makes the row of a round that has not been carried out.
    ///
    /// # Errors
    /// The errors of [`Case::workload`].
    pub fn new(model: &str, case: &Case, platform: &Functions, keeps_time: bool) -> Result<RoundRow, CostError> {
        Ok(RoundRow {
            model: model.to_owned(),
            elements: case.elements,
            dtype: case.dtype.name(),
            clients: case.clients,
            strategy: case.strategy.name(),
            shards: case.shards_heeded(),
            flow: case.flow.to_string(),
            platform: platform.name.clone(),
            keeps_time,
            memory_mib: platform.memory_mib(&case.workload()?),
            status: "failed",
            reason: None,
            measured: None,
            calculated: Bill::calculated(case, platform)?,
            killed: None,
            memory_limit: None,
            sum_bytes: None,
            seen_bytes: None,
            differing: None,
        })
    }

    /// Adds what was measured. Requests other than calculated are a failure.
    pub fn fill(&mut self, carried: &CarriedRound, platform: &Functions) {
        let accounts = || carried.functions.iter().map(|called| &called.account);
        let bill = Bill::measured(carried, platform, self.memory_mib);
        if bill.requests == self.calculated.requests {
            self.status = "ok";
        } else {
            let (counted, calculated) = (bill.requests, self.calculated.requests);
            self.reason = Some(format!("counted {counted:?}, but the cost is calculated for {calculated:?}"));
        }
        self.measured = Some(bill);
        self.killed = Some(carried.functions.iter().map(|called| called.killed).sum());
        self.memory_limit = Some(MemoryLimit { by: "RLIMIT_DATA", bytes: carried.allowed_bytes });
        self.sum_bytes = accounts().map(|account| account.sum_bytes).max();
        self.seen_bytes = accounts().filter_map(|account| account.seen_bytes).max();
        self.differing = Some(carried.verification.differing);
    }
}
