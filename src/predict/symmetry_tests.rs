//! Rounds of representatives against rounds of all ranks.

use std::sync::Arc;

use strum::VariantArray;

use super::Parameters;
use super::fabric::{Fabric, FabricLevel};
use super::simulate::simulation;
use super::simulate_tests::{machine, terms};
use super::simulation::Simulated;
use super::symmetry::Classes;
use crate::gradient::Dtype;
use crate::plan::{
    Choices, Closing, End, Flow, IntraNode, Layout, Order, Plan, Problem, Roles, Terms, Way, strategies,
};

/// Calls `check` with the plans of all strategies, forms and ends whose ranks are found to be alike.
fn each_symmetric(mut check: impl FnMut(&str, &dyn Plan, &Problem, &Layout, &Fabric, Classes)) {
    let racks = Fabric::of(vec![FabricLevel { nodes_per_rack: 2, taper: 2.0, latency_us: 1.0 }]).expect("racks");
    for (ranks, nodes, fabric) in
        [(8, 8, Fabric::default()), (12, 12, Fabric::default()), (16, 8, Fabric::default()), (16, 16, racks)]
    {
        let layout = Arc::new(Layout::even(ranks, nodes, Roles::Colocated).expect("a layout"));
        for (strategy, &end) in strategies::all().iter().flat_map(|one| End::VARIANTS.iter().map(move |end| (one, end)))
        {
            let choices =
                Choices { radix: &[2, 3], across: Way::VARIANTS, closing: Closing::VARIANTS, ..Choices::default() };
            for form in strategy.knobs().forms(end, choices) {
                for (clients, shards) in [(ranks, ranks), (2 * ranks, ranks / 2), (ranks, ranks / 4)] {
                    let problem = Problem::unweighted(48 * 30, clients as u64, shards as u64).ending(end).formed(form);
                    let problem = Arc::new(problem);
                    let Ok(plan) = strategy.plan(&problem, &layout) else { continue };
                    if let Some(classes) = Classes::of(plan.as_ref(), &problem, &layout, &fabric) {
                        let name = format!("{}{form}, {end}, {ranks} on {nodes}, {clients}/{shards}", strategy.name());
                        check(&name, plan.as_ref(), &problem, &layout, &fabric, classes);
                    }
                }
            }
        }
    }
}

fn time(
    (plan, problem, layout): (&dyn Plan, &Problem, &Layout),
    terms: &Terms,
    machine: (&Parameters, &Fabric),
    classes: Classes,
) -> Simulated {
    let run = simulation(plan, problem, layout, terms, machine, classes).and_then(|mut simulation| simulation.run());
    run.unwrap_or_else(|error| panic!("{error}"))
}

/// Ranks are alike in all plans if the order of a rank's work makes no difference.
#[test]
fn a_representative_takes_the_time_of_all() {
    let wires = Parameters {
        overhead: 0.0,
        within: 1e12,
        memory: 1e18,
        one_rank: 1e18,
        sums: vec![(Dtype::F32, 1e18)],
        cores: 64,
        ..machine()
    };
    let mut compared = 0;
    each_symmetric(|name, plan, problem, layout, fabric, classes| {
        for order in [Order::Client, Order::Rotated] {
            let terms = terms(Flow::Whole, IntraNode::Shared, order, Dtype::F32);
            let of = |classes| time((plan, problem, layout), &terms, (&wires, fabric), classes);
            let (all, one) = (of(Classes::all(layout.ranks())), of(classes));
            let miss = (one.seconds / all.seconds - 1.0).abs();
            assert!(miss < 1e-9, "{name}: {one:?}, not {all:?}, from {} ranks", classes.period);
            assert_eq!((one.messages, one.simulated), (all.messages, classes.period), "{name}");
            compared += 1;
        }
    });
    assert!(compared > 1500, "{compared}");
}

/// The ranks of a ring of one shard a rank are alike even if that order counts, as with pieces and cores that take time.
#[test]
fn a_ring_in_pieces_is_the_same_on_every_rank() {
    let layout = Layout::even(24, 24, Roles::Colocated).expect("a layout");
    let problem = Arc::new(Problem::unweighted(24 * 5000, 24, 24));
    let plan =
        strategies::find("sharded-ring").expect("known").plan(&problem, &Arc::new(layout.clone())).expect("a plan");
    let classes = Classes::of(plan.as_ref(), &problem, &layout, &Fabric::default()).expect("all alike");
    assert_eq!(classes.period, 1);
    let terms = terms(Flow::Chunk { elements: 1000 }, IntraNode::Shared, Order::Client, Dtype::F32);
    let of = |classes| time((plan.as_ref(), &problem, &layout), &terms, (&machine(), &Fabric::default()), classes);
    let (all, one) = (of(Classes::all(24)), of(classes));
    assert!((one.seconds / all.seconds - 1.0).abs() < 1e-3, "{one:?}, not {all:?}");
}

/// Ranks of a plan that is not symmetric are not taken for alike: trees, unequal shards, racks that the shift does not keep.
#[test]
fn what_differs_is_not_alike() {
    let layout = Arc::new(Layout::even(8, 8, Roles::Colocated).expect("a layout"));
    let classes = |strategy: &str, elements: u64, shards: u64, fabric: &Fabric| {
        let problem = Arc::new(Problem::unweighted(elements, 8, shards));
        let plan = strategies::find(strategy).expect("known").plan(&problem, &layout).expect("a plan");
        Classes::of(plan.as_ref(), &problem, &layout, fabric).map(|classes| classes.period)
    };
    let none = Fabric::default();
    let racks =
        |nodes| Fabric::of(vec![FabricLevel { nodes_per_rack: nodes, taper: 2.0, latency_us: 0.0 }]).expect("racks");
    assert_eq!(classes("sharded-ring", 800, 8, &none), Some(1));
    assert_eq!(classes("sharded-halving", 800, 8, &none), Some(1));
    assert_eq!(classes("sharded-bine", 800, 8, &none), Some(2));
    assert_eq!(classes("sharded-ring", 800, 4, &none), Some(2));
    assert_eq!(classes("sharded-ring", 800, 8, &racks(4)), Some(4));
    assert_eq!(classes("sharded-ring", 801, 8, &none), None);
    assert_eq!(classes("sharded-ring", 800, 5, &none), None);
    assert_eq!(classes("sharded-ring", 800, 8, &racks(3)), None);
    assert_eq!(classes("tree-chain", 800, 1, &none), None);
}
