//! What a job says while it runs. On rank 0 only.

use crate::experiment::Repeat;

/// Listens to a job.
pub trait Progress {
    /// The job begins.
    fn begin(&mut self, comparisons: usize, cells: u64);
    /// A comparison begins; `what` describes it, and it is repeated as `repeat` says.
    fn comparison(&mut self, index: u64, what: &str, cells: usize, repeat: &Repeat);
    /// A cell of the current block begins. Called between rounds, so it must not take long.
    fn cell(&mut self, strategy: &str);
    /// A block of the current comparison has ended, `seconds` after the first began.
    fn block(&mut self, done: u64, seconds: f64);
    /// The comparison's intervals have been looked at: the greatest relative half-width, None where there is none yet.
    fn look(&mut self, reached: Option<f64>);
    /// What came of a comparison is saved.
    fn finished(&mut self, index: u64);
    /// Something worth a line: what is being done, or a cell that cannot run.
    fn note(&mut self, text: &str);
    /// The job has ended.
    fn end(&mut self);
}

/// Says nothing.
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&mut self, _comparisons: usize, _cells: u64) {}
    fn comparison(&mut self, _index: u64, _what: &str, _cells: usize, _repeat: &Repeat) {}
    fn cell(&mut self, _strategy: &str) {}
    fn block(&mut self, _done: u64, _seconds: f64) {}
    fn look(&mut self, _reached: Option<f64>) {}
    fn finished(&mut self, _index: u64) {}
    fn note(&mut self, _text: &str) {}
    fn end(&mut self) {}
}
