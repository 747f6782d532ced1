//! Tests with numbers computed by hand.

use std::sync::Arc;

use super::*;
use crate::gradient::Dtype;
use crate::plan::{Caches, Flow, IntraNode, Order, Ready, Roles, strategies};
use crate::roofline::figures::{NodeLimits, PairLimits, WireLimits};

const MIB: u64 = 1 << 20;

fn terms(dtype: Dtype, residency: Residency) -> Terms {
    let (flow, intra_node, ready) = (Flow::Whole, IntraNode::Shared, Ready::Assumed);
    Terms { dtype, flow, intra_node, order: Order::Client, residency, ready, caches: Caches::Warm }
}

struct ShareCase {
    strategy: &'static str,
    elements: u64,
    clients: u64,
    shards: u64,
    node_of: &'static [usize],
    roles: Roles,
    dtype: Dtype,
}

fn sharded(elements: u64, clients: u64, shards: u64, node_of: &'static [usize]) -> ShareCase {
    ShareCase {
        strategy: "sharded-direct",
        elements,
        clients,
        shards,
        node_of,
        roles: Roles::Colocated,
        dtype: Dtype::F32,
    }
}

impl ShareCase {
    fn least(&self, residency: Residency, end: End) -> Least {
        let problem = Arc::new(Problem::unweighted(self.elements, self.clients, self.shards).ending(end));
        let layout = Arc::new(Layout::new(self.node_of, self.roles).expect("roles fit"));
        let strategy = strategies::find(self.strategy).expect("a strategy");
        let plan = strategy.plan(&problem, &layout).expect("a plan");
        least(plan.as_ref(), &problem, &layout, &terms(self.dtype, residency))
    }

    fn aggregate(&self) -> Least {
        let end = if self.strategy.starts_with("tree") { End::Root } else { End::Scattered };
        self.least(Residency::Resident, end)
    }

    fn round(&self) -> Least {
        self.least(Residency::Resident, End::Everywhere)
    }
}

/// Bytes of memory, out of and into each node.
fn nodes(least: &Least) -> Vec<[u64; 3]> {
    least.nodes.iter().map(|node| [node.memory, node.out, node.into]).collect()
}

#[test]
fn one_node_reads_every_client_and_writes_once() {
    // 2 · 128 MiB read, 128 MiB written.
    let least = sharded(32 * MIB, 2, 2, &[0, 0]).aggregate();
    assert_eq!((nodes(&least), least.all_wires), (vec![[402_653_184, 0, 0]], 0));
    // The place of the result inside the node does not matter, nor does it matter that all ranks read the result in the
    // end.
    let tree = ShareCase { strategy: "tree-central", ..sharded(32 * MIB, 2, 1, &[0, 0]) };
    assert_eq!(tree.aggregate(), least);
    assert_eq!(tree.round(), least);
    // VGG-16, 20 clients: 21 gradients of 138,357,544 f32.
    assert_eq!(nodes(&sharded(138_357_544, 20, 4, &[0, 0]).aggregate()), [[11_622_033_696, 0, 0]]);
    // Streamed gradients need not be in memory; what is written must.
    assert_eq!(nodes(&sharded(1000, 20, 4, &[0, 0]).least(Residency::Streamed, End::Scattered)), [[4000, 0, 0]]);
    let half = ShareCase { dtype: Dtype::F16, ..sharded(1000, 20, 4, &[0, 0]) };
    assert_eq!(nodes(&half.aggregate()), [[42_000, 0, 0]]);
}

#[test]
fn four_nodes_with_a_shard_each() {
    // |θ| is 16,000 bytes. Memory: one gradient is read and a quarter is written. Out of each node: three quarters.
    // Into each node: at least its own quarter, summed by the others. But over all nodes 3 · |θ| must travel, three
    // quarters into each on average.
    let case = sharded(4000, 4, 4, &[0, 1, 2, 3]);
    let least = case.aggregate();
    assert_eq!(nodes(&least), [[20_000, 12_000, 4_000]; 4]);
    assert_eq!((least.all_wires, least.receivers), (48_000, 4));
    // In the whole round everything is read and the whole result is written; 2 · 3/4 · |θ| cross each wire on average.
    let round = case.round();
    assert_eq!(nodes(&round), [[32_000, 16_000, 16_000]; 4]);
    assert_eq!((round.all_wires, round.receivers), (96_000, 4));
    // More ranks on a node change only the number of clients that are read, here two on each node.
    let least = sharded(4000, 8, 8, &[0, 0, 1, 1, 2, 2, 3, 3]).aggregate();
    assert_eq!(nodes(&least), [[36_000, 12_000, 4_000]; 4]);
}

