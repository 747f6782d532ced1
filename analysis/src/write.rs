//! Reads the files that the arguments name, and writes the report.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use gradshard::results::ResultFile;
use gradshard::results::distinct::distinct;

use crate::anonymous::make_anonymous;
use crate::arguments::Arguments;
use crate::compare::Change;
use crate::page::page;
use crate::png::Rasteriser;
use crate::report::report;
use crate::source::{OpenFile, Opener};
use crate::tables;

/// The summary of a written report.
#[derive(Clone, Debug)]
pub struct Written {
    /// The answers, one per line.
    pub answers: Vec<String>,
    /// Cells that regressed against the baseline; 0 without one.
    pub regressions: usize,
    /// Cells that are undecidable against the baseline; 0 without one.
    pub undecidable: usize,
}

/// Reads the files and writes the page, the pictures and the tables.
///
/// # Errors
/// A file is not a readable result file, the baseline has no cell in common with the files, or the directory cannot be
/// written.
pub fn write(arguments: &Arguments) -> anyhow::Result<Written> {
    write_with(arguments, |path| Ok(ResultFile::open(path)?))
}

/// Like [`write`]; `open` reads the files.
///
/// # Errors
/// The errors of [`write`] and of `open`.
pub fn write_with(arguments: &Arguments, open: Opener) -> anyhow::Result<Written> {
    let open =
        |names: &[String]| names.iter().map(|name| OpenFile::open(name, open)).collect::<Result<Vec<OpenFile>, _>>();
    let (mut sources, mut baseline) = (open(&arguments.files)?, open(&arguments.baseline)?);
    if arguments.anonymous {
        anonymous(&mut sources, "file");
        anonymous(&mut baseline, "baseline");
    }
    let report = report(&sources, &baseline, arguments)?;
    if !baseline.is_empty() && report.pairs.iter().all(|pair| pair.samples.contains(&0)) {
        bail!(
            "{} and the baseline have no timed cell in common: nothing can be compared",
            sources.iter().map(|source| source.path.display().to_string()).collect::<Vec<String>>().join(", ")
        );
    }
    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| format!("--out {}: cannot be made", out.display()))?;
    let put = |name: &str, contents: &[u8]| put(out, name, contents);
    put("index.html", page(&report, &sources, &baseline).as_bytes())?;
    let rasteriser = Rasteriser::default();
    for figure in report.sections.iter().flat_map(|section| &section.figures) {
        let svg = figure.standalone();
        put(&format!("{}.svg", figure.name), svg.as_bytes())?;
        put(&format!("{}.png", figure.name), &rasteriser.png(&svg)?)?;
    }
    let table = |name: &str, write: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| -> anyhow::Result<()> {
        let mut text = Vec::new();
        write(&mut text).with_context(|| format!("{name}: cannot be made"))?;
        put(name, &text)
    };
    table("cells.csv", &|text| tables::rows(&sources, text, |source| &source.file.cells))?;
    if sources.iter().any(|source| !source.file.function_rounds.is_empty()) {
        table("function-rounds.csv", &|text| tables::rows(&sources, text, |source| &source.file.function_rounds))?;
    }
    table("ratios.csv", &|text| tables::rows(&sources, text, |source| &source.file.ratios))?;
    table("answers.csv", &|text| tables::answers(&sources, text))?;
    if !report.pairs.is_empty() {
        table("side-by-side.csv", &|text| tables::pairs(&report.pairs, text))?;
    }
    let count = |of: &dyn Fn(Change) -> bool| {
        report.pairs.iter().filter(|pair| !baseline.is_empty() && of(pair.change)).count()
    };
    let (regressions, undecidable) = (count(&Change::is_regression), count(&|change| change == Change::Undecidable));
    let answers = report.answers.iter().map(|answer| {
        if answer.of.is_empty() { answer.text.clone() } else { format!("{}: {}", answer.of, answer.text) }
    });
    Ok(Written { answers: answers.collect(), regressions, undecidable })
}

/// Makes the files anonymous. Labels that were names of files become numbers; files with the same label share one.
fn anonymous(sources: &mut [OpenFile], noun: &str) {
    let labels: Vec<String> = distinct(sources.iter().map(|source| source.label.clone()));
    for source in sources {
        let number = labels.iter().position(|label| *label == source.label).unwrap_or_default() + 1;
        if !source.is_labelled {
            source.label = format!("{noun} {number}");
        }
        source.path = PathBuf::new();
        make_anonymous(&mut source.file);
    }
}

fn put(directory: &Path, name: &str, contents: &[u8]) -> anyhow::Result<()> {
    let path = directory.join(name);
    fs::write(&path, contents).with_context(|| format!("{}: cannot be written", path.display()))
}
