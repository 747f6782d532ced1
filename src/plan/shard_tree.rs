//! Plans that aggregate every shard along a tree of its own: for sharded strategies whose shards pass through several
//! ranks. Nothing is written down but one number a shard; aggregators are worked out when asked for.

use std::sync::Arc;

use crate::gradient::shard_range;
use crate::plan::{Aggregator, Finished, Input, Layout, Output, Plan, Problem};

/// An input within the tree of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// A client.
    Client(u64),
    /// The aggregator of this number in the same tree.
    Aggregator(u64),
}

/// One aggregator of a shard's tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its rank, as a place among the layout's aggregating ranks.
    pub place: usize,
    /// What it sums, in order.
    pub inputs: Vec<Local>,
    /// Distance from the clients.
    pub level: u32,
}

/// The trees of all shards. `shard` is below M everywhere.
pub trait ShardTree: Send + Sync {
    /// Aggregators of the shard's tree; the last one holds the result.
    fn members(&self, shard: u64) -> u64;
    /// One of them.
    fn member(&self, shard: u64, index: u64) -> Member;
    /// Those of them on the aggregating rank `place`, ascending.
    fn at(&self, shard: u64, place: usize) -> Vec<u64>;
    /// The one that takes `client`.
    fn takes(&self, shard: u64, client: u64) -> u64;
    /// The one that takes the sum of `index`; None for the last.
    fn next(&self, shard: u64, index: u64) -> Option<u64>;
}

/// A tree a shard, as a plan.
pub struct ShardTrees<T> {
    problem: Arc<Problem>,
    layout: Arc<Layout>,
    tree: T,
    /// The first id of each shard's aggregators, and one past the last.
    first: Vec<u64>,
}

impl<T: ShardTree> ShardTrees<T> {
    /// The plan that `tree` describes.
    pub fn new(problem: &Arc<Problem>, layout: &Arc<Layout>, tree: T) -> Self {
        let mut first = Vec::with_capacity(problem.shards as usize + 1);
        let mut next = 0;
        for shard in 0..problem.shards {
            first.push(next);
            next += tree.members(shard);
        }
        first.push(next);
        ShardTrees { problem: Arc::clone(problem), layout: Arc::clone(layout), tree, first }
    }

    fn place_of(&self, id: u64) -> (u64, u64) {
        let shard = self.first.partition_point(|first| *first <= id) - 1;
        (shard as u64, id - self.first[shard])
    }

    fn id(&self, shard: u64, index: u64) -> u64 {
        self.first[shard as usize] + index
    }

    fn weight(&self, shard: u64, member: &Member) -> f64 {
        let of = |input: &Local| match input {
            Local::Client(client) => self.problem.weights[*client as usize],
            Local::Aggregator(index) => self.weight(shard, &self.tree.member(shard, *index)),
        };
        member.inputs.iter().map(of).sum()
    }
}

impl<T: ShardTree> Plan for ShardTrees<T> {
    fn aggregators(&self) -> u64 {
        self.first.last().copied().unwrap_or(0)
    }

    fn aggregator(&self, id: u64) -> Aggregator {
        let (shard, index) = self.place_of(id);
        let member = self.tree.member(shard, index);
        let last = index + 1 == self.tree.members(shard);
        let inputs = member.inputs.iter().map(|input| match *input {
            Local::Client(client) => Input::Client(client),
            Local::Aggregator(index) => Input::Aggregator(self.id(shard, index)),
        });
        Aggregator {
            id,
            rank: self.layout.aggregator_ranks()[member.place],
            range: shard_range(self.problem.elements, self.problem.shards, shard),
            inputs: inputs.collect(),
            weight: self.weight(shard, &member),
            output: if last { Output::Result } else { Output::Partial },
            level: member.level,
        }
    }

    fn rank_of(&self, id: u64) -> usize {
        let (shard, index) = self.place_of(id);
        self.layout.aggregator_ranks()[self.tree.member(shard, index).place]
    }

    fn on_rank(&self, rank: usize) -> Vec<u64> {
        let Ok(place) = self.layout.aggregator_ranks().binary_search(&rank) else { return Vec::new() };
        let of = |shard| self.tree.at(shard, place).into_iter().map(move |index| self.id(shard, index));
        (0..self.problem.shards).flat_map(of).collect()
    }

    fn results(&self) -> Vec<Finished> {
        let last = |shard: u64| {
            let aggregator = self.id(shard + 1, 0) - 1;
            let range = shard_range(self.problem.elements, self.problem.shards, shard);
            Finished { aggregator, range, rank: self.rank_of(aggregator) }
        };
        (0..self.problem.shards).map(last).collect()
    }

    fn consumers(&self, input: Input) -> Vec<u64> {
        match input {
            Input::Client(client) => {
                (0..self.problem.shards).map(|shard| self.id(shard, self.tree.takes(shard, client))).collect()
            }
            Input::Aggregator(id) => {
                let (shard, index) = self.place_of(id);
                self.tree.next(shard, index).map(|next| self.id(shard, next)).into_iter().collect()
            }
        }
    }
}
