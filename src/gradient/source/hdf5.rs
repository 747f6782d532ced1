//! Gradients in HDF5 files: either one dataset \[clients, elements\], or a one-dimensional dataset for each client in
//! one group or in a file each.
//!
//! The attribute `weights` or `num_samples` holds the weights: an array with one for each client on a two-dimensional
//! dataset, a number on a client's own dataset.

use std::path::{Path, PathBuf};

use ::hdf5::plist::dataset_create::Layout;
use ::hdf5::types::{FloatSize, TypeDescriptor};
use ::hdf5::{Dataset, Datatype, File, Group};
use half::f16;

use super::stored::{StoredFile, StoredGradients, StoredPlace, StoredRun};
use super::weights::Weights;
use super::{MOST_CLIENTS, weights};
use crate::gradient::{Dtype, Range, SourceError};

/// Names of attributes that may hold weights.
const WEIGHTS: [&str; 2] = ["weights", "num_samples"];

/// A dataset that may hold gradients.
struct StoredDataset {
    file: usize,
    name: String,
    dataset: Dataset,
    shape: Vec<usize>,
    dtype: Dtype,
    offset: Option<u64>,
}

/// Opens the gradients in `files`. Contiguous datasets are read directly from the file, without the HDF5 library and
/// its lock. Others (chunked, compressed, big-endian) are read by hyperslab, one block at a time.
///
/// `dataset` names a dataset or a group of datasets; None is the root group. A
/// single file holds all clients, as one two-dimensional dataset or as one-dimensional datasets in byte order of
/// their names. Of several files each holds one client. `asked` tells where the weights come from.
pub fn open(files: &[PathBuf], dataset: Option<&str>, asked: &Weights) -> Result<StoredGradients, SourceError> {
    let mut found = Vec::new();
    for (index, path) in files.iter().enumerate() {
        let in_file = datasets(path, index, dataset)?;
        let one_client = in_file.len() == 1 && in_file[0].shape.len() == 1;
        if files.len() > 1 && !one_client {
            return Err(SourceError::content(
                path,
                format!(
                    "holds {}; where there are several files, each must hold one client: one one-dimensional dataset",
                    in_file.iter().map(StoredDataset::shown).collect::<Vec<_>>().join(", ")
                ),
            ));
        }
        found.extend(in_file);
    }
    let Some(first) = found.first() else {
        return Err(SourceError::Request("no HDF5 file was given".into()));
    };
    let (dtype, elements) = (first.dtype, first.elements());
    for other in &found[1..] {
        let (shown, first_shown) = (other.shown(), first.shown());
        let problem = if other.dtype != dtype {
            format!("{shown} is {}, but {first_shown} is {dtype}; clients must be of one type", other.dtype)
        } else if other.elements() != elements {
            format!("{shown} is not as long as {first_shown}; clients must have as many elements")
        } else {
            continue;
        };
        return Err(SourceError::content(&files[other.file], problem));
    }
    let mut own_weights = Vec::new();
    for found in &found {
        own_weights.extend(found.weights(&files[found.file], asked.key())?);
    }
    let (mut clients, mut datasets) = (Vec::new(), Vec::new());
    for found in &found {
        let rows = if let [rows, _] = found.shape[..] { Some(rows) } else { None };
        for row in 0..rows.unwrap_or(1) {
            let before = row as u64 * elements * dtype.size() as u64;
            let run = |offset| vec![StoredRun { range: Range::new(0, elements), offset: offset + before }];
            let in_library = || StoredPlace::InLibrary(found.dataset.clone(), rows.map(|_| row));
            clients.push((found.file, found.offset.map(run).map_or_else(in_library, StoredPlace::Runs)));
            datasets.push(found);
        }
    }
    if clients.is_empty() {
        return Err(SourceError::content(&files[0], "holds no client: the shape of its dataset begins with 0"));
    }
    let weights = weights::asked_or_found(asked, &own_weights, |client| {
        let dataset: &StoredDataset = datasets[client];
        SourceError::content(
            &files[dataset.file],
            format!(
                "dataset \"{}\" has no attribute {}, which is its clients' weight; give it, or give all weights in the \
                 experiment",
                dataset.name,
                asked.key().unwrap_or("weights or num_samples")
            ),
        )
    })?;
    let files = files.iter().map(|path| StoredFile::new(path)).collect();
    Ok(StoredGradients { clients, files, dtype, elements, weights })
}

