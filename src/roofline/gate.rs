//! A gate in shared memory, at which some ranks of a node meet within a microsecond, and where each notes when it began
//! and ended. The transport's own barrier is of all ranks, and too slow for passes of a few milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::places::Node;
use crate::engine::node_clock::node_clock;
use crate::engine::transport::{Shared, Transport, TransportError};

/// Nobody waits longer: whoever is missing has ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a rank looks before it gives up its core for a moment.
const LOOKS: u32 = 64;

/// What all share. Zero bytes are a valid beginning of it.
#[repr(C, align(128))]
struct Board {
    arrived: AtomicU64,
    turn: AtomicU64,
    passes: AtomicU64,
}

/// One worker's times, nanoseconds of the node's monotonic clock.
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
    /// Collective over all ranks: every node has its own.
    pub fn build(transport: &mut dyn Transport, node: &Node) -> Result<NodeGate, TransportError> {
        let bytes = size_of::<Board>() + node.ranks.len() * size_of::<WorkerTimes>();
        let window = transport.share(bytes)?;
        Ok(NodeGate { window, leader: node.ranks[0], rank: transport.rank() })
    }

    fn board(&self) -> &Board {
        // SAFETY: the leader's part holds a board and its slots, aligned to 128 bytes and zero at first; they are only
        // reached through atomics, and the window lives as long as the gate.
        unsafe { &*self.window.of(self.leader).cast::<Board>() }
    }

    fn slot(&self, index: usize) -> &WorkerTimes {
        // SAFETY: as above; there are as many slots as ranks on the node.
        unsafe { &*self.window.of(self.leader).add(size_of::<Board>()).cast::<WorkerTimes>().add(index) }
    }

    /// Returns when `workers` ranks have called it.
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

    /// Carries out passes together with the other workers: one to warm up, then as many as fit `budget` seconds, within
    /// `fewest` and `most`. `index` is this worker's place among the `workers`. The first worker's answer holds, for
    /// each pass, the seconds from the first start to the last end; the others' is empty.
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
        // So that nobody reads the number before it is there. Slots need no such meeting: each pass begins with one.
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

    /// Nobody passes the gate before the slowest has come, and the span covers the slowest worker.
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
        // One to warm up, and the fewest, as no time was given.
        assert!(told.iter().all(|(count, _)| *count == 5), "{told:?}");
        assert_eq!(told[0].1.len(), 4);
        assert!(told[0].1.iter().all(|seconds| *seconds >= 0.02), "{told:?}");
        assert!(told[1].1.is_empty() && told[2].1.is_empty());
    }
}
