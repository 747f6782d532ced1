//! The roof of a cell: the least number of bytes that must cross the busiest memory system or wire, and the time that
//! this takes at the measured bandwidth. Pure functions of a plan, a layout and the measured limits.
//!
//! The roof depends on the problem and the layout: which node holds which client, and where the result must end.
//! Everything else that a strategy does (partial sums through memory, copies, a second trip over a wire) is its own
//! cost. So strategies whose results end at the same places have the same roof.
//!
//! **Memory of node k.** Every resident gradient of its clients is read at least once, which is N_k·|θ| elements. Every
//! element of the result that must end there is written at least once. A write counts once, as in the measured
//! three-stream add, which does not count the read of a line before it is overwritten. The reads alone are also
//! compared with the bandwidth of reading, as a sum of many clients cannot use the separate paths that some machines
//! have for writes. Partial sums and messages do not count, as a block may go from a core's cache to the wire and from
//! the wire into a cache. Streamed gradients do not count either, as they may be produced in a cache.
//!
//! **Wires.** H_e is the set of nodes that must hold element e of the result in the end, and C is the set of nodes with
//! clients. A node of C must send something for e unless it alone holds e: one partial sum if it can sum (a rank of it
//! has an aggregator), and otherwise the element of each of its clients. A node of H_e must receive something for e
//! unless all clients are its own and it can sum. Over all nodes, a sum over C takes |C| pieces for e, one fewer if it
//! is formed at a node with a client, and |H_e| − 1 more pieces spread the result. A piece counts as one element of the
//! gradient's type: partial sums of f16 and bf16 are wider, but a finished element that is passed on is not. For shards
//! of |θ|/K on each of K nodes this gives (K−1)/K·|θ| out of and into each node; for a tree, |θ| into its root's node;
//! with fewer shards than nodes, |θ| out of a node without a shard.
//!
//! **A full round** ends when each client's node holds the whole result. H_e then includes all of C, and each node of C
//! writes |θ|. The clients of a node may read one copy.
//!
//! Traffic within a node does not use a wire, as its ranks can read each other's memory.

use super::figures::{MachineLimits, WireLimits, greatest};
use crate::gradient::Range;
use crate::plan::traffic::busiest;
use crate::plan::{End, Kind, Layout, Plan, Problem, Residency, Terms, Traffic};

/// The part of the machine that takes longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Bottleneck {
    /// A node's memory, for reading and writing together.
    Memory,
    /// A node's memory, for reading alone.
    Reading,
    /// A node's wire, in one direction.
    Wire,
}

/// The least traffic of one node, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeLeast {
    /// Bytes read from and written to its memory.
    pub memory: u64,
    /// Bytes read from its memory, which `memory` includes.
    pub read: u64,
    /// Bytes sent out of the node.
    pub out: u64,
    /// Bytes received into the node.
    pub into: u64,
}

/// The least traffic of all nodes, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Least {
    /// The least traffic of each node, in the layout's order of nodes.
    pub nodes: Vec<NodeLeast>,
    /// Bytes over all wires together. A byte that leaves one node and enters another counts once.
    pub all_wires: u64,
    /// Number of nodes that need to receive anything: the nodes of aggregators, and in a full round the nodes of
    /// clients.
    pub receivers: u64,
}

/// The roof of a cell: its least time, and the traffic that determines it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// Bytes that must cross the bottleneck.
    pub bytes: u64,
    /// The bottleneck.
    pub part: Bottleneck,
    /// `bytes` divided by the measured bandwidth of the bottleneck.
    pub seconds: f64,
    /// The bandwidth that the passes of a [`MachineState`](super::state::MachineState) measure, as the limits have it, bytes/s. It differs from the
    /// bottleneck's where that is one rank's memory, or one wire in one direction.
    pub reference: f64,
}

impl Roof {
    /// The time of the roof in seconds while the passes of a [`MachineState`](super::state::MachineState) reach `bytes_per_s`.
    pub fn seconds_at(&self, bytes_per_s: f64) -> f64 {
        self.seconds * self.reference / bytes_per_s
    }
}

/// Returns, for each node, the elements that it must hold when the round ends, as disjoint ascending ranges.
fn held(plan: &dyn Plan, problem: &Problem, layout: &Layout) -> Vec<Vec<Range>> {
    let mut all: Vec<Vec<Range>> = vec![Vec::new(); layout.nodes()];
    for rank in 0..layout.ranks() {
        all[layout.node_of(rank)].push(plan.wanted(problem, layout, rank));
    }
    // If every client ends with the result, its sums are finished there too.
    if problem.end == End::Everywhere && plan.calls().is_empty() {
        for step in (0..plan.parts()).flat_map(|part| plan.part(part)) {
            if matches!(step.kind, Kind::Sum { divided: true, .. }) {
                all[layout.node_of(step.rank)].push(step.range);
            }
        }
    }
    all.into_iter().map(merged).collect()
}

/// Merges ranges into disjoint ascending ranges of the same elements.
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

/// The properties of one node that determine the least traffic.
#[derive(Clone, Copy, Debug)]
struct Role {
    clients: u64,
    can_sum: bool,
    /// Bytes that the node must send for one element whose sum ends on another node.
    piece: u64,
}

