//! `sharded-node-aware`: each shard is summed inside every node first, and only those sums cross between nodes.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest};
use crate::plan::{Infeasible, Layout, Plan, Problem, Way};

/// A sum a node and shard; then these travel between nodes to the owner, in the way that `across` names. The ranks of a node share the work: rank j of each node sums the
/// shards of the j-th ranks of the others. Each node's wire carries (K−1)/K of one gradient, whatever the number of
/// clients and ranks on the node: the least possible.
pub struct ShardedNodeAware;

/// The ways between nodes, the one without a choice first.
const ACROSS: [Way; 4] = [Way::Direct, Way::Ring, Way::Circulant, Way::Radix];

impl Strategy for ShardedNodeAware {
    fn name(&self) -> &'static str {
        "sharded-node-aware"
    }
    fn about(&self) -> &'static str {
        "per shard, sum inside each node through shared memory, then across nodes as `across` says"
    }
    fn knobs(&self) -> Knobs {
        Knobs { intra_node: false, across: &ACROSS, ..Knobs::SHARDED }
    }
    fn always_shared(&self) -> bool {
        true
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        let way = problem.form.across.shape(problem.form.radix);
        Ok(Box::new(Forest::of_nodes(problem, layout, Cut::Shards, way)))
    }
}
