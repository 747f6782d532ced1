//! The least that must cross the busiest memory system or wire, and the time that takes at the measured bandwidth. Pure:
//! from a plan, a layout and figures, without a word on how they were measured.
//!
//! What counts is the problem on the layout: who holds which client, and where the result must end. What a strategy
//! does beside that (partial sums through memory, copies, a second trip over a wire) is its own cost, so strategies
//! with the same places for their result are held against the same limit.
//!
//! **Memory of node k.** Every resident gradient of its clients is read at least once: N_k·|θ|. Every element of the
//! result that must end there is written at least once. A write counts once, as in the measured three-stream add: what
//! a processor reads of a line before it overwrites it is not counted. What is read is held against the bandwidth of
//! reading as well: where writes have paths of their own, a sum of many clients cannot use those. Partial sums and
//! messages count nothing: a block may go from a core's cache to the wire, and come from the wire into a cache. Streamed
//! gradients count nothing either, since they may be produced in a cache.
//!
//! **Wires.** Element e of the result is needed at the nodes H_e that hold it in the end; C are the nodes with clients.
//! A node of C must send something for e unless it alone holds e: one sum if it can sum (it has an aggregator's rank),
//! else each client's own element. A node of H_e must receive something for e unless all clients are its own and it can
//! sum. And over all nodes, a sum over C takes |C| pieces for e, one fewer if it is formed where a client is, and
//! |H_e| − 1 more spread the result. A piece counts as one element of the gradient's type: partial sums of f16 and bf16
//! travel wider, but a finished element that is passed on does not. For a shard of |θ|/K on each of K nodes this says
//! (K−1)/K·|θ| out of and into each; for a tree, |θ| into its root's node; with fewer shards than nodes, |θ| out of a
//! node that holds none.
//!
//! **A full round** ends when each client's node holds the whole result: H_e gains all of C, and each of them writes
//! |θ|. Clients of a node may read one copy.
//!
//! Inside a node nothing is a wire: ranks can read each other's memory there.

use super::figures::{Limits, greatest};
use crate::gradient::Range;
use crate::plan::{Collective, Layout, Phase, Plan, Problem, Residency, Terms};

/// The part of the machine that takes longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Part {
    /// A node's memory, read and written.
    Memory,
    /// A node's memory, read.
    Reading,
    /// A node's wire, in one direction.
    Wire,
}

/// What one node must move at least, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeLeast {
    /// Read from and written to its memory.
    pub memory: u64,
    /// Of it, read.
    pub read: u64,
    /// Out of the node.
    pub out: u64,
    /// Into the node.
    pub into: u64,
}

/// What all nodes must move at least, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Least {
    /// Each node, as the layout numbers them.
    pub nodes: Vec<NodeLeast>,
    /// Over all wires together: every byte that leaves a node and enters another counts once.
    pub all_wires: u64,
    /// Nodes that can receive anything to the purpose: those with aggregators' ranks, and in a full round with clients.
    pub receivers: u64,
}

/// The least time, and what it was computed from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Bytes that must cross the busiest part.
    pub bytes: u64,
    /// Which part.
    pub part: Part,
    /// Bytes over the part's measured bandwidth.
    pub seconds: f64,
}

/// Which elements end where when the sums are finished: for each node, disjoint ascending ranges of the result.
fn held(plan: &dyn Plan, problem: &Problem, layout: &Layout) -> Vec<Vec<Range>> {
    let mut all: Vec<Vec<Range>> = vec![Vec::new(); layout.nodes()];
    for one in plan.results() {
        all[layout.node_of(one.rank)].push(one.range);
    }
    if plan.collective().is_some() {
        for rank in 0..layout.ranks() {
            all[layout.node_of(rank)].push(plan.collective_range(rank));
        }
    }
    if plan.collective().is_some_and(Collective::leaves_whole_result_everywhere) {
        // One rank answers for the result, but every rank has it.
        all.fill(vec![Range::new(0, problem.elements)]);
    }
    all.into_iter().map(merged).collect()
}