#[test]
fn a_tree_ends_on_one_node() {
    let least = ShareCase { strategy: "tree-central", ..sharded(4000, 4, 1, &[0, 1, 2, 3]) }.aggregate();
    let root = least.nodes.iter().position(|node| node.into > 0).expect("a root");
    let expected = |node| if node == root { [32_000, 0, 16_000] } else { [16_000, 16_000, 0] };
    assert_eq!(nodes(&least), (0..4).map(expected).collect::<Vec<_>>());
    assert_eq!(least.all_wires, 48_000);
}

#[test]
fn fewer_shards_than_nodes_and_sizes_that_do_not_divide() {
    // There are two owners of 8,000 bytes each. A node that owns nothing sends everything.
    let least = sharded(4000, 4, 2, &[0, 1, 2, 3]).aggregate();
    assert_eq!(
        nodes(&least),
        [[24_000, 8_000, 8_000], [16_000, 16_000, 0], [24_000, 8_000, 8_000], [16_000, 16_000, 0]]
    );
    // 7 elements in 4 shards: 2, 2, 2, 1.
    let least = sharded(7, 4, 4, &[0, 1, 2, 3]).aggregate();
    assert_eq!(nodes(&least), [[36, 20, 8], [36, 20, 8], [36, 20, 8], [32, 24, 4]]);
    assert_eq!(nodes(&sharded(0, 4, 4, &[0, 1]).aggregate()), [[0; 3]; 2]);
    // With one client, half of its gradient leaves the node, and nothing enters it.
    let least = sharded(1000, 1, 2, &[0, 1]).aggregate();
    assert_eq!(nodes(&least), [[6_000, 2_000, 0], [2_000, 0, 2_000]]);
    assert_eq!(least.all_wires, 2_000);
}

/// Ranks 0 and 2 with all clients are on one node; ranks 1 and 3, which only aggregate, are on the other.
#[test]
fn clients_that_cannot_sum_send_everything() {
    let case = ShareCase { roles: Roles::Dedicated(Some(2)), ..sharded(1000, 4, 2, &[0, 1, 0, 1]) };
    let least = case.aggregate();
    assert_eq!(nodes(&least), [[16_000, 16_000, 0], [4_000, 0, 16_000]]);
    assert_eq!((least.all_wires, least.receivers), (16_000, 1));
    let round = case.round();
    assert_eq!(nodes(&round), [[20_000, 16_000, 4_000], [4_000, 0, 16_000]]);
    assert_eq!((round.all_wires, round.receivers), (20_000, 2));
}

fn limits(memory: &[Option<f64>], cache_bytes: u64, wire: Option<(f64, f64)>) -> MachineLimits {
    let node = |memory_bytes_per_s: &Option<f64>| NodeLimits {
        memory_bytes_per_s: *memory_bytes_per_s,
        cache_bytes,
        ..NodeLimits::default()
    };
    let pair = |one_way_bytes_per_s: f64| PairLimits {
        ranks: [0, 1],
        latency_s: 1e-6,
        latency_batches_s: vec![],
        one_way_bytes_per_s,
        one_way: vec![],
        one_way_back_bytes_per_s: None,
        one_way_back: vec![],
        both_ways_bytes_per_s: 1.0,
        both_ways: vec![],
    };
    MachineLimits {
        nodes: memory.iter().map(node).collect(),
        between_nodes: wire.map(|(one_way, _)| pair(one_way)),
        wires: wire.map(|(_, bytes_per_s)| WireLimits { bytes_per_s, patterns: vec![] }),
        ..MachineLimits::default()
    }
}

