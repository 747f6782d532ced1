//! Where clients' gradients come from. A source knows N, |θ| and the weights, and hands out any range of any client.

use std::path::PathBuf;

use crate::gradient::{Dtype, Element, Range};

mod convert;
mod find;
pub mod hdf5;
pub mod npy;
pub mod open;
pub mod safetensors;
mod stored;
#[allow(unsafe_code)]
pub mod synthetic;
pub mod weights;

pub use open::{FileKind, open_files};
pub use synthetic::Synthetic;

/// What can be wrong with a source of gradients. Each names the file, the place in it and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be read.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file's contents are not what its format or the experiment asks for.
    #[error("{path}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The request itself is wrong (no files found, weights that are no weights, ...).
    #[error("{0}")]
    Request(String),
}

impl SourceError {
    /// `problem` with the contents of `path`.
    fn content(path: &std::path::Path, problem: impl Into<String>) -> Self {
        SourceError::Content { path: path.to_owned(), problem: problem.into() }
    }

    /// What the system said when `path` was read.
    fn io(path: &std::path::Path, cause: std::io::Error) -> Self {
        SourceError::Io { path: path.to_owned(), cause }
    }
}

/// Gradients of N clients of `elements` elements each.
///
/// Reading needs only `&self`, from any thread.
pub trait Source: Send + Sync {
    /// Number of clients, N.
    fn clients(&self) -> usize;
    /// Elements of a gradient, |θ|.
    fn elements(&self) -> u64;
    /// The clients' weights, N of them, each finite and above zero.
    fn weights(&self) -> &[f64];
    /// The type that the source stores; None for a generator, which yields every type.
    fn stored_dtype(&self) -> Option<Dtype>;
    /// Writes elements `range` of `client`'s gradient to `out`, `range.len()` elements of type `dtype`, as bytes in
    /// native order. A stored type other than `dtype` is rounded to nearest.
    fn read_bytes(&self, client: usize, range: Range, dtype: Dtype, out: &mut [u8]) -> Result<(), SourceError>;
}

/// Writes elements `range` of `client`'s gradient to `out`, which has `range.len()` elements.
pub fn read<E: Element>(source: &dyn Source, client: usize, range: Range, out: &mut [E]) -> Result<(), SourceError> {
    source.read_bytes(client, range, E::DTYPE, bytemuck::cast_slice_mut(out))
}

/// Refuses a read of a client or of elements that `source` does not have, or into a buffer of another length.
fn check_read(
    source: &dyn Source,
    client: usize,
    range: Range,
    dtype: Dtype,
    out_bytes: usize,
) -> Result<(), SourceError> {
    if client >= source.clients() {
        return Err(SourceError::Request(format!("client {client} of {} does not exist", source.clients())));
    }
    if range.start > range.end || range.end > source.elements() {
        return Err(SourceError::Request(format!(
            "elements {range} were asked of a gradient of {} elements",
            source.elements()
        )));
    }
    if range.len().checked_mul(dtype.size() as u64) != Some(out_bytes as u64) {
        return Err(SourceError::Request(format!(
            "{} elements of {dtype} do not fit a buffer of {out_bytes} bytes",
            range.len()
        )));
    }
    Ok(())
}
