//! `gradshard cost best-shards`: finds the best number of shards, and compares it with trees.

use std::collections::BTreeMap;

use clap::Args;
use gradshard::cost::best_shards::{Choice, choices};
use gradshard::cost::{Asked, Case, Field, ObjectFlow, Sheet, Workload};
use gradshard::plan::End;

use super::asked::{self, affordable, count};
use super::estimate::sheet_of_cases;
use crate::cli::{Failure, input};

#[derive(Args)]
pub struct BestShardsArgs {
    /// Model of the catalogue, or a number of elements
    #[arg(long)]
    model: String,
    /// Clients N
    #[arg(long, default_value_t = 20, value_parser = count)]
    clients: u64,
    /// Shards to try [default: 1 to 32, then 40, 48, 64, 96, 128]
    #[arg(long, value_delimiter = ',', value_parser = count)]
    shards: Option<Vec<u64>>,
    /// Strategies; each one that does not shard is tried once
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "sharded-direct,sharded-node-aware,tree-central,tree-lambda-fl,tree-lifl"
    )]
    strategy: Vec<String>,
    /// Flows
    #[arg(long, value_delimiter = ',', default_value = "whole,64MiB,ranged,ranged:64MiB")]
    flow: Vec<ObjectFlow>,
    /// Nodes K within which node-aware strategies sum first; on functions this is one more level
    #[arg(long, default_value_t = 4, value_parser = count)]
    nodes: u64,
    /// Leave out the clients' own requests
    #[arg(long)]
    without_clients: bool,
    /// Show every choice, not only the Pareto frontier and the best of each strategy and flow
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    functions: asked::FunctionsArgs,
}

/// The cases to try. A flow with the same work as one before it is left out: chunks that hold whole objects, ranged reads
/// by a tree.
fn cases(args: &BestShardsArgs, elements: u64, shards: &[u64]) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    let mut inputs = 0u64;
    for strategy in asked::strategies(&args.strategy)? {
        let mut works: BTreeMap<u64, Vec<Workload>> = BTreeMap::new();
        for flow in &args.flow {
            let tried = if strategy.knobs().heeds_shards(End::Everywhere) { shards } else { &[1] };
            for m in tried {
                let case = Case::new(strategy, elements, args.clients, *m);
                // Only the node-aware strategy gets several nodes. On functions the others have no use for them.
                let aware = strategy.name() == "sharded-node-aware";
                let nodes = if aware { usize::try_from(args.nodes)?.min(case.ranks) } else { 1 };
                let case = Case { flow: *flow, nodes, ..case };
                // It is priced, and looked at once before.
                inputs = case.most_inputs().saturating_mul(2).saturating_add(inputs);
                affordable(inputs)?;
                let alike = works.entry(*m).or_default();
                match case.workload() {
                    Ok(work) if alike.contains(&work) => continue,
                    Ok(work) => alike.push(work),
                    // Pricing it says why it has no plan.
                    Err(_) => {}
                }
                cases.push(case);
            }
        }
    }
    Ok(cases)
}

/// Makes the table of the choices.
pub fn sheets(args: &BestShardsArgs) -> Result<Vec<Sheet>, Failure> {
    let platform = args.functions.read()?;
    let (name, elements) = asked::model(&args.model)?;
    let usual = || (1..=32).chain([40, 48, 64, 96, 128]).collect();
    let shards = args.shards.clone().unwrap_or_else(usual);
    let cases = cases(args, elements, &shards)?;
    let with_clients = !args.without_clients;
    let found = choices(cases, &platform, &Asked::default(), with_clients).map_err(input)?;
    let clients = if with_clients { "with the clients' own requests" } else { "without the clients' own requests" };
    let title =
        format!("{}, limit {} MiB: dollars for 1,000 rounds {clients}", platform.name, platform.memory.limit_mib.value);
    let usd = |choice: &Choice| choice.estimate.counted_usd(with_clients);
    let is_shown = |choice: &&Choice| {
        let alike = || {
            found.iter().filter(|other| {
                other.case.strategy.name() == choice.case.strategy.name()
                    && other.case.flow == choice.case.flow
                    && other.estimate.infeasible.is_none()
            })
        };
        let is_best = choice.estimate.infeasible.is_none()
            && (alike().all(|other| usd(other) >= usd(choice))
                || alike().all(|other| other.estimate.latency_s >= choice.estimate.latency_s));
        let nothing = alike().next().is_none() && choice.case.shards_heeded() == shards.first().copied().unwrap_or(1);
        args.all || choice.on_frontier || is_best || nothing
    };
    let shown: Vec<&Choice> = found.iter().filter(is_shown).collect();
    let mut sheet = sheet_of_cases("choices", title, &shown, |choice| (&name, &choice.case));
    let if_feasible = |choice: &Choice, field: Field| Some(field).filter(|_| choice.estimate.infeasible.is_none());
    sheet.column("memory_mib", &shown, |choice| choice.estimate.memory_mib);
    sheet.column("latency_s", &shown, |choice| if_feasible(choice, choice.estimate.latency_s.into()));
    sheet.column("usd_per_1000_rounds", &shown, |choice| if_feasible(choice, usd(choice).times(1000).into()));
    sheet.column("on_frontier", &shown, |choice| choice.on_frontier);
    sheet.column("cheapest", &shown, |choice| choice.cheapest);
    sheet.column("fastest", &shown, |choice| choice.fastest);
    sheet.column("infeasible", &shown, |choice| choice.estimate.infeasible.clone());
    if !args.all {
        sheet.note(
            "Shown: the Pareto frontier, and the cheapest and the fastest of each strategy and flow. --all shows all.",
        );
    }
    sheet.note(format!(
        "At most {} functions run at a time; the others wait (limits.concurrent of the platform).",
        platform.limits.concurrent.value
    ));
    Ok(vec![sheet])
}
