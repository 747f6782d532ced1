//! `gradshard cost RESULT.h5`: prices measured rounds by the node-hour.

use std::path::Path;

use anyhow::anyhow;
use clap::Args;
use gradshard::cost::idle::ServerRound;
use gradshard::cost::platform::{aws_lambda_s3, cluster};
use gradshard::cost::{Asked, Case, Field, Functions, Nodes, Platform, Sheet, Usd, estimate};
use gradshard::plan::strategies;
use gradshard::results::ResultFile;
use gradshard::results::row::{CellRow, Status};

use super::asked::{self, count, not_negative};
use super::estimate::EstimateArgs;
use crate::cli::{Failure, input};

#[derive(Args, Clone)]
pub struct MeasuredArgs {
    /// With a result file: seconds of training between two rounds, in which a dedicated server waits
    #[arg(long, value_name = "SECONDS", value_parser = not_negative, requires = "result")]
    train_seconds: Option<f64>,
    /// With a result file: nodes of a dedicated server
    #[arg(long, value_name = "NODES", default_value_t = 1, value_parser = count)]
    server_nodes: u64,
}

/// Makes a table with one row per cell of the result file.
pub fn sheets(file: &Path, args: &MeasuredArgs, estimate: &EstimateArgs) -> Result<Vec<Sheet>, Failure> {
    let results = ResultFile::open(file).map_err(input)?;
    let nodes = match &estimate.platform {
        None => cluster().map_err(input)?,
        Some(path) => match asked::platform(Some(path))? {
            Platform::Nodes(nodes) => *nodes,
            Platform::Functions(functions) => {
                let name = functions.name;
                return Err(input(anyhow!(
                    "--platform: {name} consists of functions, but measured rounds are paid by the node"
                )));
            }
        },
    };
    let functions = aws_lambda_s3().map_err(input)?;
    let columns = [
        "cell",
        "strategy",
        "model",
        "clients",
        "shards",
        "flow",
        "ranks",
        "nodes",
        "median_s",
        "usd_per_1000_rounds",
        "usd_low",
        "usd_high",
        "functions_usd",
        "idle_percent",
        "idle_usd",
        "functions_cheaper_from_train_s",
        "status",
    ];
    let title = format!(
        "{}: what was measured, dollars for 1,000 rounds at {} a node-hour ({})",
        file.display(),
        nodes.prices.node_hour_usd.value,
        nodes.name
    );
    let mut sheet = Sheet::new("measured", title, &columns);
    for cell in &results.cells {
        sheet.rows.push(row(cell, args, &nodes, &functions));
    }
    sheet.notes = vec![
        "usd: all nodes of the job for the round's median; low and high: for the ends of its 95 % interval.".to_owned(),
        format!(
            "functions_usd: the same plan on {} as whole objects, clients' requests included; - where it has no price there.",
            functions.name
        ),
    ];
    if let Some(train_s) = args.train_seconds {
        sheet.notes.push(format!(
            "idle: {} dedicated node(s) that wait {train_s} s a round for clients to train, then take the median.",
            args.server_nodes
        ));
    }
    sheet.notes.push(
        "functions_cheaper_from_train_s: from this training time on, functions cost less than a dedicated server."
            .to_owned(),
    );
    Ok(vec![sheet])
}

fn row(cell: &CellRow, args: &MeasuredArgs, nodes: &Nodes, functions: &Functions) -> Vec<Field> {
    let measured = cell.median_s.filter(|_| cell.status == Status::Ok);
    let priced = |seconds: Option<f64>| -> Field {
        measured.and(seconds).map(|seconds| nodes.usd(cell.nodes, seconds).times(1000)).into()
    };
    let on_functions = usd_on_functions(cell, functions);
    let server = |train_s| measured.map(|aggregate_s| ServerRound { nodes: args.server_nodes, train_s, aggregate_s });
    let waiting = args.train_seconds.and_then(server);
    let even = on_functions.zip(server(0.0)).map(|(usd, server)| server.break_even_train_s(usd, nodes));
    vec![
        cell.cell.into(),
        cell.strategy.as_str().into(),
        cell.model.as_str().into(),
        cell.clients.into(),
        cell.shards.into(),
        cell.flow.as_str().into(),
        cell.ranks.into(),
        cell.nodes.into(),
        measured.into(),
        priced(cell.median_s),
        priced(cell.ci_low_s),
        priced(cell.ci_high_s),
        on_functions.map(|usd| usd.times(1000)).into(),
        waiting.map(|round| round.idle_share() * 100.0).into(),
        waiting.map(|round| round.idle_usd(nodes).times(1000)).into(),
        even.into(),
        cell.status.to_string().into(),
    ]
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
