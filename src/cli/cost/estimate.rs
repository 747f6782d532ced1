//! `gradshard cost --strategy … --model …`: prices plans.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use gradshard::cost::workload::MIB;
use gradshard::cost::{Asked, Case, Estimate, Functions, Nodes, ObjectFlow, Platform, Sheet, Usd, estimate};
use gradshard::gradient::Dtype;
use gradshard::plan::End;

use super::asked::{self, above_zero, affordable, count, not_negative};
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
    /// How data moves through an aggregator: whole objects, chunks of a size such as 64MiB (ranged reads, writes in
    /// parts), or ranged or ranged:64MiB: the same, but a client writes one object, of which aggregators read ranges
    #[arg(long, value_delimiter = ',', default_value = "whole")]
    flow: Vec<ObjectFlow>,
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
        let mut inputs = 0u64;
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
                    for (shards, flow) in shards.iter().flat_map(|m| self.flow.iter().map(move |f| (*m, *f))) {
                        let case = Case::new(*strategy, elements, *clients, shards);
                        let case = Case { dtype: self.dtype, flow, ranks, nodes, ..case };
                        inputs = case.most_inputs().saturating_add(inputs);
                        affordable(inputs)?;
                        cases.push((name.clone(), case));
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

/// Makes a table with the columns that identify a case. `of` returns the name of its model, and the case.
pub fn sheet_of_cases<'r, R>(
    name: &'static str,
    title: String,
    rows: &'r [R],
    of: impl Fn(&'r R) -> (&'r str, &'r Case),
) -> Sheet {
    let mut sheet = Sheet::new(name, title);
    sheet.column("model", rows, |row| of(row).0);
    sheet.column("gradient_mib", rows, |row| of(row).1.gradient_bytes() as f64 / MIB);
    sheet.column("strategy", rows, |row| of(row).1.strategy.name());
    sheet.column("clients", rows, |row| of(row).1.clients);
    sheet.column("shards", rows, |row| of(row).1.shards_heeded());
    sheet.column("flow", rows, |row| of(row).1.flow.to_string());
    sheet
}

fn on_functions(cases: &[(String, Case)], platform: &Functions, args: &EstimateArgs) -> Result<Sheet, Failure> {
    let asked = Asked { memory_mib: args.memory, cold_start_s: args.cold_start, ..Asked::default() };
    let mut rows = Vec::new();
    for (model, case) in cases {
        rows.push((model, case, estimate(&case.workload().map_err(input)?, platform, &asked)));
    }
    let title = format!("{}: dollars for 1,000 rounds", platform.name);
    let mut sheet = sheet_of_cases("estimate", title, &rows, |(model, case, _)| (model, case));
    let with_clients = !args.without_clients;
    let thousand = |found: &Estimate, usd: Usd| found.infeasible.is_none().then(|| usd.times(1000));
    let seconds = |found: &Estimate, seconds: f64| found.infeasible.is_none().then_some(seconds);
    sheet.column("memory_mib", &rows, |(.., found)| found.memory_mib);
    sheet.column("invocations", &rows, |(.., found)| found.invocations);
    sheet.column("gets", &rows, |(.., found)| found.gets);
    sheet.column("puts", &rows, |(.., found)| found.puts);
    sheet.column("client_requests", &rows, |(.., found)| found.client_gets + found.client_puts);
    sheet.column("function_s", &rows, |(.., found)| seconds(found, found.function_s));
    sheet.column("latency_s", &rows, |(.., found)| seconds(found, found.latency_s));
    sheet.column("functions_usd", &rows, |(.., found)| thousand(found, found.functions_usd));
    sheet.column("requests_usd", &rows, |(.., found)| thousand(found, found.requests_usd));
    sheet.column("clients_usd", &rows, |(.., found)| thousand(found, found.clients_usd).filter(|_| with_clients));
    sheet.column("usd_per_1000_rounds", &rows, |(.., found)| thousand(found, found.counted_usd(with_clients)));
    sheet.column("infeasible", &rows, |(.., found)| found.infeasible.clone());
    sheet.note(format!(
        "The time of one deployment differs from this by about {:.0} % (1 standard deviation, \
         of deployments left out of the fit).",
        platform.speed.deployment_spread.get() * 100.0
    ));
    Ok(sheet)
}

/// Makes a table with one row per level: the mean times of its functions, and the time of the level.
fn by_level(cases: &[(String, Case)], platform: &Functions, args: &EstimateArgs) -> Result<Sheet, Failure> {
    let asked = Asked { memory_mib: args.memory, cold_start_s: args.cold_start, ..Asked::default() };
    let mut rows = Vec::new();
    for (model, case) in cases {
        let found = estimate(&case.workload().map_err(input)?, platform, &asked);
        let (memory_mib, infeasible) = (found.memory_mib, found.infeasible);
        rows.extend(found.levels.into_iter().map(|level| (model, case, level, memory_mib, infeasible.clone())));
    }
    let title = format!("{}: level by level", platform.name);
    let mut sheet = sheet_of_cases("levels", title, &rows, |(model, case, ..)| (model, case));
    sheet.column("memory_mib", &rows, |(_, _, _, memory_mib, _)| *memory_mib);
    sheet.column("level", &rows, |(_, _, level, ..)| level.level);
    sheet.column("functions", &rows, |(_, _, level, ..)| level.functions);
    sheet.column("mean_read_s", &rows, |(_, _, level, ..)| level.mean.read_s);
    sheet.column("mean_sum_s", &rows, |(_, _, level, ..)| level.mean.sum_s);
    sheet.column("mean_write_s", &rows, |(_, _, level, ..)| level.mean.write_s);
    sheet.column("mean_s", &rows, |(_, _, level, ..)| level.mean_s);
    sheet.column("level_s", &rows, |(_, _, level, ..)| level.phase_s);
    sheet.column("infeasible", &rows, |(.., infeasible)| infeasible.clone());
    Ok(sheet)
}

fn on_nodes(cases: &[(String, Case)], platform: &Nodes) -> Result<Sheet, Failure> {
    let mut rows = Vec::new();
    for (model, case) in cases {
        rows.push((model, case, platform.estimate(case).map_err(input)?));
    }
    let title = format!("{}: dollars for 1,000 rounds, by the node-hour", platform.name);
    let mut sheet = sheet_of_cases("estimate", title, &rows, |(model, case, _)| (model, case));
    sheet.column("nodes", &rows, |(.., found)| found.nodes);
    sheet.column("busiest_wire_mib", &rows, |(.., found)| found.wire_bytes / MIB);
    sheet.column("latency_s", &rows, |(.., found)| found.latency_s);
    sheet.column("usd_per_1000_rounds", &rows, |(.., found)| found.usd.times(1000));
    sheet.note(
        "A first-order estimate from the busiest wire and the sums. `gradshard run` measures the real time on a \
         cluster, and `gradshard cost RESULT.h5` prices it.",
    );
    Ok(sheet)
}
