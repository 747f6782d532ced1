//! Reads elements that a file stores as consecutive little-endian numbers. Neither a memory map nor a cache is used, so
//! that a read of the stored type goes directly from the file into the caller's memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ::hdf5::{Dataset, H5Type};
use half::f16;
use ndarray::s;

use super::check_read;
use super::convert::convert;
use crate::gradient::{Dtype, Element, Range, Source, SourceError};
use crate::with_element;

const _: () = assert!(cfg!(target_endian = "little"), "stored elements are little-endian and are read as they are");

/// Number of elements converted at a time, if the requested type differs from the stored one.
const BLOCK: u64 = 8192;

/// A file that is opened at its first read, so that a process only holds open the files of the clients it reads.
#[derive(Debug)]
pub struct StoredFile {
    path: PathBuf,
    file: OnceLock<File>,
}

impl StoredFile {
    /// Makes a handle without opening the file.
    pub(super) fn new(path: &Path) -> Self {
        StoredFile { path: path.to_owned(), file: OnceLock::new() }
    }

    /// Fills `out` with the bytes from `offset` on.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), SourceError> {
        let file = match self.file.get() {
            Some(file) => file,
            None => {
                let file = File::open(&self.path).map_err(|cause| SourceError::io(&self.path, cause))?;
                self.file.get_or_init(|| file)
            }
        };
        file.read_exact_at(out, offset).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::UnexpectedEof => SourceError::content(
                &self.path,
                format!("ends within bytes {offset}..{}; it was longer when it was opened", offset + out.len() as u64),
            ),
            _ => SourceError::io(&self.path, cause),
        })
    }
}

/// Elements of a gradient that are contiguous in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// The elements' range in the gradient.
    pub(super) range: Range,
    /// Offset of the first of them in the file, bytes.
    pub(super) offset: u64,
}

/// The place of a client's elements.
#[derive(Debug)]
pub enum StoredPlace {
    /// Runs of the file. They are in order of elements and cover the gradient.
    Runs(Vec<StoredRun>),
    /// A dataset that the HDF5 library reads, and the client's row if it has two dimensions.
    InLibrary(Dataset, Option<usize>),
}

/// Gradients in files. Only their place is kept in memory; elements are read directly from the files.
#[derive(Debug)]
pub struct StoredGradients {
    pub(super) files: Vec<StoredFile>,
    /// File of each client, and the place of its elements there.
    pub(super) clients: Vec<(usize, StoredPlace)>,
    pub(super) dtype: Dtype,
    pub(super) elements: u64,
    pub(super) weights: Vec<f64>,
}

impl Source for StoredGradients {
    fn elements(&self) -> u64 {
        self.elements
    }

    fn weights(&self) -> &[f64] {
        &self.weights
    }

    fn stored_dtype(&self) -> Option<Dtype> {
        Some(self.dtype)
    }

    fn needs_library(&self, client: usize) -> bool {
        self.clients.get(client).is_some_and(|(_, place)| matches!(place, StoredPlace::InLibrary(..)))
    }

    fn read_bytes(&self, client: usize, range: Range, dtype: Dtype, out: &mut [u8]) -> Result<(), SourceError> {
        check_read(self, client, range, dtype, out.len())?;
        let (file, place) = &self.clients[client];
        let (file, stored) = (&self.files[*file], self.dtype);
        let runs = match (place, stored) {
            (StoredPlace::Runs(runs), _) => runs,
            (StoredPlace::InLibrary(dataset, row), Dtype::F32) => {
                return read_rows::<f32>(&file.path, (dataset, *row), range, dtype, out);
            }
            (StoredPlace::InLibrary(dataset, row), Dtype::F64) => {
                return read_rows::<f64>(&file.path, (dataset, *row), range, dtype, out);
            }
            (StoredPlace::InLibrary(dataset, row), Dtype::F16 | Dtype::Bf16) => {
                return read_rows::<f16>(&file.path, (dataset, *row), range, dtype, out);
            }
        };
        let first = runs.partition_point(|run| run.range.end <= range.start);
        for run in &runs[first..] {
            let part = run.range.intersect(range);
            if part.is_empty() {
                break;
            }
            let at = part.indices_from(range.start);
            let out = &mut out[at.start * dtype.size()..at.end * dtype.size()];
            let offset = run.offset + (part.start - run.range.start) * stored.size() as u64;
            if stored == dtype {
                file.read_at(offset, out)?;
            } else {
                with_element!(stored, S => with_element!(dtype, D => {
                    in_blocks::<S, D>(part.len(), out, |at, block| {
                        file.read_at(offset + at * size_of::<S>() as u64, bytemuck::cast_slice_mut(block))
                    })
                }))?;
            }
        }
        Ok(())
    }
}

/// Writes elements `range` of a dataset, which the library reads as type `S`, to `out` as `dtype`.
fn read_rows<S: Element + H5Type>(
    path: &Path,
    (dataset, row): (&Dataset, Option<usize>),
    range: Range,
    dtype: Dtype,
    out: &mut [u8],
) -> Result<(), SourceError> {
    with_element!(dtype, D => in_blocks::<S, D>(range.len(), out, |at, block| {
        let start = (range.start + at) as usize;
        let columns = start..start + block.len();
        let read = match row {
            Some(row) => dataset.read_slice_1d::<S, _>(s![row, columns]),
            None => dataset.read_slice_1d::<S, _>(s![columns]),
        };
        let wrong = |cause: ::hdf5::Error| SourceError::content(path, format!("{}: {cause}", dataset.name()));
        for (value, read) in block.iter_mut().zip(&read.map_err(wrong)?) {
            *value = *read;
        }
        Ok(())
    }))
}

/// Fills `out`, the bytes of `elements` elements of type `D`, in blocks that `read` yields as type `S`. `read` receives
/// the index of the block's first element.
fn in_blocks<S: Element, D: Element>(
    elements: u64,
    out: &mut [u8],
    mut read: impl FnMut(u64, &mut [S]) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let length = elements.min(BLOCK) as usize;
    let (mut from, mut to) = (vec![S::zeroed(); length], vec![D::zeroed(); length]);
    for (block, out) in out.chunks_mut(length.max(1) * size_of::<D>()).enumerate() {
        let count = out.len() / size_of::<D>();
        read((block * length) as u64, &mut from[..count])?;
        convert(&from[..count], &mut to[..count]);
        out.copy_from_slice(bytemuck::cast_slice(&to[..count]));
    }
    Ok(())
}
