//! Reads a result file.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use hdf5::types::VarLenUnicode;
use hdf5::{Container, Dataset, File, H5Type};

use super::column::{Row, Stored, StoredTable};
use super::contents::ResultFile;
use super::digest::sha256;
use super::environment::Environment;
use super::error::{FileProblem, ResultError, told};
use super::function_row::FunctionRow;
use super::job_row::JobRow;
use super::row::{CellRow, RankMemory, Sample};
use super::schema;
use crate::plan::{End, Family};

/// The first bytes of every HDF5 file without a user block. gradshard writes no user block.
const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Bytes that come of one compressed byte at most (zlib's technical details: "the limit is 1032:1").
const MOST_BYTES_A_BYTE: u64 = 1032;

impl ResultFile {
    /// Reads a whole result file.
    ///
    /// # Errors
    /// The file does not exist, is not HDF5, was not written by gradshard, has a newer schema, or is cut off, damaged
    /// or contradictory.
    pub fn open(path: impl AsRef<Path>) -> Result<ResultFile, ResultError> {
        let path = path.as_ref();
        check_signature(path)?;
        let damaged = |at: &str, detail: String| FileProblem::Damaged { at: at.into(), detail }.at(path);
        let file = File::open(path).map_err(|error| damaged("the file itself", told(&error)))?;
        let (schema_version, gradshard_version) = identify(path, &file)?;
        let reading = FileReader { path, file: &file, schema_version };

        let experiment = reading.dataset(schema::EXPERIMENT)?;
        let experiment_json = reading.text(schema::EXPERIMENT, &experiment)?;
        let experiment_sha256 = reading.text_attribute(schema::EXPERIMENT, &experiment, schema::SHA256)?;
        let digest = sha256(&experiment_json);
        if digest != experiment_sha256 {
            let detail = format!("its SHA-256 is {digest}, but the file says {experiment_sha256}");
            return Err(damaged("/experiment", detail));
        }
        let environment = reading.text(schema::ENVIRONMENT, &reading.dataset(schema::ENVIRONMENT)?)?;
        let environment: Environment = serde_json::from_str(&environment)
            .map_err(|error| damaged("/environment", format!("no JSON object: {error}")))?;

        let cells = reading.cells()?;
        let samples = reading.samples()?;
        let memory_ranks = reading.memory(&cells)?;
        let created =
            attribute_text(&file, schema::CREATED).map_err(|detail| damaged("/ attribute created", detail))?;
        let jobs = match schema_version {
            ..4 => vec![JobRow::of_older_file(&created, &gradshard_version, &environment)],
            _ => reading.jobs(&cells)?,
        };
        let function_rounds = reading.function_rounds(jobs.len())?;
        Ok(ResultFile {
            schema_version,
            experiment_json,
            experiment_sha256,
            created,
            gradshard_version,
            environment,
            jobs,
            cells,
            ratios: reading.table_since(3, schema::RATIOS)?,
            blocks: reading.table_since(4, schema::BLOCKS)?,
            pooled_ratios: reading.table_since(4, schema::POOLED_RATIOS)?,
            function_rounds,
            samples,
            memory_ranks,
        })
    }
}

/// Refuses a file that is not HDF5, without the HDF5 library, whose messages would not help the user.
fn check_signature(path: &Path) -> Result<(), ResultError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileProblem::Missing.at(path),
        _ => FileProblem::Unreadable(error).at(path),
    };
    let not_hdf5 = |seen| FileProblem::NotHdf5(seen).at(path);
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Err(not_hdf5(" but a directory"));
    }
    let mut start = Vec::new();
    fs::File::open(path).map_err(unreadable)?.take(8).read_to_end(&mut start).map_err(unreadable)?;
    match start.as_slice() {
        [] => Err(not_hdf5("; it is empty")),
        start if start == SIGNATURE => Ok(()),
        _ => Err(not_hdf5("")),
    }
}

