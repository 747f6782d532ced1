//! Shows the progress of a run on standard error: a bar with the time left on a terminal, plain lines in a job log.

use std::io::IsTerminal;
use std::time::Instant;

use gradshard::experiment::Repeat;
use gradshard::job::Progress;
use gradshard::job::duration::{JobTime, for_slurm, in_words};
use indicatif::{ProgressBar, ProgressStyle};

use super::whole_run::WholeRun;
use crate::cli::tell;

/// Least number of seconds between two log lines.
const LOG_EVERY: f64 = 5.0;
/// Least part of the whole run between two log lines, so that a log of hours stays short.
const LOG_PART: f64 = 0.005;

/// Shows the progress of a run on a bar, or as lines.
pub struct Reporter {
    bar: Option<ProgressBar>,
    run: WholeRun,
    current: Current,
    /// Begin of the comparison under way.
    entered: Instant,
    logged: Instant,
    begun: Instant,
}

/// The comparison under way.
#[derive(Default)]
struct Current {
    /// Its place in the experiment, such as `[1/3]`.
    place: String,
    blocks: u64,
    max_seconds: f64,
    target: f64,
    done: u64,
    seconds: f64,
    reached: Option<f64>,
}

impl Current {
    /// Seconds until the blocks or the time are used up, whichever comes first. The comparison ends earlier if its
    /// intervals become narrow enough.
    fn left(&self) -> f64 {
        if self.done == 0 {
            return self.max_seconds;
        }
        let blocks = self.seconds / self.done as f64 * self.blocks.saturating_sub(self.done) as f64;
        blocks.min(self.max_seconds - self.seconds).max(0.0)
    }

    fn interval(&self) -> String {
        let target = percent(self.target);
        match self.reached {
            Some(reached) => format!("±{} of ±{target}", percent(reached)),
            None => format!("no interval yet of ±{target}"),
        }
    }
}

fn percent(part: f64) -> String {
    format!("{:.3} %", part * 100.0)
}

impl Reporter {
    /// Makes a reporter with a bar if standard error is a terminal, and with lines otherwise.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {msg}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let now = Instant::now();
        let (run, current) = (WholeRun::default(), Current::default());
        Reporter { bar, run, current, entered: now, logged: now, begun: now }
    }

    /// Seconds until the end of the run at most, in words.
    fn left(&self) -> String {
        in_words(self.run.left(self.current.left()))
    }

    /// True if another log line is due.
    fn is_due(&self) -> bool {
        self.logged.elapsed().as_secs_f64() >= LOG_EVERY.max(LOG_PART * self.run.seconds())
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(text)),
            None => tell(text),
        }
    }
}

impl Progress for Reporter {
    fn begin(&mut self, expected: &JobTime) {
        self.run = WholeRun::new(expected);
        let (cells, comparisons, seconds) = (expected.cells, expected.comparisons.len(), expected.seconds());
        let (about, slurm) = (in_words(seconds), for_slurm(seconds));
        self.line(&format!(
            "{cells} cells in {comparisons} comparison(s), about {about} at most (Slurm: --time={slurm})"
        ));
    }

    fn comparison(&mut self, what: &str, cells: usize, repeat: &Repeat) {
        let place = self.run.enter();
        let Repeat { blocks, max_seconds, precision: target, .. } = *repeat;
        self.entered = Instant::now();
        self.line(&format!("{place} {what}: {cells} cells, at most {blocks} blocks or {max_seconds} s"));
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_length(blocks);
            bar.set_prefix(place.clone());
        }
        self.current = Current { place, blocks, max_seconds, target, ..Current::default() };
    }

    fn warm_up(&mut self, strategy: &str) {
        let (place, left) = (&self.current.place, self.left());
        match &self.bar {
            Some(bar) => bar.set_message(format!("verifying {strategy}; whole run: {left} left at most")),
            None if self.is_due() => {
                let so_far = in_words(self.begun.elapsed().as_secs_f64());
                tell(&format!("  {place} verifying {strategy}; whole run: {so_far}, {left} left at most"));
                self.logged = Instant::now();
            }
            None => {}
        }
    }

    fn cell(&mut self, strategy: &str) {
        let Some(bar) = &self.bar else { return };
        let Current { blocks, done, .. } = self.current;
        let (interval, left) = (self.current.interval(), self.left());
        bar.set_message(format!("block {}/{blocks} {strategy}, {interval}; whole run: {left} left at most", done + 1));
    }

    fn block(&mut self, done: u64, seconds: f64) {
        if self.current.done == 0 {
            self.run.prepared(self.entered.elapsed().as_secs_f64() - seconds);
        }
        (self.current.done, self.current.seconds) = (done, seconds);
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.is_due() => {
                self.logged = Instant::now();
                let Current { place, blocks, .. } = &self.current;
                let (interval, left) = (self.current.interval(), self.left());
                let so_far = in_words(self.begun.elapsed().as_secs_f64());
                tell(&format!(
                    "  {place} block {done}/{blocks}, {seconds:.0} s, {interval}; whole run: {so_far}, {left} left at most"
                ));
            }
            None => {}
        }
    }

    fn look(&mut self, reached: Option<f64>) {
        self.current.reached = reached;
    }

    fn finished(&mut self, _index: u64) {
        let Current { place, done, seconds, .. } = &self.current;
        self.line(&format!("  finished {place}: {done} blocks in {seconds:.1} s, {}; saved", self.current.interval()));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 blocks took 5 s: 90 more would take 45, but 20 s are all there is.
    #[test]
    fn the_time_left_ends_with_the_blocks_or_the_budget() {
        let mut current = Current { blocks: 100, max_seconds: 20.0, done: 10, seconds: 5.0, ..Current::default() };
        assert_eq!(current.left(), 15.0);
        current.max_seconds = 1000.0;
        assert_eq!(current.left(), 45.0);
        assert_eq!(Current { done: 0, seconds: 0.0, ..current }.left(), 1000.0);
        let mut current = Current { blocks: 100, ..Current::default() };
        (current.done, current.seconds, current.max_seconds) = (100, 50.0, 20.0);
        assert_eq!(current.left(), 0.0);
    }

    #[test]
    fn the_interval_is_said_beside_what_is_asked_for() {
        let mut current = Current { target: 0.02, ..Current::default() };
        assert_eq!(current.interval(), "no interval yet of ±2.000 %");
        current.reached = Some(0.0345);
        assert_eq!(current.interval(), "±3.450 % of ±2.000 %");
    }
}
