//! `sharded-ring`: reduce-scatter by a ring. Every shard travels once around the ranks, from the one after its owner
//! to the owner, and each adds its own clients.

use std::sync::Arc;

use super::{Family, Knobs, Strategy};
use crate::plan::shard_tree::{Local, Member, ShardTree, ShardTrees};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// Ring reduce-scatter (Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms, 2009).
pub struct ShardedRing;

impl Strategy for ShardedRing {
    fn name(&self) -> &'static str {
        "sharded-ring"
    }
    fn family(&self) -> Family {
        Family::Sharded
    }
    fn about(&self) -> &'static str {
        "reduce-scatter by a ring: each shard goes around once, every rank adds its clients"
    }
    fn knobs(&self) -> Knobs {
        Knobs::SHARDED
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        let homes = layout.homes(problem.clients());
        let ring = Ring { problem: Arc::clone(problem), layout: Arc::clone(layout), homes };
        Ok(Box::new(ShardTrees::new(problem, layout, ring)))
    }
}

struct Ring {
    problem: Arc<Problem>,
    layout: Arc<Layout>,
    /// Places with clients, ascending; the others have nothing to add and are passed by.
    homes: Vec<usize>,
}

impl Ring {
    fn owner(&self, shard: u64) -> usize {
        self.layout.spread_place(shard, self.problem.shards)
    }

    /// Where the shard starts: the first home after its owner.
    fn start(&self, shard: u64) -> usize {
        let owner = self.owner(shard);
        self.homes.partition_point(|home| *home <= owner)
    }

    fn owner_has_clients(&self, shard: u64) -> bool {
        self.homes.binary_search(&self.owner(shard)).is_ok()
    }

    fn place(&self, shard: u64, index: u64) -> usize {
        let homes = self.homes.len() as u64;
        if index == homes {
            self.owner(shard)
        } else {
            self.homes[((self.start(shard) as u64 + index) % homes) as usize]
        }
    }

    /// How many homes before `place` the shard passes.
    fn step(&self, shard: u64, place: usize) -> Option<u64> {
        let home = self.homes.binary_search(&place).ok()?;
        Some(((home + self.homes.len() - self.start(shard) % self.homes.len()) % self.homes.len()) as u64)
    }
}

impl ShardTree for Ring {
    fn members(&self, shard: u64) -> u64 {
        self.homes.len() as u64 + u64::from(!self.owner_has_clients(shard))
    }

    fn member(&self, shard: u64, index: u64) -> Member {
        let place = self.place(shard, index);
        let before = index.checked_sub(1).map(Local::Aggregator);
        let own = self.layout.clients_at(place, self.problem.clients()).map(Local::Client);
        Member { place, inputs: before.into_iter().chain(own).collect(), level: index as u32 + 1 }
    }

    fn at(&self, shard: u64, place: usize) -> Vec<u64> {
        if place == self.owner(shard) {
            return vec![self.members(shard) - 1];
        }
        self.step(shard, place).into_iter().collect()
    }

    fn takes(&self, shard: u64, client: u64) -> u64 {
        let place = self.layout.home_of(client, self.problem.clients());
        self.step(shard, place).unwrap_or(0)
    }

    fn next(&self, shard: u64, index: u64) -> Option<u64> {
        (index + 1 < self.members(shard)).then_some(index + 1)
    }
}
