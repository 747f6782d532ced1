//! Simulated rounds of all strategies: whoever sends is heard, nobody waits for ever, no wire is faster than it is, and
//! each rank's part of a plan is what the whole plan has for it.

use std::sync::Arc;

use strum::VariantArray;

use super::neighbourhood::PlanIndex;
use super::{Fabric, Parameters, simulate};
use crate::gradient::Dtype;
use crate::plan::traffic::busiest;
use crate::plan::{
    Caches, Choices, Closing, End, Flow, IntraNode, Layout, Lowering, Order, Plan, Problem, Ready, Residency, Roles,
    Terms, Way, lower, strategies, traffic,
};

pub fn machine() -> Parameters {
    Parameters {
        card: 1e9,
        port: 0.7e9,
        within: 4e9,
        half_trip_between: 10e-6,
        half_trip_within: 1e-6,
        overhead: 0.3e-6,
        memory: 20e9,
        one_rank: 12e9,
        sums: vec![(Dtype::F32, 2e9)],
        cores: 2,
        cache: 1 << 16,
        eager_within: 512,
    }
}

pub fn terms(flow: Flow, intra_node: IntraNode, order: Order, dtype: Dtype) -> Terms {
    let (residency, ready, caches) = (Residency::Resident, Ready::Assumed, Caches::Warm);
    Terms { dtype, flow, intra_node, order, residency, ready, caches }
}

/// Calls `check` with plans of every strategy, form and end of gradshard's own on several layouts.
pub fn each_plan(mut check: impl FnMut(&str, &dyn Plan, &Arc<Problem>, &Arc<Layout>)) {
    let layouts: [(&[usize], Roles); 6] = [
        (&[0], Roles::Colocated),
        (&[0, 1, 2, 3], Roles::Colocated),
        (&[0, 0, 1, 1, 2], Roles::Colocated),
        (&[0, 1, 0, 1, 2, 2, 0], Roles::Colocated),
        (&[0, 1, 2, 3, 4, 5, 6, 7], Roles::Dedicated(Some(3))),
        (&[0, 0, 0, 1, 1, 1, 2, 2], Roles::Dedicated(None)),
    ];
    for (node_of, roles) in layouts {
        let layout = Arc::new(Layout::new(node_of, roles).expect("a layout"));
        for strategy in strategies::all() {
            for &end in End::VARIANTS {
                let choices =
                    Choices { radix: &[2, 3], across: Way::VARIANTS, closing: Closing::VARIANTS, ..Choices::default() };
                for form in strategy.knobs().forms(end, choices) {
                    for (clients, shards) in [(node_of.len() as u64, node_of.len() as u64), (11, 3)] {
                        let shards = if strategy.knobs().heeds_shards(end) { shards } else { 1 };
                        let problem = Arc::new(Problem::unweighted(1009, clients, shards).ending(end).formed(form));
                        let Ok(plan) = strategy.plan(&problem, &layout) else { continue };
                        if plan.calls().is_empty() {
                            let name = format!("{}{form}, {end}, {node_of:?}, N = {clients}", strategy.name());
                            check(&name, plan.as_ref(), &problem, &layout);
                        }
                    }
                }
            }
        }
    }
}

/// Steps are numbered otherwise where only some are there; the number is for messages to people.
fn without_step_numbers(mut lowering: Lowering) -> String {
    lowering.sums.iter_mut().for_each(|sum| sum.step = 0);
    format!("{lowering:?}")
}

#[test]
fn a_rank_finds_in_its_neighbourhood_what_it_finds_in_the_plan() {
    let mut compared = 0;
    each_plan(|name, plan, problem, layout| {
        let index = PlanIndex::new(plan, problem, layout, layout.ranks());
        for intra_node in [IntraNode::Shared, IntraNode::Messages] {
            let terms = terms(Flow::Chunk { elements: 100 }, intra_node, Order::Client, Dtype::Bf16);
            for rank in 0..layout.ranks() {
                let whole = without_step_numbers(lower(plan, problem, layout, &terms, rank));
                let near = without_step_numbers(lower(&index.of(rank), problem, layout, &terms, rank));
                assert_eq!(near, whole, "{name}, rank {rank}");
                compared += 1;
            }
        }
    });
    assert!(compared > 1000, "{compared}");
}

#[test]
fn every_round_ends_and_takes_no_less_than_its_busiest_wire() {
    let mut rounds = 0;
    each_plan(|name, plan, problem, layout| {
        for (flow, intra_node, order) in [
            (Flow::Whole, IntraNode::Shared, Order::Client),
            (Flow::Chunk { elements: 64 }, IntraNode::Shared, Order::Rotated),
            (Flow::Chunk { elements: 100 }, IntraNode::Messages, Order::Arrival),
            (Flow::Chunk { elements: 300 }, IntraNode::Messages, Order::Client),
        ] {
            let terms = terms(flow, intra_node, order, Dtype::F32);
            let found = simulate(plan, problem, layout, &terms, (&machine(), &Fabric::default()));
            let found = found.unwrap_or_else(|error| panic!("{name}, {terms:?}: {error}"));
            let bytes = busiest(&traffic(plan, problem, layout, &terms).expect("a plan of gradshard's own").nodes);
            let least = bytes as f64 / machine().card;
            assert!(found.seconds >= least * 0.999, "{name}: {} s, but the wire takes {least} s", found.seconds);
            rounds += 1;
        }
    });
    assert!(rounds > 1000, "{rounds}");
}

#[test]
fn what_is_not_modelled_is_refused_with_the_reason() {
    let layout = Arc::new(Layout::even(4, 4, Roles::Colocated).expect("a layout"));
    let refusal = |strategy: &str, terms: Terms| {
        let problem = Arc::new(Problem::unweighted(1000, 4, 1).ending(End::Everywhere));
        let plan = strategies::find(strategy).expect("known").plan(&problem, &layout).expect("a plan");
        simulate(plan.as_ref(), &problem, &layout, &terms, (&machine(), &Fabric::default())).expect_err(strategy).0
    };
    let usual = terms(Flow::Whole, IntraNode::Shared, Order::Client, Dtype::F32);
    assert!(refusal("native-allreduce", usual).contains("the plan of its algorithm is not known"));
    assert!(refusal("tree-chain", Terms { residency: Residency::Streamed, ..usual }).contains("produced"));
    assert!(refusal("tree-chain", Terms { ready: Ready::Copied, ..usual }).contains("not modelled"));
    assert!(refusal("tree-chain", Terms { caches: Caches::Cold, ..usual }).contains("not modelled"));
}
