//! `sharded-ring`: reduce-scatter by a ring. Every shard travels once around the ranks, from the one after its owner to
//! the owner, and each adds its own clients.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::Ring;
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// Ring reduce-scatter (Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms, 2009).
pub struct ShardedRing;

impl Strategy for ShardedRing {
    fn name(&self) -> &'static str {
        "sharded-ring"
    }
    fn about(&self) -> &'static str {
        "reduce-scatter by a ring: each shard goes around once, every rank adds its clients"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, Ring)))
    }
}