#[test]
fn memory_limits_what_does_not_fit_the_caches() {
    let least = sharded(32 * MIB, 2, 2, &[0, 0]).aggregate();
    let limit = least.limit(&limits(&[Some(40e9)], 32 * MIB, None)).expect("a limit");
    // 402,653,184 / 40e9.
    assert_eq!((limit.bytes, limit.part), (402_653_184, Bottleneck::Memory));
    assert!((limit.seconds - 0.010_066_329_6).abs() < 1e-15);
    assert_eq!(least.limit(&limits(&[Some(40e9)], 402_653_184, None)), None);
    assert_eq!(least.limit(&limits(&[None], 0, None)), None);
    assert_eq!(sharded(0, 2, 2, &[0, 0]).aggregate().limit(&limits(&[Some(1.0)], 0, None)), None);
}

/// Twenty clients are read and one result is written. Reading is the limit if its bandwidth is below 20/21 of that of
/// both.
#[test]
fn reading_limits_what_reads_much() {
    let least = sharded(138_357_544, 20, 4, &[0, 0]).aggregate();
    assert_eq!((least.nodes[0].read, least.nodes[0].memory), (11_068_603_520, 11_622_033_696));
    let with = |reading: f64| {
        let mut limits = limits(&[Some(60e9)], 0, None);
        limits.nodes[0].read_bytes_per_s = Some(reading);
        least.limit(&limits).expect("a limit")
    };
    let limit = with(40e9);
    assert_eq!((limit.bytes, limit.part), (11_068_603_520, Bottleneck::Reading));
    assert!((limit.seconds - 0.276_715_088).abs() < 1e-12);
    // 60 · 20/21 is 57.14.
    assert_eq!((with(57.1e9).part, with(57.2e9).part), (Bottleneck::Reading, Bottleneck::Memory));
}

#[test]
fn the_part_that_takes_longest_is_the_limit() {
    let least = sharded(4000, 4, 4, &[0, 1, 2, 3]).aggregate();
    let memory = |each: f64| vec![Some(each); 4];
    // 12,000 bytes at 1,000 B/s against 20,000 at 1e6.
    let limit = least.limit(&limits(&memory(1e6), 0, Some((1000.0, 1000.0)))).expect("a limit");
    assert_eq!(limit, roof(12_000, Bottleneck::Wire, 12.0));
    // All nodes at once, with more than one stream, were faster: 800 B/s instead of 500.
    let limit = least.limit(&limits(&memory(1e6), 0, Some((500.0, 800.0)))).expect("a limit");
    assert_eq!(limit, roof(12_000, Bottleneck::Wire, 15.0));
    let limit = least.limit(&limits(&memory(100.0), 0, Some((1000.0, 1000.0)))).expect("a limit");
    assert_eq!(limit, roof(20_000, Bottleneck::Memory, 200.0));
    // One node's memory is slower than the others'.
    let mixed = [Some(1e6), Some(1e6), Some(500.0), Some(1e6)];
    let limit = least.limit(&limits(&mixed, 0, Some((1000.0, 1000.0)))).expect("a limit");
    assert_eq!(limit, roof(20_000, Bottleneck::Memory, 40.0));
    // A tree's root receives |θ|, however fast all wires together are.
    let tree = ShareCase { strategy: "tree-central", ..sharded(4000, 4, 1, &[0, 1, 2, 3]) }.aggregate();
    let limit = tree.limit(&limits(&memory(1e6), 0, Some((1000.0, 1000.0)))).expect("a limit");
    assert_eq!(limit, roof(16_000, Bottleneck::Wire, 16.0));
    // A round of shards: 2 · 3/4 · |θ| at 1,000 B/s.
    let round = sharded(4000, 4, 4, &[0, 1, 2, 3]).round();
    let limit = round.limit(&limits(&memory(1e6), 0, Some((1000.0, 1000.0)))).expect("a limit");
    assert_eq!(limit, roof(24_000, Bottleneck::Wire, 24.0));
}

/// A roof whose bottleneck has the bandwidth that states measure.
fn roof(bytes: u64, part: Bottleneck, seconds: f64) -> Roof {
    Roof { bytes, part, seconds, reference: bytes as f64 / seconds }
}
