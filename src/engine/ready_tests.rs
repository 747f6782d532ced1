//! Tests of rounds that check or copy gradients inside the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::{Residents, Round, Spec, run_threads};
use crate::gradient::source::Synthetic;
use crate::gradient::{Dtype, Range};
use crate::plan::{Caches, End, Flow, IntraNode, Layout, Order, Problem, Ready, Residency, Roles, Terms, strategies};

const ELEMENTS: u64 = 1009;
const RANKS: usize = 3;

/// Runs sharded-direct on threads of one node. Each rank calls `before` with its number and its gradients before it begins, and
/// `after` when it has its shard, which it returns.
fn shards(
    ready: Ready,
    before: impl Fn(usize, &Residents<f32>) + Sync,
    after: impl Fn(usize) + Sync,
) -> Vec<(Range, Vec<f32>)> {
    let source = Synthetic::new(1, 2 * RANKS, ELEMENTS, vec![1.0; 2 * RANKS]).expect("weights");
    let problem = Arc::new(Problem::unweighted(ELEMENTS, 2 * RANKS as u64, RANKS as u64).ending(End::Scattered));
    let layout = Arc::new(Layout::even(RANKS, 1, Roles::Colocated).expect("a layout"));
    let plan = strategies::find("sharded-direct").expect("known").plan(&problem, &layout).expect("a plan");
    let (flow, intra_node, order) = (Flow::Whole, IntraNode::Shared, Order::Client);
    let terms = Terms {
        dtype: Dtype::F32,
        flow,
        intra_node,
        order,
        residency: Residency::Resident,
        ready,
        caches: Caches::Warm,
    };
    let of_ranks = run_threads(&[0; RANKS], |transport| {
        let residents = Residents::<f32>::load(&source, &problem, &layout, true, transport).expect("loaded");
        let residents = residents.with_private_copy().expect("memory");
        before(transport.rank(), &residents);
        let spec = Spec { plan: plan.as_ref(), problem: &problem, layout: &layout, terms, source: &source };
        let mut round = Round::prepare(spec, &residents, transport).expect("prepared");
        round.reset();
        transport.barrier().expect("threads");
        if transport.rank() == RANKS - 1 {
            before(RANKS, &residents);
        }
        round.run(transport).expect("carried out");
        after(transport.rank());
        transport.barrier().expect("threads");
        let owned: Vec<(Range, Vec<f32>)> = round.results().into_iter().map(|(at, e)| (at, e.to_vec())).collect();
        transport.barrier().expect("threads");
        owned
    });
    of_ranks.into_iter().flatten().collect()
}

/// The last rank begins late. With flags the first cannot end before that; without flags the last one even waits until the
/// first has ended.
#[test]
fn a_flag_is_read_before_a_gradient() {
    for ready in [Ready::Checked, Ready::Copied, Ready::Assumed] {
        let (late_began, first_ended) = (AtomicBool::new(false), AtomicBool::new(false));
        let before = |rank: usize, _: &Residents<f32>| {
            if rank < RANKS {
                return;
            }
            if ready == Ready::Assumed {
                while !first_ended.load(Ordering::Acquire) {
                    std::thread::yield_now();
                }
            } else {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            late_began.store(true, Ordering::Release);
        };
        let after = |rank: usize| {
            if rank == 0 {
                assert_eq!(late_began.load(Ordering::Acquire), ready != Ready::Assumed, "{ready}");
                first_ended.store(true, Ordering::Release);
            }
        };
        shards(ready, before, after);
    }
}

/// Gradients that were overwritten in shared memory come back from private memory.
#[test]
fn gradients_are_copied_inside_the_clock() {
    let right = shards(Ready::Assumed, |_, _| (), |_| ());
    let poison = |rank: usize, residents: &Residents<f32>| {
        if rank < RANKS {
            // SAFETY: this rank's own gradient, which nobody reads yet.
            unsafe { residents.gradient(rank, 0).cast_mut().write_bytes(0xff, ELEMENTS as usize) };
        }
    };
    assert_eq!(shards(Ready::Copied, poison, |_| ()), right);
    let wrong = shards(Ready::Checked, poison, |_| ());
    assert!(wrong.iter().all(|(_, shard)| shard.iter().all(|element| element.is_nan())), "the poison is read");
}
