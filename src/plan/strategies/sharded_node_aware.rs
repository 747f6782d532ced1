//! `sharded-node-aware`: each shard is summed inside every node first, and only those sums cross between nodes.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest, Star};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// Two levels: a sum a node and shard, then the owner's. The ranks of a node share the work: rank j of each node sums the
/// shards of the j-th ranks of the others. Each node's wire carries (K−1)/K of one gradient, whatever the number of
/// clients and ranks on the node: the least possible.
pub struct ShardedNodeAware;

impl Strategy for ShardedNodeAware {
    fn name(&self) -> &'static str {
        "sharded-node-aware"
    }
    fn about(&self) -> &'static str {
        "per shard, sum inside each node through shared memory, then across nodes"
    }
    fn knobs(&self) -> Knobs {
        Knobs { intra_node: false, ..Knobs::SHARDED }
    }
    fn always_shared(&self) -> bool {
        true
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_nodes(problem, layout, Cut::Shards, Star)))
    }
}
