//! The progress of a running job. Used on rank 0 only.

use crate::experiment::Repeat;

/// Receives the progress of a job.
pub trait Progress {
    /// Called when the job begins.
    fn begin(&mut self, comparisons: usize, cells: u64);
    /// Called when a comparison begins. `what` describes it; `repeat` has its repetitions.
    fn comparison(&mut self, index: u64, what: &str, cells: usize, repeat: &Repeat);
    /// Called when a cell of the current block begins. It is called between rounds, so it must return quickly.
    fn cell(&mut self, strategy: &str);
    /// Called after block `done` of the current comparison, `seconds` after the first began.
    fn block(&mut self, done: u64, seconds: f64);
    /// Called after a look at the comparison's intervals with the greatest relative half-width; None if there is none
    /// yet.
    fn look(&mut self, reached: Option<f64>);
    /// Called when the results of a comparison are saved.
    fn finished(&mut self, index: u64);
    /// Called with a line of text, such as on a step of the job or a cell that cannot run.
    fn note(&mut self, text: &str);
    /// Called when the job has ended.
    fn end(&mut self);
}

/// Ignores all progress.
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
