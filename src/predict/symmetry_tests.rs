//! Rounds of representatives against rounds of all ranks.

use std::sync::Arc;

use strum::VariantArray;

use super::fabric::{Fabric, FabricLevel};
use super::simulate::simulation;
use super::simulate_tests::{machine, terms};
use super::symmetry::Classes;
use crate::gradient::Dtype;
use crate::plan::{
    Choices, Closing, End, Flow, IntraNode, Layout, Order, Plan, Problem, Roles, Way, strategies,
};

/// Calls `check` with the plans of all strategies, forms and ends whose ranks are found to be alike.
fn each_symmetric(mut check: impl FnMut(&str, &dyn Plan, &Arc<Problem>, &Layout, &Fabric, Classes)) {
    let racks = Fabric::of(vec![FabricLevel { nodes_per_rack: 2, taper: 2.0, latency_us: 1.0 }]).expect("racks");
    for (ranks, nodes, fabric) in
        [(8, 8, Fabric::default()), (12, 12, Fabric::default()), (16, 8, Fabric::default()), (16, 16, racks)]
    {
        let layout = Arc::new(Layout::even(ranks, nodes, Roles::Colocated).expect("a layout"));
        for (strategy, &end) in strategies::all().iter().flat_map(|one| End::VARIANTS.iter().map(move |end| (one, end))) {
            let choices = Choices { radix: &[2, 3], across: Way::VARIANTS, closing: Closing::VARIANTS, algorithm: &[] };
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

#[test]
fn probe() {
    let mut stats: std::collections::BTreeMap<String, (usize, usize, f64)> = Default::default();
    each_symmetric(|name, plan, problem, layout, fabric, classes| {
        for (flow, order) in [(Flow::Whole, Order::Client), (Flow::Whole, Order::Rotated), (Flow::Chunk { elements: 7 }, Order::Client), (Flow::Chunk { elements: 20 }, Order::Arrival)] {
            let terms = terms(flow, IntraNode::Shared, order, Dtype::F32);
            let of = |classes| {
                let run = simulation(plan, problem, layout, &terms, (&machine(), fabric), classes).and_then(|mut s| s.run());
                run.unwrap_or_else(|error| panic!("{name} {terms:?}: {error}"))
            };
            let (all, one) = (of(Classes::all(layout.ranks())), of(classes));
            assert_eq!(all.messages, one.messages, "{name}");
            let key = format!("{} {flow:?} {order:?}", name.split([' ', ',']).next().unwrap());
            let miss = (one.seconds / all.seconds - 1.0).abs();
            let s = stats.entry(key).or_default();
            s.0 += 1; if miss < 1e-9 { s.1 += 1 } s.2 = s.2.max(miss);
            if miss > 0.2 { println!("{name} {flow:?} {order:?} all {} one {} period {}", all.seconds, one.seconds, classes.period); }
        }
    });
    for (k, v) in stats { println!("{k:60} {} same {} worst {:.4}", v.0, v.1, v.2); }
}

#[test]
#[ignore]
fn probe_real() {
    let real = super::Parameters { card: 117.5e6, port: 117.5e6, within: 4e9, half_trip_between: 60e-6, half_trip_within: 1e-6, overhead: 10e-6, memory: 10e9, one_rank: 8e9, sums: vec![(Dtype::F32, 1.5e9)], cores: 2, cache: 1 << 21, eager_within: 4096 };
    let fabric = Fabric::default();
    let ranks: usize = std::env::var("P").unwrap().parse().unwrap();
    let shards: u64 = std::env::var("M").unwrap().parse().unwrap();
    let only = std::env::var("S").unwrap_or_default();
    let full = std::env::var("FULL").is_ok();
    let elements = 11_689_512u64.next_multiple_of(4096);
    let layout = Arc::new(Layout::even(ranks, ranks, Roles::Colocated).expect("a layout"));
    for (strategy, &end) in strategies::all().iter().flat_map(|one| End::VARIANTS.iter().map(move |end| (one, end))) {
        if !strategy.name().contains(&only) || end == End::Root && strategy.name().contains("sharded") { continue }
        let form = strategy.knobs().usual_form(end);
        let shards = if strategy.knobs().heeds_shards(end) { shards } else { 1 };
        let problem = Arc::new(Problem::unweighted(elements, ranks as u64, shards).ending(end).formed(form));
        let Ok(plan) = strategy.plan(&problem, &layout) else { continue };
        if !plan.calls().is_empty() { continue }
        for flow in [Flow::Whole, Flow::automatic(elements, ranks as u64, shards, Dtype::F32, ranks)] {
            let terms = terms(flow, IntraNode::Shared, Order::Client, Dtype::F32);
            if std::env::var("SIM").is_ok() {
                let begun = std::time::Instant::now();
                let found = super::simulate(plan.as_ref(), &problem, &layout, &terms, (&real, &fabric));
                println!("{}{form} {end} {} {found:?} {:.2?}", strategy.name(), if flow == Flow::Whole { "whole" } else { "auto" }, begun.elapsed());
                continue;
            }
            let begun = std::time::Instant::now();
            let classes = Classes::of(plan.as_ref(), &problem, &layout, &Fabric::default());
            let found = begun.elapsed();
            let of = |classes: Classes| {
                let begun = std::time::Instant::now();
                let mut made = simulation(plan.as_ref(), &problem, &layout, &terms, (&real, &fabric), classes).unwrap();
                let built = begun.elapsed();
                let begun = std::time::Instant::now();
                let run = made.run().unwrap();
                (run.seconds, run.messages, built, begun.elapsed())
            };
            let all = full.then(|| of(Classes::all(ranks)));
            let one = classes.map(of);
            println!("{}{form} {end} {} period {:?} {found:.1?}: all {all:.4?} one {one:.4?} differ {:.5}", strategy.name(), if flow == Flow::Whole { "whole" } else { "auto" }, classes.map(|c| c.period),
                one.zip(all).map_or(0.0, |(one, all)| one.0 / all.0 - 1.0));
        }
    }
}
