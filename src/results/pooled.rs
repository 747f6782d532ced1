//! Ratios over several jobs of one experiment. The job is the outer unit of repetition.

use std::collections::{BTreeMap, BTreeSet};

use super::ResultFile;
use super::job_row::PooledRow;
use super::pairs::{Times, times};
use super::row::{CellRow, Status};
use crate::stats::{Alpha, Evidence, LogRatios, PooledRatio, judge, pool};

/// Significance level of a claim over jobs. It needs no correction for repeated looks, as users choose the number of
/// jobs in advance.
pub const ALPHA: Alpha = Alpha::FIVE_PERCENT;

/// The properties that jobs of one experiment must have in common to be repetitions of one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Nodes.
    pub nodes: u64,
    /// Ranks.
    pub ranks: u64,
    /// The MPI library and its version, or threads.
    pub transport: String,
}

impl Point {
    /// The point of a cell of `file`.
    pub fn of(file: &ResultFile, cell: &CellRow) -> Point {
        let transport = file.jobs.get(cell.job as usize).map(|job| job.transport.clone()).unwrap_or_default();
        Point { nodes: cell.nodes, ranks: cell.ranks, transport }
    }
}

/// Compares every cell that at least two jobs of one point have timed with the fastest cell of its comparison there.
///
/// Each job gives one ratio of two cells, the Hodges-Lehmann estimate over its own blocks. [`pool`] describes the
/// interval over jobs. The same jobs determine the fastest cell, so every pair of cells counts in Holm's adjustment.
pub fn pooled_ratios(file: &ResultFile) -> Vec<PooledRow> {
    let times = times(file);
    let mut contests: BTreeMap<(u64, Point), BTreeMap<u64, Vec<&CellRow>>> = BTreeMap::new();
    for cell in file.cells.iter().filter(|cell| cell.status == Status::Ok && cell.median_s.is_some()) {
        let contest = contests.entry((cell.comparison, Point::of(file, cell))).or_default();
        contest.entry(cell.cell).or_default().push(cell);
    }
    let mut rows = Vec::new();
    for ((comparison, point), cells) in &contests {
        let margin = file.ratios.iter().find(|ratio| ratio.comparison == *comparison).map_or(0.0, |ratio| ratio.margin);
        rows.extend(contest(&times, cells, margin).into_iter().map(|row| PooledRow {
            transport: point.transport.clone(),
            ranks: point.ranks,
            nodes: point.nodes,
            comparison: *comparison,
            ..row
        }));
    }
    rows
}

/// The rows of one comparison at one point. `cells` holds the rows of each cell, one per job.
fn contest(times: &Times, cells: &BTreeMap<u64, Vec<&CellRow>>, margin: f64) -> Vec<PooledRow> {
    let Some(baseline) = fastest(cells) else { return Vec::new() };
    let jobs_of = |cell: u64| cells[&cell].iter().map(|row| row.job).collect::<BTreeSet<u64>>();
    let of_baseline = jobs_of(baseline);
    let found: Vec<(u64, PooledRatio)> = cells
        .keys()
        .filter(|cell| **cell != baseline)
        .filter_map(|cell| {
            let both = jobs_of(*cell).intersection(&of_baseline).copied().collect::<Vec<u64>>();
            let ratio = |job: &u64| {
                let pairs = LogRatios::pair(times.get(&(*job, *cell))?, times.get(&(*job, baseline))?).ok()?;
                pairs.ratio(ALPHA).map(|ratio| ratio.estimate)
            };
            let pooled = pool(&both.iter().filter_map(ratio).collect::<Vec<f64>>(), ALPHA)?;
            (pooled.jobs > 1).then_some((*cell, pooled))
        })
        .collect();
    let mut family: Vec<Evidence> = found.iter().map(|(_, pooled)| pooled.evidence(margin)).collect();
    let nothing = Evidence { estimate: 1.0, difference_p: 1.0, equality_p: 1.0 };
    family.resize(cells.len() * (cells.len() - 1) / 2, nothing);
    let judged = judge(&family, margin, ALPHA);
    let rows = found.iter().zip(judged).filter_map(|((cell, pooled), judgement)| {
        let interval = pooled.interval?;
        Some(PooledRow {
            cell: *cell,
            baseline,
            jobs: pooled.jobs as u64,
            estimate: pooled.estimate,
            ci_low: interval.low,
            ci_high: interval.high,
            spread: pooled.spread?,
            p: pooled.difference_p(),
            p_holm: judgement.difference_p,
            p_same_holm: judgement.equality_p,
            margin,
            verdict: judgement.verdict,
            ..PooledRow::default()
        })
    });
    rows.collect()
}

