//! Result files from the command line, and their comparisons.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gradshard::results::ResultFile;
use gradshard::results::contest::{Contest, contests};
use gradshard::results::row::{CellRow, Sample, Status};

/// A result file with its label in the report.
#[derive(Debug)]
pub struct OpenFile {
    /// `LABEL` of `LABEL=FILE`, or the file's name without its extension.
    pub label: String,
    /// True if the label was given, and is not the file's name.
    pub is_labelled: bool,
    /// Path of the file.
    pub path: PathBuf,
    /// Contents of the file.
    pub file: ResultFile,
}

/// One comparison of one file, with its samples.
#[derive(Debug)]
pub struct Compared<'f> {
    /// The file.
    pub source: &'f OpenFile,
    /// Its cells, ratios and answer.
    pub contest: Contest<'f>,
    /// The timed rounds of each cell by its number, in the order of their blocks.
    pub samples: BTreeMap<u64, Vec<&'f Sample>>,
}

/// Splits `FILE` or `LABEL=FILE` into the label and the path. An argument that is an existing path is a path, even if it
/// contains `=`.
pub fn label_and_path(argument: &str) -> (String, PathBuf) {
    let whole = PathBuf::from(argument);
    match argument.split_once('=') {
        Some((label, path)) if !whole.exists() && !label.is_empty() => (label.to_owned(), PathBuf::from(path)),
        _ => (whole.file_stem().map_or(argument.into(), |stem| stem.to_string_lossy().into_owned()), whole),
    }
}

/// A function that reads a result file.
pub type Opener = fn(&Path) -> anyhow::Result<ResultFile>;

impl OpenFile {
    /// Opens `FILE` or `LABEL=FILE` by `open`.
    ///
    /// # Errors
    /// The errors of `open`.
    pub fn open(argument: &str, open: Opener) -> anyhow::Result<OpenFile> {
        let (label, path) = label_and_path(argument);
        let is_labelled = path != Path::new(argument);
        let mut file = open(&path)?;
        separate_jobs(&mut file);
        Ok(OpenFile { label, is_labelled, path, file })
    }

    /// Its comparisons, in the order of their numbers.
    pub fn comparisons(&self) -> Vec<Compared<'_>> {
        let mut of_cell: BTreeMap<u64, Vec<&Sample>> = BTreeMap::new();
        // Rounds without a common start are not used.
        for sample in self.file.samples.iter().filter(|sample| sample.is_valid()) {
            of_cell.entry(sample.cell).or_default().push(sample);
        }
        of_cell.values_mut().for_each(|samples| samples.sort_by_key(|sample| sample.block));
        let mut contests = contests(&self.file);
        let titles: Vec<String> = contests.iter().map(Contest::title).collect();
        for (contest, title) in contests.iter_mut().zip(&titles) {
            let job = contest.cells.first().filter(|_| titles.iter().filter(|other| *other == title).count() > 1);
            contest.facts.extend(job.map(|cell| format!("job {}", cell.job)));
        }
        contests
            .into_iter()
            .map(|contest| {
                let of = |cell: &&CellRow| Some((cell.cell, of_cell.get(&cell.cell)?.clone()));
                let samples = contest.cells.iter().filter_map(of).collect();
                Compared { source: self, contest, samples }
            })
            .collect()
    }
}

/// Numbers comparisons and cells anew in a merged file, whose jobs share their numbers, so that cells of different jobs
/// are not compared with each other.
fn separate_jobs(file: &mut ResultFile) {
    let jobs = file.jobs.len() as u64;
    if !file.is_merged() || jobs < 2 {
        return;
    }
    let own = |number: &mut u64, job: u64| *number = number.wrapping_mul(jobs).wrapping_add(job);
    for cell in &mut file.cells {
        own(&mut cell.comparison, cell.job);
        own(&mut cell.cell, cell.job);
    }
    for ratio in &mut file.ratios {
        [&mut ratio.comparison, &mut ratio.cell, &mut ratio.baseline].into_iter().for_each(|of| own(of, ratio.job));
    }
    file.samples.iter_mut().for_each(|sample| own(&mut sample.cell, sample.job));
    file.blocks.iter_mut().for_each(|block| own(&mut block.comparison, block.job));
}

