//! `gradshard cost tables`: compares the published tables with our estimates.

use gradshard::cost::calibrate::as_billed;
use gradshard::cost::idle::ServerRound;
use gradshard::cost::measurements::{Billed, Deployment};
use gradshard::cost::platform::cluster;
use gradshard::cost::workload::MIB;
use gradshard::cost::{Asked, Case, CostError, Estimate, Functions, Measurements, Sheet, Usd, estimate};
use gradshard::gradient::models;

use super::asked::CalibrationArgs;
use crate::cli::{Failure, input};

/// Strategies in the order of the published tables.
const ARCHITECTURES: [&str; 3] = ["sharded-direct", "tree-lambda-fl", "tree-lifl"];
/// Models of the published tables, with their numbers of shards.
const MODELS: [(&str, u64); 4] = [("resnet18", 4), ("vgg16", 4), ("gpt2-large", 4), ("synthetic-5gib", 8)];

/// Makes four tables: architectures, cost ratios, the sweep over shards, and idle servers.
pub fn sheets(args: &CalibrationArgs) -> Result<Vec<Sheet>, Failure> {
    let (measurements, platform) = args.read()?;
    let all = [architectures, ratios, sweep, idle];
    all.iter().map(|sheet| sheet(&measurements, &platform).map_err(input)).collect()
}

/// A cell of the published tables: our estimate, and the published deployment if there is one.
struct PublishedCell<'a> {
    model: &'static str,
    case: Case,
    ours: Estimate,
    theirs: Option<&'a Deployment>,
}

impl PublishedCell<'_> {
    fn is_feasible(&self) -> bool {
        self.ours.infeasible.is_none()
    }

    fn their_s(&self) -> Option<f64> {
        Some(self.theirs?.wall_s?.get())
    }

    /// The published dollars per round, plus our price of the clients' requests, which the publication leaves out.
    fn their_usd(&self) -> Option<Usd> {
        Some(self.theirs?.usd_per_round? + self.ours.clients_usd)
    }
}

fn cells<'a>(measurements: &'a Measurements, platform: &Functions) -> Result<Vec<PublishedCell<'a>>, CostError> {
    let mut cells = Vec::new();
    for (model, shards) in MODELS {
        for name in ARCHITECTURES {
            let theirs = measurements.deployments.iter().find(|deployment| {
                deployment.model == model && deployment.strategy == name && deployment.billed == Billed::Mean
            });
            let deployment = Deployment {
                name: format!("{model} {name}"),
                strategy: name.to_owned(),
                model: model.to_owned(),
                shards,
                ..Deployment::default()
            };
            let case = measurements.case(&deployment)?;
            let ours = estimate(&case.workload()?, platform, &Asked::default());
            cells.push(PublishedCell { model, case, ours, theirs });
        }
    }
    Ok(cells)
}

fn percent(ours: f64, theirs: f64) -> f64 {
    (ours / theirs - 1.0) * 100.0
}

fn architectures(measurements: &Measurements, platform: &Functions) -> Result<Sheet, CostError> {
    let title = format!(
        "Four models, three architectures, N = {}: from first principles, beside {} (dollars for 1,000 rounds, clients' requests included)",
        measurements.clients, measurements.source
    );
    let mut sheet = Sheet::new("architectures", title);
    let cells = cells(measurements, platform)?;
    let usd_error = |cell: &PublishedCell| Some(percent(cell.ours.usd().to_f64(), cell.their_usd()?.to_f64()));
    sheet.column("model", &cells, |cell| cell.model);
    sheet.column("gradient_mib", &cells, |cell| cell.case.gradient_bytes() as f64 / MIB);
    sheet.column("strategy", &cells, |cell| cell.case.strategy.name());
    sheet.column("shards", &cells, |cell| cell.case.shards_heeded());
    sheet.column("memory_mib", &cells, |cell| cell.ours.memory_mib);
    sheet.column("their_memory_mib", &cells, |cell| cell.theirs.and_then(|theirs| theirs.memory_mib));
    sheet.column("latency_s", &cells, |cell| cell.is_feasible().then_some(cell.ours.latency_s));
    sheet.column("their_latency_s", &cells, |cell| cell.their_s());
    sheet.column("error_percent", &cells, |cell| {
        cell.their_s().filter(|_| cell.is_feasible()).map(|theirs| percent(cell.ours.latency_s, theirs))
    });
    sheet.column("usd", &cells, |cell| cell.is_feasible().then(|| cell.ours.usd().times(1000)));
    sheet.column("their_usd", &cells, |cell| cell.their_usd().map(|usd| usd.times(1000)));
    sheet.column("usd_error_percent", &cells, |cell| usd_error(cell).filter(|_| cell.is_feasible()));
    sheet.column("feasible", &cells, |cell| cell.is_feasible());
    sheet.column("their_feasible", &cells, |cell| cell.theirs.map(|theirs| theirs.feasible));
    sheet.column("why_different", &cells, |cell| why(cell, platform));
    sheet.note("-: not published, or not feasible.");
    Ok(sheet)
}

