//! Tests every strategy that needs no MPI on threads against sums calculated here.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;

use gradshard::engine::{Residents, Round, Spec, run_threads, verify};
use gradshard::gradient::{Dtype, Element, Range, Source, SourceError};
use gradshard::plan::form::LEAST_RADIX;
use gradshard::plan::memory::predict;
use gradshard::plan::{
    Caches, Choices, Closing, End, Flow, Form, IntraNode, Layout, Order, Problem, Ready, Residency, Roles, Terms, Way,
    check, strategies,
};

/// Gradients by a formula of this test.
struct Formula {
    elements: u64,
    weights: Vec<f64>,
}

fn value(client: usize, element: u64) -> f64 {
    let mut x = (client as u64 + 1).wrapping_mul(0x9e37_79b9).wrapping_add(element.wrapping_mul(0x85eb_ca6b));
    x ^= x >> 13;
    x = x.wrapping_mul(0xc2b2_ae35) & 0xffff_ffff;
    (x as f64 / 4_294_967_296.0 - 0.5) / 3.0
}

impl Source for Formula {
    fn elements(&self) -> u64 {
        self.elements
    }
    fn weights(&self) -> &[f64] {
        &self.weights
    }
    fn read_bytes(&self, client: usize, range: Range, dtype: Dtype, out: &mut [u8]) -> Result<(), SourceError> {
        gradshard::with_element!(dtype, E => {
            let out: &mut [E] = bytemuck::cast_slice_mut(out);
            for (i, o) in out.iter_mut().enumerate() {
                *o = E::from_f64(value(client, range.start + i as u64));
            }
        });
        Ok(())
    }
}

struct Case {
    strategy: &'static str,
    elements: u64,
    clients: u64,
    shards: u64,
    ranks: usize,
    nodes: usize,
    roles: Roles,
    end: End,
    form: Form,
    terms: Terms,
}

/// Carries out a case twice in the same buffers. Returns the assembled result and the verification of all ranks.
fn carry_out<E: Element>(case: &Case) -> Option<(Vec<E>, verify::Verification)> {
    let weights: Vec<f64> = (0..case.clients).map(|k| (k % 7 + 1) as f64).collect();
    let source = Formula { elements: case.elements, weights: weights.clone() };
    let strategy = strategies::find(case.strategy).expect("strategy");
    let shards = if strategy.knobs().heeds_shards(case.end) { case.shards } else { 1 };
    let problem =
        Arc::new(Problem { elements: case.elements, shards, weights: weights.into(), end: case.end, form: case.form });
    let layout = Arc::new(Layout::even(case.ranks, case.nodes, case.roles).ok()?);
    let plan = match strategy.plan(&problem, &layout) {
        Ok(plan) => plan,
        // Only Bine trees have no plan for some numbers of ranks.
        Err(infeasible) => {
            assert!(case.strategy == "sharded-bine" && infeasible.to_string().contains("power of two"), "{infeasible}");
            return None;
        }
    };
    check(plan.as_ref(), &problem, &layout).expect("plan is sound");
    let node_of: Vec<usize> = (0..case.ranks).map(|r| layout.node_of(r)).collect();
    let parts = run_threads(&node_of, |transport| {
        let rank = transport.rank();
        let residents = match case.terms.residency {
            Residency::Resident => {
                let shared = case.terms.intra_node == IntraNode::Shared;
                Residents::<E>::load(&source, &problem, &layout, shared, transport).expect("load")
            }
            Residency::Streamed => Residents::none(),
        };
        let spec = Spec { plan: plan.as_ref(), problem: &problem, layout: &layout, terms: case.terms, source: &source };
        let mut round = Round::prepare(spec, &residents, transport).expect("prepare");
        assert_eq!(
            predict(plan.as_ref(), &problem, &layout, &case.terms, rank),
            round.tracked(),
            "memory of rank {rank}, {} {:?}",
            case.strategy,
            case.terms
        );
        for _ in 0..2 {
            round.reset();
            transport.barrier().expect("barrier");
            round.run(transport).expect("run");
            transport.barrier().expect("barrier");
        }
        let results = round.results();
        let held: Vec<(Range, Vec<E>)> = round.kept().into_iter().map(|(r, e)| (r, e.to_vec())).collect();
        let verdict = verify::verify::<E>(&problem, &source, &results).expect("verify");
        let owned: Vec<(Range, Vec<E>)> = results.into_iter().map(|(r, e)| (r, e.to_vec())).collect();
        transport.barrier().expect("barrier");
        (owned, verdict, held)
    });
    let mut all: Vec<(Range, Vec<E>)> = Vec::new();
    let mut verdict = verify::Verification::default();
    let mut by_rank = Vec::new();
    for (results, part, held) in parts {
        all.extend(results);
        verdict = verdict.merge(part);
        by_rank.push(held);
    }
    let result: Vec<E> = assemble(all);
    // Every rank holds the ranges that the end requires, by a rule of this test.
    let mut scattered = Vec::new();
    for (rank, held) in by_rank.into_iter().enumerate() {
        let held = assemble(held);
        let hosts_clients = !layout.clients_on(rank, case.clients).is_empty();
        let wants_all = match case.end {
            End::Everywhere => hosts_clients,
            End::Root => rank == layout.aggregator_ranks()[0],
            End::Scattered => false,
        };
        match case.end {
            End::Scattered => scattered.extend(held),
            _ if wants_all => assert_eq!(held, result, "{} {:?} rank {rank}", case.strategy, case.terms),
            _ => assert!(held.is_empty(), "{} {:?} rank {rank}", case.strategy, case.terms),
        }
    }
    // Ranks own consecutive shards in the order of the ranks.
    if case.end == End::Scattered {
        assert_eq!(scattered, result, "{} {:?}", case.strategy, case.terms);
    }
    Some((result, verdict))
}

