//! Writes the tables as CSV.

use std::io::{self, Write};

use gradshard::results::column::Row;

use crate::compare::Pair;
use crate::source::OpenFile;

/// Writes every cell of every file: the file's label, then the columns of `/cells`.
///
/// # Errors
/// The errors of the writer.
pub fn cells(sources: &[OpenFile], out: impl Write) -> io::Result<()> {
    rows(sources, out, |source| &source.file.cells)
}

/// Writes every ratio of every file: the file's label, then the columns of `/ratios`.
///
/// # Errors
/// The errors of the writer.
pub fn ratios(sources: &[OpenFile], out: impl Write) -> io::Result<()> {
    rows(sources, out, |source| &source.file.ratios)
}

fn rows<R: Row>(sources: &[OpenFile], out: impl Write, of: impl Fn(&OpenFile) -> &Vec<R>) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(std::iter::once("label").chain(R::COLUMNS.iter().map(|column| column.name)))?;
    for source in sources {
        for row in of(source) {
            table.write_record(std::iter::once(source.label.clone()).chain(row.texts()))?;
        }
    }
    table.flush()
}

/// Writes the answers: label, number of the comparison, its title, and the sentence.
///
/// # Errors
/// The errors of the writer.
pub fn answers(sources: &[OpenFile], out: impl Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(["label", "comparison", "of", "answer"])?;
    for source in sources {
        for comparison in source.comparisons() {
            let contest = &comparison.contest;
            table.write_record([
                source.label.clone(),
                contest.number.to_string(),
                contest.title(),
                contest.sentence(),
            ])?;
        }
    }
    table.flush()
}

/// Writes every compared cell of the files.
///
/// # Errors
/// The errors of the writer.
pub fn pairs(pairs: &[Pair], out: impl Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record([
        "label",
        "place",
        "cell",
        "baseline_median_s",
        "median_s",
        "baseline_samples",
        "samples",
        "baseline_jobs",
        "jobs",
        "ratio",
        "ci_low",
        "ci_high",
        "p_slower_holm",
        "p_faster_holm",
        "change",
        "reason",
    ])?;
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    for pair in pairs {
        table.write_record([
            pair.label.clone(),
            pair.place.clone(),
            pair.name.clone(),
            number(pair.medians[0]),
            number(pair.medians[1]),
            pair.samples[0].to_string(),
            pair.samples[1].to_string(),
            pair.jobs[0].to_string(),
            pair.jobs[1].to_string(),
            number(pair.ratio),
            number(pair.interval.map(|interval| interval.low)),
            number(pair.interval.map(|interval| interval.high)),
            number(Some(pair.slower_p)),
            number(Some(pair.faster_p)),
            pair.change.to_string(),
            pair.reason.clone(),
        ])?;
    }
    table.flush()
}
