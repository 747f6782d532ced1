//! The strategies, one a file, the MPI library's in one. None of them communicates: each yields a plan.

mod local_sums;
mod native;
mod sharded_direct;
mod sharded_halving;
mod sharded_node_aware;
mod sharded_ring;
mod tree_binomial;
mod tree_central;
mod tree_kary;
mod tree_lambda_fl;
mod tree_lifl;
mod tree_over_ranks;

use std::sync::Arc;

use crate::plan::{Infeasible, Layout, Plan, Problem};

/// What a strategy splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// The gradient.
    Sharded,
    /// The clients.
    Tree,
    /// The MPI library decides: a call of one of its collectives belongs to neither side.
    Library,
}

impl Family {
    /// The name used in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Family::Sharded => "sharded",
            Family::Tree => "tree",
            Family::Library => "library",
        }
    }
}

/// Which of an experiment's settings change what a strategy does. A setting that changes nothing makes no cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// M.
    pub shards: bool,
    /// `whole` or chunks.
    pub flow: bool,
    /// `shared` or `messages`.
    pub intra_node: bool,
    /// `client`, `rotated` or `arrival`.
    pub order: bool,
}

impl Knobs {
    /// A strategy that splits the gradient and is carried out by the engine.
    pub const SHARDED: Knobs = Knobs { shards: true, flow: true, intra_node: true, order: true };
    /// A strategy that splits the clients and is carried out by the engine.
    pub const TREE: Knobs = Knobs { shards: false, flow: true, intra_node: true, order: true };
}

/// A rule that says which aggregators exist, over which ranges, with which inputs, on which ranks.
pub trait Strategy: Send + Sync {
    /// The name used in experiments, tables and files.
    fn name(&self) -> &'static str;
    /// What it splits.
    fn family(&self) -> Family;
    /// One line for `gradshard strategies`.
    fn about(&self) -> &'static str;
    /// Which settings it heeds.
    fn knobs(&self) -> Knobs;
    /// True if the plan ends in one of the MPI library's collectives, which threads cannot carry out.
    fn needs_mpi(&self) -> bool {
        false
    }
    /// True if it always reads a neighbour's memory inside a node, whatever `intra_node` says.
    fn always_shared(&self) -> bool {
        false
    }
    /// The plan for `problem` on `layout`.
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible>;
}

/// Every strategy, in the order in which tables list them.
pub fn all() -> &'static [&'static dyn Strategy] {
    &[
        &sharded_direct::ShardedDirect,
        &sharded_ring::ShardedRing,
        &sharded_halving::ShardedHalving,
        &sharded_node_aware::ShardedNodeAware,
        &native::REDUCE_SCATTER,
        &native::REDUCE_SCATTER_BLOCK,
        &native::IREDUCE_SCATTER,
        &native::REDUCE_THEN_SCATTER,
        &tree_central::TreeCentral,
        &tree_lambda_fl::TreeLambdaFl,
        &tree_lifl::TreeLifl,
        &tree_binomial::TreeBinomial,
        &tree_kary::TreeKary,
        &native::REDUCE,
        &native::ALLREDUCE,
        &native::REDUCE_SCATTER_THEN_GATHER,
        &native::REDUCE_SCATTER_THEN_ALLGATHER,
    ]
}

/// The names of all strategies.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|s| s.name()).collect()
}

/// The strategy of this name.
pub fn find(name: &str) -> Option<&'static dyn Strategy> {
    all().iter().copied().find(|s| s.name() == name)
}
