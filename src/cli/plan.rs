//! `gradshard plan`: shows a plan. Needs no MPI at run time.

use std::sync::Arc;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use gradshard::experiment::Size;
use gradshard::experiment::numbers::MOST;
use gradshard::experiment::resolve::MOST_INPUTS;
use gradshard::gradient::Dtype;
use gradshard::plan::form::LEAST_RADIX;
use gradshard::plan::picture::PlanPicture;
use gradshard::plan::strategies::{Sharding, Strategy};
use gradshard::plan::{
    Choices, Closing, End, Flow, Form, IntraNode, Layout, Problem, Residency, Roles, Terms, Way, check,
};
use gradshard::predict::{Trace, trace};

use super::cost::strategy;
use super::{Failure, input, named, print};

#[derive(Args)]
pub struct PlanArgs {
    /// The strategy; `gradshard strategies` lists them
    #[arg(long)]
    strategy: String,
    /// Clients N
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(..=MOST))]
    clients: u64,
    /// Shards M, for strategies that shard
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(..=MOST))]
    shards: u64,
    /// Base of the number system in which sharded-radix writes distances
    #[arg(long, default_value_t = LEAST_RADIX, value_parser = clap::value_parser!(u64).range(LEAST_RADIX..=MOST))]
    radix: u64,
    /// Way of sums between nodes [default: the strategy's first]
    #[arg(long, value_parser = named::<Way>())]
    across: Option<Way>,
    /// Way of finished ranges to the ranks that want them
    #[arg(long, default_value = "back", value_parser = named::<Closing>())]
    closing: Closing,
    /// Elements of a gradient, |θ|, or the name of a model of the catalogue
    #[arg(long)]
    elements: String,
    /// Ranks P
    #[arg(long, default_value_t = 4, value_parser = ranks)]
    ranks: usize,
    /// Nodes K; each hosts an equal run of consecutive ranks
    #[arg(long, default_value_t = 1, value_parser = ranks)]
    nodes: usize,
    /// Nodes in a rack, for --traffic [default: all nodes are in one rack]
    #[arg(long, value_name = "NODES", value_parser = ranks)]
    nodes_per_rack: Option<usize>,
    /// Print the bytes that cross to and from each rank, node and rack, instead of the plan
    #[arg(long)]
    traffic: bool,
    /// How data moves through an aggregator: whole, auto, or the size of a chunk such as 1MiB
    #[arg(long, default_value = "whole")]
    flow: String,
    /// Element type
    #[arg(long, default_value = "f32", value_parser = named::<Dtype>())]
    dtype: Dtype,
    /// Number of ranks that only aggregate [default: every rank hosts clients and aggregators]
    #[arg(long, value_name = "RANKS")]
    dedicated: Option<u64>,
    /// How ranks of one node reach each other's data
    #[arg(long, default_value = "shared", value_parser = named::<IntraNode>())]
    intra_node: IntraNode,
    /// State in which the round must end [default: the state in which the strategy's sums leave the result]
    #[arg(long, value_parser = named::<End>())]
    end: Option<End>,
    /// Produce the clients' gradients while the round runs, instead of keeping them in memory
    #[arg(long)]
    streamed: bool,
    /// How to print the plan
    #[arg(long, value_enum, default_value = "text")]
    format: PlanFormat,
}

/// Reads a number of ranks or nodes.
fn ranks(text: &str) -> Result<usize, String> {
    let most = MOST as usize;
    let number = text.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("a whole number up to {most} is needed"))
}

#[derive(Clone, Copy, ValueEnum)]
enum PlanFormat {
    /// For a person.
    Text,
    /// For a program: every aggregator.
    Json,
    /// For Graphviz: pipe into `dot -Tsvg`.
    Dot,
    /// A drawing: nodes as boxes, and lines whose width grows with their bytes.
    Svg,
    /// For LogGOPSim and ATLAHS: what every rank sends, receives and adds, in order.
    Goal,
    /// For SimGrid: the same as a time-independent trace, for `smpirun -replay`.
    Smpi,
}

fn flow(args: &PlanArgs, elements: u64, dtype: Dtype) -> Result<Flow, Failure> {
    match args.flow.as_str() {
        "whole" => Ok(Flow::Whole),
        "auto" => Ok(Flow::automatic(elements, args.clients, args.shards, dtype, args.nodes)),
        text => {
            let Size(bytes) = text.parse().map_err(|error| input(anyhow!("--flow: {error}")))?;
            Ok(Flow::Chunk { elements: (bytes / dtype.size() as u64).max(1) })
        }
    }
}

/// Returns the form that the arguments name, which must be one that the strategy has.
fn form(args: &PlanArgs, strategy: &dyn Strategy, end: End) -> Result<Form, Failure> {
    let knobs = strategy.knobs();
    let choices = Choices {
        radix: &[args.radix],
        across: args.across.as_slice(),
        closing: &[args.closing],
        ..Choices::default()
    };
    let form = knobs.forms(end, choices)[0];
    if args.across.is_some_and(|across| across != form.across) {
        let ways: Vec<String> = knobs.across.iter().map(Way::to_string).collect();
        let known = if ways.is_empty() { "it has no choice".to_owned() } else { format!("known: {}", ways.join(", ")) };
        return Err(input(anyhow!("--across: {} does not have it; {known}", strategy.name())));
    }
    if args.closing != form.closing {
        return Err(input(anyhow!("--closing {}: {} has no such closing at end {end}", args.closing, strategy.name())));
    }
    if args.radix != form.radix {
        return Err(input(anyhow!("--radix: {} writes no distances; leave it out", strategy.name())));
    }
    Ok(form)
}

