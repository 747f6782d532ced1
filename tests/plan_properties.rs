//! Property tests over random problems and layouts: plans pass the check, and carrying them out on threads gives the
//! weighted mean.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;

use gradshard::engine::{Residents, Round, Spec, Transport, run_threads};
use gradshard::gradient::{Dtype, Element, Range, Source, SourceError};
use gradshard::plan::memory::predict;
use gradshard::plan::strategies::{self, Strategy};
use gradshard::plan::{
    Caches, Choices, Closing, End, Flow, IntraNode, Layout, Order, Problem, Ready, Residency, Roles, Terms, Way,
};
use gradshard::plan::{check, lower, traffic};
use proptest::prelude::*;
use strum::VariantArray;

/// Gradients of small integers. Their sums are exact in f64, so any order of summation must give the same bits.
struct Whole {
    elements: u64,
    weights: Vec<f64>,
}

fn value(client: u64, element: u64) -> i64 {
    ((client * 7919 + element * 104_729 + client * element * 31) % 2001) as i64 - 1000
}

impl Source for Whole {
    fn elements(&self) -> u64 {
        self.elements
    }
    fn weights(&self) -> &[f64] {
        &self.weights
    }
    fn read_bytes(&self, client: usize, range: Range, dtype: Dtype, out: &mut [u8]) -> Result<(), SourceError> {
        if dtype != Dtype::F64 {
            // Other element types are used only by the memory test, which needs no values.
            return Ok(());
        }
        let out: &mut [f64] = bytemuck::cast_slice_mut(out);
        for (element, out) in (range.start..range.end).zip(out) {
            *out = f64::from_f64(value(client as u64, element) as f64);
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Case {
    strategy: usize,
    elements: u64,
    weights: Vec<u32>,
    shards: u64,
    node_of: Vec<usize>,
    dedicated: Option<u64>,
    chunk: Option<u64>,
    messages: bool,
    streamed: bool,
    order: u8,
    end: End,
    /// Which of the strategy's forms.
    form: usize,
}

fn cases() -> impl Strategy_<Value = Case> {
    let strategy = 0..strategies::all().len();
    let weights =
        prop_oneof![9 => prop::collection::vec(1u32..50, 1..25), 1 => prop::collection::vec(1u32..50, 200..400)];
    let node_of = prop::collection::vec(0usize..4, 1..10);
    let problem = (strategy, 0u64..200, weights, 1u64..40);
    let terms = (
        prop::option::of(1u64..40),
        any::<bool>(),
        any::<bool>(),
        0u8..3,
        prop::sample::select(End::VARIANTS),
        any::<usize>(),
    );
    (problem, node_of, prop::option::of(1u64..9), terms).prop_map(|(problem, node_of, dedicated, terms)| {
        let (strategy, elements, weights, shards) = problem;
        let (chunk, messages, streamed, order, end, form) = terms;
        Case { strategy, elements, weights, shards, node_of, dedicated, chunk, messages, streamed, order, end, form }
    })
}

// proptest's and gradshard's traits have the same name.
use proptest::strategy::Strategy as Strategy_;

/// Prepares a round of elements of type `E`. Returns this rank's allocated and predicted memory.
fn allocated<E: Element>(
    transport: &mut dyn Transport,
    spec: Spec<'_>,
) -> (gradshard::plan::memory::Memory, gradshard::plan::memory::Memory) {
    let shared = spec.terms.intra_node == IntraNode::Shared;
    let residents = match spec.terms.residency {
        Residency::Streamed => Residents::none(),
        Residency::Resident => Residents::<E>::load(spec.source, spec.problem, spec.layout, shared, transport).unwrap(),
    };
    let before = residents.ledger().current();
    let round = Round::prepare(spec, &residents, transport).unwrap();
    let tracked = round.tracked();
    assert_eq!(tracked, residents.ledger().peak());
    drop(round);
    assert_eq!(residents.ledger().current(), before, "memory that was not given back");
    let predicted = predict(spec.plan, spec.problem, spec.layout, &spec.terms, transport.rank());
    (tracked, predicted)
}

impl Case {
    fn layout(&self) -> Option<Arc<Layout>> {
        let roles = self.dedicated.map_or(Roles::Colocated, |ranks| Roles::Dedicated(Some(ranks)));
        Layout::new(&self.node_of, roles).ok().map(Arc::new)
    }

    fn problem(&self, strategy: &dyn Strategy) -> Arc<Problem> {
        let weights: Vec<f64> = self.weights.iter().map(|weight| f64::from(*weight)).collect();
        let choices =
            Choices { radix: &[2, 3, 5], across: Way::VARIANTS, closing: Closing::VARIANTS, ..Choices::default() };
        let forms = strategy.knobs().forms(self.end, choices);
        let shards = if strategy.knobs().heeds_shards(self.end) { self.shards } else { 1 };
        Arc::new(Problem {
            elements: self.elements,
            shards,
            weights: weights.into(),
            end: self.end,
            form: forms[self.form % forms.len()],
        })
    }

    fn terms(&self, strategy: &dyn Strategy) -> Terms {
        let messages = self.messages && !strategy.always_shared();
        Terms {
            dtype: Dtype::F64,
            flow: self.chunk.map_or(Flow::Whole, |elements| Flow::Chunk { elements }),
            intra_node: if messages { IntraNode::Messages } else { IntraNode::Shared },
            order: [Order::Client, Order::Rotated, Order::Arrival][usize::from(self.order)],
            residency: if self.streamed { Residency::Streamed } else { Residency::Resident },
            ready: [Ready::Assumed, Ready::Checked, Ready::Copied][self.form % 3],
            caches: [Caches::Warm, Caches::Cold][self.form % 2],
        }
    }

    /// The expected element, Σ wₖgₖ / Σ wₖ, summed in integers.
    fn mean(&self, element: u64) -> f64 {
        let weights = || self.weights.iter().map(|weight| i64::from(*weight));
        let sum: i64 = (0..).zip(weights()).map(|(client, weight)| weight * value(client, element)).sum();
        sum as f64 / weights().sum::<i64>() as f64
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn check_accepts_every_plan_of_every_strategy(case in cases()) {
        let Some(layout) = case.layout() else { return Ok(()) };
        for strategy in strategies::all() {
            let problem = case.problem(*strategy);
            let Ok(plan) = strategy.plan(&problem, &layout) else { continue };
            match check(plan.as_ref(), &problem, &layout) {
                Ok(tally) => prop_assert!(tally.results > 0, "{}", strategy.name()),
                Err(fault) => prop_assert!(false, "{}: {fault}", strategy.name()),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn threads_make_the_weighted_mean(case in cases()) {
        let strategy = strategies::all()[case.strategy];
        let Some(layout) = case.layout().filter(|_| !strategy.needs_mpi()) else { return Ok(()) };
        let problem = case.problem(strategy);
        let Ok(plan) = strategy.plan(&problem, &layout) else { return Ok(()) };
        let terms = case.terms(strategy);
        let source = Whole { elements: case.elements, weights: problem.weights.to_vec() };
        let parts = run_threads(&case.node_of, |transport| {
            let residents = match terms.residency {
                Residency::Streamed => Residents::none(),
                Residency::Resident => {
                    let shared = terms.intra_node == IntraNode::Shared;
                    let loaded = Residents::<f64>::load(&source, &problem, &layout, shared, transport).unwrap();
                    loaded.with_private_copy().unwrap()
                }
            };
            let spec = Spec { plan: plan.as_ref(), problem: &problem, layout: &layout, terms, source: &source };
            let mut round = Round::prepare(spec, &residents, transport).unwrap();
            round.reset();
            transport.barrier().unwrap();
            let before = transport.sent();
            round.run(transport).unwrap();
            let sent = transport.sent().since(before).bytes;
            transport.barrier().unwrap();
            let results: Vec<(Range, Vec<f64>)> = round.results().into_iter().map(|(r, e)| (r, e.to_vec())).collect();
            transport.barrier().unwrap();
            (results, sent)
        });
        let foretold = traffic(plan.as_ref(), &problem, &layout, &terms).unwrap();
        for (rank, (_, sent)) in parts.iter().enumerate() {
            prop_assert_eq!(foretold.ranks[rank].out, *sent, "{}: bytes that rank {} sends", strategy.name(), rank);
        }
        let mut of_element = vec![None; case.elements as usize];
        for (range, values) in parts.into_iter().flat_map(|(results, _)| results) {
            for (element, value) in (range.start..range.end).zip(values) {
                let twice = of_element[element as usize].replace(value);
                prop_assert!(twice.is_none(), "{}: element {element} twice", strategy.name());
            }
        }
        for (element, value) in (0..).zip(of_element) {
            prop_assert_eq!(value, Some(case.mean(element)), "{}: element {}", strategy.name(), element);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// The figures are equal to the byte for every flow, type and layout, and every strategy that needs no MPI.
    #[test]
    fn what_is_allocated_is_what_is_predicted(case in cases(), dtype in prop::sample::select(Dtype::ALL.to_vec())) {
        let strategy = strategies::all()[case.strategy];
        let Some(layout) = case.layout().filter(|_| !strategy.needs_mpi()) else { return Ok(()) };
        let problem = case.problem(strategy);
        let Ok(plan) = strategy.plan(&problem, &layout) else { return Ok(()) };
        let terms = Terms { dtype, ..case.terms(strategy) };
        let source = Whole { elements: case.elements, weights: problem.weights.to_vec() };
        let of_ranks = run_threads(&case.node_of, |transport| {
            let spec = Spec { plan: plan.as_ref(), problem: &problem, layout: &layout, terms, source: &source };
            gradshard::with_element!(dtype, E => allocated::<E>(transport, spec))
        });
        let foretold = traffic(plan.as_ref(), &problem, &layout, &terms).unwrap();
        for rank in 0..layout.ranks() {
            let share = lower(plan.as_ref(), &problem, &layout, &terms, rank);
            let segments = share.outgoing.iter().flat_map(|stream| &stream.segments);
            let width = |wide: bool| if wide { dtype.accumulator_size() } else { dtype.size() } as u64;
            let out: u64 = segments.map(|segment| segment.range.len() * width(segment.wide)).sum();
            prop_assert_eq!(foretold.ranks[rank].out, out, "{}: bytes that rank {} sends", strategy.name(), rank);
        }
        for (rank, (tracked, predicted)) in of_ranks.into_iter().enumerate() {
            prop_assert_eq!(tracked, predicted, "{}: rank {}", strategy.name(), rank);
        }
    }
}
