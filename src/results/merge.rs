//! Joins the result files of several jobs of one experiment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::column::Row;
use super::error::FileProblem;
use super::function_row::FunctionRow;
use super::pooled::{Point, pooled_ratios};
use super::row::{BlockRow, CellRow, RatioRow, Sample};
use super::schema::SCHEMA_VERSION;
use super::{Environment, Output, ResultError, ResultFile};
use crate::utc;

/// Conditions that influence a measurement and should agree in pooled jobs: name, and JSON pointer into an environment.
const CONDITIONS: [(&str, &str); 11] = [
    ("binding", "/binding"),
    ("first touch", "/first_touch"),
    ("shared cores", "/cores_shared"),
    ("processor", "/machines/0/environment/cpu_model"),
    ("kernel", "/machines/0/environment/kernel"),
    ("governor", "/machines/0/environment/governors"),
    ("clock source", "/machines/0/environment/clock_source"),
    ("git revision", "/machines/0/environment/build/git_revision"),
    ("profile", "/machines/0/environment/build/profile"),
    ("compiler flags", "/machines/0/environment/build/rustflags"),
    ("MPI settings", "/machines/0/environment/launcher/settings"),
];

/// A merge in progress.
struct Merge {
    contents: Option<ResultFile>,
    /// The first file of the contents, for messages.
    first: PathBuf,
    /// Lines for the user: what was added, what was there already, and what differs.
    notes: Vec<String>,
}

/// Adds the jobs of `inputs` to the merged file `output`, which is created if necessary. Cells that it holds are not
/// added again. Returns the contents, and lines for the user.
///
/// # Errors
/// See [`FileProblem`]. After an error the output is unchanged.
pub fn merge(output: &Path, inputs: &[PathBuf]) -> Result<(ResultFile, Vec<String>), ResultError> {
    merge_with(output, inputs, |path| ResultFile::open(path))
}

/// Like [`merge`]; `open` reads the inputs.
///
/// # Errors
/// The errors of [`merge`] and of `open`.
pub fn merge_with<E: From<ResultError>>(
    output: &Path,
    inputs: &[PathBuf],
    open: impl Fn(&Path) -> Result<ResultFile, E>,
) -> Result<(ResultFile, Vec<String>), E> {
    let same = |one: &Path, other: &Path| match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    };
    if inputs.iter().any(|input| same(input, output)) {
        return Err(FileProblem::OutputIsInput.at(output).into());
    }
    let (mut claimed, contents) = Output::add_to(output)?;
    if let Some(there) = &contents {
        if !there.is_merged() {
            return Err(FileProblem::OutputOfAJob.at(output).into());
        }
        right_schema(output, there)?;
    }
    let mut merge = Merge { contents, first: output.into(), notes: Vec::new() };
    for input in inputs {
        merge.add(input, open(input)?)?;
    }
    let (contents, notes) = merge.finish(output);
    claimed.save(&contents)?;
    Ok((contents, notes))
}

