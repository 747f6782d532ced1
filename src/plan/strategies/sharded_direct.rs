//! `sharded-direct`: GradsSharding. Aggregator j takes shard j straight from every client, in client order.

use std::sync::Arc;

use super::{Family, Knobs, Strategy};
use crate::gradient::shard_range;
use crate::plan::{Aggregator, Finished, Infeasible, Input, Layout, Output, Plan, Problem};

/// GradsSharding (Barrak 2026, arXiv:2604.22072).
pub struct ShardedDirect;

impl Strategy for ShardedDirect {
    fn name(&self) -> &'static str {
        "sharded-direct"
    }
    fn family(&self) -> Family {
        Family::Sharded
    }
    fn about(&self) -> &'static str {
        "GradsSharding: aggregator j takes shard j straight from every client"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Direct {
            total_weight: problem.total_weight(),
            problem: Arc::clone(problem),
            layout: Arc::clone(layout),
        }))
    }
}

struct Direct {
    problem: Arc<Problem>,
    layout: Arc<Layout>,
    total_weight: f64,
}

impl Plan for Direct {
    fn aggregators(&self) -> u64 {
        self.problem.shards
    }

    fn aggregator(&self, id: u64) -> Aggregator {
        Aggregator {
            id,
            rank: self.layout.spread(id, self.problem.shards),
            range: shard_range(self.problem.elements, self.problem.shards, id),
            inputs: (0..self.problem.clients()).map(Input::Client).collect(),
            weight: self.total_weight,
            output: Output::Result,
            level: 1,
        }
    }

    fn rank_of(&self, id: u64) -> usize {
        self.layout.spread(id, self.problem.shards)
    }

    fn results(&self) -> Vec<Finished> {
        let of = |j| Finished {
            aggregator: j,
            range: shard_range(self.problem.elements, self.problem.shards, j),
            rank: self.rank_of(j),
        };
        (0..self.problem.shards).map(of).collect()
    }

    fn on_rank(&self, rank: usize) -> Vec<u64> {
        self.layout.spread_on(rank, self.problem.shards).collect()
    }

    fn consumers(&self, input: Input) -> Vec<u64> {
        match input {
            Input::Client(_) => (0..self.problem.shards).collect(),
            Input::Aggregator(_) => Vec::new(),
        }
    }
}