/// The same elements as disjoint ascending ranges.
fn merged(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// One node, as far as the least depends on it.
#[derive(Clone, Copy, Debug)]
struct Role {
    clients: u64,
    can_sum: bool,
    /// Bytes that it must send for one element whose sum ends elsewhere.
    piece: u64,
}

/// The least that carrying `plan` out on `layout` must move, in the phases that `terms` names.
///
/// Time grows with the number of finished ranges × nodes that hold them, not with ranks × ranges.
pub fn least(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms) -> Least {
    let (size, distributed) = (terms.dtype.size() as u64, terms.phase == Phase::Round);
    let all_clients = problem.clients();
    let roles: Vec<Role> = (0..layout.nodes())
        .map(|node| {
            let ranks = layout.ranks_on_node(node);
            let on = |rank: &usize| layout.clients_on(*rank, all_clients);
            let clients = ranks.iter().map(|rank| on(rank).end - on(rank).start).sum();
            let can_sum = ranks.iter().any(|rank| layout.aggregator_ranks().binary_search(rank).is_ok());
            let pieces = if can_sum { u64::from(clients > 0) } else { clients };
            Role { clients, can_sum, piece: pieces * size }
        })
        .collect();

    let mut holds = held(plan, problem, layout);
    if distributed {
        let whole = vec![Range::new(0, problem.elements)];
        let of_clients = holds.iter_mut().zip(&roles).filter(|(_, role)| role.clients > 0);
        of_clients.for_each(|(ranges, _)| ranges.clone_from(&whole));
    }
    let mut least = Least {
        nodes: vec![NodeLeast::default(); roles.len()],
        all_wires: 0,
        receivers: roles.iter().filter(|role| role.can_sum || (distributed && role.clients > 0)).count() as u64,
    };

    // Of each node: elements that it holds, and that only it holds.
    let mut held_by = vec![(0u64, 0u64); roles.len()];
    let pieces: u64 = roles.iter().map(|role| role.piece).sum();
    sweep(&holds, &roles, |elements, run| {
        if let Some(only) = run.only() {
            held_by[only].1 += elements;
        }
        let own = if run.summing_clients > 0 { size } else { 0 };
        least.all_wires += elements * (pieces - own + (run.holders as u64 - 1) * size);
    });
    for (node, ranges) in holds.iter().enumerate() {
        held_by[node].0 = ranges.iter().map(|range| range.len()).sum();
    }

    let summing_nodes = roles.iter().filter(|role| role.can_sum).count();
    for ((node, role), (held, alone)) in least.nodes.iter_mut().zip(&roles).zip(held_by) {
        let reads = if terms.residency == Residency::Resident { role.clients * problem.elements } else { 0 };
        node.memory = (reads + held) * size;
        node.read = reads * size;
        node.out = (problem.elements - alone) * role.piece;
        let others = all_clients - role.clients;
        // Some other node can sum what the others' clients have; without it each of them sends its own.
        let helped = summing_nodes > usize::from(role.can_sum);
        node.into = size
            * held
            * match others {
                _ if !role.can_sum => 1,
                0 => 0,
                _ if helped => 1,
                others => others,
            };
    }
    least
}

/// Elements in a row that the same nodes hold.
#[derive(Clone, Copy, Default)]
struct Run {
    holders: usize,
    /// The sum of the holders' numbers.
    numbers: usize,
    /// Holders that have clients and can sum.
    summing_clients: usize,
}

impl Run {
    /// The holder, if there is only one.
    fn only(self) -> Option<usize> {
        (self.holders == 1).then_some(self.numbers)
    }
}

/// Calls `each` for every run of elements that somebody holds, with its length.
fn sweep(holds: &[Vec<Range>], roles: &[Role], mut each: impl FnMut(u64, Run)) {
    let mut edges: Vec<(u64, bool, usize)> = Vec::new();
    for (node, ranges) in holds.iter().enumerate() {
        edges.extend(ranges.iter().flat_map(|range| [(range.start, true, node), (range.end, false, node)]));
    }
    // Ends before beginnings at the same place; either order would do.
    edges.sort_unstable();
    let (mut at, mut run) = (0, Run::default());
    for (place, begins, node) in edges {
        if run.holders > 0 && place > at {
            each(place - at, run);
        }
        at = place;
        let summing = usize::from(roles[node].clients > 0 && roles[node].can_sum);
        run = if begins {
            Run {
                holders: run.holders + 1,
                numbers: run.numbers + node,
                summing_clients: run.summing_clients + summing,
            }
        } else {
            Run {
                holders: run.holders - 1,
                numbers: run.numbers - node,
                summing_clients: run.summing_clients - summing,
            }
        };
    }
}

impl Least {
    /// The part that takes longest at the measured bandwidths. None where nothing must move, or nothing was measured.
    ///
    /// A node's memory is no limit where everything that must cross it fits into its caches, and then need not cross
    /// it; where it is somewhat larger than the caches, the share is too high by caches / bytes at most. A wire is held
    /// against the best that was seen on any, in one direction: one stream between two nodes, or all nodes at once. That
    /// libraries or switches may not fill wires both ways at once is theirs, not the wires'.
    pub fn limit(&self, limits: &Limits) -> Option<Limit> {
        let mut longest: Option<Limit> = None;
        let mut consider = |bytes: u64, part: Part, bytes_per_s: f64| {
            let seconds = bytes as f64 / bytes_per_s;
            if seconds.is_finite() && seconds > longest.map_or(0.0, |limit| limit.seconds) {
                longest = Some(Limit { bytes, part, seconds });
            }
        };
        for (node, measured) in self.nodes.iter().zip(&limits.nodes) {
            if node.memory <= measured.cache_bytes {
                continue;
            }
            if let Some(bandwidth) = measured.memory_bytes_per_s {
                consider(node.memory, Part::Memory, bandwidth);
            }
            if let Some(bandwidth) = measured.read_bytes_per_s {
                consider(node.read, Part::Reading, bandwidth);
            }
        }
        let all_at_once = limits.wires.as_ref().map(|wires| wires.bytes_per_s);
        let pair = limits.between_nodes.iter();
        let one_way = pair.flat_map(|pair| [Some(pair.one_way_bytes_per_s), pair.one_way_back_bytes_per_s]).flatten();
        if let Some(fastest) = greatest(all_at_once.into_iter().chain(one_way)) {
            let busiest = self.nodes.iter().map(|node| node.out.max(node.into)).max().unwrap_or(0);
            // Every byte enters some node, so one of them takes in the mean.
            consider(busiest.max(self.all_wires.div_ceil(self.receivers.max(1))), Part::Wire, fastest);
        }
        longest
    }
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
