//! Writes the contents of a result file as HDF5.

use std::path::Path;

use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, File, Group, H5Type, Location};
use ndarray::{Array, ArrayView1, Dimension, Ix2, Ix3};
use serde_json::Value;

use super::column::{Row, unicode};
use super::error::FileProblem;
use super::row::{RankMemory, Sample};
use super::schema;
use super::{Environment, ResultFile};

/// Elements of an array's compressed chunk: 1 MiB of 8-byte numbers, the size of HDF5's default chunk cache.
const CHUNK_ELEMENTS: usize = 1 << 17;

/// Refuses contents whose parts contradict each other.
pub(super) fn check(contents: &ResultFile) -> Result<(), FileProblem> {
    let wrong = |field, problem| Err(FileProblem::Inconsistent { field, problem });
    if contents.schema_version != schema::SCHEMA_VERSION {
        let (found, right) = (contents.schema_version, schema::SCHEMA_VERSION);
        return wrong("schema_version", format!("is {found}, but only {right} can be written"));
    }
    if contents.experiment_json.contains('\0') {
        return wrong("experiment_json", "contains a NUL, which JSON does not allow".to_owned());
    }
    let (cells, memory) = (contents.cells.len(), contents.memory_ranks.len());
    if cells != memory {
        return wrong("memory_ranks", format!("has {memory} rows, but there are {cells} cells"));
    }
    let jobs = contents.jobs.len() as u64;
    if let Some(cell) = contents.cells.iter().find(|cell| cell.job >= jobs) {
        return wrong("jobs", format!("has {jobs} rows, but cell {} belongs to job {}", cell.cell, cell.job));
    }
    if let Some(row) = contents.function_rounds.iter().find(|row| row.job >= jobs) {
        return wrong(
            "jobs",
            format!("has {jobs} rows, but round {} on functions belongs to job {}", row.round, row.job),
        );
    }
    for (index, sample) in contents.samples.iter().enumerate() {
        let ranks = sample.rank_seconds.len();
        for (field, values) in [
            ("rank_start_seconds", sample.rank_start_seconds.len()),
            ("rank_producing_seconds", sample.rank_producing_seconds.len()),
        ] {
            if ranks != values {
                return wrong(field, format!("sample {index} has {values} values, but {ranks} ranks in rank_seconds"));
            }
        }
    }
    Ok(())
}

/// Writes the contents to a new HDF5 file at `path`, replacing an existing one, and closes it. The contents must have
/// passed [`check`].
pub(super) fn write(path: &Path, contents: &ResultFile) -> hdf5::Result<()> {
    let file = File::create(path)?;
    let filled = fill(&file, contents).and_then(|()| file.flush());
    let closed = file.close();
    filled.and(closed)
}

/// Selects one of a sample's lists of times, which have one entry per rank.
type TimesOfRanks = fn(&Sample) -> &Vec<f64>;

fn fill(file: &File, contents: &ResultFile) -> hdf5::Result<()> {
    text_attribute(file, schema::FORMAT.0, schema::FORMAT.1)?;
    attribute(file, schema::SCHEMA_VERSION_NAME, &contents.schema_version)?;
    text_attribute(file, schema::GRADSHARD_VERSION, &contents.gradshard_version)?;
    text_attribute(file, schema::CREATED, &contents.created)?;

    let experiment = text_dataset(file, schema::EXPERIMENT, &contents.experiment_json)?;
    text_attribute(&experiment, schema::SHA256, &contents.experiment_sha256)?;
    let environment = text_dataset(file, schema::ENVIRONMENT, &contents.environment.to_string())?;
    environment_attributes(&environment, &contents.environment)?;

    table(file, schema::CELLS, &contents.cells)?;
    table(file, schema::RATIOS, &contents.ratios)?;
    table(file, schema::BLOCKS, &contents.blocks)?;
    table(file, schema::FUNCTION_ROUNDS, &contents.function_rounds)?;
    table(file, schema::JOBS, &contents.jobs)?;
    table(file, schema::POOLED_RATIOS, &contents.pooled_ratios)?;
    table(file, schema::SAMPLES, &contents.samples)?;

    let widest = contents.samples.iter().map(|sample| sample.rank_seconds.len()).max().unwrap_or(0);
    let arrays: [(&str, TimesOfRanks); 3] = [
        (schema::RANK_SECONDS, |sample| &sample.rank_seconds),
        (schema::RANK_START_SECONDS, |sample| &sample.rank_start_seconds),
        (schema::RANK_PRODUCING_SECONDS, |sample| &sample.rank_producing_seconds),
    ];
    for (name, of) in arrays {
        let mut seconds = Array::<f64, Ix2>::from_elem((contents.samples.len(), widest), f64::NAN);
        for (index, sample) in contents.samples.iter().enumerate() {
            for (rank, value) in of(sample).iter().enumerate() {
                seconds[[index, rank]] = *value;
            }
        }
        let dataset = array(file, name, &seconds)?;
        text_attribute(&dataset, schema::AXES, "sample, rank")?;
        text_attribute(&dataset, schema::UNIT, "s")?;
        attribute(&dataset, schema::MISSING, &f64::NAN)?;
    }
    memory(file, &contents.memory_ranks)
}