/// Reasons why our estimate and the published figure differ, as far as the numbers show them.
fn why(cell: &PublishedCell, platform: &Functions) -> Option<String> {
    let theirs = cell.theirs?;
    if !theirs.feasible {
        return cell.ours.infeasible.clone();
    }
    let mut reasons = Vec::new();
    if let Some(memory) = theirs.memory_mib.filter(|memory| *memory != cell.ours.memory_mib) {
        let input = cell.case.workload().ok()?.largest_piece_bytes() as f64 / MIB;
        let copies = (memory as f64 - platform.memory.runtime_mib.value.get()) / input;
        let rule = platform.memory.copies_of_input.value.get();
        reasons.push(format!("deployed with {copies:.0} copies of an input, not {rule}"));
    }
    let wall_s = theirs.wall_s?.get();
    let sigma = (cell.ours.latency_s / wall_s).ln() / platform.speed.deployment_spread.get();
    reasons.push(format!("{sigma:+.1} deployment spreads"));
    Some(reasons.join("; "))
}

fn ratios(measurements: &Measurements, platform: &Functions) -> Result<Sheet, CostError> {
    let mut sheet = Sheet::new("ratios", "Cost of λ-FL over that of GradsSharding");
    let all = cells(measurements, platform)?;
    let counted = [("with clients", true), ("without clients", false)];
    let rows: Vec<_> =
        all.chunks(ARCHITECTURES.len()).flat_map(|cells| counted.map(|counted| (cells, counted))).collect();
    let ours =
        |cell: &PublishedCell, clients: bool| cell.is_feasible().then(|| cell.ours.counted_usd(clients).to_f64());
    let theirs = |cell: &PublishedCell, clients: bool| {
        let usd = if clients { cell.their_usd() } else { cell.theirs.and_then(|d| d.usd_per_round) };
        usd.map(Usd::to_f64)
    };
    // The sharded architecture is the first, λ-FL the second.
    sheet.column("model", &rows, |(cells, _)| cells[0].model);
    sheet.column("gradient_mib", &rows, |(cells, _)| cells[0].case.gradient_bytes() as f64 / MIB);
    sheet.column("counted", &rows, |(_, (name, _))| *name);
    sheet.column("ratio", &rows, |(cells, (_, clients))| Some(ours(&cells[1], *clients)? / ours(&cells[0], *clients)?));
    sheet.column("their_ratio", &rows, |(cells, (_, clients))| {
        Some(theirs(&cells[1], *clients)? / theirs(&cells[0], *clients)?)
    });
    Ok(sheet)
}

