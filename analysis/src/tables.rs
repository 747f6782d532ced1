//! Writes the tables as CSV, with cells that no spreadsheet carries out.

use std::io::{self, Write};

use gradshard::harmless::cell;
use gradshard::results::column::Row;

use crate::compare::Pair;
use crate::source::OpenFile;

/// Writes every row of a table of every file, such as `/cells`: the file's label, then the table's columns.
///
/// # Errors
/// The errors of the writer.
pub fn rows<R: Row>(sources: &[OpenFile], out: impl Write, of: impl Fn(&OpenFile) -> &Vec<R>) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(std::iter::once("label").chain(R::COLUMNS.iter().map(|column| column.name)))?;
    for source in sources {
        for row in of(source) {
            table.write_record(std::iter::once(source.label.clone()).chain(row.texts()).map(|text| cell(&text)))?;
        }
    }
    table.flush()
}

/// Writes the answers: label, number of the comparison, its title, the advice in a word, and the sentence.
///
/// # Errors
/// The errors of the writer.
pub fn answers(sources: &[OpenFile], out: impl Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(["label", "comparison", "of", "advice", "answer"])?;
    for source in sources {
        for comparison in source.comparisons() {
            let contest = &comparison.contest;
            let answered = contest.answered();
            let texts = [
                source.label.clone(),
                contest.number.to_string(),
                contest.title(),
                answered.advice.to_string(),
                answered.sentence,
            ];
            table.write_record(texts.map(|text| cell(&text)))?;
        }
    }
    table.flush()
}

/// A column of the table of compared cells: its name, and the text of a cell.
type PairColumn<'a> = (&'a str, &'a dyn Fn(&Pair) -> String);

/// Writes every compared cell of the files.
///
/// # Errors
/// The errors of the writer.
pub fn pairs(pairs: &[Pair], out: impl Write) -> io::Result<()> {
    let mut table = csv::Writer::from_writer(out);
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let columns: [PairColumn<'_>; 16] = [
        ("label", &|pair| pair.label.clone()),
        ("place", &|pair| pair.place.clone()),
        ("cell", &|pair| pair.name.clone()),
        ("baseline_median_s", &|pair| number(pair.medians[0])),
        ("median_s", &|pair| number(pair.medians[1])),
        ("baseline_samples", &|pair| pair.samples[0].to_string()),
        ("samples", &|pair| pair.samples[1].to_string()),
        ("baseline_jobs", &|pair| pair.jobs[0].to_string()),
        ("jobs", &|pair| pair.jobs[1].to_string()),
        ("ratio", &|pair| number(pair.ratio)),
        ("ci_low", &|pair| number(pair.interval.map(|interval| interval.low))),
        ("ci_high", &|pair| number(pair.interval.map(|interval| interval.high))),
        ("p_slower_holm", &|pair| pair.slower_p.to_string()),
        ("p_faster_holm", &|pair| pair.faster_p.to_string()),
        ("change", &|pair| pair.change.to_string()),
        ("reason", &|pair| pair.reason.clone()),
    ];
    table.write_record(columns.map(|(name, _)| name))?;
    for pair in pairs {
        table.write_record(columns.map(|(_, of)| cell(&of(pair))))?;
    }
    table.flush()
}
