//! The placement of the ranks as the probe needs it: their nodes, the ranks that can each have a core of their own, and
//! the sizes of caches and memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::gather::gather_everywhere;
use crate::engine::transport::{Transport, TransportError};
use crate::machine::binding::Binding;
use crate::machine::index_set::IndexSet;
use crate::machine::memory::RankRoom;
use crate::machine::topology::NodeTopology;

/// One rank's account of its hardware.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The cores that the rank may use; empty if unknown.
    pub cores: IndexSet,
    /// Size of one last-level cache, bytes; 0 if unknown.
    pub cache_bytes: u64,
    /// Number of last-level caches of the node.
    pub caches: usize,
    /// Free private memory, bytes; None if unknown.
    pub room: Option<u64>,
    /// Free shared memory, bytes; None if unknown.
    pub shared_room: Option<u64>,
}

impl Account {
    fn here() -> Account {
        let memory = RankRoom::here();
        let mut account = Account {
            room: memory.available_for_new_memory().map(|room| room.bytes),
            shared_room: memory.available_for_shared_windows().map(|room| room.bytes),
            ..Account::default()
        };
        if let Ok((topology, handle)) = NodeTopology::here() {
            // The last level is the last in the list. Caches of one level may differ in size.
            if let Some(last) = topology.caches.last() {
                let level = topology.caches.iter().filter(|cache| cache.name == last.name);
                account.caches = level.clone().map(|cache| cache.count).sum();
                account.cache_bytes = level.map(|cache| cache.bytes).max().unwrap_or(0);
            }
            if let Ok(binding) = Binding::here(&handle) {
                account.cores = binding.cores;
            }
        }
        account
    }
}

/// The ranks of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The ranks, ascending. The first is the leader.
    pub ranks: Vec<usize>,
    /// The same ranks, beginning with the ranks that can each have a core of their own.
    pub order: Vec<usize>,
    /// Number of ranks that can each have a core of their own, at least 1.
    pub cores: usize,
    /// The leader's account, with the least free memory that any rank of the node reports.
    pub account: Account,
}

/// The nodes and their ranks. It is the same on every rank except for `rank` and `mine`.
#[derive(Clone, Debug, PartialEq)]
pub struct RankMap {
    /// This rank.
    pub rank: usize,
    /// The nodes, in the order of their first ranks.
    pub nodes: Vec<Node>,
    /// The number of this rank's node.
    pub mine: usize,
}

impl RankMap {
    /// Collects the accounts of all ranks. Collective.
    pub fn find(transport: &mut dyn Transport) -> Result<RankMap, TransportError> {
        let accounts = gather_everywhere(transport, &Account::here())?;
        Ok(RankMap::of(transport.rank(), transport.node_of(), &accounts))
    }

    /// Builds the map from the node of each rank (`node_of`) and the ranks' accounts.
    pub fn of(rank: usize, node_of: &[usize], accounts: &[Account]) -> RankMap {
        let mut number: BTreeMap<usize, usize> = BTreeMap::new();
        let mut nodes: Vec<Node> = Vec::new();
        for (rank, name) in node_of.iter().enumerate() {
            let index = *number.entry(*name).or_insert_with(|| {
                let account = accounts.get(rank).cloned().unwrap_or_default();
                nodes.push(Node { ranks: Vec::new(), order: Vec::new(), cores: 0, account });
                nodes.len() - 1
            });
            nodes[index].ranks.push(rank);
        }
        let none = Account::default();
        for node in &mut nodes {
            let of = |rank: &usize| accounts.get(*rank).unwrap_or(&none);
            let least = |rooms: &mut dyn Iterator<Item = Option<u64>>| rooms.flatten().min();
            node.account.room = least(&mut node.ranks.iter().map(|rank| of(rank).room));
            node.account.shared_room = least(&mut node.ranks.iter().map(|rank| of(rank).shared_room));
            let sets: Vec<(usize, &IndexSet)> = node.ranks.iter().map(|rank| (*rank, &of(rank).cores)).collect();
            let (alone, others) = with_own_core(&sets);
            node.cores = alone.len().max(1);
            node.order = [alone, others].concat();
        }
        let mine = node_of.get(rank).and_then(|name| number.get(name)).copied().unwrap_or(0);
        RankMap { rank, nodes, mine }
    }

    /// Returns this rank's node.
    pub fn node(&self) -> &Node {
        &self.nodes[self.mine]
    }

    /// Returns the first rank of this rank's node.
    pub fn leader(&self) -> usize {
        self.node().ranks[0]
    }

    /// Returns true on the first rank of each node.
    pub fn leads(&self) -> bool {
        self.leader() == self.rank
    }
}

/// Assigns a core of its own to as many ranks as possible; a rank with the least choice comes first. Returns the ranks
/// with a core of their own and the others. A rank with unknown cores counts as having its own.
fn with_own_core(ranks: &[(usize, &IndexSet)]) -> (Vec<usize>, Vec<usize>) {
    let mut by_choice: Vec<_> = ranks.to_vec();
    by_choice.sort_by_key(|(rank, cores)| (cores.len(), *rank));
    let mut taken = std::collections::BTreeSet::new();
    let (mut alone, mut others) = (Vec::new(), Vec::new());
    for (rank, cores) in by_choice {
        match cores.iter().find(|core| !taken.contains(core)) {
            Some(core) => {
                taken.insert(core);
                alone.push(rank);
            }
            None if cores.is_empty() => alone.push(rank),
            None => others.push(rank),
        }
    }
    alone.sort_unstable();
    others.sort_unstable();
    (alone, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(cores: &str, room: u64) -> Account {
        Account { cores: cores.parse().expect("a list"), room: Some(room), ..Account::default() }
    }

    #[test]
    fn nodes_are_numbered_by_their_first_rank_and_know_who_shares_cores() {
        // Node 9: ranks 0, 2, 3 on two cores; node 4: rank 1.
        let accounts = [on("0-1", 50), on("7", 10), on("0", 30), on("0-1", 40)];
        let places = RankMap::of(2, &[9, 4, 9, 9], &accounts);
        assert_eq!(places.nodes[0].ranks, [0, 2, 3]);
        // Rank 2 can only have core 0, rank 0 then takes core 1, and rank 3 has none left.
        assert_eq!(places.nodes[0].order, [0, 2, 3]);
        assert_eq!(places.nodes[0].cores, 2);
        assert_eq!(places.nodes[0].account.room, Some(30));
        assert_eq!((places.nodes[1].ranks.as_slice(), places.nodes[1].cores), ([1].as_slice(), 1));
        assert_eq!((places.mine, places.leader(), places.leads()), (0, 0, false));
    }

    #[test]
    fn a_rank_bound_where_another_is_comes_last() {
        let accounts = [on("0", 1), on("0", 1), on("1", 1)];
        let places = RankMap::of(0, &[0, 0, 0], &accounts);
        assert_eq!((places.nodes[0].order.as_slice(), places.nodes[0].cores), ([0, 2, 1].as_slice(), 2));
    }

    #[test]
    fn unknown_cores_are_no_reason_to_stop() {
        let places = RankMap::of(1, &[0, 0], &[]);
        assert_eq!((places.nodes[0].cores, places.node().account.room), (2, None));
    }
}