/// The cell whose medians have the least geometric mean, among the cells that the most jobs have timed. None without
/// cells.
fn fastest(cells: &BTreeMap<u64, Vec<&CellRow>>) -> Option<u64> {
    let most = cells.values().map(Vec::len).max()?;
    let full = cells.iter().filter(|(_, rows)| rows.len() == most);
    let mean = |rows: &[&CellRow]| rows.iter().filter_map(|row| row.median_s).map(f64::ln).sum::<f64>();
    full.min_by(|(_, one), (_, other)| mean(one).total_cmp(&mean(other))).map(|(cell, _)| *cell)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::results::Environment;
    use crate::results::row::{RatioRow, Sample};
    use crate::stats::Verdict;

    /// A file of jobs. Each job timed three cells in 20 blocks with these seconds.
    fn jobs(seconds: &[[f64; 3]], ranks: impl Fn(usize) -> u64) -> ResultFile {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        for (job, of_job) in seconds.iter().enumerate() {
            if job > 0 {
                file.resumed(&Environment::default());
            }
            for (cell, seconds) in (0..).zip(of_job) {
                let row = CellRow {
                    cell,
                    comparison: 4,
                    ranks: ranks(job),
                    median_s: Some(*seconds),
                    status: Status::Ok,
                    ..CellRow::default()
                };
                // The blocks of a job differ strongly, but by the same factors for all cells.
                let sample =
                    |block: u64| Sample { cell, block, seconds: seconds * (block + 1) as f64, ..Sample::default() };
                file.push(row, (0..20).map(sample).collect(), vec![]);
            }
            file.push_ratios(vec![RatioRow { comparison: 4, margin: 0.1, ..RatioRow::default() }]);
        }
        file
    }

    /// The jobs' ratios are 1.02, 1.05, 0.99, 1.04, 1.03 and, for the third cell, 3 each. Interval and p-value
    /// of the first were calculated in Python, see measure::jobs.
    #[test]
    fn intervals_are_those_of_the_jobs_and_not_of_their_blocks() {
        let base = [1.0, 5.0, 0.2, 3.0, 2.0];
        let seconds: Vec<[f64; 3]> =
            base.iter().zip([1.02, 1.05, 0.99, 1.04, 1.03]).map(|(b, r)| [*b, b * r, b * 3.0]).collect();
        let rows = pooled_ratios(&jobs(&seconds, |_| 4));
        assert_eq!(
            rows.iter().map(|row| (row.comparison, row.cell, row.baseline, row.jobs, row.ranks)).collect::<Vec<_>>(),
            [(4, 1, 0, 5, 4), (4, 2, 0, 5, 4)]
        );
        let near =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}, not {expected}: {rows:?}");
        near(rows[0].estimate, 1.025_791_381);
        near(rows[0].ci_low.ln(), -0.002_599_984);
        near(rows[0].ci_high.ln(), 0.053_528_773);
        near(rows[0].p, 0.065_410_742);
        // With three pairs, Holm's adjustment multiplies the smallest p-value by 3.
        assert_eq!((rows[0].verdict, rows[1].verdict), (Verdict::Same, Verdict::Slower));
        assert!(rows[1].p_holm <= 3.0 * rows[1].p && rows[0].p_holm >= rows[0].p, "{rows:?}");
        assert_eq!(rows[0].margin, 0.1);
    }

    #[test]
    fn jobs_of_other_sizes_are_no_repetitions() {
        let seconds = [[1.0, 2.0, 3.0]; 3];
        assert_eq!(pooled_ratios(&jobs(&seconds, |job| job as u64 + 1)), []);
        let two_alike = pooled_ratios(&jobs(&seconds, |job| [2, 4, 2][job]));
        assert_eq!(
            two_alike.iter().map(|row| (row.ranks, row.cell, row.jobs)).collect::<Vec<_>>(),
            [(2, 1, 2), (2, 2, 2)]
        );
        let mut other_library = jobs(&seconds[..2], |_| 2);
        other_library.jobs[1].transport = "another".into();
        assert_eq!(pooled_ratios(&other_library), []);
    }

    #[test]
    fn a_job_that_lacks_a_cell_takes_no_part_in_its_ratio() {
        let mut file = jobs(&[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], |_| 2);
        for cell in file.cells.iter_mut().filter(|cell| cell.cell == 1 && cell.job == 0) {
            cell.status = Status::Failed;
        }
        let rows = pooled_ratios(&file);
        assert_eq!(rows.iter().map(|row| (row.cell, row.jobs)).collect::<Vec<_>>(), [(1, 2), (2, 3)]);
        // All jobs have the same ratio, so the spread is 1.
        assert!(rows.iter().all(|row| row.spread == 1.0 && row.ci_low == row.estimate && row.p == 0.0), "{rows:?}");
    }
}
