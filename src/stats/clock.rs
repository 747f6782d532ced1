//! The time of a round, computed from the readings of all ranks on one clock.

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
    /// rank's start and end on one clock for all ranks, ns.
    ///
    /// The round runs from the first start to the last end. The maximum of the ranks' own times would be too small: ranks
    /// leave a barrier one after another, and where they outnumber cores, their own times omit the wait for a core.
    pub fn from_barrier(starts: &[u64], ends: &[u64]) -> Course {
        let first = starts.iter().copied().min().unwrap_or(0);
        let since = |time: &u64| time.saturating_sub(first) as f64 / 1e9;
        let seconds = ends.iter().map(since).fold(0.0, f64::max);
        Course { seconds, starts: starts.iter().map(since).collect(), late: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_barrier_a_round_spans_from_the_first_start_to_the_last_end() {
        // Two ranks run one after the other: 10 ns each, 25 ns together.
        let course = Course::from_barrier(&[100, 115], &[110, 125]);
        assert_eq!(course, Course { seconds: 25e-9, starts: vec![0.0, 15e-9], late: 0 });
        assert_eq!(Course::from_barrier(&[], &[]).seconds, 0.0);
    }

    #[test]
    fn a_window_opens_for_all() {
        // The second rank's 1,001 ns are too late; the third is the last to end.
        let course = Course::from_window(&[40, 1_001, 1_000], &[2_000, 2_500, 3_000]);
        assert_eq!(course, Course { seconds: 3e-6, starts: vec![40e-9, 1_001e-9, 1_000e-9], late: 1 });
    }
}