/// Refuses a plan whose `parts` of the gradient have too many inputs to look at.
fn bounded(args: &PlanArgs, parts: u64) -> Result<(), Failure> {
    let inputs = parts.saturating_mul(args.clients.max(args.ranks as u64));
    if inputs > MOST_INPUTS {
        return Err(input(anyhow!(
            "{parts} parts of the gradient have {inputs} inputs; at most {MOST_INPUTS}: fewer --shards, --clients or --ranks"
        )));
    }
    Ok(())
}

/// Prints the plan. A plan that fails the check is printed too, but the command then returns an error.
pub fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let strategy = strategy(&args.strategy)?;
    for (name, value) in [("--clients", args.clients), ("--shards", args.shards), ("--ranks", args.ranks as u64)] {
        if value == 0 {
            return Err(input(anyhow!("{name}: 0; there must be at least 1")));
        }
    }
    let elements = match args.elements.parse::<u64>() {
        Ok(elements) => elements,
        Err(_) => gradshard::gradient::models::find(&args.elements).map_err(input)?.elements,
    };
    let dtype = args.dtype;
    let roles = args.dedicated.map_or(Roles::Colocated, |ranks| Roles::Dedicated(Some(ranks)));
    let layout = Layout::even(args.ranks, args.nodes, roles).map_err(input)?;
    let in_rack = args.nodes_per_rack.unwrap_or(args.nodes).max(1);
    let node_of: Vec<usize> = (0..args.ranks).map(|rank| layout.node_of(rank)).collect();
    let layout = Arc::new(layout.in_racks(|rank| node_of[rank] / in_rack));
    let end = args.end.unwrap_or(match strategy.knobs().shards {
        Sharding::Always => End::Scattered,
        Sharding::WhereScattered => End::Root,
        Sharding::Never => End::Everywhere,
    });
    let shards = if strategy.knobs().heeds_shards(end) { args.shards } else { 1 };
    bounded(args, shards)?;
    // Twice the parties: a round has a way to its sums and one back, whose bytes are added up.
    let parties = 2 * args.clients.max(args.ranks as u64) * dtype.accumulator_size() as u64;
    if elements.checked_mul(parties).is_none_or(|bytes| i64::try_from(bytes).is_err()) {
        return Err(input(anyhow!(
            "--elements {elements}: the gradients of all clients and ranks are 2^62 bytes or more"
        )));
    }
    let form = form(args, strategy, end)?;
    let problem = Arc::new(Problem::unweighted(elements, args.clients, shards).ending(end).formed(form));
    let plan = strategy.plan(&problem, &layout).map_err(input)?;
    bounded(args, plan.parts())?;
    let intra_node = if strategy.always_shared() { IntraNode::Shared } else { args.intra_node };
    let residency = if args.streamed { Residency::Streamed } else { Residency::Resident };
    let flow = flow(args, elements, dtype)?;
    let picture = PlanPicture {
        strategy: strategy.name(),
        plan: plan.as_ref(),
        problem: &problem,
        layout: &layout,
        terms: Terms { dtype, flow, intra_node, residency, ..Terms::default() },
        checked: check(plan.as_ref(), &problem, &layout),
    };
    let mut text = String::new();
    match args.format {
        PlanFormat::Text if args.traffic => picture.traffic_text(&mut text)?,
        PlanFormat::Json if args.traffic => text = format!("{}\n", picture.traffic_json()),
        PlanFormat::Dot | PlanFormat::Svg | PlanFormat::Goal | PlanFormat::Smpi if args.traffic => {
            return Err(input(anyhow!("--traffic is printed as text or json; leave --format out or write json")));
        }
        PlanFormat::Text => picture.text(&mut text)?,
        PlanFormat::Json => text = format!("{}\n", picture.json().map_err(|error| input(anyhow!(error)))?),
        PlanFormat::Dot => picture.dot(&mut text).map_err(|error| input(anyhow!(error)))?,
        PlanFormat::Svg => picture.svg(&mut text).map_err(|error| input(anyhow!(error)))?,
        PlanFormat::Goal => text = trace_of(&picture)?.goal(),
        PlanFormat::Smpi => text = trace_of(&picture)?.smpi(),
    }
    print(&text)?;
    match picture.checked {
        Ok(_) => Ok(()),
        Err(fault) => Err(Failure::Other(fault.into())),
    }
}

/// Inputs that are looked at for a trace, at most. That takes a minute.
const MOST_TRACED: u64 = 1 << 32;

/// Returns the trace of a plan. A plan that fails the check has none.
fn trace_of(picture: &PlanPicture<'_>) -> Result<Trace, Failure> {
    if let Err(fault) = &picture.checked {
        return Err(Failure::Other(anyhow!("{fault}")));
    }
    if picture.looked_at() > MOST_TRACED {
        let text = "no trace is written where ranks × shards × clients, or ranks twice, is above";
        return Err(input(anyhow!("--format: {text} {MOST_TRACED}")));
    }
    trace(picture.plan, picture.problem, picture.layout, &picture.terms).map_err(input)
}
