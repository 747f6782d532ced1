//! The start of a round.

use super::dissemination::meet;
use super::exchange::Exchange;
use super::{GlobalClock, LocalClock};
use crate::engine::transport::{Transport, TransportError};

/// Bounds of the time between the last arrival and the opening of a window, ns: what a rank needs to act on the outcome
/// of the barrier, and what is tolerable.
const LEAST_LEAD: u64 = 20_000;
const MOST_LEAD: u64 = 20_000_000;
/// The time before a window opens, in barrier durations.
const LEAD_MEETINGS: u64 = 8;
/// Number of barriers timed to find the duration of one.
const TIMED_MEETINGS: usize = 21;

/// How a round begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At a time on rank 0's clock, agreed upon when all ranks are ready. Ranks wait for it by spinning.
    Window,
    /// When a rank leaves the barrier.
    Barrier,
}

/// The start of a round on this rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Time of this rank's start on its own clock, ns.
    pub at: u64,
    /// Time on this rank's clock when the window opened, ns; None with a barrier.
    pub window: Option<u64>,
}

/// Lets ranks begin rounds together.
pub struct Synchroniser {
    exchange: Exchange,
    clock: GlobalClock,
    start: Start,
    lead: u64,
}

impl Synchroniser {
    /// Compares the clocks and, for windows, times a barrier. Collective; `start` must be equal on all ranks.
    pub fn new(own: LocalClock, start: Start, transport: &mut dyn Transport) -> Result<Self, TransportError> {
        let mut exchange = Exchange::new();
        let clock = GlobalClock::new(own, &mut exchange, transport)?;
        if start == Start::Barrier {
            return Ok(Synchroniser { exchange, clock, start, lead: LEAST_LEAD });
        }
        let mut took = Vec::with_capacity(TIMED_MEETINGS);
        for _ in 0..TIMED_MEETINGS {
            let before = clock.now();
            meet(&mut exchange, transport, 0)?;
            took.push(clock.now() - before);
        }
        took.sort_unstable();
        let lead = (took[TIMED_MEETINGS / 2] * LEAD_MEETINGS).clamp(LEAST_LEAD, MOST_LEAD);
        Ok(Synchroniser { exchange, clock, start, lead })
    }

    /// Returns how rounds begin.
    pub fn start(&self) -> Start {
        self.start
    }

    /// Switches to barriers. Must be called on every rank.
    pub fn fall_back(&mut self) {
        self.start = Start::Barrier;
    }

    /// Returns the common clock of all ranks.
    pub fn clock(&self) -> &GlobalClock {
        &self.clock
    }

    /// Returns true if this rank's clock needs a new reading.
    pub fn is_stale(&self) -> bool {
        self.clock.is_stale()
    }

    /// Compares the clocks again. Collective.
    pub fn refresh(&mut self, transport: &mut dyn Transport) -> Result<(), TransportError> {
        self.clock.refresh(&mut self.exchange, transport)
    }

    /// Returns when this rank shall begin: at the same time on all ranks, as closely as the start allows. Collective.
    ///
    /// `between` is called after all ranks have arrived and before any begins.
    ///
    /// Every rank offers the time of its arrival plus a lead. The barrier finds the latest offer, at which the window
    /// opens.
    pub fn begin(&mut self, transport: &mut dyn Transport, between: impl FnOnce()) -> Result<Begun, TransportError> {
        let clock = &self.clock;
        if self.start == Start::Barrier {
            meet(&mut self.exchange, transport, 0)?;
            between();
            return Ok(Begun { at: clock.now(), window: None });
        }
        let offer = clock.reference(clock.now()) + self.lead;
        let window = clock.local(meet(&mut self.exchange, transport, offer)?);
        between();
        let mut at = clock.now();
        if at > window {
            // The lead was too short for this rank. It doubles it from now on; the latest offer still decides.
            self.lead = (2 * self.lead).min(MOST_LEAD);
        }
        while at < window {
            std::hint::spin_loop();
            at = clock.now();
        }
        Ok(Begun { at, window: Some(window) })
    }