/// The schema version and the version of the gradshard that wrote the file. Refuses a file that is no result file or is
/// too new.
fn identify(path: &Path, file: &File) -> Result<(u32, String), ResultError> {
    let foreign = |lacking: String| FileProblem::NotAResultFile(lacking).at(path);
    let (name, text) = schema::FORMAT;
    let format = attribute_text(file, name).map_err(|_| foreign(format!("it has no text attribute {name:?}")))?;
    if format != text {
        return Err(foreign(format!("its attribute {name:?} is {format:?}, not {text:?}")));
    }
    let found = file
        .attr(schema::SCHEMA_VERSION_NAME)
        .and_then(|attribute| attribute.read_scalar::<u32>())
        .map_err(|_| foreign(format!("it has no number {:?}", schema::SCHEMA_VERSION_NAME)))?;
    let writer = attribute_text(file, schema::GRADSHARD_VERSION)
        .map_err(|_| foreign(format!("it has no text attribute {:?}", schema::GRADSHARD_VERSION)))?;
    if found == 0 || found > schema::SCHEMA_VERSION {
        return Err(FileProblem::Version { found, writer }.at(path));
    }
    Ok((found, writer))
}

fn attribute_text(parent: &hdf5::Location, name: &str) -> Result<String, String> {
    parent.attr(name).map_err(|error| told(&error)).and_then(|attribute| scalar_text(&attribute))
}

fn scalar_text(container: &Container) -> Result<String, String> {
    String::load(&container.read_scalar::<VarLenUnicode>().map_err(|error| told(&error))?)
}

/// A file that is being read, with its path for messages.
struct FileReader<'a> {
    path: &'a Path,
    file: &'a File,
    schema_version: u32,
}

