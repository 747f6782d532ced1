//! Families: what a plan is, read from its steps and not from a strategy's name.

use crate::plan::words::words;
use crate::plan::{Call, End, Input, Kind, Layout, Plan, Problem, Step};

words! {
    /// The answer that a strategy stands for.
    pub enum Family {
        #[default]
        /// The gradient is split: several ranks, and several nodes where there are any, finish ranges of the result.
        Sharded,
        /// Clients are split: sums of some of them are summed further, and one rank finishes the result.
        Tree,
        /// One rank takes every client's gradient and finishes the result.
        Server,
        /// A collective of the MPI library sums, by an algorithm of its own.
        Library,
    }
}

/// The family of a plan.
///
/// A strategy that shards is a tree where it has one shard: a ring of one shard is a chain. With one aggregating rank alone
/// several shards still count as sharded.
pub fn family(plan: &dyn Plan, problem: &Problem, layout: &Layout) -> Family {
    if plan.calls().iter().copied().any(Call::reduces) {
        return Family::Library;
    }
    // The ranks of one node among several are one place: lanes of a tree end side by side.
    let place = |rank: usize| if layout.nodes() > 1 { layout.node_of(rank) } else { rank };
    let mut finishers: Option<usize> = None;
    let mut straight = true;
    for part in 0..plan.parts() {
        for step in plan.part(part) {
            let Kind::Sum { divided, .. } = step.kind else { continue };
            straight &= divided && step.inputs.iter().all(|input| matches!(input, Input::Client(_)));
            if divided && *finishers.get_or_insert(place(step.rank)) != place(step.rank) {
                return Family::Sharded;
            }
        }
    }
    if problem.shards > 1 && layout.aggregator_ranks().len() == 1 && problem.end != End::Scattered {
        return Family::Sharded;
    }
    if straight { Family::Server } else { Family::Tree }
}

/// True if every element is summed in one step over all clients in their order, as the flat server does.
pub fn sums_flat(plan: &dyn Plan, problem: &Problem) -> bool {
    let flat = |step: &Step| match step.kind {
        Kind::Sum { divided, .. } => {
            let clients = (0..problem.clients()).map(Input::Client);
            divided && step.inputs.iter().copied().eq(clients)
        }
        Kind::Copy => true,
        Kind::Library(_) => false,
    };
    (0..plan.parts()).all(|part| plan.part(part).iter().all(flat))
}
