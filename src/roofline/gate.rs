//! A gate in shared memory at which some ranks of a node meet within a microsecond, and where each notes the start and
//! the end of its work. The transport's own barrier includes all ranks and is too slow for passes of a few
//! milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::places::Node;
use crate::engine::node_clock::node_clock;
use crate::engine::transport::{Shared, Transport, TransportError};

/// The longest wait at the gate. A rank that is missing for longer has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// Number of looks at the gate after which a waiting rank yields its core once.
const LOOKS: u32 = 64;

/// The state that all workers share. All-zero bytes are its valid initial state.
#[repr(C, align(128))]
struct Board {
    arrived: AtomicU64,
    turn: AtomicU64,
    passes: AtomicU64,
}

/// The start and the end of one worker's pass, ns of the node's monotonic clock.
#[repr(C, align(128))]
struct WorkerTimes {
    start: AtomicU64,
    end: AtomicU64,
}

/// The gate of one node.
pub struct NodeGate {
    window: Box<dyn Shared>,
    leader: usize,
    rank: usize,
}

impl NodeGate {
    /// Builds the gates of all nodes. Collective over all ranks.
    pub fn build(transport: &mut dyn Transport, node: &Node) -> Result<NodeGate, TransportError> {
        let bytes = size_of::<Board>() + node.ranks.len() * size_of::<WorkerTimes>();
        let window = transport.share(bytes)?;
        Ok(NodeGate { window, leader: node.ranks[0], rank: transport.rank() })
    }

    fn board(&self) -> &Board {
        // SAFETY: the leader's part holds a board and the workers' times, aligned to 128 bytes and initially zero. They
        // are accessed only through atomics, and the window lives as long as the gate.
        unsafe { &*self.window.of(self.leader).cast::<Board>() }
    }

    fn slot(&self, index: usize) -> &WorkerTimes {
        // SAFETY: the same holds here, and there is room for the times of every rank of the node.
        unsafe { &*self.window.of(self.leader).add(size_of::<Board>()).cast::<WorkerTimes>().add(index) }
    }

    /// Waits until `workers` ranks have called it.
    pub fn meet(&self, workers: usize) -> Result<(), TransportError> {
        let board = self.board();
        let turn = board.turn.load(Ordering::Acquire);
        if board.arrived.fetch_add(1, Ordering::AcqRel) + 1 == workers as u64 {
            board.arrived.store(0, Ordering::Release);
            board.turn.store(turn + 1, Ordering::Release);
            return Ok(());
        }
        let since = Instant::now();
        let mut looks = 0u32;
        while board.turn.load(Ordering::Acquire) == turn {
            looks = looks.wrapping_add(1);
            std::hint::spin_loop();
            if looks.is_multiple_of(LOOKS) {
                std::thread::yield_now();
                if since.elapsed() > PATIENCE {
                    return Err(TransportError::PeerLost { rank: self.rank });
                }
            }
        }
        Ok(())
    }

    /// Carries out passes together with the other workers: one warm-up pass, then as many as fit in `budget` seconds,
    /// at least `fewest` and at most `most`. `index` is the number of this worker among the `workers`. Worker 0
    /// receives, for each pass, the time from the first start to the last end in seconds; the others receive an empty
    /// list.
    pub fn passes(
        &self,
        index: usize,
        workers: usize,
        budget: f64,
        (fewest, most): (u64, u64),
        mut pass: impl FnMut(),
    ) -> Result<Vec<f64>, TransportError> {
        let mut once = || -> Result<f64, TransportError> {
            self.meet(workers)?;
            let slot = self.slot(index);
            slot.start.store(node_clock(), Ordering::Relaxed);
            pass();
            slot.end.store(node_clock(), Ordering::Relaxed);
            self.meet(workers)?;
            let slots = || (0..workers).map(|worker| self.slot(worker));
            let first = slots().map(|slot| slot.start.load(Ordering::Relaxed)).min().unwrap_or(0);
            let last = slots().map(|slot| slot.end.load(Ordering::Relaxed)).max().unwrap_or(0);
            Ok(last.saturating_sub(first) as f64 * 1e-9)
        };
        let warm_up = once()?;
        if index == 0 {
            let fit = if warm_up > 0.0 { (budget / warm_up) as u64 } else { most };
            self.board().passes.store(fit.clamp(fewest, most), Ordering::Release);
        }
        // The meeting ensures that nobody reads the number before it is written. The workers' times need no such
        // meeting, as each pass begins with one.
        self.meet(workers)?;
        let passes = self.board().passes.load(Ordering::Acquire);
        let mut seconds = Vec::with_capacity(passes as usize);
        for _ in 0..passes {
            seconds.push(once()?);
        }
        Ok(if index == 0 { seconds } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run_threads;
    use crate::roofline::places::RankMap;

    /// No rank passes the gate before the slowest has arrived, and the span covers the slowest worker.
    #[test]
    fn passes_span_the_slowest_worker() {
        let told = run_threads(&[0, 0, 0], |transport| {
            let places = RankMap::of(transport.rank(), &[0, 0, 0], &[]);
            let gate = NodeGate::build(transport, places.node()).expect("there is memory");
            let rank = transport.rank();
            let mut count = 0;
            let seconds = gate
                .passes(rank, 3, 0.0, (4, 9), || {
                    count += 1;
                    if rank == 2 {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                })
                .expect("nobody is lost");
            transport.barrier().expect("nobody is lost");
            (count, seconds)
        });
        // There are one warm-up pass and the least number of passes, as the budget is 0.
        assert!(told.iter().all(|(count, _)| *count == 5), "{told:?}");
        assert_eq!(told[0].1.len(), 4);
        assert!(told[0].1.iter().all(|seconds| *seconds >= 0.02), "{told:?}");
        assert!(told[1].1.is_empty() && told[2].1.is_empty());
    }
}
