//! The row of a round: what was counted and measured, beside what `gradshard cost` calculates.

use gradshard::cost::estimate::function_usd;
use gradshard::cost::sourced::NotNegative;
use gradshard::cost::{Asked, Case, CostError, Functions, Usd, estimate};
use gradshard::job::verification_row;
use gradshard::results::function_row::{FunctionBill, FunctionRow};
use gradshard::results::row::Status;

use crate::processes::Called;
use crate::round::CarriedRound;
use crate::tempo::KeptTime;

/// Makes the row of a round of `case` that has not been carried out, with the bill that `gradshard cost` calculates.
///
/// # Errors
/// The errors of [`Case::workload`].
pub fn row_of(model: &str, case: &Case, platform: &Functions, pace: &KeptTime) -> Result<FunctionRow, CostError> {
    Ok(FunctionRow {
        strategy: case.strategy.name().to_owned(),
        model: model.to_owned(),
        elements: case.elements,
        dtype: case.dtype,
        clients: case.clients,
        shards: case.shards_heeded(),
        flow: case.flow.to_string(),
        platform: platform.name.clone(),
        kept: pace.to_string(),
        cold_start_s: pace.cold_start_s,
        memory_mib: platform.memory_mib(&case.workload()?),
        calculated: calculated(case, platform, pace.cold_start_s)?,
        ..FunctionRow::default()
    })
}

/// Calculates the bill of `case` on `platform`, all of whose functions take equally long.
fn calculated(case: &Case, platform: &Functions, cold_start_s: f64) -> Result<FunctionBill, CostError> {
    let mut even = platform.clone();
    // A function here has no spread of its own; that of this machine is measured.
    even.speed.spread = NotNegative::new(0.0).unwrap_or(even.speed.spread);
    let found = estimate(&case.workload()?, &even, &Asked { cold_start_s, ..Asked::default() });
    Ok(FunctionBill {
        invocations: found.invocations,
        gets: found.gets,
        puts: found.puts,
        client_gets: found.client_gets,
        client_puts: found.client_puts,
        latency_s: found.latency_s,
        function_s: found.function_s,
        usd_per_1000_rounds: found.infeasible.is_none().then(|| found.usd().times(1000).to_f64()),
    })
}

/// Makes the bill of a round that was carried out, whose functions have `memory_mib` MiB on `platform`.
fn measured(carried: &CarriedRound, platform: &Functions, memory_mib: u64) -> FunctionBill {
    let accounts = || carried.functions.iter().map(|called| &called.account);
    let (gets, puts) = (accounts().map(|one| one.gets).sum(), accounts().map(|one| one.puts).sum());
    let invocations = carried.functions.len() as u64;
    let prices = &platform.prices;
    let request_usd = |usd: Usd, count: u64| usd.times(count).over(1000);
    let usd = accounts().map(|account| function_usd(account.seconds, memory_mib, platform)).sum::<Usd>()
        + request_usd(prices.get_usd_per_1000.value, gets + carried.client_gets)
        + request_usd(prices.put_usd_per_1000.value, puts + carried.client_puts)
        + request_usd(prices.invocation_usd_per_1000.value, invocations);
    FunctionBill {
        invocations,
        gets,
        puts,
        client_gets: carried.client_gets,
        client_puts: carried.client_puts,
        latency_s: carried.latency_s,
        function_s: accounts().map(|account| account.seconds).sum(),
        usd_per_1000_rounds: Some(usd.times(1000).to_f64()),
    }
}

/// Adds what was measured. Requests other than calculated are a failure.
pub fn fill(row: &mut FunctionRow, carried: &CarriedRound, platform: &Functions) {
    let functions = &carried.functions;
    let bill = measured(carried, platform, row.memory_mib);
    if bill.requests() == row.calculated.requests() {
        row.status = Status::Ok;
    } else {
        let (counted, calculated) = (bill.requests(), row.calculated.requests());
        row.reason = format!(
            "counted {counted:?}, but the cost is calculated for {calculated:?}: invocations, GETs and PUTs of functions, GETs \
             and PUTs of clients"
        );
    }
    row.measured = Some(bill);
    row.verification = Some(verification_row(carried.verification));
    row.killed = functions.iter().map(|called| called.killed).sum();
    row.limit_bytes = carried.allowed_bytes;
    let most = |of: fn(&Called) -> Option<u64>| functions.iter().filter_map(of).max();
    row.sum_bytes = most(|called| Some(called.account.sum_bytes)).unwrap_or_default();
    row.seen_bytes = most(|called| called.account.seen_bytes).map(|bytes| bytes as f64);
    row.group_peak_bytes = most(|called| called.account.group_peak_bytes).map(|bytes| bytes as f64);
    row.limited_by =
        functions.iter().map(|called| called.account.limited_by.as_str()).min().unwrap_or_default().to_owned();
    let rates = functions.iter().map(|called| called.account.read_bytes as f64 / called.account.read_s);
    row.read_bytes_per_s = (!functions.is_empty()).then(|| rates.sum::<f64>() / functions.len() as f64);
}
