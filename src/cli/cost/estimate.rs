//! `gradshard cost --strategy … --model …`: prices plans.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use gradshard::cost::workload::MIB;
use gradshard::cost::{Asked, Case, Field, Functions, Nodes, Platform, Sheet, estimate};
use gradshard::gradient::Dtype;
use gradshard::plan::End;

use super::asked::{self, above_zero, count, flow, flow_name, not_negative};
use crate::cli::{Failure, input, named};

#[derive(Args, Clone)]
pub struct EstimateArgs {
    /// Strategies; `gradshard strategies` lists them
    #[arg(long, value_delimiter = ',', default_value = "sharded-direct,tree-lambda-fl,tree-lifl")]
    strategy: Vec<String>,
    /// Models of the catalogue, or numbers of elements
    #[arg(long, value_delimiter = ',', default_value = "resnet18,vgg16,gpt2-large,synthetic-5gib")]
    model: Vec<String>,
    /// Clients N
    #[arg(long, value_delimiter = ',', default_value = "20", value_parser = count)]
    clients: Vec<u64>,
    /// Shards M, for strategies that shard
    #[arg(long, value_delimiter = ',', default_value = "4", value_parser = count)]
    shards: Vec<u64>,
    /// How data moves through an aggregator: whole objects, or chunks of a size such as 64MiB (ranged reads, writes in
    /// parts)
    #[arg(long, value_delimiter = ',', default_value = "whole", value_parser = flow)]
    flow: Vec<Option<u64>>,
    /// Element type
    #[arg(long, default_value = "f32", value_parser = named::<Dtype>())]
    dtype: Dtype,
    /// Ranks P, for strategies over ranks [default: N]
    #[arg(long, value_parser = count)]
    ranks: Option<u64>,
    /// Nodes K; each hosts an equal run of consecutive ranks
    #[arg(long, default_value_t = 1, value_parser = count)]
    nodes: u64,
    /// Platform, JSON: functions, or nodes by the hour [default: AWS Lambda with S3]
    #[arg(long, value_name = "FILE")]
    pub platform: Option<PathBuf>,
    /// Memory of every function in MiB, instead of the size that the platform's rule gives
    #[arg(long, value_name = "MIB", value_parser = count)]
    memory: Option<u64>,
    /// Memory limit of a function in MiB, instead of the platform's
    #[arg(long, value_name = "MIB", value_parser = count)]
    limit: Option<u64>,
    /// Cold start of every invocation in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = not_negative)]
    cold_start: f64,
    /// Factor by which the store is faster than measured
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = above_zero)]
    throughput: f64,
    /// Leave the clients' own requests out of the sum
    #[arg(long)]
    without_clients: bool,
    /// Print one row per level instead: how long its functions read, sum and write
    #[arg(long)]
    levels: bool,
}

impl EstimateArgs {
    fn cases(&self) -> Result<Vec<(String, Case)>, Failure> {
        let strategies = asked::strategies(&self.strategy)?;
        let mut cases: Vec<(String, Case)> = Vec::new();
        for model in &self.model {
            let (name, elements) = asked::model(model)?;
            for clients in &self.clients {
                let ranks = usize::try_from(self.ranks.unwrap_or(*clients))?;
                let nodes = usize::try_from(self.nodes)?;
                if nodes > ranks {
                    return Err(input(anyhow!("--nodes {nodes}: there are only {ranks} ranks")));
                }
                for strategy in &strategies {
                    let shards =
                        if strategy.knobs().heeds_shards(End::Everywhere) { self.shards.as_slice() } else { &[1] };
                    for (shards, chunk_bytes) in shards.iter().flat_map(|m| self.flow.iter().map(move |f| (*m, *f))) {
                        let case = Case::new(*strategy, elements, *clients, shards);
                        cases.push((name.clone(), Case { dtype: self.dtype, chunk_bytes, ranks, nodes, ..case }));
                    }
                }
            }
        }
        Ok(cases)
    }
}

/// Makes the table of prices, or with `--levels` the table of levels.
pub fn sheets(args: &EstimateArgs) -> Result<Vec<Sheet>, Failure> {
    let cases = args.cases()?;
    let sheet = match asked::platform(args.platform.as_deref())? {
        Platform::Functions(mut functions) => {
            if let Some(limit) = args.limit {
                functions.memory.limit_mib.value = limit;
            }
            functions.speed = gradshard::cost::crossover::faster(&functions.speed, args.throughput);
            if args.levels { by_level(&cases, &functions, args)? } else { on_functions(&cases, &functions, args)? }
        }
        Platform::Nodes(nodes) if args.levels => {
            return Err(input(anyhow!("--levels: {} consists of nodes, but only functions have levels", nodes.name)));
        }
        Platform::Nodes(nodes) => on_nodes(&cases, &nodes)?,
    };
    Ok(vec![sheet])
}

