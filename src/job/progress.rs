//! What a job says while it runs. On rank 0 only.

/// Listens to a job.
pub trait Progress {
    /// The job begins.
    fn begin(&mut self, comparisons: usize, cells: u64);
    /// A comparison begins; `what` describes it.
    fn comparison(&mut self, index: u64, what: &str, cells: usize, blocks: u64);
    /// A block of the current comparison has ended.
    fn block(&mut self, done: u64, seconds: f64);
    /// Something worth a line: what is being done, or a cell that cannot run.
    fn note(&mut self, text: &str);
    /// The job has ended.
    fn end(&mut self);
}

/// Says nothing.
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&mut self, _comparisons: usize, _cells: u64) {}
    fn comparison(&mut self, _index: u64, _what: &str, _cells: usize, _blocks: u64) {}
    fn block(&mut self, _done: u64, _seconds: f64) {}
    fn note(&mut self, _text: &str) {}
    fn end(&mut self) {}
}
