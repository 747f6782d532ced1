//! Tests the algorithms against their definitions: messages, bytes, depths, and bytes that cross between groups of
//! ranks. These are counted from every rank's lowering and compared with figures calculated here or published with the
//! algorithm.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;

use gradshard::gradient::Dtype;
use gradshard::plan::lowering::Feed;
use gradshard::plan::{
    Caches, Closing, End, Flow, Form, IntraNode, Layout, Lowering, Order, Plan, Problem, Ready, Residency, Roles,
    Terms, Way,
};
use gradshard::plan::{check, lower, strategies};

/// Number of elements that no number of ranks from 2 to 257 divides.
const ELEMENTS: u64 = 1_000_003;

/// Whole objects, and shared memory inside nodes.
const SHARED: Terms = Terms {
    dtype: Dtype::F32,
    flow: Flow::Whole,
    intra_node: IntraNode::Shared,
    order: Order::Client,
    residency: Residency::Resident,
    ready: Ready::Assumed,
    caches: Caches::Warm,
};

struct Planned {
    plan: Box<dyn Plan>,
    problem: Arc<Problem>,
    layout: Arc<Layout>,
}

fn planned(strategy: &str, ranks: usize, clients: u64, shards: u64, end: End) -> Planned {
    let layout = Layout::even(ranks, ranks, Roles::Colocated).expect("a layout");
    let problem = Problem::unweighted(ELEMENTS, clients, shards).ending(end);
    of(strategy, problem, layout)
}

fn of(strategy: &str, problem: Problem, layout: Layout) -> Planned {
    let (problem, layout) = (Arc::new(problem), Arc::new(layout));
    let plan = strategies::find(strategy).expect("known").plan(&problem, &layout).expect("a plan");
    check(plan.as_ref(), &problem, &layout).expect("sound");
    Planned { plan, problem, layout }
}

