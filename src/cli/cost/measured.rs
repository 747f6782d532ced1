//! `gradshard cost RESULT.h5`: prices measured rounds by the node-hour.

use std::path::Path;

use clap::Args;
use gradshard::cost::idle::ServerRound;
use gradshard::cost::platform::aws_lambda_s3;
use gradshard::cost::{Asked, Case, Functions, Sheet, Usd, estimate};
use gradshard::plan::strategies;
use gradshard::results::row::CellRow;

use super::asked::{self, count, not_negative};
use super::estimate::EstimateArgs;
use crate::cli::screen::TrustArgs;
use crate::cli::{Failure, input};

#[derive(Args, Clone)]
pub struct MeasuredArgs {
    /// With a result file: seconds of training between two rounds, in which a dedicated server waits
    #[arg(long, value_name = "SECONDS", value_parser = not_negative, requires = "result")]
    train_seconds: Option<f64>,
    /// With a result file: nodes of a dedicated server
    #[arg(long, value_name = "NODES", default_value_t = 1, value_parser = count)]
    server_nodes: u64,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Makes a table with one row per cell of the result file.
pub fn sheets(file: &Path, args: &MeasuredArgs, estimate: &EstimateArgs) -> Result<Vec<Sheet>, Failure> {
    let results = args.trust.open(file).map_err(input)?;
    let nodes = asked::nodes(estimate.platform.as_deref())?;
    let functions = aws_lambda_s3().map_err(input)?;
    let title = format!(
        "{}: what was measured, dollars for 1,000 rounds at {} a node-hour ({})",
        file.display(),
        nodes.prices.node_hour_usd.value,
        nodes.name
    );
    let mut sheet = Sheet::new("measured", title);
    let cells = &results.cells;
    let priced = |cell: &CellRow, seconds: Option<f64>| {
        cell.timed().and(seconds).map(|seconds| nodes.usd(cell.nodes, seconds).times(1000))
    };
    let server = |cell: &CellRow, train_s: f64| {
        cell.timed().map(|aggregate_s| ServerRound { nodes: args.server_nodes, train_s, aggregate_s })
    };
    let waiting = |cell: &CellRow| args.train_seconds.and_then(|train_s| server(cell, train_s));
    sheet.column("cell", cells, |cell| cell.cell);
    sheet.column("strategy", cells, |cell| cell.strategy.as_str());
    sheet.column("model", cells, |cell| cell.model.as_str());
    sheet.column("clients", cells, |cell| cell.clients);
    sheet.column("shards", cells, |cell| cell.shards);
    sheet.column("flow", cells, |cell| cell.flow.as_str());
    sheet.column("ranks", cells, |cell| cell.ranks);
    sheet.column("nodes", cells, |cell| cell.nodes);
    sheet.column("median_s", cells, |cell| cell.timed());
    sheet.column("usd_per_1000_rounds", cells, |cell| priced(cell, cell.median_s));
    sheet.column("usd_low", cells, |cell| priced(cell, cell.ci_low_s));
    sheet.column("usd_high", cells, |cell| priced(cell, cell.ci_high_s));
    sheet.column("functions_usd", cells, |cell| usd_on_functions(cell, &functions).map(|usd| usd.times(1000)));
    sheet.column("idle_percent", cells, |cell| waiting(cell).map(|round| round.idle_share() * 100.0));
    sheet.column("idle_usd", cells, |cell| waiting(cell).map(|round| round.idle_usd(&nodes).times(1000)));
    sheet.column("functions_cheaper_from_train_s", cells, |cell| {
        Some(server(cell, 0.0)?.break_even_train_s(usd_on_functions(cell, &functions)?, &nodes))
    });
    sheet.column("status", cells, |cell| cell.status.to_string());
    sheet.note("usd: all nodes of the job for the round's median; low and high: for the ends of its 95 % interval.");
    sheet.note(format!(
            "functions_usd: the same plan on {} as whole objects, clients' requests included; - where it has no price there.",
            functions.name
        ));
    if let Some(train_s) = args.train_seconds {
        sheet.note(format!(
            "idle: {} dedicated node(s) that wait {train_s} s a round for clients to train, then take the median.",
            args.server_nodes
        ));
    }
    sheet.note(
        "functions_cheaper_from_train_s: from this training time on, functions cost less than a dedicated server.",
    );
    Ok(vec![sheet])
}

/// Price of one round of the cell's plan on functions with the whole flow; None if it has no price there.
fn usd_on_functions(cell: &CellRow, functions: &Functions) -> Option<Usd> {
    let strategy = strategies::find(&cell.strategy)?;
    let dtype = cell.dtype;
    let (ranks, nodes) = (usize::try_from(cell.ranks).ok()?, usize::try_from(cell.nodes).ok()?);
    let case = Case { dtype, ranks, nodes, ..Case::new(strategy, cell.elements, cell.clients, cell.shards) };
    let found = estimate(&case.workload().ok()?, functions, &Asked::default());
    found.infeasible.is_none().then(|| found.usd())
}
