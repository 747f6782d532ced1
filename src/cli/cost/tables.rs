//! `gradshard cost tables`: compares the published tables with our estimates.

use std::path::PathBuf;

use clap::Args;
use gradshard::cost::calibrate::as_billed;
use gradshard::cost::idle::ServerRound;
use gradshard::cost::measurements::{Billed, Deployment};
use gradshard::cost::platform::cluster;
use gradshard::cost::workload::MIB;
use gradshard::cost::{Asked, Case, CostError, Estimate, Field, Functions, Measurements, Sheet, Usd, estimate};
use gradshard::gradient::models;

use super::{OutputArgs, asked};
use crate::cli::{Failure, input};

/// Strategies in the order of the published tables.
const ARCHITECTURES: [&str; 3] = ["sharded-direct", "tree-lambda-fl", "tree-lifl"];
/// Models of the published tables, with their numbers of shards.
const MODELS: [(&str, u64); 4] = [("resnet18", 4), ("vgg16", 4), ("gpt2-large", 4), ("synthetic-5gib", 8)];

#[derive(Args)]
pub struct TablesArgs {
    /// Measurements, JSON [default: those of Barrak 2026]
    measurements: Option<PathBuf>,
    #[command(flatten)]
    functions: asked::FunctionsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Makes four tables: architectures, cost ratios, the sweep over shards, and idle servers.
pub fn sheets(args: &TablesArgs) -> Result<Vec<Sheet>, Failure> {
    let measurements = asked::measurements(args.measurements.as_deref())?;
    let platform = args.functions.read()?;
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
                feasible: true,
                memory_mib: None,
                rounds: None,
                wall_s: None,
                wall_sd_s: None,
                usd_per_round: None,
                billed: Billed::Mean,
                phases: Vec::new(),
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
    let columns = [
        "model",
        "gradient_mib",
        "strategy",
        "shards",
        "memory_mib",
        "their_memory_mib",
        "latency_s",
        "their_latency_s",
        "error_percent",
        "usd",
        "their_usd",
        "usd_error_percent",
        "feasible",
        "their_feasible",
        "why_different",
    ];
    let title = format!(
        "Four models, three architectures, N = {}: from first principles, beside {} (dollars for 1,000 rounds, clients' requests included)",
        measurements.clients, measurements.source
    );
    let mut sheet = Sheet::new("architectures", title, &columns);
    for cell in cells(measurements, platform)? {
        let ours = &cell.ours;
        let feasible = ours.infeasible.is_none();
        let their_s = cell.theirs.and_then(|theirs| theirs.wall_s).map(|seconds| seconds.get());
        let their_usd = cell.their_usd();
        let usd = ours.usd();
        sheet.rows.push(vec![
            cell.model.into(),
            (cell.case.gradient_bytes() as f64 / MIB).into(),
            cell.case.strategy.name().into(),
            cell.case.shards_heeded().into(),
            ours.memory_mib.into(),
            cell.theirs.and_then(|theirs| theirs.memory_mib).into(),
            feasible.then_some(ours.latency_s).into(),
            their_s.into(),
            their_s.filter(|_| feasible).map(|theirs| percent(ours.latency_s, theirs)).into(),
            feasible.then(|| usd.times(1000)).into(),
            their_usd.map(|usd| usd.times(1000)).into(),
            their_usd.filter(|_| feasible).map(|theirs| percent(usd.to_f64(), theirs.to_f64())).into(),
            feasible.into(),
            cell.theirs.map(|theirs| theirs.feasible).into(),
            why(&cell, platform).into(),
        ]);
    }
    sheet.notes.push("-: not published, or not feasible.".to_owned());
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
    let columns = ["model", "gradient_mib", "counted", "ratio", "their_ratio"];
    let mut sheet = Sheet::new("ratios", "Cost of λ-FL over that of GradsSharding", &columns);
    let all = cells(measurements, platform)?;
    for of_model in all.chunks(ARCHITECTURES.len()) {
        let (sharded, tree) = (&of_model[0], &of_model[1]);
        for (counted, clients) in [("with clients", true), ("without clients", false)] {
            let ours = |cell: &PublishedCell| {
                let usd = if clients { cell.ours.usd() } else { cell.ours.without_clients_usd() };
                cell.ours.infeasible.is_none().then(|| usd.to_f64())
            };
            let theirs = |cell: &PublishedCell| {
                let usd = if clients { cell.their_usd() } else { cell.theirs.and_then(|d| d.usd_per_round) };
                usd.map(Usd::to_f64)
            };
            let over = |of: &dyn Fn(&PublishedCell) -> Option<f64>| -> Field {
                of(tree).zip(of(sharded)).map(|(t, s)| t / s).into()
            };
            sheet.rows.push(vec![
                sharded.model.into(),
                (sharded.case.gradient_bytes() as f64 / MIB).into(),
                counted.into(),
                over(&ours),
                over(&theirs),
            ]);
        }
    }
    Ok(sheet)
}

fn sweep(measurements: &Measurements, platform: &Functions) -> Result<Sheet, CostError> {
    let columns = [
        "shards",
        "memory_mib",
        "wall_s",
        "their_wall_s",
        "error_percent",
        "their_aggregation_s",
        "usd_as_published",
        "their_usd",
        "usd_error_percent",
        "usd_all",
        "usd_all_by_rule",
    ];
    let title = "The sweep of shards, VGG-16 (dollars for 1,000 rounds)";
    let mut sheet = Sheet::new("sweep", title, &columns);
    let rows = measurements.deployments.iter().filter(|d| d.billed == Billed::SlowestWithoutWrite && d.feasible);
    for theirs in rows {
        let case = measurements.case(theirs)?;
        let work = case.workload()?;
        let ours = estimate(&work, platform, &Asked { memory_mib: theirs.memory_mib, ..Asked::default() });
        let by_rule = estimate(&work, platform, &Asked::default());
        let usd = as_billed(&ours, theirs.billed, platform);
        let their_s = theirs.wall_s.map(|seconds| seconds.get());
        sheet.rows.push(vec![
            theirs.shards.into(),
            theirs.memory_mib.into(),
            ours.latency_s.into(),
            their_s.into(),
            their_s.map(|theirs| percent(ours.latency_s, theirs)).into(),
            theirs.phases.first().and_then(|phase| phase.read_and_sum_s).map(|seconds| seconds.get()).into(),
            usd.times(1000).into(),
            theirs.usd_per_round.map(|usd| usd.times(1000)).into(),
            theirs.usd_per_round.map(|theirs| percent(usd.to_f64(), theirs.to_f64())).into(),
            ours.usd().times(1000).into(),
            by_rule.usd().times(1000).into(),
        ]);
    }
    sheet.notes = vec![
        "as_published: M times the slowest function's reading and summing, and the functions' requests; writing and \
         clients' requests are left out."
            .to_owned(),
        "all: every function's whole time, all requests, clients' too; by_rule: with the memory that M shards need, not \
         the limit for every M."
            .to_owned(),
        format!(
            "With more than {} functions, some wait. The published aggregation time leaves out the wait; \
             the wall time has it.",
            platform.limits.concurrent.value
        ),
    ];
    Ok(sheet)
}

fn idle(measurements: &Measurements, platform: &Functions) -> Result<Sheet, CostError> {
    let columns = [
        "model",
        "train_s",
        "aggregate_s",
        "idle_percent",
        "their_idle_percent",
        "server_usd",
        "idle_usd",
        "functions_usd",
        "functions_cheaper_from_train_s",
    ];
    let Ok(nodes) = cluster() else { return Ok(Sheet::new("idle", "", &columns)) };
    let title = format!(
        "A dedicated parameter server that waits (one {} at {} an hour), and GradsSharding on {} (dollars for 1,000 rounds)",
        nodes.name, nodes.prices.node_hour_usd.value, platform.name
    );
    let mut sheet = Sheet::new("idle", title, &columns);
    for row in &measurements.idle {
        let round = ServerRound { nodes: 1, train_s: row.train_s.get(), aggregate_s: row.aggregate_s.get() };
        let model = models::find(&row.model).map(|model| model.name).unwrap_or(row.model.as_str());
        let sharded = gradshard::plan::strategies::find(ARCHITECTURES[0]);
        let usd = match sharded {
            Some(strategy) => {
                let case = Case::new(strategy, row.elements, measurements.clients, 4);
                Some(estimate(&case.workload()?, platform, &Asked::default()))
                    .filter(|found| found.infeasible.is_none())
            }
            None => None,
        };
        let usd = usd.map(|found| found.usd());
        sheet.rows.push(vec![
            model.into(),
            round.train_s.into(),
            round.aggregate_s.into(),
            (round.idle_share() * 100.0).into(),
            row.idle_percent.into(),
            (round.idle_usd(&nodes) + round.busy_usd(&nodes)).times(1000).into(),
            round.idle_usd(&nodes).times(1000).into(),
            usd.map(|usd| usd.times(1000)).into(),
            usd.map(|usd| round.break_even_train_s(usd, &nodes)).into(),
        ]);
    }
    Ok(sheet)
}
