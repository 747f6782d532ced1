//! The time of a round, computed from the clocks of its ranks.

use std::collections::BTreeMap;

/// The largest delay of a rank behind the opening of a start window, ns. It is many times the duration of one clock read.
/// A rank that begins later was not waiting for the window, so the round had no common start.
pub const LATE: u64 = 1_000;

/// The times of one round, relative to its common start.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Time from the common start to the last rank's end, seconds.
    pub seconds: f64,
    /// Time from the common start to each rank's own start, seconds, in the order of the ranks.
    pub starts: Vec<f64>,
    /// Number of ranks that missed the common start.
    pub late: u64,
}

impl Course {
    /// Computes the course of a round that began at a start window. `starts` and `ends` hold each rank's start and end, ns
    /// since the window opened.
    pub fn from_window(starts: &[u64], ends: &[u64]) -> Course {
        Course {
            seconds: ends.iter().copied().max().unwrap_or(0) as f64 / 1e9,
            starts: starts.iter().map(|start| *start as f64 / 1e9).collect(),
            late: starts.iter().filter(|start| **start > LATE).count() as u64,
        }
    }

    /// Computes the course of a round that began behind a barrier, where no rank can be late. `starts` and `ends` hold each
    /// rank's start and end on the clock of its node, ns; `node_of` holds each rank's node.
    ///
    /// A node's time runs from its first start to its last end, and the round's time is that of the slowest node. The
    /// maximum of the ranks' own times would be too small where ranks outnumber cores: such ranks start one after another,
    /// and their own times omit the wait for a core.
    pub fn from_barrier(node_of: &[usize], starts: &[u64], ends: &[u64]) -> Course {
        let mut first: BTreeMap<usize, u64> = BTreeMap::new();
        for (node, start) in node_of.iter().zip(starts) {
            first.entry(*node).and_modify(|least| *least = (*least).min(*start)).or_insert(*start);
        }
        let since = |(node, time): (&usize, &u64)| time.saturating_sub(first[node]);
        let last = node_of.iter().zip(ends).map(since).max().unwrap_or(0);
        let starts = node_of.iter().zip(starts).map(|each| since(each) as f64 / 1e9).collect();
        Course { seconds: last as f64 / 1e9, starts, late: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_spans_from_its_first_start_to_its_last_end() {
        // Two ranks run one after the other on one node: 10 ns each, 25 ns together.
        assert_eq!(Course::from_barrier(&[0, 0], &[100, 115], &[110, 125]).seconds, 25e-9);
        // The clocks of nodes cannot be compared, so each node has its own time, and the longer one counts.
        assert_eq!(Course::from_barrier(&[0, 1], &[100, 9_000], &[110, 9_030]).seconds, 30e-9);
        assert_eq!(Course::from_barrier(&[], &[], &[]).seconds, 0.0);
    }

    #[test]
    fn a_window_opens_for_all() {
        // The second rank's 1,001 ns are too late; the third is the last to end.
        let course = Course::from_window(&[40, 1_001, 1_000], &[2_000, 2_500, 3_000]);
        assert_eq!(course, Course { seconds: 3e-6, starts: vec![40e-9, 1_001e-9, 1_000e-9], late: 1 });
    }

    #[test]
    fn behind_a_barrier_starts_are_those_of_the_node() {
        let course = Course::from_barrier(&[0, 7, 0, 7], &[115, 9_000, 100, 9_010], &[125, 9_030, 110, 9_020]);
        assert_eq!(course, Course { seconds: 30e-9, starts: vec![15e-9, 0.0, 0.0, 10e-9], late: 0 });
    }
}