impl FileReader<'_> {
    fn damaged(&self, name: &str, detail: String) -> ResultError {
        FileProblem::Damaged { at: format!("/{name}"), detail }.at(self.path)
    }

    /// Opens a dataset, whose shape must be one that a file of this length can hold: a reader takes memory for all of it.
    fn dataset(&self, name: &str) -> Result<Dataset, ResultError> {
        let damaged = |error: hdf5::Error| self.damaged(name, told(&error));
        let dataset = self.file.dataset(name).map_err(damaged)?;
        let shape = dataset.shape();
        let element = dataset.dtype().map_err(damaged)?.size() as u64;
        let bytes = shape.iter().try_fold(element, |bytes, length| bytes.checked_mul(*length as u64));
        if bytes.is_none_or(|bytes| bytes / MOST_BYTES_A_BYTE > self.file.size()) {
            let detail = format!("its shape {shape:?} is more than a file of {} bytes can hold", self.file.size());
            return Err(self.damaged(name, detail));
        }
        Ok(dataset)
    }

    fn text(&self, name: &str, dataset: &Dataset) -> Result<String, ResultError> {
        scalar_text(dataset).map_err(|detail| self.damaged(name, detail))
    }

    fn text_attribute(&self, name: &str, dataset: &Dataset, attribute: &str) -> Result<String, ResultError> {
        attribute_text(dataset, attribute)
            .map_err(|detail| self.damaged(name, format!("attribute {attribute}: {detail}")))
    }

    fn stored(&self, name: &str) -> Result<StoredTable, ResultError> {
        StoredTable::new(self.dataset(name)?, self.schema_version).map_err(|detail| self.damaged(name, detail))
    }

    fn table<R: Row>(&self, name: &str) -> Result<Vec<R>, ResultError> {
        self.stored(name)?.rows::<R>().map_err(|detail| self.damaged(name, detail))
    }

    /// Reads a table that files have since schema version `version`. Older files yield no rows.
    fn table_since<R: Row>(&self, version: u32, name: &str) -> Result<Vec<R>, ResultError> {
        if self.schema_version < version { Ok(Vec::new()) } else { self.table(name) }
    }

    /// Reads the cells. In files before schema version 5, `end` is derived from the columns `phase` and `family`, and
    /// calls of the MPI library get the family `library`.
    fn cells(&self) -> Result<Vec<CellRow>, ResultError> {
        #[derive(hdf5::H5Type)]
        #[repr(C)]
        struct Before5 {
            phase: VarLenUnicode,
        }
        let mut cells = self.table::<CellRow>(schema::CELLS)?;
        if self.schema_version >= 5 {
            return Ok(cells);
        }
        let damaged = |detail| self.damaged(schema::CELLS, detail);
        let older = self.stored(schema::CELLS)?.read::<Before5>().map_err(damaged)?;
        for (index, (cell, Before5 { phase })) in cells.iter_mut().zip(older).enumerate() {
            let phase = String::load(&phase).map_err(damaged)?;
            cell.end = match (phase.as_str(), cell.family) {
                ("round", _) => End::Everywhere,
                ("aggregate", Family::Sharded) => End::Scattered,
                ("aggregate", _) => End::Root,
                _ => {
                    let detail = format!("column phase, row {index}: {phase:?} is neither `aggregate` nor `round`");
                    return Err(damaged(detail));
                }
            };
            if cell.strategy.starts_with("native-") {
                cell.family = Family::Library;
            }
            // Older files have separate strategies for two calls in a row. Now they are the first call's strategy with
            // another end.
            let now = match cell.strategy.as_str() {
                "native-reduce-then-scatter" => ("native-reduce", End::Scattered),
                "native-reduce-scatter-then-gather" => ("native-reduce-scatter", End::Root),
                "native-reduce-scatter-then-allgather" => ("native-reduce-scatter", End::Everywhere),
                _ => continue,
            };
            (cell.strategy, cell.end) = (now.0.to_owned(), now.1);
        }
        Ok(cells)
    }

    fn jobs(&self, cells: &[CellRow]) -> Result<Vec<JobRow>, ResultError> {
        let jobs = self.table::<JobRow>(schema::JOBS)?;
        if let Some((place, row)) = jobs.iter().enumerate().find(|(place, row)| row.job != *place as u64) {
            return Err(self.damaged(schema::JOBS, format!("row {place} has the job number {}", row.job)));
        }
        match cells.iter().find(|cell| cell.job >= jobs.len() as u64) {
            Some(cell) => {
                let detail = format!("cell {} belongs to job {}, which has no row", cell.cell, cell.job);
                Err(self.damaged(schema::JOBS, detail))
            }
            None => Ok(jobs),
        }
    }

    /// Reads the rounds on functions, each of which must be a round of one of `jobs` jobs, and there once.
    fn function_rounds(&self, jobs: usize) -> Result<Vec<FunctionRow>, ResultError> {
        let rows: Vec<FunctionRow> = self.table_since(8, schema::FUNCTION_ROUNDS)?;
        let damaged = |detail| Err(self.damaged(schema::FUNCTION_ROUNDS, detail));
        let mut seen = BTreeSet::new();
        for FunctionRow { job, round, .. } in &rows {
            if *job >= jobs as u64 {
                return damaged(format!("round {round} belongs to job {job}, which has no row"));
            }
            if !seen.insert((job, round)) {
                return damaged(format!("round {round} of job {job} is there twice"));
            }
        }
        Ok(rows)
    }

    /// Reads the values and the width of an array of shape `rows` × width × `further`.
    fn array<N: H5Type>(&self, name: &str, rows: usize, further: &[usize]) -> Result<(Vec<N>, usize), ResultError> {
        let dataset = self.dataset(name)?;
        let shape = dataset.shape();
        match shape.as_slice() {
            [first, width, rest @ ..] if *first == rows && rest == further => {
                let values = dataset.read_raw().map_err(|error| self.damaged(name, told(&error)))?;
                Ok((values, *width))
            }
            _ => {
                let axes = 2 + further.len();
                Err(self.damaged(name, format!("{axes} axes and {rows} rows were expected, not the shape {shape:?}")))
            }
        }
    }

    fn samples(&self) -> Result<Vec<Sample>, ResultError> {
        #[derive(hdf5::H5Type)]
        #[repr(C)]
        struct RankCount {
            ranks: u64,
        }
        let mut samples = self.table::<Sample>(schema::SAMPLES)?;
        let lengths = self.stored(schema::SAMPLES)?.read::<RankCount>();
        let lengths = lengths.map_err(|detail| self.damaged(schema::SAMPLES, detail))?;
        let seconds = self.array::<f64>(schema::RANK_SECONDS, samples.len(), &[])?;
        let starts = match self.schema_version {
            // Older files lack the starts.
            ..4 => (vec![f64::NAN; seconds.0.len()], seconds.1),
            _ => self.array::<f64>(schema::RANK_START_SECONDS, samples.len(), &[])?,
        };
        let producing = self.array::<f64>(schema::RANK_PRODUCING_SECONDS, samples.len(), &[])?;
        for (index, (sample, RankCount { ranks })) in samples.iter_mut().zip(lengths).enumerate() {
            let of = |(values, width): &(Vec<f64>, usize)| {
                let known = usize::try_from(ranks).ok().filter(|ranks| ranks <= width);
                let values = known.map(|ranks| values[index * width..][..ranks].to_vec());
                let detail = format!("row {index} has {ranks} ranks, but there are times for {width}");
                values.ok_or_else(|| self.damaged(schema::SAMPLES, detail))
            };
            sample.rank_seconds = of(&seconds)?;
            sample.rank_start_seconds = of(&starts)?;
            sample.rank_producing_seconds = of(&producing)?;
            if self.schema_version < 4 {
                sample.off_core_seconds = f64::NAN;
            }
        }
        Ok(samples)
    }

    fn memory(&self, cells: &[CellRow]) -> Result<Vec<Vec<RankMemory>>, ResultError> {
        const PURPOSES: usize = schema::PURPOSES.len();
        const FIGURES: usize = schema::KERNEL.len();
        let (predicted, width) = self.bytes_of_ranks::<PURPOSES>(schema::MEMORY_PREDICTED, cells.len())?;
        let known = |bytes: &u64| *bytes != schema::NO_RANK;
        let mut rows: Vec<Vec<RankMemory>> = Vec::with_capacity(cells.len());
        for cell in 0..cells.len() {
            let ranks = &predicted[cell * width..][..width];
            let there = ranks.iter().take_while(|bytes| known(&bytes[0]));
            rows.push(there.map(|b| RankMemory { predicted: bytemuck::cast(*b), ..RankMemory::default() }).collect());
        }
        if self.schema_version < 3 {
            return Ok(rows);
        }
        let (tracked, tracked_width) = self.bytes_of_ranks::<PURPOSES>(schema::MEMORY_TRACKED, cells.len())?;
        let (kernel, kernel_width) = self.bytes_of_ranks::<FIGURES>(schema::MEMORY_KERNEL, cells.len())?;
        for (name, other) in [(schema::MEMORY_TRACKED, tracked_width), (schema::MEMORY_KERNEL, kernel_width)] {
            if other != width {
                return Err(self.damaged(name, format!("it is for {other} ranks, {width} were expected")));
            }
        }
        for (cell, row) in rows.iter_mut().enumerate() {
            for (rank, memory) in row.iter_mut().enumerate() {
                let at = cell * width + rank;
                memory.tracked = Some(tracked[at]).filter(|bytes| known(&bytes[0])).map(bytemuck::cast);
                let [seen @ .., group_peak] = kernel[at];
                memory.kernel = Some(seen).filter(|bytes: &[u64; 4]| known(&bytes[0])).map(bytemuck::cast);
                memory.group_peak = known(&group_peak).then_some(group_peak);
            }
        }
        Ok(rows)
    }

    /// Reads an array of bytes of shape `cells` × ranks × `N`. Returns the values in this order, and the number of
    /// ranks.
    fn bytes_of_ranks<const N: usize>(&self, name: &str, cells: usize) -> Result<(Vec<[u64; N]>, usize), ResultError> {
        let (bytes, width) = self.array::<u64>(name, cells, &[N])?;
        Ok((bytes.as_chunks::<N>().0.to_vec(), width))
    }
}
