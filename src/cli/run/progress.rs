//! Progress of a run: a bar with the time left on a terminal, plain lines in a job log. On standard error.

use std::io::IsTerminal;
use std::time::Instant;

use gradshard::job::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Seconds between two lines of a log about the same comparison.
const LOG_EVERY: f64 = 30.0;

/// Tells a person how far a run has come.
pub struct Reporter {
    bar: Option<ProgressBar>,
    comparisons: usize,
    blocks: u64,
    logged: Instant,
    begun: Instant,
}

impl Reporter {
    /// A bar if standard error is a terminal, lines otherwise.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} block {pos}/{len}, {eta} left");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Reporter { bar, comparisons: 0, blocks: 0, logged: Instant::now(), begun: Instant::now() }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

impl Progress for Reporter {
    fn begin(&mut self, comparisons: usize, cells: u64) {
        self.comparisons = comparisons;
        self.line(&format!("{cells} cells in {comparisons} comparison(s)"));
    }

    fn comparison(&mut self, index: u64, what: &str, cells: usize, blocks: u64) {
        self.blocks = blocks;
        self.logged = Instant::now();
        self.line(&format!("[{}/{}] {what}: {cells} cells, {blocks} blocks at most", index + 1, self.comparisons));
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_length(blocks);
            bar.set_prefix(format!("[{}/{}]", index + 1, self.comparisons));
        }
    }

    fn block(&mut self, done: u64, seconds: f64) {
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.logged.elapsed().as_secs_f64() >= LOG_EVERY => {
                self.logged = Instant::now();
                let left = seconds / done as f64 * (self.blocks - done) as f64;
                eprintln!("  block {done}/{}, {seconds:.0} s, about {left:.0} s left", self.blocks);
            }
            None => {}
        }
    }

    fn note(&mut self, text: &str) {
        self.line(&format!("  {text}"));
    }

    fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.line(&format!("done in {:.1} s", self.begun.elapsed().as_secs_f64()));
    }
}