impl<'f> Compared<'f> {
    /// The best cell of each timed strategy, fastest first, then the first cell of each strategy that was not timed.
    pub fn best_of_each(&self) -> Vec<&'f CellRow> {
        let mut best: BTreeMap<&str, &'f CellRow> = BTreeMap::new();
        let time = |cell: &CellRow| match (cell.status, cell.median_s) {
            (Status::Ok, Some(median)) => median,
            _ => f64::INFINITY,
        };
        for cell in &self.contest.cells {
            let held = best.entry(&cell.strategy).or_insert(cell);
            if time(cell) < time(held) {
                *held = cell;
            }
        }
        let mut best: Vec<&CellRow> = best.into_values().collect();
        best.sort_by(|one, other| time(one).total_cmp(&time(other)).then(one.cell.cmp(&other.cell)));
        best
    }

    /// Seconds of a cell's timed rounds, in the order of their blocks.
    pub fn seconds(&self, cell: &CellRow) -> Vec<f64> {
        self.samples.get(&cell.cell).into_iter().flatten().map(|sample| sample.seconds).collect()
    }

    /// The title, which distinguishes it from the other comparisons of the report. With `several` files it has the
    /// label.
    pub fn title(&self, several: bool) -> String {
        let (title, label) = (self.contest.title(), &self.source.label);
        let is_named = title == *label || title.starts_with(&format!("{label},"));
        if several && !is_named { format!("{label}: {title}") } else { title }
    }

    /// The number of rounds per cell, such as `n = 20 rounds a cell`, or a range.
    pub fn counts(&self) -> String {
        let timed = self.contest.cells.iter().map(|cell| cell.samples).filter(|samples| *samples > 0);
        match (timed.clone().min(), timed.max()) {
            (Some(least), Some(most)) if least == most => format!("n = {least} rounds a cell"),
            (Some(least), Some(most)) => format!("n = {least} to {most} rounds a cell"),
            _ => "n = 0".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caveat::{Caveat, caveats};
    use gradshard::results::Environment;
    use gradshard::stats::interference::Interference;

    /// Several disturbed cells with different reasons give one caveat.
    #[test]
    fn a_reason_is_given_once_with_its_number_of_cells() {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        for (number, (what, share)) in
            [(None, 0.0), (Some(Interference::OffCore), 0.3), (Some(Interference::OffCore), 0.5)]
                .into_iter()
                .enumerate()
        {
            let row = CellRow {
                cell: number as u64,
                comparison: number as u64,
                samples: 3,
                ci_low_s: Some(1.0),
                status: Status::Ok,
                interference: what,
                disturbed_samples: Some(share),
                ..CellRow::default()
            };
            file.push(row, vec![], vec![]);
        }
        file.cells[1].share_of_limit = Some(1.2);
        let source = OpenFile { label: "x".into(), is_labelled: false, path: "x.h5".into(), file };
        let comparisons = source.comparisons();
        let found = caveats(&comparisons.iter().collect::<Vec<_>>(), 2);
        let worst = "in 50 % of the samples a rank was put off its core".to_owned();
        assert_eq!(
            found,
            [
                Caveat::Disturbed { cells: 2, all: 3, which: "of the one most disturbed", worst },
                Caveat::BeatenLimits { cells: 1, all: 3 }
            ]
        );
        // Few samples are off their core where others take most of the cores, and the times are worth less.
        let mut source = source;
        let (cell, what) = (&mut source.file.cells[0], Interference::OtherLoad);
        (cell.interference, cell.other_load, cell.disturbed_samples) = (Some(what), Some(0.72), Some(0.1));
        let comparisons = source.comparisons();
        let found = caveats(&comparisons.iter().collect::<Vec<_>>(), 2);
        let worst = "other programs or the host took 72 % of a node's cores".to_owned();
        assert_eq!(found[0], Caveat::Disturbed { cells: 3, all: 3, which: "of the one most disturbed", worst });
    }

    /// A merged file numbers the cells of each job alike.
    #[test]
    fn cells_of_different_jobs_are_not_compared() {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        file.jobs[0].file = "a.h5".into();
        file.jobs.push(file.jobs[0].clone());
        for job in 0..2 {
            let row = |cell, nodes| CellRow { job, cell, nodes, model: "m".into(), ..CellRow::default() };
            file.cells.extend([row(0, 2), row(1, 2)]);
            file.samples.push(Sample { job, cell: 1, seconds: job as f64, ..Sample::default() });
        }
        separate_jobs(&mut file);
        let source = OpenFile { label: "x".into(), is_labelled: false, path: "x.h5".into(), file };
        let comparisons = source.comparisons();
        assert_eq!(comparisons.iter().map(|one| one.title(false)).collect::<Vec<_>>(), ["m, job 0", "m, job 1"]);
        for (job, one) in comparisons.iter().enumerate() {
            assert_eq!(one.contest.cells.len(), 2);
            assert_eq!(one.seconds(one.contest.cells[1]), [job as f64]);
        }
    }

    #[test]
    fn the_best_cell_of_each_strategy_comes_first_and_what_failed_last() {
        let mut file = ResultFile::new(
            "{}".into(),
            Environment::of(&serde_json::json!({"cores_shared": true})).expect("an object"),
        );
        let cell = |cell, strategy: &str, status, median_s| CellRow {
            cell,
            strategy: strategy.into(),
            status,
            median_s,
            samples: 3,
            ..CellRow::default()
        };
        for row in [
            cell(0, "b", Status::Ok, Some(2.0)),
            cell(1, "a", Status::Failed, Some(0.1)),
            cell(2, "b", Status::Ok, Some(1.0)),
            cell(3, "c", Status::Ok, Some(0.5)),
        ] {
            file.push(row, vec![], vec![]);
        }
        let source = OpenFile { label: "x".into(), is_labelled: false, path: "x.h5".into(), file };
        let comparisons = source.comparisons();
        assert_eq!(comparisons.len(), 1);
        let best: Vec<u64> = comparisons[0].best_of_each().iter().map(|cell| cell.cell).collect();
        assert_eq!(best, [3, 2, 1]);
        let of = |jobs| format!("{:?}", caveats(&comparisons.iter().collect::<Vec<_>>(), jobs));
        let caveats = of(1);
        assert!(caveats.contains("CoresShared") && caveats.contains("OneJob"), "{caveats}");
        assert!(caveats.contains("FewRounds { cells: 3, all: 3 }"), "{caveats}");
        assert!(!of(2).contains("OneJob"));
    }
}
