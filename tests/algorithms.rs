//! Tests the algorithms against their definitions: messages, bytes, depths, and bytes that cross between groups of
//! ranks. These are counted from every rank's lowering and compared with figures calculated here or published with the
//! algorithm.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;

use gradshard::gradient::Dtype;
use gradshard::plan::lowering::Feed;
use gradshard::plan::{End, Flow, IntraNode, Layout, Lowering, Order, Plan, Problem, Residency, Roles, Terms};
use gradshard::plan::{check, lower, strategies};

/// Number of elements that no number of ranks from 2 to 257 divides.
const ELEMENTS: u64 = 1_000_003;

struct Planned {
    plan: Box<dyn Plan>,
    problem: Arc<Problem>,
    layout: Arc<Layout>,
}

fn planned(strategy: &str, ranks: usize, clients: u64, shards: u64, end: End) -> Planned {
    let problem = Arc::new(Problem::unweighted(ELEMENTS, clients, shards).ending(end));
    let layout = Arc::new(Layout::even(ranks, ranks, Roles::Colocated).expect("a layout"));
    let plan = strategies::find(strategy).expect("known").plan(&problem, &layout).expect("a plan");
    check(plan.as_ref(), &problem, &layout).expect("sound");
    Planned { plan, problem, layout }
}

impl Planned {
    /// Lowers the plan for every rank, with whole objects and messages inside nodes.
    fn shares(&self) -> Vec<Lowering> {
        let terms = Terms {
            dtype: Dtype::F32,
            flow: Flow::Whole,
            intra_node: IntraNode::Messages,
            order: Order::Client,
            residency: Residency::Resident,
        };
        let share = |rank| lower(self.plan.as_ref(), &self.problem, &self.layout, &terms, rank);
        (0..self.layout.ranks()).map(share).collect()
    }
}

fn ceil_log2(n: usize) -> u32 {
    usize::BITS - (n - 1).leading_zeros()
}

/// Number of elements that a rank receives.
fn received(share: &Lowering) -> u64 {
    let streams = share.incoming.iter().flat_map(|stream| &stream.segments).map(|segment| segment.range.len());
    let of_sum = |task: &gradshard::plan::lowering::SumTask| {
        let staged = task.feeds.iter().filter(|feed| matches!(feed, Feed::Received { .. })).count() as u64;
        staged * task.range.len()
    };
    streams.sum::<u64>() + share.sums.iter().map(of_sum).sum::<u64>()
}

#[test]
fn algorithms_in_rounds_send_a_message_a_round() {
    for strategy in ["sharded-halving", "sharded-circulant", "sharded-radix", "sharded-bine"] {
        for ranks in 2..=33usize {
            if strategy == "sharded-bine" && !ranks.is_power_of_two() {
                continue;
            }
            let shares = planned(strategy, ranks, ranks as u64, ranks as u64, End::Scattered).shares();
            for (rank, share) in shares.iter().enumerate() {
                let messages: u64 = share.outgoing.iter().map(|stream| stream.pieces).sum();
                assert_eq!(messages, u64::from(ceil_log2(ranks)), "{strategy}, rank {rank} of {ranks}");
            }
        }
    }
}

#[test]
fn no_rank_takes_more_than_its_share() {
    for strategy in
        ["sharded-direct", "sharded-ring", "sharded-halving", "sharded-circulant", "sharded-radix", "sharded-bine"]
    {
        for ranks in [2usize, 3, 4, 5, 7, 8, 12, 16, 31, 32, 33, 63, 64, 100, 128, 130] {
            if strategy == "sharded-bine" && !ranks.is_power_of_two() {
                continue;
            }
            let shares = planned(strategy, ranks, ranks as u64, ranks as u64, End::Scattered).shares();
            let busiest = shares.iter().map(received).max().unwrap_or(0);
            let (p, least) = (ranks as u64, ELEMENTS - ELEMENTS.div_ceil(ranks as u64));
            // A rank receives (P−1)/P of a gradient. Shards differ by one element, and in a star a rank receives its
            // shard P−1 times.
            assert!((least..=least + p).contains(&busiest), "{strategy} on {ranks}: {busiest} and not {least}");
        }
    }
}

#[test]
fn good_trees_take_one_gradient_a_rank() {
    for strategy in ["tree-chain", "tree-two"] {
        for ranks in 3..=64usize {
            for clients in [1, ranks as u64 - 1, ranks as u64, 20] {
                let planned = planned(strategy, ranks, clients, 1, End::Root);
                let busiest = planned.shares().iter().map(received).max().unwrap_or(0);
                // The halves of an odd number of elements differ by one.
                assert!(busiest <= ELEMENTS + 1, "{strategy}, {ranks} ranks, {clients} clients: {busiest}");
                let tally = check(planned.plan.as_ref(), &planned.problem, &planned.layout).expect("sound");
                let most = if strategy == "tree-two" { ceil_log2(ranks) + 2 } else { ranks as u32 };
                assert!(tally.levels <= most, "{strategy} on {ranks}: {} levels", tally.levels);
            }
        }
    }
}

/// The published figure is the number of elements that all groups of 4 of 16 ranks send to other groups, divided by the
/// elements of a gradient.
#[test]
fn what_crosses_between_groups_is_as_published() {
    let crossing = |strategy: &str| {
        let shares = planned(strategy, 16, 16, 16, End::Scattered).shares();
        let group = |rank: usize| rank / 4;
        let mut elements = 0;
        for (rank, share) in shares.iter().enumerate() {
            for stream in share.outgoing.iter().filter(|stream| group(stream.to) != group(rank)) {
                elements += stream.segments.iter().map(|segment| segment.range.len()).sum::<u64>();
            }
        }
        elements as f64 / ELEMENTS as f64
    };
    let published = [
        ("sharded-direct", 12.0),
        ("sharded-ring", 3.75),
        ("sharded-halving", 12.0),
        ("sharded-circulant", 13.25),
        ("sharded-radix", 7.0),
        ("sharded-bine", 4.0),
    ];
    for (strategy, gradients) in published {
        let found = crossing(strategy);
        assert!((found - gradients).abs() < 1e-3, "{strategy}: {found} gradients cross, not {gradients}");
    }
}

/// The allgather after the reduce-scatter takes the same number of messages, ⌈log₂P⌉ per rank.
#[test]
fn the_way_back_takes_as_many_messages() {
    for strategy in ["sharded-halving", "sharded-circulant", "sharded-radix"] {
        for ranks in [2usize, 4, 8, 16] {
            let shares = planned(strategy, ranks, ranks as u64, ranks as u64, End::Everywhere).shares();
            for share in &shares {
                let messages: u64 = share.outgoing.iter().map(|stream| stream.pieces).sum();
                assert_eq!(messages, 2 * u64::from(ceil_log2(ranks)), "{strategy} on {ranks}");
            }
        }
    }
}
