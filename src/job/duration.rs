//! Estimates the wall time of a job from above before it runs, for the time limit of a scheduler.
//!
//! Nothing has been measured then, so the rates are assumed: those of a slow core, a slow memory and a network of 1 Gbit/s.
//! A faster machine needs less. The timed blocks are bounded by the experiment itself and usually take most of the time.

use crate::experiment::{Comparison, Experiment};
use crate::plan::Family;
use crate::plan::strategies::{self, usual_family};

/// Assumed seconds to measure the limits of memory and wires, once for each number of nodes.
const LIMITS: f64 = 8.0;
/// Assumed seconds of a comparison's other work: agreement of the ranks, clocks, saving.
const OTHER: f64 = 0.5;
/// Assumed seconds of a round besides its bytes: messages, the common start, reading what the kernel counts.
const LATENCY: f64 = 1e-3;
/// Assumed bytes of clients' gradients that a node loads or sums in a second.
const SUMMED: f64 = 1e9;
/// Assumed elements of clients' gradients that a core adds to the reference of the verification in a second.
const VERIFIED: f64 = 4e7;
/// Assumed bytes through a node's wire in a second.
const WIRE: f64 = 1e8;
/// Assumed gradients through the busiest wire in a round, unless one server takes them all.
const GRADIENTS_ON_WIRE: f64 = 4.0;

/// The estimated time of one comparison, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ComparisonTime {
    /// Loading, verification and warm-up, before the first timed block.
    pub before: f64,
    /// Timed blocks.
    pub timed: f64,
}

/// The estimated time of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobTime {
    /// The measurement of the machine's limits, seconds.
    pub limits: f64,
    /// The comparisons, in the order in which they run.
    pub comparisons: Vec<ComparisonTime>,
    /// Number of cells of all comparisons.
    pub cells: u64,
}

impl JobTime {
    /// Estimates the time of `experiment` on ranks of `nodes` nodes. `no_limits` tells that limits are not measured.
    pub fn of(experiment: &Experiment, nodes: usize, no_limits: bool) -> JobTime {
        let repeat = &experiment.repeat;
        let comparison = |comparison: &Comparison| {
            let nodes = comparison.nodes.map_or(nodes, |nodes| nodes as usize);
            let rounds: f64 = comparison.cells.iter().map(|cell| round(comparison, &cell.strategy, nodes)).sum();
            let elements = comparison.clients as f64 * comparison.elements as f64;
            let verified = comparison.cells.len() as f64 * elements / VERIFIED;
            let loaded = elements * comparison.dtype.size() as f64 / SUMMED;
            ComparisonTime {
                before: OTHER + loaded + verified + repeat.warmup as f64 * rounds,
                // The first block always runs.
                timed: (repeat.blocks as f64 * rounds).min(repeat.max_seconds).max(rounds),
            }
        };
        let groups = experiment.comparisons.chunk_by(|one, next| one.nodes == next.nodes).count();
        JobTime {
            limits: if no_limits { 0.0 } else { LIMITS * groups as f64 },
            comparisons: experiment.comparisons.iter().map(comparison).collect(),
            cells: experiment.cell_count(),
        }
    }

    /// The whole job, seconds.
    pub fn seconds(&self) -> f64 {
        self.limits + self.comparisons.iter().map(|of| of.before + of.timed).sum::<f64>()
    }
}

/// Seconds of a round of one cell.
fn round(comparison: &Comparison, strategy: &str, nodes: usize) -> f64 {
    let gradient = comparison.gradient_bytes() as f64;
    let is_server = strategies::find(strategy).and_then(usual_family) == Some(Family::Server);
    let on_wire = if is_server { comparison.clients as f64 } else { GRADIENTS_ON_WIRE };
    let wire = if nodes > 1 { on_wire * gradient / WIRE } else { 0.0 };
    LATENCY + comparison.clients as f64 * gradient / SUMMED + wire
}

/// A duration in words, rounded to two digits: `45 s`, `12 min`, `3.5 h`.
pub fn in_words(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 99.5 => format!("{seconds:.0} s"),
        seconds if seconds < 99.5 * 60.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

/// A duration as Slurm's `--time` takes it, rounded up to a minute: `00:12:00`.
pub fn for_slurm(seconds: f64) -> String {
    let minutes = (seconds / 60.0).ceil().max(1.0) as u64;
    format!("{:02}:{:02}:00", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Prepared;

    fn job(experiment: serde_json::Value, nodes: usize, no_limits: bool) -> JobTime {
        let path = std::path::Path::new("e.json");
        let prepared = Prepared::understand(&experiment.to_string(), path, &[0; 4]).expect("a valid experiment");
        JobTime::of(&prepared.experiment, nodes, no_limits)
    }

    /// Ten clients of 10⁷ f32 are 4·10⁸ B: 0.4 s to load, 0.401 s a round, and 10⁸ / 4·10⁷ = 2.5 s to verify. Two cells, each
    /// with one round of warm-up.
    #[test]
    fn everything_that_takes_time_counts() {
        let experiment = |blocks: u64| {
            serde_json::json!({
                "models": 10_000_000, "clients": 10, "strategies": ["sharded-ring", "tree-central"],
                "repeat": {"warmup": 1, "blocks": blocks, "max_seconds": 14}
            })
        };
        let near = |found: f64, right: f64| assert!((found - right).abs() < 1e-9, "{found}, not {right}");
        let time = job(experiment(1000), 1, false);
        assert_eq!((time.cells, time.comparisons.len(), time.limits), (2, 1, 8.0));
        near(time.comparisons[0].before, 0.5 + 0.4 + 2.0 * 2.5 + 2.0 * 0.401);
        near(time.comparisons[0].timed, 14.0);
        near(time.seconds(), 8.0 + 6.702 + 14.0);
        // Three blocks of two rounds end before the time does.
        near(job(experiment(3), 1, true).seconds(), 6.702 + 2.406);
        // On several nodes 4 and 10 gradients of 4·10⁷ B cross the busiest wire: a block takes 0.802 + 1.6 + 4.0 s.
        near(job(experiment(1), 2, true).comparisons[0].timed, 6.402);
    }

    #[test]
    fn durations_are_said_for_people_and_for_slurm() {
        assert_eq!([0.4, 45.2, 720.0, 12_600.0].map(in_words), ["0 s", "45 s", "12 min", "3.5 h"]);
        assert_eq!(
            [0.0, 60.0, 61.0, 5400.0, 360_000.0].map(for_slurm),
            ["00:01:00", "00:01:00", "00:02:00", "01:30:00", "100:00:00"]
        );
    }
}