impl Merge {
    /// Adds the jobs of the file at `path`. If a job is known, adds only its new cells.
    ///
    /// # Errors
    /// The file does not belong to those before it.
    fn add(&mut self, path: &Path, file: ResultFile) -> Result<(), ResultError> {
        right_schema(path, &file)?;
        let contents = match &mut self.contents {
            Some(contents) => contents,
            None => {
                self.first = path.into();
                self.contents.insert(empty_like(&file))
            }
        };
        if contents.experiment_sha256 != file.experiment_sha256 {
            let difference = difference_of(&contents.experiment_json, &file.experiment_json);
            return Err(FileProblem::NotOneExperiment { first: self.first.clone(), difference }.at(path));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The number in the merged file of each of the file's jobs.
        let mut numbers = Vec::with_capacity(file.jobs.len());
        for job in &file.jobs {
            let known = contents.jobs.iter().find(|other| other.id == job.id).map(|other| other.job);
            numbers.push(known.unwrap_or_else(|| {
                let number = contents.jobs.len() as u64;
                let of_file = if job.file.is_empty() { name.clone() } else { job.file.clone() };
                contents.jobs.push(super::job_row::JobRow { job: number, file: of_file, ..job.clone() });
                number
            }));
        }
        let number = |job: u64| numbers.get(job as usize).copied().unwrap_or(job);
        let there: BTreeMap<(u64, u64), usize> =
            contents.cells.iter().enumerate().map(|(place, cell)| ((cell.job, cell.cell), place)).collect();
        let compared: BTreeSet<(u64, u64, u64)> =
            contents.ratios.iter().map(|ratio| (ratio.job, ratio.comparison, ratio.cell)).collect();
        let mut added: BTreeMap<u64, u64> = BTreeMap::new();
        let noted: BTreeSet<(u64, u64)> = contents.blocks.iter().map(|block| (block.job, block.comparison)).collect();
        let ResultFile { cells, samples, memory_ranks, ratios, blocks, jobs, function_rounds, .. } = file;
        for (cell, memory) in cells.into_iter().zip(memory_ranks) {
            let cell = CellRow { job: number(cell.job), ..cell };
            match there.get(&(cell.job, cell.cell)) {
                // Compared as texts, because NaN does not equal itself.
                Some(place) if contents.cells[*place].texts() == cell.texts() => {}
                Some(_) => {
                    let job = contents.jobs[cell.job as usize].summary();
                    let first = self.first.clone();
                    return Err(FileProblem::Altered { first, cell: cell.cell, job }.at(path));
                }
                None => {
                    *added.entry(cell.job).or_default() += 1;
                    contents.cells.push(cell);
                    contents.memory_ranks.push(memory);
                }
            }
        }
        let samples = samples.into_iter().map(|sample| Sample { job: number(sample.job), ..sample });
        contents.samples.extend(samples.filter(|sample| !there.contains_key(&(sample.job, sample.cell))));
        let blocks = blocks.into_iter().map(|block| BlockRow { job: number(block.job), ..block });
        contents.blocks.extend(blocks.filter(|block| !noted.contains(&(block.job, block.comparison))));
        let carried: BTreeSet<(u64, u64)> = contents.function_rounds.iter().map(|row| (row.job, row.round)).collect();
        let rounds = function_rounds.into_iter().map(|row| FunctionRow { job: number(row.job), ..row });
        let rounds: Vec<FunctionRow> = rounds.filter(|row| !carried.contains(&(row.job, row.round))).collect();
        let rounds_of = |job: u64| rounds.iter().filter(|row| row.job == job).count();
        let ratios = ratios.into_iter().map(|ratio| RatioRow { job: number(ratio.job), ..ratio });
        let is_new = |ratio: &RatioRow| !compared.contains(&(ratio.job, ratio.comparison, ratio.cell));
        contents.ratios.extend(ratios.filter(is_new));
        for job in &jobs {
            let what = job.summary();
            self.notes.push(match added.get(&number(job.job)) {
                None if rounds_of(number(job.job)) > 0 => {
                    let rounds = rounds_of(number(job.job));
                    format!("{}: job {}, {what}: {rounds} rounds on functions", path.display(), number(job.job))
                }
                Some(cells) => format!("{}: job {}, {what}: {cells} cells", path.display(), number(job.job)),
                None if there.keys().chain(&carried).any(|(other, _)| *other == number(job.job)) => {
                    format!("{}: the job {what} is there already; left out", path.display())
                }
                None => format!("{}: the job {what} has no cells", path.display()),
            });
        }
        contents.function_rounds.extend(rounds);
        Ok(())
    }

    /// Returns the merged file with its ratios over jobs, and the lines for the user. The last line names `output`.
    fn finish(self, output: &Path) -> (ResultFile, Vec<String>) {
        let mut notes = self.notes;
        let mut contents = self.contents.unwrap_or_else(|| ResultFile::new(String::new(), Environment::default()));
        contents.environment = Environment::common(contents.jobs.iter().map(|job| &job.environment));
        contents.pooled_ratios = pooled_ratios(&contents);
        notes.extend(differing_conditions(&contents));
        let (jobs, cells) = (contents.jobs.len(), contents.cells.len());
        notes.push(format!("{}: {jobs} jobs, {cells} cells", output.display()));
        (contents, notes)
    }
}

fn right_schema(path: &Path, file: &ResultFile) -> Result<(), ResultError> {
    match file.schema_version {
        SCHEMA_VERSION => Ok(()),
        found => Err(FileProblem::OtherSchema(found).at(path)),
    }
}

/// A new file of the same experiment, without jobs.
fn empty_like(file: &ResultFile) -> ResultFile {
    let mut empty = ResultFile::new(file.experiment_json.clone(), Environment::default());
    empty.jobs.clear();
    empty.created = utc::now();
    empty
}

/// One line for each condition in which jobs of one point differ, although they are pooled as repetitions.
fn differing_conditions(file: &ResultFile) -> Vec<String> {
    let mut points: BTreeMap<Point, BTreeSet<u64>> = BTreeMap::new();
    for cell in &file.cells {
        points.entry(Point::of(file, cell)).or_default().insert(cell.job);
    }
    let mut lines = Vec::new();
    for (point, jobs) in points {
        for (name, place) in CONDITIONS {
            let value = |job: &u64| file.jobs.get(*job as usize).and_then(|job| job.environment.at(place));
            let Some(first) = jobs.first() else { continue };
            let Some(other) = jobs.iter().find(|job| value(job) != value(first)) else { continue };
            let text = |job: &u64| value(job).map_or("unknown".to_owned(), |value| shortened(&value.to_string()));
            let (one, two) = (text(first), text(other));
            let Point { ranks, nodes, .. } = &point;
            lines.push(format!(
                "jobs of {ranks} ranks on {nodes} nodes are pooled, but their {name} differs: {one} in job {first}, {two} \
                 in job {other}"
            ));
        }
    }
    lines
}

/// Names the first field in which two experiments differ.
fn difference_of(first: &str, other: &str) -> String {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    match first_difference("", &parsed(first), &parsed(other)) {
        Some((field, one, two)) => format!("{field} is {two}, not {one}"),
        None => "they differ in the order of fields or in blanks alone; give both jobs the same file".to_owned(),
    }
}

/// Path and both values of the first difference between two JSON values.
fn first_difference(path: &str, one: &Value, other: &Value) -> Option<(String, String, String)> {
    let nothing = Value::Null;
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            names.into_iter().find_map(|name| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                first_difference(&path, a.get(name).unwrap_or(&nothing), b.get(name).unwrap_or(&nothing))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => (0..)
            .zip(a.iter().zip(b))
            .find_map(|(place, (a, b)): (usize, _)| first_difference(&format!("{path}[{place}]"), a, b)),
        (one, other) if one == other => None,
        (one, other) => {
            let text = |value: &Value| match value {
                Value::Null => "missing".to_owned(),
                value => shortened(&value.to_string()),
            };
            Some((path.to_owned(), text(one), text(other)))
        }
    }
}

/// A text, cut off after 80 characters.
fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