impl Planned {
    /// Lowers the plan for every rank, with whole objects and messages inside nodes.
    fn shares(&self) -> Vec<Lowering> {
        let terms = Terms { intra_node: IntraNode::Messages, ..SHARED };
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

/// Number of elements that a rank receives from other nodes.
fn received_from_other_nodes(planned: &Planned, rank: usize) -> u64 {
    let share = lower(planned.plan.as_ref(), &planned.problem, &planned.layout, &SHARED, rank);
    received(&share)
}

/// The greatest number of elements that enter a node from others, and the greatest number that leave one.
fn through_wires(planned: &Planned) -> (u64, u64) {
    let nodes = planned.layout.nodes();
    let (mut into, mut out) = (vec![0; nodes], vec![0; nodes]);
    for rank in 0..planned.layout.ranks() {
        let share = lower(planned.plan.as_ref(), &planned.problem, &planned.layout, &SHARED, rank);
        for stream in &share.outgoing {
            let elements: u64 = stream.segments.iter().map(|segment| segment.range.len()).sum();
            out[planned.layout.node_of(rank)] += elements;
            into[planned.layout.node_of(stream.to)] += elements;
        }
    }
    (into.into_iter().max().unwrap_or(0), out.into_iter().max().unwrap_or(0))
}

fn formed(form: Form, (ranks, nodes): (usize, usize), shards: u64, end: End, strategy: &str) -> Planned {
    let problem = Problem::unweighted(ELEMENTS, ranks as u64, shards).ending(end).formed(form);
    of(strategy, problem, Layout::even(ranks, nodes, Roles::Colocated).expect("a layout"))
}

/// ⌈log_r P⌉ rounds, of which each sends at most r − 1 messages.
#[test]
fn radix_sends_at_most_its_digits_messages() {
    for radix in [2u64, 3, 4, 8] {
        for ranks in 2..=40usize {
            let form = Form { radix, ..Form::default() };
            let shares = formed(form, (ranks, ranks), ranks as u64, End::Scattered, "sharded-radix").shares();
            let mut rounds = 0;
            while radix.pow(rounds) < ranks as u64 {
                rounds += 1;
            }
            for share in &shares {
                let messages: u64 = share.outgoing.iter().map(|stream| stream.pieces).sum();
                assert!(messages <= (radix - 1) * u64::from(rounds), "radix {radix}, {ranks} ranks: {messages}");
            }
        }
    }
}

#[test]
fn the_radix_of_all_ranks_is_direct() {
    for ranks in [2usize, 3, 5, 8] {
        let form = Form { radix: ranks as u64, ..Form::default() };
        for end in [End::Scattered, End::Root, End::Everywhere] {
            let radix = formed(form, (ranks, ranks), 7, end, "sharded-radix");
            let direct = formed(Form::default(), (ranks, ranks), 7, end, "sharded-direct");
            let steps =
                |planned: &Planned| (0..planned.plan.parts()).map(|part| planned.plan.part(part)).collect::<Vec<_>>();
            assert_eq!(steps(&radix), steps(&direct), "{ranks} ranks, end {end}");
        }
    }
}

/// A node's wire carries (K−1)/K of a gradient in every way across, however many ranks it has.
#[test]
fn node_aware_sharding_crosses_wires_once() {
    for (ranks, nodes) in [(8, 4), (16, 4), (12, 3), (20, 5), (8, 8)] {
        for across in [Way::Direct, Way::Ring, Way::Circulant, Way::Radix] {
            let form = Form { across, ..Form::default() };
            let planned = formed(form, (ranks, nodes), ranks as u64, End::Scattered, "sharded-node-aware");
            let least = ELEMENTS * (nodes as u64 - 1) / nodes as u64;
            let (into, out) = through_wires(&planned);
            for elements in [into, out] {
                assert!(
                    elements.abs_diff(least) <= ranks as u64,
                    "{across} on {ranks}/{nodes}: {elements} for {least}"
                );
            }
        }
    }
}

/// The chain and the two trees between nodes bring one gradient into the busiest node, however many ranks it has, and every
/// rank of the root's node takes an equal part.
#[test]
fn node_aware_trees_take_one_gradient_a_node() {
    for (ranks, nodes) in [(8, 4), (16, 4), (12, 3), (20, 5), (8, 8)] {
        for (across, most) in [(Way::Ring, 1), (Way::TwoTree, 1), (Way::Direct, nodes as u64 - 1)] {
            let form = Form { across, ..Form::default() };
            let planned = formed(form, (ranks, nodes), 1, End::Root, "tree-node-aware");
            let (into, _) = through_wires(&planned);
            assert!(into <= most * ELEMENTS + 2, "{across} on {ranks} ranks of {nodes} nodes: {into}");
            if across == Way::Ring {
                let lanes = (ranks / nodes) as u64;
                let lane = received_from_other_nodes(&planned, 0);
                assert!(lane.abs_diff(ELEMENTS / lanes) <= 1, "{ranks} ranks of {nodes} nodes: {lane}");
            }
        }
    }
}

/// Allgathers bring (P−1)/P of a gradient to each rank; broadcasts by a chain, two trees, or scatter and allgather one.
#[test]
fn closings_move_no_more_than_they_must() {
    for ranks in [2usize, 3, 4, 5, 7, 8, 16, 33] {
        let p = ranks as u64;
        let share = ELEMENTS - ELEMENTS / p;
        for closing in [Closing::Back, Closing::Direct, Closing::Ring, Closing::Circulant, Closing::Binomial] {
            let form = Form { closing, ..Form::default() };
            let (into, _) = through_wires(&formed(form, (ranks, ranks), p, End::Everywhere, "sharded-direct"));
            // The sums bring (P−1)/P as well. Shards differ by one element.
            assert!(into <= 2 * share + 2 * p, "{closing}, {ranks} ranks: {into}");
        }
        for closing in [Closing::Ring, Closing::TwoTree, Closing::ScatterAllgather] {
            let form = Form { closing, ..Form::default() };
            let (into, out) = through_wires(&formed(form, (ranks, ranks), 1, End::Everywhere, "tree-chain"));
            // The chain brings one gradient into a rank, and the broadcast another.
            assert!(into <= 2 * ELEMENTS + 2, "{closing}, {ranks} ranks: {into} in");
            assert!(out <= 2 * ELEMENTS + p, "{closing}, {ranks} ranks: {out} out");
        }
    }
}

/// A gather up a binomial tree brings ⌈log₂P⌉ messages to the root, a direct one P − 1.
#[test]
fn gathers_send_the_messages_of_their_trees() {
    for ranks in 2..=33usize {
        for (closing, messages) in
            [(Closing::Binomial, u64::from(ceil_log2(ranks))), (Closing::Direct, ranks as u64 - 1)]
        {
            let form = Form { closing, ..Form::default() };
            let shares = |end| formed(form, (ranks, ranks), ranks as u64, end, "sharded-direct").shares();
            let to_root =
                |shares: &[Lowering]| shares.iter().flat_map(|share| &share.outgoing).filter(|s| s.to == 0).count();
            let gathered = to_root(&shares(End::Root)) - to_root(&shares(End::Scattered));
            assert_eq!(gathered as u64, messages, "{closing}, {ranks} ranks");
        }
    }
}

#[test]
fn algorithms_that_need_powers_of_two_are_refused_elsewhere() {
    let form = Form { algorithm: "noncommutative".parse().expect("a name"), ..Form::default() };
    let possible = |strategy: &str, ranks: usize, elements: u64| {
        let layout = Arc::new(Layout::even(ranks, 1, Roles::Colocated).expect("a layout"));
        let problem = Arc::new(Problem { form, ..Problem::unweighted(elements, 5, ranks as u64) });
        strategies::find(strategy).expect("known").plan(&problem, &layout).is_ok()
    };
    assert!(possible("native-reduce-scatter", 4, 96) && possible("native-reduce-scatter-block", 4, 97));
    assert!(!possible("native-reduce-scatter", 4, 97));
    assert!(!possible("native-reduce-scatter", 3, 96) && !possible("native-reduce-scatter-block", 3, 96));
}
