//! Simulated rounds against formulas: m is the bytes of a gradient, s those of a shard, B the bandwidth of a card, L the
//! latency.

use std::sync::Arc;

use super::{Fabric, FabricLevel, Parameters, simulate};
use crate::gradient::Dtype;
use crate::plan::form::Closing;
use crate::plan::{
    Caches, End, Flow, Form, IntraNode, Layout, Order, Problem, Ready, Residency, Roles, Terms, strategies,
};

const B: f64 = 125e6;
const L: f64 = 20e-6;
/// Elements that divide into many numbers of shards and chunks.
const ELEMENTS: u64 = 3 * 5 * 7 * 13 * 1024;
const M: f64 = ELEMENTS as f64 * 4.0;

/// A machine whose cores and memory take no time.
fn wires_only() -> Parameters {
    Parameters {
        card: B,
        port: B,
        within: 1e15,
        half_trip_between: L,
        half_trip_within: 0.0,
        overhead: 0.0,
        memory: 1e18,
        one_rank: 1e18,
        sums: vec![(Dtype::F32, 1e18)],
        cores: 64,
        cache: 1 << 40,
        eager_within: 4096,
    }
}

fn terms(flow: Flow) -> Terms {
    Terms {
        dtype: Dtype::F32,
        flow,
        intra_node: IntraNode::Shared,
        order: Order::Client,
        residency: Residency::Resident,
        ready: Ready::Assumed,
        caches: Caches::Warm,
    }
}

struct Asked<'a> {
    strategy: &'a str,
    ranks: usize,
    nodes: usize,
    clients: u64,
    shards: u64,
    end: End,
    closing: Closing,
    flow: Flow,
}

/// One client and one shard a rank, one rank a node.
fn one_each(strategy: &str, ranks: usize, end: End, flow: Flow) -> Asked<'_> {
    let (clients, shards) = (ranks as u64, ranks as u64);
    Asked { strategy, ranks, nodes: ranks, clients, shards, end, closing: Closing::Back, flow }
}

fn seconds(asked: &Asked<'_>, parameters: &Parameters, fabric: &Fabric) -> f64 {
    let strategy = strategies::find(asked.strategy).expect("a strategy");
    let shards = if strategy.knobs().heeds_shards(asked.end) { asked.shards } else { 1 };
    let form = Form { closing: asked.closing, ..strategy.knobs().usual_form(asked.end) };
    let problem = Problem::unweighted(ELEMENTS, asked.clients, shards).ending(asked.end).formed(form);
    let problem = Arc::new(problem);
    let layout = Arc::new(Layout::even(asked.ranks, asked.nodes, Roles::Colocated).expect("a layout"));
    let plan = strategy.plan(&problem, &layout).expect("a plan");
    let found = simulate(plan.as_ref(), &problem, &layout, &terms(asked.flow), (parameters, fabric));
    found.unwrap_or_else(|error| panic!("{}: {error}", asked.strategy)).seconds
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 0.01, "{found} s, not {expected} s");
}

#[test]
fn reduce_scatter_with_whole_objects() {
    for ranks in [2usize, 4, 7, 8, 13, 16] {
        let p = ranks as f64;
        let s = M / p;
        let of = |strategy| {
            seconds(&one_each(strategy, ranks, End::Scattered, Flow::Whole), &wires_only(), &Fabric::default())
        };
        near(of("sharded-direct"), (p - 1.0) * s / B + L);
        near(of("sharded-ring"), (p - 1.0) * (s / B + L));
        near(of("sharded-circulant"), (p - 1.0) * s / B + p.log2().ceil() * L);
    }
}

/// With a latency as long as a hundred bytes' way, a mistake in either term shows.
#[test]
fn latency_and_bandwidth_both_count() {
    let slow = Parameters { half_trip_between: 0.01, ..wires_only() };
    let ring = seconds(&one_each("sharded-ring", 8, End::Scattered, Flow::Whole), &slow, &Fabric::default());
    near(ring, 7.0 * (M / 8.0 / B + 0.01));
    let circulant = seconds(&one_each("sharded-circulant", 8, End::Scattered, Flow::Whole), &slow, &Fabric::default());
    near(circulant, 7.0 * M / 8.0 / B + 3.0 * 0.01);
}