impl StoredDataset {
    fn elements(&self) -> u64 {
        self.shape.last().map_or(0, |&elements| elements as u64)
    }

    /// Describes the dataset for a message.
    fn shown(&self) -> String {
        format!("\"{}\" {:?}", self.name, self.shape)
    }

    /// Returns the weights in the dataset's attributes, one for each of its clients; all None without the attribute.
    fn weights(&self, path: &Path, key: Option<&str>) -> Result<Vec<Option<f64>>, SourceError> {
        let clients = if let [rows, _] = self.shape[..] { rows } else { 1 };
        let library = |cause| in_library(path, &self.name, &cause);
        let wrong = |problem: String| Err(SourceError::content(path, problem));
        let shown = self.shown();
        let names = self.dataset.attr_names().map_err(library)?;
        let wanted = key.map_or(WEIGHTS.to_vec(), |key| vec![key]);
        let present: Vec<_> = wanted.into_iter().filter(|key| names.iter().any(|name| name == key)).collect();
        let key = match present[..] {
            [] => return Ok(vec![None; clients]),
            [key] => key,
            _ => return wrong(format!("{shown} has both attributes weights and num_samples; one must go")),
        };
        let values = self.dataset.attr(key).and_then(|attribute| attribute.read_raw::<f64>()).map_err(library)?;
        if values.len() != clients {
            return wrong(format!("attribute {key} of {shown} has {} values for {clients} clients", values.len()));
        }
        if let Some(value) = values.iter().find(|value| !(value.is_finite() && **value > 0.0)) {
            return wrong(format!("attribute {key} of {shown} holds {value}; weights must be finite and above zero"));
        }
        Ok(values.into_iter().map(Some).collect())
    }
}

/// Returns the datasets of `path` that hold its clients: the dataset called `name`, or those in the group of that name.
fn datasets(path: &Path, file: usize, name: Option<&str>) -> Result<Vec<StoredDataset>, SourceError> {
    // The library's own message for a missing file or one that is not HDF5 is a dump of its internals.
    std::fs::File::open(path).map_err(|cause| SourceError::io(path, cause))?;
    let wrong = |problem: String| SourceError::content(path, problem);
    let opened = File::open(path).map_err(|cause| wrong(format!("cannot be opened as an HDF5 file: {cause}")))?;
    let Some(name) = name.filter(|name| !name.trim_matches('/').is_empty()) else {
        return in_group(path, file, &opened, "the file's top");
    };
    if let Ok(dataset) = opened.dataset(name) {
        let found = found(path, file, dataset)?;
        return match found.shape.len() {
            1 | 2 => Ok(vec![found]),
            _ => Err(wrong(format!("{} must have shape [elements] or [clients, elements]", found.shown()))),
        };
    }
    let Ok(group) = opened.group(name) else {
        let top = opened.member_names().unwrap_or_default().join(", ");
        return Err(wrong(format!("has no dataset or group \"{name}\"; at its top are: {top}")));
    };
    in_group(path, file, &group, &format!("group \"{name}\""))
}

/// Returns the datasets in `group`: one of two dimensions, or any number of one dimension.
fn in_group(path: &Path, file: usize, group: &Group, shown: &str) -> Result<Vec<StoredDataset>, SourceError> {
    let mut datasets = group.datasets().map_err(|cause| in_library(path, shown, &cause))?;
    datasets.sort_by_key(|dataset| dataset.name());
    let shapes: Vec<_> = datasets.iter().map(|dataset| dataset.ndim()).collect();
    if datasets.is_empty() || !(shapes == [2] || shapes.iter().all(|&dimensions| dimensions == 1)) {
        let names: Vec<_> = datasets.iter().map(|found| format!("\"{}\" {:?}", found.name(), found.shape())).collect();
        let names = if names.is_empty() { "no dataset".into() } else { names.join(", ") };
        return Err(SourceError::content(
            path,
            format!(
                "{shown} holds {names}; it must hold one dataset [clients, elements] or only datasets [elements], one a \
                 client. Say with \"dataset\" which dataset or group is meant"
            ),
        ));
    }
    datasets.into_iter().map(|dataset| found(path, file, dataset)).collect()
}