/// Computes the least traffic of `plan` on `layout` that reaches the end of `problem`.
///
/// The running time grows with the number of finished ranges × the number of nodes that hold them, not with ranks ×
/// ranges.
pub fn least(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms) -> Least {
    let (size, distributed) = (terms.dtype.size() as u64, problem.end == End::Everywhere);
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

    let holds = held(plan, problem, layout);
    let mut least = Least {
        nodes: vec![NodeLeast::default(); roles.len()],
        all_wires: 0,
        receivers: roles.iter().filter(|role| role.can_sum || (distributed && role.clients > 0)).count() as u64,
    };

    // For each node: the number of elements that it holds, and of those that only it holds.
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
        // If another node can sum the other clients, one sum arrives. Otherwise each of them sends its own element.
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

/// Consecutive elements that the same nodes hold.
#[derive(Clone, Copy, Default)]
struct HolderRun {
    holders: usize,
    /// The sum of the holders' node numbers.
    numbers: usize,
    /// Number of holders that have clients and can sum.
    summing_clients: usize,
}

impl HolderRun {
    /// Returns the holder if there is only one.
    fn only(self) -> Option<usize> {
        (self.holders == 1).then_some(self.numbers)
    }
}

/// Calls `each` with the length of every run of elements that at least one node holds.
fn sweep(holds: &[Vec<Range>], roles: &[Role], mut each: impl FnMut(u64, HolderRun)) {
    let mut edges: Vec<(u64, bool, usize)> = Vec::new();
    for (node, ranges) in holds.iter().enumerate() {
        edges.extend(ranges.iter().flat_map(|range| [(range.start, true, node), (range.end, false, node)]));
    }
    // At the same place ends come before beginnings; the other order would work as well.
    edges.sort_unstable();
    let (mut at, mut run) = (0, HolderRun::default());
    for (place, begins, node) in edges {
        if run.holders > 0 && place > at {
            each(place - at, run);
        }
        at = place;
        let summing = usize::from(roles[node].clients > 0 && roles[node].can_sum);
        let changed = |count: usize, by: usize| if begins { count + by } else { count - by };
        run = HolderRun {
            holders: changed(run.holders, 1),
            numbers: changed(run.numbers, node),
            summing_clients: changed(run.summing_clients, summing),
        };
    }
}

impl Least {
    /// Returns the bottleneck at the measured bandwidths with its time. None if nothing must move or nothing was
    /// measured.
    ///
    /// A node's memory is no limit if all bytes that must cross it fit in its caches, as they then need not cross it.
    /// If the bytes are only somewhat more than the caches, the share of the roof is too high by caches / bytes at
    /// most. The traffic of a wire is compared with the best bandwidth seen on any wire in one direction. A library or a switch that cannot fill wires in both
    /// directions at once does not lower the roof.
    pub fn limit(&self, limits: &MachineLimits) -> Option<Roof> {
        let mut longest = None;
        for (node, measured) in self.nodes.iter().zip(&limits.nodes) {
            if node.memory > measured.cache_bytes {
                let (together, reading) = (measured.memory_bytes_per_s, measured.read_bytes_per_s);
                consider(&mut longest, node.memory, Bottleneck::Memory, together.zip(together));
                consider(&mut longest, node.read, Bottleneck::Reading, reading.zip(reading));
            }
        }
        let busiest = self.nodes.iter().map(|node| node.out.max(node.into)).max().unwrap_or(0);
        // Every byte enters some receiver, so one of them receives at least the mean.
        let mean = self.all_wires.div_ceil(self.receivers.max(1));
        consider(&mut longest, busiest.max(mean), Bottleneck::Wire, fastest_wire(limits));
        longest
    }

    /// Returns the least time of the plan's own algorithm, which moves `traffic`: the longest of the roof, of the busiest
    /// wire, and of the memory of the busiest node and of the busiest rank, which may be alone at work. None as for
    /// [`Least::limit`].
    pub fn own_limit(&self, traffic: &Traffic, layout: &Layout, limits: &MachineLimits) -> Option<Roof> {
        let mut longest = self.limit(limits);
        consider(&mut longest, busiest(&traffic.nodes), Bottleneck::Wire, fastest_wire(limits));
        for (node, (least, measured)) in self.nodes.iter().zip(&limits.nodes).enumerate() {
            if least.memory > measured.cache_bytes {
                let of_ranks = layout.ranks_on_node(node).iter().map(|rank| traffic.memory[*rank]);
                let together = measured.memory_bytes_per_s;
                consider(&mut longest, of_ranks.clone().sum(), Bottleneck::Memory, together.zip(together));
                let alone = measured.one_rank_bytes_per_s.zip(together);
                consider(&mut longest, of_ranks.max().unwrap_or(0), Bottleneck::Memory, alone);
            }
        }
        longest
    }
}

/// Makes the time of `bytes` at a bandwidth, which is given with the reference of its roof, the longest if it is. Without
/// a bandwidth nothing changes.
fn consider(longest: &mut Option<Roof>, bytes: u64, part: Bottleneck, rates: Option<(f64, f64)>) {
    let Some((bytes_per_s, reference)) = rates else { return };
    let seconds = bytes as f64 / bytes_per_s;
    if seconds.is_finite() && seconds > longest.map_or(0.0, |limit| limit.seconds) {
        *longest = Some(Roof { bytes, part, seconds, reference });
    }
}

/// Returns the best bandwidth seen on any wire in one direction, by one stream between two nodes or by all nodes at the same
/// time, and the best by all nodes with one stream each. None on one node.
fn fastest_wire(limits: &MachineLimits) -> Option<(f64, f64)> {
    let all_at_once = limits.wires.as_ref().map(|wires| wires.bytes_per_s);
    let pair = limits.between_nodes.iter();
    let one_way = pair.flat_map(|pair| [Some(pair.one_way_bytes_per_s), pair.one_way_back_bytes_per_s]).flatten();
    let fastest = greatest(all_at_once.into_iter().chain(one_way))?;
    Some((fastest, limits.wires.as_ref().and_then(WireLimits::one_stream_each).unwrap_or(fastest)))
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