/// Joins the elements of ranges that tile the gradient.
fn assemble<E: Element>(mut ranges: Vec<(Range, Vec<E>)>) -> Vec<E> {
    ranges.sort_by_key(|(range, _)| (range.start, range.end));
    ranges.into_iter().flat_map(|(_, elements)| elements).collect()
}

/// The result of the flat server in client order, calculated directly.
fn flat_server_f32(elements: u64, clients: u64) -> Vec<f32> {
    (0..elements)
        .map(|i| {
            let mut acc = 0f32;
            let mut total = 0f32;
            for k in 0..clients {
                let weight = (k % 7 + 1) as f32;
                let product = weight * value(k as usize, i) as f32;
                acc = if k == 0 { product } else { acc + product };
                total += weight;
            }
            acc / total
        })
        .collect()
}

fn terms(flow: Flow, intra_node: IntraNode, order: Order, residency: Residency) -> Terms {
    Terms { dtype: Dtype::F32, flow, intra_node, order, residency, ready: Ready::Assumed, caches: Caches::Warm }
}

fn threaded() -> Vec<&'static str> {
    strategies::all().iter().filter(|s| !s.needs_mpi()).map(|s| s.name()).collect()
}

#[test]
fn awkward_sizes_on_awkward_rank_counts() {
    let mut compared = 0;
    for strategy in threaded() {
        for ranks in [1, 2, 3, 4, 5, 7, 8] {
            for (elements, clients, shards) in
                [(0, 3, 2), (1, 1, 1), (97, 5, 3), (101, 20, 4), (10, 2, 16), (1009, 9, 8), (64, 3, 1)]
            {
                for flow in [Flow::Whole, Flow::Chunk { elements: 7 }] {
                    for intra_node in [IntraNode::Shared, IntraNode::Messages] {
                        let nodes = if ranks % 2 == 1 { 1 } else { 2 };
                        let terms = terms(flow, intra_node, Order::Client, Residency::Resident);
                        let (roles, end, form) = (Roles::Colocated, End::Scattered, Form::default());
                        let case = Case { strategy, elements, clients, shards, ranks, nodes, roles, end, form, terms };
                        let Some((result, verdict)) = carry_out::<f32>(&case) else { continue };
                        let what = format!("{strategy} P={ranks} E={elements} N={clients} M={shards} {terms:?}");
                        assert_eq!(result.len() as u64, elements, "{what}");
                        assert_eq!(verdict.wrong, 0, "{what}: {verdict:?}");
                        let flat = flat_server_f32(elements, clients);
                        let differing = result.iter().zip(&flat).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                        assert_eq!(verdict.differing, differing as u64, "{what}");
                        if strategy == "sharded-direct" || strategy == "tree-central" {
                            assert_eq!(result, flat, "{what}");
                        }
                        for (i, (a, b)) in result.iter().zip(&flat).enumerate() {
                            assert!((a - b).abs() <= 1e-6, "{what}: element {i} is {a}, not {b}");
                        }
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared >= 12 * 7 * 7 * 4, "{compared}");
}

#[test]
fn every_order_type_and_residency() {
    for strategy in threaded() {
        for order in [Order::Client, Order::Rotated, Order::Arrival] {
            for residency in [Residency::Resident, Residency::Streamed] {
                for roles in [Roles::Colocated, Roles::Dedicated(None), Roles::Dedicated(Some(1))] {
                    for flow in [Flow::Whole, Flow::Chunk { elements: 64 }] {
                        for dtype in Dtype::ALL {
                            let terms = Terms { dtype, ..terms(flow, IntraNode::Shared, order, residency) };
                            let case = Case {
                                strategy,
                                elements: 1009,
                                clients: 11,
                                shards: 3,
                                ranks: 4,
                                nodes: 2,
                                roles,
                                end: End::Scattered,
                                form: Form::default(),
                                terms,
                            };
                            gradshard::with_element!(dtype, E => {
                                let Some((result, verdict)) = carry_out::<E>(&case) else { continue };
                                assert_eq!(result.len(), 1009);
                                assert_eq!(verdict.wrong, 0, "{strategy} {terms:?} {roles:?}: {verdict:?}");
                                if strategy == "sharded-direct" && order == Order::Client {
                                    assert_eq!(verdict.differing, 0, "{terms:?} {roles:?}");
                                }
                            });
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_end_leaves_the_result_where_it_should_be() {
    for strategy in threaded() {
        for (ranks, nodes) in [(1, 1), (2, 1), (3, 2), (5, 1), (8, 3)] {
            for (elements, clients, shards) in [(0, 2, 1), (97, 5, 3), (1009, 20, 16), (3, 9, 8)] {
                for roles in [Roles::Colocated, Roles::Dedicated(None)] {
                    for flow in [Flow::Whole, Flow::Chunk { elements: 50 }] {
                        for intra_node in [IntraNode::Shared, IntraNode::Messages] {
                            for end in [End::Scattered, End::Root, End::Everywhere] {
                                let terms = terms(flow, intra_node, Order::Client, Residency::Resident);
                                let form = Form::default();
                                let case =
                                    Case { strategy, elements, clients, shards, ranks, nodes, roles, end, form, terms };
                                // One rank cannot have dedicated roles, and Bine trees need powers of two.
                                let Some((result, verdict)) = carry_out::<f32>(&case) else { continue };
                                assert_eq!((result.len() as u64, verdict.wrong), (elements, 0), "{strategy} {terms:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Every choice of every strategy: radices, ways between nodes, closings.
#[test]
fn every_form_leaves_the_result_where_it_should_be() {
    use strum::VariantArray;
    let (radices, ways, closings) = ([LEAST_RADIX, 3, 8], Way::VARIANTS, Closing::VARIANTS);
    let mut carried = 0;
    for strategy in threaded() {
        let knobs = strategies::find(strategy).expect("known").knobs();
        for end in [End::Scattered, End::Root, End::Everywhere] {
            let choices = Choices { radix: &radices, across: ways, closing: closings, ..Choices::default() };
            for form in knobs.forms(end, choices) {
                for (ranks, nodes, roles) in [
                    (1, 1, Roles::Colocated),
                    (2, 2, Roles::Colocated),
                    (3, 1, Roles::Colocated),
                    (4, 2, Roles::Colocated),
                    (5, 5, Roles::Dedicated(None)),
                    (7, 3, Roles::Dedicated(Some(2))),
                    (8, 8, Roles::Colocated),
                ] {
                    for (elements, clients, shards, flow) in [
                        (0, 2, 1, Flow::Whole),
                        (97, 5, 3, Flow::Chunk { elements: 10 }),
                        (1009, 20, 8, Flow::Chunk { elements: 50 }),
                        (3, 9, 16, Flow::Whole),
                    ] {
                        for intra_node in [IntraNode::Shared, IntraNode::Messages] {
                            let terms = terms(flow, intra_node, Order::Client, Residency::Resident);
                            let case =
                                Case { strategy, elements, clients, shards, ranks, nodes, roles, end, form, terms };
                            let Some((result, verdict)) = carry_out::<f32>(&case) else { continue };
                            let what = format!("{strategy}{form}, end {end}, {ranks} ranks");
                            assert_eq!((result.len() as u64, verdict.wrong), (elements, 0), "{what}");
                            carried += 1;
                        }
                    }
                }
            }
        }
    }
    // 15 strategies with 6 closings or more each at the end everywhere, but for Bine trees' odd numbers of ranks.
    assert!(carried > 14 * 6 * 7 * 4 * 2, "{carried}");
}