fn memory(file: &File, rows: &[Vec<RankMemory>]) -> hdf5::Result<()> {
    let none = [schema::NO_RANK; schema::PURPOSES.len()];
    let predicted = |rank: &RankMemory| bytemuck::cast(rank.predicted);
    let tracked = |rank: &RankMemory| rank.tracked.map_or(none, bytemuck::cast);
    let kernel = |rank: &RankMemory| {
        let [round, resident, baseline, neighbours] = rank.kernel.map_or(none, bytemuck::cast);
        [round, resident, baseline, neighbours, rank.group_peak.unwrap_or(schema::NO_RANK)]
    };
    let by_purpose = (schema::PURPOSES_NAME, schema::PURPOSES);
    bytes_of_ranks(file, schema::MEMORY_PREDICTED, rows, predicted, by_purpose, "cell, rank, purpose")?;
    bytes_of_ranks(file, schema::MEMORY_TRACKED, rows, tracked, by_purpose, "cell, rank, purpose")?;
    let figures = (schema::KERNEL_NAME, schema::KERNEL);
    bytes_of_ranks(file, schema::MEMORY_KERNEL, rows, kernel, figures, "cell, rank, figure")
}

/// Writes an array of bytes of shape cells × ranks × `N`. An attribute names the `N` entries of the last axis.
fn bytes_of_ranks<const N: usize>(
    file: &File,
    name: &str,
    rows: &[Vec<RankMemory>],
    bytes_of: impl Fn(&RankMemory) -> [u64; N],
    (attribute_name, things): (&str, [&str; N]),
    axes: &str,
) -> hdf5::Result<()> {
    let widest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut bytes = Array::<u64, Ix3>::from_elem((rows.len(), widest, N), schema::NO_RANK);
    for (cell, row) in rows.iter().enumerate() {
        for (rank, memory) in row.iter().enumerate() {
            for (thing, value) in bytes_of(memory).into_iter().enumerate() {
                bytes[[cell, rank, thing]] = value;
            }
        }
    }
    let dataset = array(file, name, &bytes)?;
    text_attribute(&dataset, schema::AXES, axes)?;
    text_attribute(&dataset, schema::UNIT, "B")?;
    attribute(&dataset, schema::MISSING, &schema::NO_RANK)?;
    let names: Vec<VarLenUnicode> = things.into_iter().map(unicode).collect();
    dataset.new_attr_builder().with_data(&names).create(attribute_name)?;
    Ok(())
}

fn table<R: Row>(parent: &Group, name: &str, rows: &[R]) -> hdf5::Result<()> {
    let records: Vec<R::Record> = rows.iter().map(R::record).collect();
    let dataset = parent.new_dataset_builder().with_data(ArrayView1::from(&records)).create(name)?;
    for column in R::COLUMNS {
        text_attribute(&dataset, column.name, &format!("[{}] {}", column.unit, column.meaning))?;
    }
    Ok(())
}

/// Writes a numeric array, compressed if it is not empty and the library supports it.
fn array<N: H5Type, D: Dimension>(parent: &Group, name: &str, values: &Array<N, D>) -> hdf5::Result<Dataset> {
    let mut builder = parent.new_dataset_builder();
    if !values.is_empty() && hdf5::filters::deflate_available() {
        let mut chunk = values.shape().to_vec();
        let row: usize = chunk[1..].iter().product();
        chunk[0] = chunk[0].min((CHUNK_ELEMENTS / row).max(1));
        builder = builder.chunk(chunk).shuffle().deflate(1);
    }
    builder.with_data(values.view()).create(name)
}

fn text_dataset(parent: &Group, name: &str, text: &str) -> hdf5::Result<Dataset> {
    let dataset = parent.new_dataset::<VarLenUnicode>().create(name)?;
    dataset.write_scalar(&unicode(text))?;
    Ok(dataset)
}

fn text_attribute(parent: &Location, name: &str, text: &str) -> hdf5::Result<()> {
    attribute(parent, name, &unicode(text))
}

fn attribute<T: H5Type>(parent: &Location, name: &str, value: &T) -> hdf5::Result<()> {
    parent.new_attr::<T>().create(name)?.write_scalar(value)
}

/// Writes the environment's top-level scalars as attributes, too, for readers that do not parse JSON.
fn environment_attributes(dataset: &Dataset, environment: &Environment) -> hdf5::Result<()> {
    for (name, value) in environment.entries() {
        // HDF5 does not allow such names. The JSON text still has the entry.
        if name.is_empty() || name.contains('\0') {
            continue;
        }
        match value {
            Value::String(text) => text_attribute(dataset, name, text)?,
            Value::Bool(truth) => attribute(dataset, name, truth)?,
            Value::Number(number) => {
                if let Some(number) = number.as_u64() {
                    attribute(dataset, name, &number)?;
                } else if let Some(number) = number.as_i64() {
                    attribute(dataset, name, &number)?;
                } else if let Some(number) = number.as_f64() {
                    attribute(dataset, name, &number)?;
                }
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }
    Ok(())
}