fn sweep(measurements: &Measurements, platform: &Functions) -> Result<Sheet, CostError> {
    let mut sheet = Sheet::new("sweep", "The sweep of shards, VGG-16 (dollars for 1,000 rounds)");
    let mut rows = Vec::new();
    for theirs in measurements.deployments.iter().filter(|d| d.billed == Billed::SlowestWithoutWrite && d.feasible) {
        let work = measurements.case(theirs)?.workload()?;
        let ours = estimate(&work, platform, &Asked { memory_mib: theirs.memory_mib, ..Asked::default() });
        let usd = as_billed(&ours, theirs.billed, platform);
        rows.push((theirs, ours, usd, estimate(&work, platform, &Asked::default())));
    }
    let their_s = |theirs: &Deployment| theirs.wall_s.map(|seconds| seconds.get());
    sheet.column("shards", &rows, |(theirs, ..)| theirs.shards);
    sheet.column("memory_mib", &rows, |(theirs, ..)| theirs.memory_mib);
    sheet.column("wall_s", &rows, |(_, ours, ..)| ours.latency_s);
    sheet.column("their_wall_s", &rows, |(theirs, ..)| their_s(theirs));
    sheet.column("error_percent", &rows, |(theirs, ours, ..)| Some(percent(ours.latency_s, their_s(theirs)?)));
    sheet.column("their_aggregation_s", &rows, |(theirs, ..)| Some(theirs.phases.first()?.read_and_sum_s?.get()));
    sheet.column("usd_as_published", &rows, |(_, _, usd, _)| usd.times(1000));
    sheet.column("their_usd", &rows, |(theirs, ..)| theirs.usd_per_round.map(|usd| usd.times(1000)));
    sheet.column("usd_error_percent", &rows, |(theirs, _, usd, _)| {
        Some(percent(usd.to_f64(), theirs.usd_per_round?.to_f64()))
    });
    sheet.column("usd_all", &rows, |(_, ours, ..)| ours.usd().times(1000));
    sheet.column("usd_all_by_rule", &rows, |(.., by_rule)| by_rule.usd().times(1000));
    sheet.note(
        "as_published: M times the slowest function's reading and summing, and the functions' requests; writing and \
         clients' requests are left out.",
    );
    sheet.note("all: every function's whole time, all requests, clients' too; by_rule: with the memory that M shards need, not \
         the limit for every M.");
    sheet.note(format!(
        "With more than {} functions, some wait. The published aggregation time leaves out the wait; \
             the wall time has it.",
        platform.limits.concurrent.value
    ));
    Ok(sheet)
}

fn idle(measurements: &Measurements, platform: &Functions) -> Result<Sheet, CostError> {
    let mut sheet = Sheet::new("idle", "");
    let Ok(nodes) = cluster() else { return Ok(sheet) };
    sheet.title = format!(
        "A dedicated parameter server that waits (one {} at {} an hour), and GradsSharding on {} (dollars for 1,000 rounds)",
        nodes.name, nodes.prices.node_hour_usd.value, platform.name
    );
    let mut rows = Vec::new();
    for row in &measurements.idle {
        let round = ServerRound { nodes: 1, train_s: row.train_s.get(), aggregate_s: row.aggregate_s.get() };
        let strategy = gradshard::plan::strategies::find(ARCHITECTURES[0]);
        let case = strategy.map(|strategy| Case::new(strategy, row.elements, measurements.clients, 4));
        let work = case.map(|case| case.workload()).transpose()?;
        let found = work.map(|work| estimate(&work, platform, &Asked::default()));
        let usd = found.filter(|found| found.infeasible.is_none()).map(|found| found.usd());
        rows.push((row, round, usd));
    }
    sheet.column("model", &rows, |(row, ..)| models::find(&row.model).map_or(row.model.as_str(), |model| model.name));
    sheet.column("train_s", &rows, |(_, round, _)| round.train_s);
    sheet.column("aggregate_s", &rows, |(_, round, _)| round.aggregate_s);
    sheet.column("idle_percent", &rows, |(_, round, _)| round.idle_share() * 100.0);
    sheet.column("their_idle_percent", &rows, |(row, ..)| row.idle_percent);
    sheet.column("server_usd", &rows, |(_, round, _)| (round.idle_usd(&nodes) + round.busy_usd(&nodes)).times(1000));
    sheet.column("idle_usd", &rows, |(_, round, _)| round.idle_usd(&nodes).times(1000));
    sheet.column("functions_usd", &rows, |(.., usd)| usd.map(|usd| usd.times(1000)));
    sheet.column("functions_cheaper_from_train_s", &rows, |(_, round, usd)| {
        usd.map(|usd| round.break_even_train_s(usd, &nodes))
    });
    Ok(sheet)
}
