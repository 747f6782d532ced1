//! A plan written down whole: for strategies whose aggregators are few (trees), so that nothing need be recomputed.

use std::collections::BTreeMap;

use crate::gradient::Range;
use crate::plan::{Aggregator, Input, Output, Plan, Problem};

/// Aggregators in a list, each named by its place in it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplicitPlan {
    aggregators: Vec<Aggregator>,
    on_rank: BTreeMap<usize, Vec<u64>>,
    consumers_of_client: Vec<Vec<u64>>,
    consumers_of_aggregator: Vec<Vec<u64>>,
}

impl ExplicitPlan {
    /// The plan that these aggregators make. Each one's `id` must be its place in the list.
    pub fn new(clients: u64, aggregators: Vec<Aggregator>) -> Self {
        let mut on_rank: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        let mut consumers_of_client = vec![Vec::new(); clients as usize];
        let mut consumers_of_aggregator = vec![Vec::new(); aggregators.len()];
        for aggregator in &aggregators {
            on_rank.entry(aggregator.rank).or_default().push(aggregator.id);
            for input in &aggregator.inputs {
                let takers = match input {
                    Input::Client(k) => consumers_of_client.get_mut(*k as usize),
                    Input::Aggregator(id) => consumers_of_aggregator.get_mut(*id as usize),
                };
                if let Some(takers) = takers {
                    takers.push(aggregator.id);
                }
            }
        }
        ExplicitPlan { aggregators, on_rank, consumers_of_client, consumers_of_aggregator }
    }
}

impl Plan for ExplicitPlan {
    fn aggregators(&self) -> u64 {
        self.aggregators.len() as u64
    }

    fn aggregator(&self, id: u64) -> Aggregator {
        self.aggregators[id as usize].clone()
    }

    fn rank_of(&self, id: u64) -> usize {
        self.aggregators[id as usize].rank
    }

    fn on_rank(&self, rank: usize) -> Vec<u64> {
        self.on_rank.get(&rank).cloned().unwrap_or_default()
    }

    fn is_tree(&self) -> bool {
        true
    }

    fn consumers(&self, input: Input) -> Vec<u64> {
        match input {
            Input::Client(k) => self.consumers_of_client.get(k as usize).cloned().unwrap_or_default(),
            Input::Aggregator(id) => self.consumers_of_aggregator.get(id as usize).cloned().unwrap_or_default(),
        }
    }
}

/// Builds a tree over the whole gradient from the clients up.
pub struct TreeBuilder<'a> {
    problem: &'a Problem,
    aggregators: Vec<Aggregator>,
}

impl<'a> TreeBuilder<'a> {
    /// A tree without aggregators.
    pub fn new(problem: &'a Problem) -> Self {
        TreeBuilder { problem, aggregators: Vec::new() }
    }

    /// Adds an aggregator on `rank` that sums `inputs` in this order, and returns its id.
    pub fn add(&mut self, rank: usize, inputs: Vec<Input>) -> u64 {
        let id = self.aggregators.len() as u64;
        let mut weight = 0.0;
        let mut level = 1;
        for input in &inputs {
            match input {
                Input::Client(k) => weight += self.problem.weights[*k as usize],
                Input::Aggregator(from) => {
                    let from = &self.aggregators[*from as usize];
                    weight += from.weight;
                    level = level.max(from.level + 1);
                }
            }
        }
        let range = Range::new(0, self.problem.elements);
        self.aggregators.push(Aggregator { id, rank, range, inputs, weight, output: Output::Partial, level });
        id
    }

    /// The rank of an aggregator added before.
    pub fn rank_of(&self, id: u64) -> usize {
        self.aggregators[id as usize].rank
    }

    /// The plan, in which the aggregator added last holds the result.
    pub fn finish(mut self) -> ExplicitPlan {
        if let Some(root) = self.aggregators.last_mut() {
            root.output = Output::Result;
        }
        ExplicitPlan::new(self.problem.clients(), self.aggregators)
    }
}
