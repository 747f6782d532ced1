//! Tests that every strategy plans and checks 1,024 ranks × 1,024 shards in seconds and in little memory, and
//! GradsSharding 4,096 × 4,096. The times are printed. The bounds on them allow for a slow machine.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use gradshard::memory::Seen;
use gradshard::plan::form::LEAST_RADIX;
use gradshard::plan::strategies::{self, Strategy};
use gradshard::plan::{Choices, Closing, End, Form, Layout, Problem, Roles, Way, check, lower};
use strum::VariantArray;

/// Elements of VGG-16, which are enough for shards that are not empty.
const ELEMENTS: u64 = 138_357_544;
/// Time limit, far above the expected time. Planning in more than linear time would take minutes.
const MOST_TIME: Duration = Duration::from_secs(60);
const MOST_BYTES: u64 = 1 << 30;

/// Times of planning and checking, and of lowering the plan for one rank.
fn plan_and_check(strategy: &dyn Strategy, form: Form, ranks: u64, nodes: usize, end: End) -> (Duration, Duration) {
    let shards = if strategy.knobs().heeds_shards(end) { ranks } else { 1 };
    let problem = Arc::new(Problem::unweighted(ELEMENTS, ranks, shards).ending(end).formed(form));
    let layout = Arc::new(Layout::even(ranks as usize, nodes, Roles::Colocated).expect("a layout"));
    let begun = Instant::now();
    let plan = strategy.plan(&problem, &layout).expect("a plan");
    let tally = check(plan.as_ref(), &problem, &layout).expect("sound");
    let checked = begun.elapsed();
    assert!(tally.results > 0);
    let terms = gradshard::plan::Terms {
        dtype: gradshard::gradient::Dtype::F32,
        flow: gradshard::plan::Flow::Whole,
        intra_node: gradshard::plan::IntraNode::Shared,
        order: gradshard::plan::Order::Client,
        residency: gradshard::plan::Residency::Resident,
        ready: gradshard::plan::Ready::Assumed,
        caches: gradshard::plan::Caches::Warm,
    };
    let begun = Instant::now();
    let lowering = lower(plan.as_ref(), &problem, &layout, &terms, ranks as usize / 2);
    assert!(lowering.tasks > 0 || !lowering.outgoing.is_empty(), "{}", strategy.name());
    (checked, begun.elapsed())
}

fn held() -> u64 {
    Seen::now().map_or(0, |seen| seen.held())
}

#[test]
fn a_thousand_ranks_and_shards() {
    for strategy in strategies::all() {
        for end in [End::Scattered, End::Everywhere] {
            for nodes in [128, 1024] {
                let (checked, lowered) = plan_and_check(*strategy, usual(*strategy, end), 1024, nodes, end);
                println!(
                    "{:<28} {end:<10} {nodes:>5} nodes: check {checked:.2?}, lower {lowered:.2?}",
                    strategy.name()
                );
                assert!(checked + lowered < MOST_TIME, "{}: {checked:?} and {lowered:?}", strategy.name());
                assert!(held() < MOST_BYTES, "{}: {} bytes", strategy.name(), held());
            }
        }
    }
}

/// The form that a strategy takes where nobody chose.
fn usual(strategy: &dyn Strategy, end: End) -> Form {
    strategy.knobs().usual_form(end)
}

#[test]
fn every_way_and_closing_on_a_thousand_ranks() {
    for (name, end) in [
        ("sharded-direct", End::Everywhere),
        ("sharded-node-aware", End::Scattered),
        ("tree-node-aware", End::Root),
        ("tree-chain", End::Everywhere),
    ] {
        let strategy = strategies::find(name).expect("known");
        let choices = Choices {
            radix: &[LEAST_RADIX, 8],
            across: Way::VARIANTS,
            closing: Closing::VARIANTS,
            ..Choices::default()
        };
        for form in strategy.knobs().forms(end, choices) {
            let (checked, lowered) = plan_and_check(strategy, form, 1024, 256, end);
            println!("{name}{form}, end {end}: check {checked:.2?}, lower {lowered:.2?}");
            assert!(checked + lowered < MOST_TIME, "{name}{form}: {checked:?} and {lowered:?}");
            assert!(held() < MOST_BYTES, "{name}{form}: {} bytes", held());
        }
    }
}

#[test]
fn grads_sharding_on_four_thousand_ranks() {
    let strategy = strategies::find("sharded-direct").expect("known");
    let (checked, lowered) = plan_and_check(strategy, Form::default(), 4096, 512, End::Scattered);
    println!("sharded-direct, 4,096 × 4,096: check {checked:.2?}, lower {lowered:.2?}");
    assert!(checked + lowered < MOST_TIME, "{checked:?} and {lowered:?}");
    assert!(held() < MOST_BYTES, "{} bytes", held());
}