    /// Returns the time on rank 0's clock from the opening of a window to `now`, both on this rank's clock, ns.
    pub fn since(&self, window: u64, now: u64) -> u64 {
        self.clock.reference(now).saturating_sub(self.clock.reference(window))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::engine::node_clock::node_clock;
    use crate::engine::run_threads;
    use crate::stats::clock::LATE;

    fn skewed(node: usize) -> LocalClock {
        LocalClock::new(format!("clock {node}"), move || node_clock() + node as u64 * 5_000_000_000)
    }

    /// Windows open at the same true time, whatever the ranks' clocks show and whichever rank arrives last.
    #[test]
    fn windows_open_at_one_moment() {
        for node_of in
            [vec![0], vec![0, 0], vec![0, 1], vec![0, 1, 2], vec![0, 1, 1, 0, 2], vec![0, 1, 2, 3, 4, 5, 6, 7]]
        {
            let shared = &node_of;
            let opened = run_threads(&node_of, |transport| {
                let (rank, node) = (transport.rank(), shared[transport.rank()]);
                let mut sync = Synchroniser::new(skewed(node), Start::Window, transport).expect("threads");
                let mut opened = Vec::new();
                for turn in 0..20 {
                    if turn % shared.len() == rank {
                        std::thread::sleep(Duration::from_micros(300));
                    }
                    let begun = sync.begin(transport, || ()).expect("threads");
                    let window = begun.window.expect("a window");
                    assert!(begun.at >= window);
                    opened.push((window - node as u64 * 5_000_000_000, begun.at - window));
                }
                opened
            });
            for turn in 0..20 {
                let moments: Vec<u64> = opened.iter().map(|of_rank| of_rank[turn].0).collect();
                let spread = moments.iter().max().unwrap() - moments.iter().min().unwrap();
                // Exact on one clock, a few µs on several; other tests use the cores.
                let one_clock = node_of.iter().all(|node| *node == 0);
                assert!(if one_clock { spread == 0 } else { spread < 300_000 }, "{node_of:?}: {moments:?}");
                if turn > 0 {
                    assert!(opened[0][turn].0 > opened[0][turn - 1].0);
                }
            }
        }
    }

    /// Behind a barrier too, a span over nodes holds how much later one of them begins, whatever their clocks show.
    #[test]
    fn behind_a_barrier_the_span_holds_the_skew_between_nodes() {
        let delay = Duration::from_millis(1);
        let mut spans = (0..100).map(|_| {
            let times = run_threads(&[0, 1], |transport| {
                let rank = transport.rank();
                let mut sync = Synchroniser::new(skewed(rank), Start::Barrier, transport).expect("threads");
                sync.begin(transport, || ()).expect("threads");
                let before = node_clock();
                while rank == 1 && node_clock() - before < delay.as_nanos() as u64 {
                    std::hint::spin_loop();
                }
                let (at, truly) = (sync.clock().reference(sync.clock().now()), node_clock());
                ([at, truly], sync.clock().clocks())
            });
            assert_eq!(times.iter().map(|(_, clocks)| *clocks).collect::<Vec<_>>(), [2; 2]);
            let span = |which: usize| times[1].0[which] as i64 - times[0].0[which] as i64;
            (span(0).abs_diff(span(1)), span(1))
        });
        // One of 100, as other tests use the cores, and a rank may wait for one between its two readings or all the while.
        assert!(spans.any(|(off, truly)| truly > 900_000 && off < 20_000));
    }

    #[test]
    fn who_comes_late_knows_and_asks_for_more_time() {
        let leads = run_threads(&[0; 2], |transport| {
            let mut sync = Synchroniser::new(LocalClock::of_node(), Start::Window, transport).expect("threads");
            let before = sync.lead;
            let nap = if transport.rank() == 1 { Duration::from_nanos(2 * MOST_LEAD) } else { Duration::ZERO };
            let begun = sync.begin(transport, || std::thread::sleep(nap)).expect("threads");
            (before, sync.lead, begun.at - begun.window.expect("a window"))
        });
        let (before, after, late) = leads[1];
        assert!(late > LATE && after == 2 * before, "{leads:?}");
    }

    #[test]
    fn behind_the_barrier_all_have_come() {
        let arrived = AtomicUsize::new(0);
        run_threads(&[0, 1, 1], |transport| {
            let mut sync = Synchroniser::new(LocalClock::of_node(), Start::Window, transport).expect("threads");
            sync.fall_back();
            assert_eq!(sync.start(), Start::Barrier);
            for turn in 1..=30 {
                arrived.fetch_add(1, Ordering::SeqCst);
                let mut seen = 0;
                let begun = sync.begin(transport, || seen = arrived.load(Ordering::SeqCst)).expect("threads");
                assert!(seen >= 3 * turn && begun.window.is_none());
            }
        });
    }
}
