//! `sharded-node-aware`: each shard is summed inside every node first, and only those sums cross between nodes.

use std::sync::Arc;

use super::{Family, Knobs, Strategy};
use crate::plan::shard_tree::{Local, Member, ShardTree, ShardTrees};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// Two levels: a sum a node and shard, then the owner's. Each node's wire carries (K−1)/K of one gradient, whatever
/// the number of clients and ranks on the node: the least possible.
pub struct ShardedNodeAware;

impl Strategy for ShardedNodeAware {
    fn name(&self) -> &'static str {
        "sharded-node-aware"
    }
    fn family(&self) -> Family {
        Family::Sharded
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
        let mut places_of_node: Vec<Vec<usize>> = vec![Vec::new(); layout.nodes()];
        for (place, rank) in layout.aggregator_ranks().iter().enumerate() {
            places_of_node[layout.node_of(*rank)].push(place);
        }
        let clients = problem.clients();
        let mut clients_of_node = vec![Vec::new(); layout.nodes()];
        for client in 0..clients {
            let home = layout.aggregator_ranks()[layout.home_of(client, clients)];
            // Where its node aggregates at all, a client stays on it.
            let own = layout.node_of(layout.rank_of_client(client, clients));
            let node = if places_of_node[own].is_empty() { layout.node_of(home) } else { own };
            clients_of_node[node].push(client);
        }
        let nodes = (0..layout.nodes()).filter(|node| !clients_of_node[*node].is_empty()).collect();
        let tree = NodeSums {
            node_of_client: node_of_client(&clients_of_node, clients),
            problem: Arc::clone(problem),
            layout: Arc::clone(layout),
            places_of_node,
            clients_of_node,
            nodes,
        };
        Ok(Box::new(ShardTrees::new(problem, layout, tree)))
    }
}

fn node_of_client(clients_of_node: &[Vec<u64>], clients: u64) -> Vec<usize> {
    let mut node_of = vec![0; clients as usize];
    for (node, members) in clients_of_node.iter().enumerate() {
        members.iter().for_each(|client| node_of[*client as usize] = node);
    }
    node_of
}

struct NodeSums {
    problem: Arc<Problem>,
    layout: Arc<Layout>,
    /// Aggregating ranks of each node, as places.
    places_of_node: Vec<Vec<usize>>,
    /// Clients summed on each node.
    clients_of_node: Vec<Vec<u64>>,
    node_of_client: Vec<usize>,
    /// Nodes with clients, ascending.
    nodes: Vec<usize>,
}

impl NodeSums {
    fn owner(&self, shard: u64) -> usize {
        self.layout.spread_place(shard, self.problem.shards)
    }

    fn owner_node(&self, shard: u64) -> usize {
        self.layout.node_of(self.layout.aggregator_ranks()[self.owner(shard)])
    }

    /// The nodes, but the owner's, that send a sum of this shard.
    fn senders(&self, shard: u64) -> impl Iterator<Item = usize> + '_ {
        let own = self.owner_node(shard);
        self.nodes.iter().copied().filter(move |node| *node != own)
    }

    /// Who sums the shard on a node that does not own it: shards take turns, so that all its ranks share the work.
    fn leader(&self, shard: u64, node: usize) -> usize {
        let places = &self.places_of_node[node];
        places[(shard % places.len() as u64) as usize]
    }
}

impl ShardTree for NodeSums {
    fn members(&self, shard: u64) -> u64 {
        self.senders(shard).count() as u64 + 1
    }

    fn member(&self, shard: u64, index: u64) -> Member {
        let clients = |node: usize| self.clients_of_node[node].iter().copied().map(Local::Client);
        if let Some(node) = self.senders(shard).nth(index as usize) {
            return Member { place: self.leader(shard, node), inputs: clients(node).collect(), level: 1 };
        }
        let own = self.owner_node(shard);
        let mut inputs = Vec::new();
        let mut sender = 0;
        for node in &self.nodes {
            if *node == own {
                inputs.extend(clients(own));
            } else {
                inputs.push(Local::Aggregator(sender));
                sender += 1;
            }
        }
        Member { place: self.owner(shard), inputs, level: 1 + u32::from(sender > 0) }
    }

    fn at(&self, shard: u64, place: usize) -> Vec<u64> {
        let node = self.layout.node_of(self.layout.aggregator_ranks()[place]);
        let mut here = Vec::new();
        if let Some(index) = self.senders(shard).position(|sender| sender == node)
            && self.leader(shard, node) == place
        {
            here.push(index as u64);
        }
        if self.owner(shard) == place {
            here.push(self.members(shard) - 1);
        }
        here
    }

    fn takes(&self, shard: u64, client: u64) -> u64 {
        let node = self.node_of_client[client as usize];
        let sender = self.senders(shard).position(|sender| sender == node);
        sender.map_or(self.members(shard) - 1, |index| index as u64)
    }

    fn next(&self, shard: u64, index: u64) -> Option<u64> {
        let last = self.members(shard) - 1;
        (index < last).then_some(last)
    }
}
