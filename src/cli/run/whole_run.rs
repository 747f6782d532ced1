//! The time that is left of a whole run, estimated anew as comparisons begin and end.

use gradshard::job::duration::{ComparisonTime, JobTime};

/// The estimates of a run's comparisons, and how far the run is.
#[derive(Debug, Default)]
pub struct WholeRun {
    expected: JobTime,
    /// Number of comparisons that have begun.
    begun: usize,
    /// Estimated and measured seconds before the first block, over the comparisons that have had one.
    before: (f64, f64),
}

impl WholeRun {
    /// A run that has not begun.
    pub fn new(expected: &JobTime) -> WholeRun {
        WholeRun { expected: expected.clone(), ..WholeRun::default() }
    }

    /// Seconds that the whole run was estimated to take.
    pub fn seconds(&self) -> f64 {
        self.expected.seconds()
    }

    /// The next comparison begins. Returns its place in this run, such as `[1/3]`: a resumed run leaves out what is measured.
    pub fn enter(&mut self) -> String {
        self.begun += 1;
        format!("[{}/{}]", self.begun, self.expected.comparisons.len())
    }

    /// The comparison under way took `seconds` from its beginning to its first block.
    pub fn prepared(&mut self, seconds: f64) {
        let current = self.begun.checked_sub(1).and_then(|at| self.expected.comparisons.get(at));
        self.before.0 += current.map_or(0.0, |of| of.before);
        self.before.1 += seconds;
    }

    /// Seconds left at most, if the comparison under way needs `current` more. Loading and verification of the others take
    /// as much of their estimates as in the comparisons so far.
    pub fn left(&self, current: f64) -> f64 {
        let (estimated, measured) = self.before;
        let factor = if estimated > 0.0 { measured / estimated } else { 1.0 };
        let rest = self.expected.comparisons.iter().skip(self.begun);
        current + rest.map(|ComparisonTime { before, timed }| before * factor + timed).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three comparisons of 4 s and 10 s each. The first was ready after 2 s, half of its estimate.
    #[test]
    fn what_was_measured_replaces_what_was_assumed() {
        let comparisons = vec![ComparisonTime { before: 4.0, timed: 10.0 }; 3];
        let mut run = WholeRun::new(&JobTime { limits: 8.0, comparisons, cells: 6 });
        assert_eq!((run.seconds(), run.enter().as_str()), (50.0, "[1/3]"));
        assert_eq!(run.left(9.0), 9.0 + 2.0 * 14.0);
        run.prepared(2.0);
        assert_eq!(run.left(9.0), 9.0 + 2.0 * 12.0);
        assert_eq!(run.enter(), "[2/3]");
        run.prepared(6.0);
        // 8 of 8 s so far.
        assert_eq!(run.left(5.0), 5.0 + 14.0);
        run.enter();
        assert_eq!(run.left(1.0), 1.0);
    }
}
