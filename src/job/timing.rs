//! The time of one round: measured on every rank, sent to rank 0, and combined there.

use crate::engine::node_clock::node_clock;
use crate::engine::transport::{Transport, TransportError};
use crate::machine::Usage;
use crate::results::row::Sample;
use crate::stats::clock::Course;
use crate::sync::{Begun, Start, Synchroniser};

/// A rank's own times of a round.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Timing {
    /// Start, ns: since the window opened, or with a barrier on rank 0's clock.
    start: u64,
    end: u64,
    off_core_ns: u64,
    usage: Usage,
}

/// The clock of one round on a rank, from [`Stopwatch::begin`] to [`Stopwatch::end`].
pub struct Stopwatch {
    begun: Begun,
    usage: Usage,
    /// Reading of the node's clock after the kernel's counters were read, ns.
    looked: u64,
}

impl Stopwatch {
    /// Returns when all ranks begin the round. The kernel's counters are read after all ranks have arrived and before
    /// any begins. Collective.
    pub fn begin(sync: &mut Synchroniser, transport: &mut dyn Transport) -> Result<Stopwatch, TransportError> {
        let mut before = (Usage::default(), 0);
        // The CPU time is read around the wall-clock time. In this order the time for the readings does not make a rank
        // look disturbed.
        let begun = sync.begin(transport, || before = (Usage::of(false), node_clock()))?;
        let (usage, looked) = before;
        Ok(Stopwatch { begun, usage, looked })
    }

    /// Reads the clock when the rank's part of the round is done, and the kernel's counters after it.
    pub fn end(self, sync: &Synchroniser) -> Timing {
        let Stopwatch { begun, usage, looked } = self;
        let end = sync.clock().now();
        let ended = node_clock();
        let usage = Usage::of(false).since(&usage);
        // The wait for the window, which lies in between, is spent on the core.
        let off_core_ns = (ended - looked).saturating_sub(usage.cpu_ns);
        let (start, end) = match begun.window {
            Some(window) => (begun.at.saturating_sub(window), sync.since(window, end)),
            None => (sync.clock().reference(begun.at), sync.clock().reference(end)),
        };
        Timing { start, end, off_core_ns, usage }
    }
}

/// The times of all ranks in a round.
pub struct Told {
    /// The sample, without cell, block and place.
    pub sample: Sample,
    /// For each rank, seconds off its core and the kernel's counters.
    pub usage: Vec<(f64, Usage)>,
}

impl Told {
    /// Combines every rank's times, in rank order, and its seconds spent producing gradients.
    pub fn new(start: Start, timings: &[Timing], producing: Vec<f64>) -> Told {
        let starts: Vec<u64> = timings.iter().map(|timing| timing.start).collect();
        let ends: Vec<u64> = timings.iter().map(|timing| timing.end).collect();
        let course = match start {
            Start::Window => Course::from_window(&starts, &ends),
            Start::Barrier => Course::from_barrier(&starts, &ends),
        };
        let usage: Vec<(f64, Usage)> = timings.iter().map(|t| (t.off_core_ns as f64 / 1e9, t.usage)).collect();
        let sample = Sample {
            seconds: course.seconds,
            late_ranks: course.late,
            involuntary_switches: usage.iter().map(|(_, usage)| usage.involuntary_switches).sum(),
            off_core_seconds: usage.iter().map(|(off_core, _)| *off_core).fold(0.0, f64::max),
            rank_start_seconds: course.starts,
            rank_seconds: timings.iter().map(|t| t.end.saturating_sub(t.start) as f64 / 1e9).collect(),
            rank_producing_seconds: producing,
            ..Sample::default()
        };
        Told { sample, usage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ranks_tell_becomes_a_sample() {
        let usage = |switches| Usage { cpu_ns: 9, involuntary_switches: switches, minor_faults: 5, major_faults: 1 };
        let told = [(100, 2_100, 50, 1), (2_000, 2_050, 70, 2)].map(|(start, end, off_core_ns, switches)| Timing {
            start,
            end,
            off_core_ns,
            usage: usage(switches),
        });
        let windowed = Told::new(Start::Window, &told, vec![0.5, 0.25]);
        let right = Sample {
            seconds: 2.1e-6,
            late_ranks: 1,
            involuntary_switches: 3,
            off_core_seconds: 70e-9,
            rank_start_seconds: vec![100e-9, 2e-6],
            rank_seconds: vec![2e-6, 50e-9],
            rank_producing_seconds: vec![0.5, 0.25],
            ..Sample::default()
        };
        assert_eq!(windowed.sample, right);
        assert!(!windowed.sample.is_valid());
        assert_eq!(windowed.usage[1], (70e-9, usage(2)));
        let behind_barrier = Told::new(Start::Barrier, &told, vec![0.5, 0.25]);
        let starts = vec![0.0, 1.9e-6];
        assert_eq!(behind_barrier.sample, Sample { seconds: 2e-6, late_ranks: 0, rank_start_seconds: starts, ..right });
    }
}
