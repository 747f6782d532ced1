//! What all native strategies share: each rank sums its own clients over the whole gradient, then one collective.

use std::sync::Arc;

use crate::gradient::Range;
use crate::plan::{Aggregator, Collective, Input, Layout, Output, Plan, Problem};

/// A local sum on every rank, aggregator r on rank r, and a collective.
pub struct LocalSums {
    /// What is aggregated.
    pub problem: Arc<Problem>,
    /// Who hosts what. Every rank takes part in the collective; one without clients contributes zeros.
    pub layout: Arc<Layout>,
    /// What ends the round.
    pub collective: Collective,
}

impl Plan for LocalSums {
    fn aggregators(&self) -> u64 {
        self.layout.ranks() as u64
    }

    fn aggregator(&self, id: u64) -> Aggregator {
        let clients = self.layout.clients_on(id as usize, self.problem.clients());
        Aggregator {
            id,
            rank: id as usize,
            range: Range::new(0, self.problem.elements),
            weight: self.problem.weight_of(clients.clone()),
            inputs: clients.map(Input::Client).collect(),
            output: Output::Collective,
            level: 1,
        }
    }

    fn on_rank(&self, rank: usize) -> Vec<u64> {
        vec![rank as u64]
    }

    fn consumers(&self, input: Input) -> Vec<u64> {
        match input {
            Input::Client(k) => vec![self.layout.rank_of_client(k, self.problem.clients()) as u64],
            Input::Aggregator(_) => Vec::new(),
        }
    }

    fn collective(&self) -> Option<Collective> {
        Some(self.collective)
    }

    fn collective_range(&self, rank: usize) -> Range {
        match self.collective {
            Collective::Reduce { root }
            | Collective::Allreduce { root }
            | Collective::ReduceScatterThenGather { root }
            | Collective::ReduceScatterThenAllgather { root } => {
                Range::new(0, if root == rank { self.problem.elements } else { 0 })
            }
            Collective::ReduceScatterBlock { block } => {
                let start = (rank as u64 * block).min(self.problem.elements);
                Range::new(start, (start + block).min(self.problem.elements))
            }
            Collective::ReduceScatter | Collective::IreduceScatter | Collective::ReduceThenScatter { .. } => {
                let shards = self.layout.spread_on(rank, self.problem.shards);
                if shards.is_empty() {
                    return Range::new(0, 0);
                }
                let of = |j| crate::gradient::shard_range(self.problem.elements, self.problem.shards, j);
                Range::new(of(shards.start).start, of(shards.end - 1).end)
            }
        }
    }
}