const COLUMNS: &[&str] = &["model", "gradient_mib", "strategy", "clients", "shards", "flow"];

/// The fields that identify a case, in the order of [`COLUMNS`].
pub fn identity(model: &str, case: &Case) -> Vec<Field> {
    vec![
        model.into(),
        (case.gradient_bytes() as f64 / MIB).into(),
        case.strategy.name().into(),
        case.clients.into(),
        case.shards_heeded().into(),
        flow_name(case.chunk_bytes).into(),
    ]
}

fn on_functions(cases: &[(String, Case)], platform: &Functions, args: &EstimateArgs) -> Result<Sheet, Failure> {
    let asked = Asked { memory_mib: args.memory, cold_start_s: args.cold_start, ..Asked::default() };
    let columns = [
        "memory_mib",
        "invocations",
        "gets",
        "puts",
        "client_requests",
        "function_s",
        "latency_s",
        "functions_usd",
        "requests_usd",
        "clients_usd",
        "usd_per_1000_rounds",
        "infeasible",
    ];
    let title = format!("{}: dollars for 1,000 rounds", platform.name);
    let mut sheet = Sheet::new("estimate", title, &[COLUMNS, &columns].concat());
    for (model, case) in cases {
        let found = estimate(&case.workload().map_err(input)?, platform, &asked);
        let thousand = |usd: gradshard::cost::Usd| Field::from(usd.times(1000));
        let clients = if args.without_clients { Field::Null } else { thousand(found.clients_usd) };
        let usd = if args.without_clients { found.without_clients_usd() } else { found.usd() };
        let feasible = found.infeasible.is_none();
        let if_feasible = |field: Field| if feasible { field } else { Field::Null };
        let mut row = identity(model, case);
        row.extend([
            found.memory_mib.into(),
            found.invocations.into(),
            found.gets.into(),
            found.puts.into(),
            (found.client_gets + found.client_puts).into(),
            if_feasible(found.function_s.into()),
            if_feasible(found.latency_s.into()),
            if_feasible(thousand(found.functions_usd)),
            if_feasible(thousand(found.requests_usd)),
            if_feasible(clients),
            if_feasible(thousand(usd)),
            found.infeasible.into(),
        ]);
        sheet.rows.push(row);
    }
    sheet.notes.push(format!(
        "The time of one deployment differs from this by about {:.0} % (1 standard deviation, \
         of deployments left out of the fit).",
        platform.speed.deployment_spread.get() * 100.0
    ));
    Ok(sheet)
}

/// Makes a table with one row per level: the mean times of its functions, and the time of the level.
fn by_level(cases: &[(String, Case)], platform: &Functions, args: &EstimateArgs) -> Result<Sheet, Failure> {
    let asked = Asked { memory_mib: args.memory, cold_start_s: args.cold_start, ..Asked::default() };
    let columns = [
        "memory_mib",
        "level",
        "functions",
        "mean_read_s",
        "mean_sum_s",
        "mean_write_s",
        "mean_s",
        "level_s",
        "infeasible",
    ];
    let mut sheet = Sheet::new("levels", format!("{}: level by level", platform.name), &[COLUMNS, &columns].concat());
    for (model, case) in cases {
        let found = estimate(&case.workload().map_err(input)?, platform, &asked);
        for level in &found.levels {
            let mut row = identity(model, case);
            row.extend([
                found.memory_mib.into(),
                u64::from(level.level).into(),
                level.functions.into(),
                level.mean.read_s.into(),
                level.mean.sum_s.into(),
                level.mean.write_s.into(),
                level.mean_s.into(),
                level.phase_s.into(),
                found.infeasible.clone().into(),
            ]);
            sheet.rows.push(row);
        }
    }
    Ok(sheet)
}

fn on_nodes(cases: &[(String, Case)], platform: &Nodes) -> Result<Sheet, Failure> {
    let columns = ["nodes", "busiest_wire_mib", "latency_s", "usd_per_1000_rounds"];
    let title = format!("{}: dollars for 1,000 rounds, by the node-hour", platform.name);
    let mut sheet = Sheet::new("estimate", title, &[COLUMNS, &columns].concat());
    for (model, case) in cases {
        let found = platform.estimate(case).map_err(input)?;
        let mut row = identity(model, case);
        row.extend([
            (found.nodes as u64).into(),
            (found.wire_bytes / MIB).into(),
            found.latency_s.into(),
            found.usd.times(1000).into(),
        ]);
        sheet.rows.push(row);
    }
    sheet.notes.push(
        "A first-order estimate from the busiest wire and the sums. `gradshard run` measures the real time on a \
         cluster, and `gradshard cost RESULT.h5` prices it."
            .to_owned(),
    );
    Ok(sheet)
}
