//! The progress of a running job. Used on rank 0 only.

use crate::experiment::Repeat;
use crate::job::duration::JobTime;

/// Receives the progress of a job. What it does not override it ignores.
pub trait Progress {
    /// Called when the job begins, with the time that it is estimated to take at most.
    fn begin(&mut self, _expected: &JobTime) {}
    /// Called when a comparison begins. `what` describes it; `repeat` has its repetitions.
    fn comparison(&mut self, _what: &str, _cells: usize, _repeat: &Repeat) {}
    /// Called when a cell is carried out untimed: verified, or warmed up.
    fn warm_up(&mut self, _strategy: &str) {}
    /// Called when a cell of the current block begins. It is called between rounds, so it must return quickly.
    fn cell(&mut self, _strategy: &str) {}
    /// Called after block `done` of the current comparison, `seconds` after the first began.
    fn block(&mut self, _done: u64, _seconds: f64) {}
    /// Called after a look at the comparison's intervals with the greatest relative half-width; None if there is none
    /// yet.
    fn look(&mut self, _reached: Option<f64>) {}
    /// Called when the results of a comparison are saved.
    fn finished(&mut self, _index: u64) {}
    /// Called with a line of text, such as on a step of the job or a cell that cannot run.
    fn note(&mut self, _text: &str) {}
    /// Called when the job has ended.
    fn end(&mut self) {}
}

/// Ignores all progress.
pub struct Quiet;

impl Progress for Quiet {}