#[test]
fn chain_in_chunks_and_binomial_tree_with_whole_objects() {
    let piece = 1024;
    let c = piece as f64 * 4.0;
    for ranks in [2usize, 5, 8, 16] {
        let hops = ranks as f64 - 1.0;
        let chain = one_each("tree-chain", ranks, End::Root, Flow::Chunk { elements: piece });
        let expected = hops * (c / B + L) + (M / c - 1.0) * c / B;
        near(seconds(&chain, &wires_only(), &Fabric::default()), expected);
    }
    for (ranks, rounds) in [(2usize, 1.0), (8, 3.0), (16, 4.0)] {
        let binomial = one_each("tree-binomial", ranks, End::Root, Flow::Whole);
        near(seconds(&binomial, &wires_only(), &Fabric::default()), rounds * (M / B + L));
    }
}

#[test]
fn an_allreduce_by_two_rings() {
    let both = Asked { closing: Closing::Ring, ..one_each("sharded-ring", 8, End::Everywhere, Flow::Whole) };
    near(seconds(&both, &wires_only(), &Fabric::default()), 2.0 * 7.0 * (M / 8.0 / B + L));
}

/// Two racks of two nodes. Each node has 3 shards to send, 2 of them to the other rack: 4 shards leave each rack.
#[test]
fn a_tapered_link_takes_the_time_of_its_bytes() {
    let rack = |taper| Fabric::of(vec![FabricLevel { nodes_per_rack: 2, taper, latency_us: 0.0 }]).expect("a fabric");
    let direct = one_each("sharded-direct", 4, End::Scattered, Flow::Whole);
    let s = M / 4.0;
    near(seconds(&direct, &wires_only(), &rack(1.0)), 3.0 * s / B + L);
    // The links of a rack carry 2 B over the taper.
    near(seconds(&direct, &wires_only(), &rack(8.0)), 4.0 * s / (2.0 * B / 8.0) + L);
}

/// One rank adds 5 clients: 5 gradients are read and one is written.
#[test]
fn a_sum_takes_the_time_of_its_bytes_or_of_its_elements() {
    let alone = Asked { clients: 5, shards: 1, nodes: 1, ..one_each("tree-central", 1, End::Root, Flow::Whole) };
    let memory = Parameters { memory: 20e9, one_rank: 10e9, cache: 0, ..wires_only() };
    near(seconds(&alone, &memory, &Fabric::default()), 6.0 * M / 10e9);
    // A core that adds two inputs to 10^9 elements a second takes half of a nanosecond for each.
    let core = Parameters { sums: vec![(Dtype::F32, 1e9)], ..wires_only() };
    near(seconds(&alone, &core, &Fabric::default()), 5.0 * ELEMENTS as f64 * 0.5e-9);
}

/// Four ranks of a node each add a quarter, at the rate of the node's memory or of its cores.
#[test]
fn ranks_of_a_node_share_its_memory_and_its_cores() {
    let node = Asked { nodes: 1, ..one_each("sharded-direct", 4, End::Scattered, Flow::Whole) };
    let memory = Parameters { memory: 20e9, one_rank: 10e9, cache: 0, ..wires_only() };
    // Four clients are read and one result is written.
    near(seconds(&node, &memory, &Fabric::default()), 5.0 * M / 20e9);
    let quarter = ELEMENTS as f64 / 4.0;
    let cores = |cores| Parameters { sums: vec![(Dtype::F32, 1e9)], cores, ..wires_only() };
    near(seconds(&node, &cores(4), &Fabric::default()), 4.0 * quarter * 0.5e-9);
    near(seconds(&node, &cores(2), &Fabric::default()), 2.0 * 4.0 * quarter * 0.5e-9);
}

/// The overhead of a message occupies the core at both ends; the latency contains it.
#[test]
fn overheads_of_messages_add_up_at_their_receiver() {
    let busy = Parameters { overhead: 100e-6, half_trip_between: 200e-6, ..wires_only() };
    let pieces = 1024;
    let chunks = Flow::Chunk { elements: ELEMENTS / pieces };
    let chain = one_each("tree-chain", 2, End::Root, chunks);
    // Each piece takes 43 µs of the wire and 100 µs of either core.
    near(seconds(&chain, &busy, &Fabric::default()), pieces as f64 * 100e-6);
}
