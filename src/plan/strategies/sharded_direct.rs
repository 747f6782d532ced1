//! `sharded-direct`: GradsSharding. Aggregator j takes shard j straight from every client, in client order.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// GradsSharding (Barrak 2026, arXiv:2604.22072).
pub struct ShardedDirect;

impl Strategy for ShardedDirect {
    fn name(&self) -> &'static str {
        "sharded-direct"
    }
    fn about(&self) -> &'static str {
        "GradsSharding: aggregator j takes shard j straight from every client"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::straight(problem, layout, Cut::Shards)))
    }
}
