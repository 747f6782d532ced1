//! The rows of a page. The rows of several jobs are pooled.
//!
//! Jobs with the same numbers of ranks and nodes under the same MPI library are repetitions of one another. Each cell
//! then becomes one row. Its time is the geometric mean of the jobs' medians, with an interval over jobs, and its
//! ratios are those over jobs. Jobs of other sizes stay separate.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::memory::KernelMemory;
use crate::results::ResultFile;
use crate::results::pooled::Point;
use crate::results::row::{CellRow, RatioRow, Status, VerificationRow};
use crate::stats::{Alpha, Tails, pool, summarise};

/// The rows of a page.
pub struct View<'f> {
    file: Cow<'f, ResultFile>,
    /// Sizes of jobs, ascending. The number of a comparison in the view is that in the file times the number of points,
    /// plus the index of the point.
    points: Vec<Point>,
    /// Number of jobs of each comparison that has several.
    jobs: BTreeMap<u64, u64>,
    /// Fast and slow ends of the samples of each cell that was timed, by comparison of the view and cell.
    tails: BTreeMap<(u64, u64), Tails>,
}

impl<'f> View<'f> {
    /// The view of a file of one or several jobs.
    pub fn of(file: &'f ResultFile) -> View<'f> {
        let points: BTreeSet<Point> = file.cells.iter().map(|cell| Point::of(file, cell)).collect();
        let points: Vec<Point> = points.into_iter().collect();
        let place = |point: &Point| points.iter().position(|other| other == point).unwrap_or_default() as u64;
        let number = |comparison: u64, point: u64| comparison.saturating_mul(points.len() as u64).saturating_add(point);
        let mut of_cell: BTreeMap<(u64, u64), Vec<&CellRow>> = BTreeMap::new();
        let mut seconds: BTreeMap<(u64, u64), Vec<f64>> = BTreeMap::new();
        for cell in &file.cells {
            let comparison = number(cell.comparison, place(&Point::of(file, cell)));
            of_cell.entry((comparison, cell.cell)).or_default().push(cell);
        }
        let numbers: BTreeMap<(u64, u64), u64> = of_cell
            .iter()
            .flat_map(|((number, _), rows)| rows.iter().map(move |row| ((row.job, row.cell), *number)))
            .collect();
        for sample in file.samples.iter().filter(|sample| sample.is_valid()) {
            if let Some(number) = numbers.get(&(sample.job, sample.cell)) {
                seconds.entry((*number, sample.cell)).or_default().push(sample.seconds);
            }
        }
        let tails = seconds.into_iter().filter_map(|(cell, seconds)| Some((cell, Tails::of(&seconds)?))).collect();
        let is_single = points.len() < 2 && of_cell.values().all(|rows| rows.len() < 2);
        if is_single {
            return View { file: Cow::Borrowed(file), points, jobs: BTreeMap::new(), tails };
        }
        let mut jobs: BTreeMap<u64, u64> = BTreeMap::new();
        for ((comparison, _), rows) in of_cell.iter().filter(|(_, rows)| rows.len() > 1) {
            let most = jobs.entry(*comparison).or_default();
            *most = (*most).max(rows.len() as u64);
        }
        let cells = of_cell.iter().map(|((comparison, _), rows)| CellRow { comparison: *comparison, ..together(rows) });
        let mut ratios: Vec<RatioRow> = Vec::new();
        for row in &file.pooled_ratios {
            let point = Point { nodes: row.nodes, ranks: row.ranks, transport: row.transport.clone() };
            ratios.push(RatioRow {
                comparison: number(row.comparison, place(&point)),
                cell: row.cell,
                baseline: row.baseline,
                estimate: row.estimate,
                ci_low: Some(row.ci_low),
                ci_high: Some(row.ci_high),
                alpha: Alpha::FIVE_PERCENT.get(),
                p: row.p,
                p_holm: row.p_holm,
                p_same_holm: row.p_same_holm,
                margin: row.margin,
                verdict: row.verdict,
                ..RatioRow::default()
            });
        }
        for row in &file.ratios {
            let cell = file.cells.iter().find(|cell| (cell.job, cell.cell) == (row.job, row.cell));
            let Some(cell) = cell else { continue };
            let comparison = number(row.comparison, place(&Point::of(file, cell)));
            // The ratios of single jobs are left out if there are several jobs.
            if !jobs.contains_key(&comparison) {
                ratios.push(RatioRow { comparison, ..row.clone() });
            }
        }
        let cells: Vec<CellRow> = cells.collect();
        let whole = ResultFile { cells, ratios, samples: Vec::new(), memory_ranks: Vec::new(), ..file.clone() };
        View { file: Cow::Owned(whole), points, jobs, tails }
    }

    /// The pooled rows. Jobs of different sizes have different numbers of comparisons.
    pub fn file(&self) -> &ResultFile {
        &self.file
    }

    /// The comparison of the experiment that a cell of the view belongs to.
    pub fn comparison(&self, cell: &CellRow) -> u64 {
        cell.comparison / self.points.len().max(1) as u64
    }

    /// The number in the view of the comparison that a cell of `file`, of which this is the view, belongs to.
    pub fn number(&self, file: &ResultFile, cell: &CellRow) -> u64 {
        let point = Point::of(file, cell);
        let place = self.points.iter().position(|other| *other == point).unwrap_or_default() as u64;
        cell.comparison.saturating_mul(self.points.len() as u64).saturating_add(place)
    }

    /// The least time and the 99th percentile of a cell of the view, over all of its jobs; None if it was not timed.
    pub fn tails(&self, cell: &CellRow) -> Option<Tails> {
        self.tails.get(&(cell.comparison, cell.cell)).copied()
    }

    /// Number of jobs that a comparison of the view is pooled over; None for a single job.
    pub fn jobs(&self, comparison: u64) -> Option<u64> {
        self.jobs.get(&comparison).copied()
    }

    /// The MPI library that connected a cell's ranks, or threads; None if it is the same for all jobs.
    pub fn transport(&self, cell: &CellRow) -> Option<&str> {
        let first = self.points.first()?;
        if self.points.iter().all(|point| point.transport == first.transport) {
            return None;
        }
        let place = cell.comparison % self.points.len() as u64;
        self.points.get(place as usize).map(|point| point.transport.as_str())
    }
}

/// Combines the rows of one cell from several jobs: the geometric mean of the times over the jobs in which it is ok,
/// the greatest memory and errors, the worst status, and the disturbance of the job in the middle.
fn together(rows: &[&CellRow]) -> CellRow {
    let (Some(worst), true) = (rows.iter().max_by_key(|cell| cell.status), rows.len() > 1) else {
        return rows.first().map(|row| (*row).clone()).unwrap_or_default();
    };
    let well: Vec<&CellRow> = rows.iter().copied().filter(|row| row.status == Status::Ok).collect();
    let mean = |value: fn(&CellRow) -> Option<f64>| {
        let values: Vec<f64> = well.iter().filter_map(|row| value(row)).collect();
        pool(&values, Alpha::FIVE_PERCENT)
    };
    let median = mean(|row| row.median_s);
    let greatest = |value: fn(&CellRow) -> Option<f64>| rows.iter().filter_map(|row| value(row)).reduce(f64::max);
    let stopped = well.first().and_then(|row| row.stopped);
    let middle = |value: fn(&CellRow) -> Option<f64>| {
        let values: Vec<f64> = rows.iter().filter_map(|row| value(row)).collect();
        summarise(&values).map(|summary| summary.median)
    };
    let disturbed: Vec<_> = rows.iter().filter_map(|row| row.interference).collect();
    CellRow {
        median_s: median.map(|median| median.estimate),
        ci_low_s: median.and_then(|median| median.interval).map(|interval| interval.low),
        ci_high_s: median.and_then(|median| median.interval).map(|interval| interval.high),
        gradient_bytes_per_s: mean(|row| row.gradient_bytes_per_s).map(|rate| rate.estimate),
        ingest_bytes_per_s: mean(|row| row.ingest_bytes_per_s).map(|rate| rate.estimate),
        share_of_limit: mean(|row| row.share_of_limit).map(|share| share.estimate),
        samples: rows.iter().map(|row| row.samples).fold(0, u64::saturating_add),
        blocks: rows.iter().map(|row| row.blocks).fold(0, u64::saturating_add),
        stopped: stopped.filter(|_| well.iter().all(|row| row.stopped == stopped)),
        kernel: rows.iter().filter_map(|row| row.kernel).max_by_key(|seen: &KernelMemory| seen.round),
        library_bytes: greatest(|row| row.library_bytes),
        group_peak_bytes: greatest(|row| row.group_peak_bytes),
        other_load: middle(|row| row.other_load),
        disturbed_samples: middle(|row| row.disturbed_samples),
        interference: disturbed.first().copied().filter(|_| 2 * disturbed.len() > rows.len()),
        verification: verification(rows),
        reason: if worst.status == Status::Ok { String::new() } else { format!("job {}: {}", worst.job, worst.reason) },
        ..(**worst).clone()
    }
}

fn verification(rows: &[&CellRow]) -> Option<VerificationRow> {
    let found = rows.iter().filter_map(|row| row.verification.clone());
    found.reduce(|one, other| VerificationRow {
        differing_elements: one.differing_elements.max(other.differing_elements),
        max_ulp: one.max_ulp.max(other.max_ulp),
        max_relative_error_vs_exact: one.max_relative_error_vs_exact.max(other.max_relative_error_vs_exact),
        max_backward_error: one.max_backward_error.zip(other.max_backward_error).map(|(one, other)| one.max(other)),
        wrong_elements: one.wrong_elements.max(other.wrong_elements),
        reference: one.reference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::pooled::pooled_ratios;
    use crate::results::show::samples;
    use crate::results::show::{WIDTH, table};

    #[test]
    fn one_job_is_shown_as_it_is() {
        let file = samples::file();
        let view = View::of(&file);
        assert!(matches!(view.file, Cow::Borrowed(_)));
        assert_eq!((view.jobs(0), view.transport(&file.cells[0])), (None, None));
    }

    /// The geometric mean of the times 2 and 8 is 4, and that of the ratios 2 and 4.5 is 3.
    #[test]
    fn jobs_of_one_size_are_one_row_with_what_they_say_together() {
        let file = samples::jobs(&[[2.0, 4.0], [8.0, 36.0]], &[2, 2]);
        let view = View::of(&file);
        let rows = &view.file().cells;
        assert_eq!(rows.len(), 2);
        let near = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}");
        near(rows[0].median_s, 4.0);
        near(rows[1].median_s, 12.0);
        // Half the difference of the logarithms is ln 2. Student's t with one degree of freedom is 12.706.
        assert!((rows[0].ci_high_s.unwrap() / 4.0 - 2f64.powf(12.706_204_736)).abs() < 1e-3, "{:?}", rows[0].ci_high_s);
        let ratios = &view.file().ratios;
        assert_eq!(ratios.len(), 1, "the jobs' own ratios are left out: {ratios:?}");
        near(Some(ratios[0].estimate), 3.0);
        assert_eq!(view.jobs(rows[0].comparison), Some(2));
        let page = table(&file, WIDTH);
        assert!(page.contains("undecided after 2 jobs. ") && page.contains("3.00× ["), "{page}");
        assert!(page.contains("jobs 2"), "{page}");
    }

    #[test]
    fn jobs_of_other_sizes_are_rows_of_one_table_with_a_column() {
        let file = samples::jobs(&[[2.0, 4.0], [1.0, 2.0], [0.5, 1.0]], &[1, 2, 4]);
        let page = table(&file, WIDTH);
        let header = page.lines().find(|line| line.starts_with("  strategy")).unwrap_or_else(|| panic!("{page}"));
        assert!(header.contains(" nodes "), "{page}");
        assert_eq!(page.lines().filter(|line| line.starts_with("  strategy")).count(), 1, "{page}");
        // The fastest cell of each size is marked.
        assert_eq!(page.lines().filter(|line| line.starts_with("* sharded-direct")).count(), 3, "{page}");
        for nodes in ["1 node", "2 nodes", "4 nodes"] {
            assert!(page.contains(&format!("{nodes}: shard. sharded-direct is fastest: 2.00×")), "{page}");
        }
    }

    #[test]
    fn libraries_that_differ_are_told_apart() {
        let mut file = samples::jobs(&[[2.0, 4.0], [1.0, 2.0]], &[2, 2]);
        file.jobs[1].transport = "MPICH 4.0".into();
        file.pooled_ratios = pooled_ratios(&file);
        let page = table(&file, WIDTH);
        assert!(page.contains("MPICH 4.0: shard. sharded-direct is fastest"), "{page}");
        assert!(!page.contains("jobs 2,"), "{page}");
    }

    #[test]
    fn what_went_wrong_in_one_of_the_jobs_is_said() {
        let mut file = samples::jobs(&[[2.0, 4.0], [8.0, 36.0]], &[2, 2]);
        file.cells[3].status = Status::Failed;
        file.cells[3].reason = "wrong".into();
        file.pooled_ratios = pooled_ratios(&file);
        let view = View::of(&file);
        let cell = &view.file().cells[1];
        assert_eq!((cell.status, cell.reason.as_str(), cell.median_s), (Status::Failed, "job 1: wrong", Some(4.0)));
    }
}
