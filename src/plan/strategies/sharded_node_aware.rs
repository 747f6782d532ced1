//! `sharded-node-aware`: each shard is summed inside every node first, and only those sums cross between nodes.

use super::{Knobs, Recipe};
use crate::plan::Way;
use crate::plan::forest::{Cut, Forest};

/// The ways between nodes, the one without a choice first.
const ACROSS: [Way; 4] = [Way::Direct, Way::Ring, Way::Circulant, Way::Radix];

/// A sum a node and shard; then these travel between nodes to the owner, in the way that `across` names. The ranks of a node share the work: rank j of each node sums the
/// shards of the j-th ranks of the others. Each node's wire carries (K−1)/K of one gradient, whatever the number of
/// clients and ranks on the node: the least possible.
pub static STRATEGY: Recipe = Recipe {
    name: "sharded-node-aware",
    about: "per shard, sum inside each node through shared memory, then across nodes as `across` says",
    knobs: Knobs { intra_node: false, across: &ACROSS, ..Knobs::SHARDED },
    plan: |problem, layout| {
        let way = problem.form.across.shape(problem.form.radix);
        Ok(Box::new(Forest::of_nodes(problem, layout, Cut::Shards, way)))
    },
};
