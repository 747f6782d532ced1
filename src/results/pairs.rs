//! Two cells compared job by job, in the blocks in which both were timed.

use std::collections::HashMap;

use super::ResultFile;
use super::row::{CellRow, RatioRow};
use crate::stats::{Alpha, LogRatios};

/// Pairs of block number and seconds, by job and cell.
pub type Times = HashMap<(u64, u64), Vec<(u64, f64)>>;

/// The times of all valid samples of `file`.
pub fn times(file: &ResultFile) -> Times {
    let mut times = Times::new();
    for sample in file.samples.iter().filter(|sample| sample.is_valid()) {
        times.entry((sample.job, sample.cell)).or_default().push((sample.block, sample.seconds));
    }
    times
}

/// One cell as measured in one job: its row, and pairs of block number and seconds.
#[derive(Clone, Copy, Debug)]
pub struct TimedRow<'f> {
    /// The row.
    pub row: &'f CellRow,
    /// Block number and seconds of each valid sample.
    pub times: &'f [(u64, f64)],
}

/// Two cells in the blocks that one job timed both in.
#[derive(Clone, Debug)]
pub struct JobPair<'f> {
    /// The first cell's row.
    pub one: &'f CellRow,
    /// The second cell's row.
    pub other: &'f CellRow,
    /// The time of the first divided by that of the second, in each block.
    pub logs: LogRatios,
    /// The level at which the job's last look at the intervals was taken, the smaller one if the cells are of two
    /// comparisons.
    pub alpha: Alpha,
}

/// Pairs two cells in every job that timed both. Each slice holds one entry for each job.
pub fn job_pairs<'f>(file: &ResultFile, one: &[TimedRow<'f>], other: &[TimedRow<'f>]) -> Vec<JobPair<'f>> {
    let level = |cell: &TimedRow<'_>| {
        let of_comparison = |r: &&RatioRow| (r.job, r.comparison) == (cell.row.job, cell.row.comparison);
        Alpha::new(file.ratios.iter().find(of_comparison)?.alpha)
    };
    let pair = |first: &TimedRow<'f>| {
        let second = other.iter().find(|second| second.row.job == first.row.job)?;
        let logs = LogRatios::pair(first.times, second.times).ok().filter(|logs| !logs.values().is_empty())?;
        let levels = [first, second].into_iter().filter_map(level);
        let alpha = levels.reduce(|a, b| if a.get() < b.get() { a } else { b }).unwrap_or(Alpha::FIVE_PERCENT);
        Some(JobPair { one: first.row, other: second.row, logs, alpha })
    };
    one.iter().filter_map(pair).collect()
}