/// Describes `dataset`, if its type is one of gradients.
fn found(path: &Path, file: usize, dataset: Dataset) -> Result<StoredDataset, SourceError> {
    let name = dataset.name();
    let library = |cause| in_library(path, &name, &cause);
    let wrong = |problem: String| Err(SourceError::content(path, problem));
    let stored = dataset.dtype().map_err(library)?;
    let dtype = match stored.to_descriptor() {
        Ok(TypeDescriptor::Float(FloatSize::U4)) => Some((Dtype::F32, Datatype::from_type::<f32>())),
        Ok(TypeDescriptor::Float(FloatSize::U8)) => Some((Dtype::F64, Datatype::from_type::<f64>())),
        Ok(TypeDescriptor::Float(FloatSize::U2)) => {
            // HDF5 has no name for half precision, and floats of two bytes may split exponent and significand
            // differently.
            let half = Datatype::from_type::<f16>();
            half.as_ref().is_ok_and(|half| *half == stored).then_some((Dtype::F16, half))
        }
        _ => None,
    };
    let Some((dtype, native)) = dtype else {
        return wrong(format!("dataset \"{name}\" is no float of 32 or 64 bits, nor little-endian IEEE binary16"));
    };
    let native = native.map_err(library)?;
    let shape = dataset.shape();
    let bytes = shape.iter().try_fold(dtype.size() as u64, |bytes, &n| bytes.checked_mul(n as u64));
    let Some(bytes) = bytes.filter(|_| shape.len() < 2 || shape[0] as u64 <= MOST_CLIENTS) else {
        return wrong(format!("dataset \"{name}\" claims shape {shape:?}; there may be {MOST_CLIENTS} clients"));
    };
    if let Err(problem) = is_stored(path, &dataset, &shape).map_err(library)? {
        return wrong(format!("dataset \"{name}\" {problem}"));
    }
    // Big-endian numbers must pass through the library. Only contiguous datasets have an offset.
    let offset = if stored == native { dataset.offset() } else { None };
    if let Some(offset) = offset {
        let length = std::fs::metadata(path).map_err(|cause| SourceError::io(path, cause))?.len();
        if offset.checked_add(bytes).is_none_or(|end| end > length) {
            return wrong(format!("is cut off: {length} bytes do not hold \"{name}\", {bytes} bytes from {offset} on"));
        }
    }
    Ok(StoredDataset { file, name, dataset, shape, dtype, offset })
}

/// Returns an error message if the library would read zeros, or some other file, in the place of `dataset`'s elements.
fn is_stored(path: &Path, dataset: &Dataset, shape: &[usize]) -> ::hdf5::Result<Result<(), String>> {
    let plan = dataset.dcpl()?;
    if let Some(file) = plan.get_external()?.first() {
        let name = &file.name;
        return Ok(Err(format!("has its elements in another file, {name:?} (external storage), which is not read")));
    }
    let never_written = "was not written entirely: the missing elements would be read as zeros";
    let written = match plan.layout() {
        Layout::Virtual => {
            for source in plan.get_virtual_map()? {
                let (file, name) = (&source.src_filename, &source.src_dataset);
                // A dot is the file itself. Other paths are relative to its directory.
                let place = if file == "." { path.to_owned() } else { path.with_file_name(file) };
                if !File::open(&place).is_ok_and(|opened| opened.dataset(name).is_ok()) {
                    return Ok(Err(format!("is virtual, and its source, {name:?} of {file:?}, is missing")));
                }
            }
            true
        }
        Layout::Chunked => {
            let chunk = dataset.chunk().unwrap_or_default();
            let chunks = shape.iter().zip(&chunk).map(|(length, of)| length.div_ceil(*of)).product::<usize>();
            dataset.num_chunks().is_none_or(|written| written >= chunks)
        }
        Layout::Contiguous => shape.contains(&0) || dataset.offset().is_some(),
        Layout::Compact => true,
    };
    Ok(if written { Ok(()) } else { Err(never_written.to_owned()) })
}

/// Makes the error of an HDF5 failure on `object` of `path`.
fn in_library(path: &Path, object: &str, cause: &::hdf5::Error) -> SourceError {
    SourceError::content(path, format!("{object}: {cause}"))
}

#[cfg(test)]
mod tests;
