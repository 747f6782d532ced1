//! Sources of the clients' gradients. A source knows N, |θ| and the weights, and reads any range of any client.

use std::path::PathBuf;

use crate::gradient::{Dtype, Element, Range};

mod convert;
pub mod exact;
mod find;
pub mod hdf5;
pub mod npy;
pub mod open;
pub mod safetensors;
mod stored;
#[allow(unsafe_code)]
pub mod synthetic;
pub mod weights;

pub use open::{FileKind, files_of, open_files};
pub use synthetic::Synthetic;

/// Largest number of clients in one file. It bounds the memory that a few bytes of a header can ask for.
pub const MOST_CLIENTS: u64 = 1 << 20;

/// Errors of gradient sources. Each message names the file, the place in it and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be read.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// A file's contents violate its format or do not match the experiment.
    #[error("{path}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// The fault and its remedy.
        problem: String,
    },
    /// The request is invalid, such as weights that are not positive.
    #[error("{0}")]
    Request(String),
}

impl SourceError {
    fn content(path: &std::path::Path, problem: impl Into<String>) -> Self {
        SourceError::Content { path: path.to_owned(), problem: problem.into() }
    }

    fn io(path: &std::path::Path, cause: std::io::Error) -> Self {
        SourceError::Io { path: path.to_owned(), cause }
    }
}

/// Gradients of N clients with `elements` elements each.
///
/// Any thread may read, as reading needs only `&self`.
pub trait Source: Send + Sync {
    /// Returns the number of clients, N.
    fn clients(&self) -> usize {
        self.weights().len()
    }
    /// Returns the number of elements, |θ|.
    fn elements(&self) -> u64;
    /// Returns the weights of the N clients. Each is finite and above zero.
    fn weights(&self) -> &[f64];
    /// Returns the type that the source stores; None for a generator, which yields every type.
    fn stored_dtype(&self) -> Option<Dtype> {
        None
    }
    /// Returns true if the HDF5 library reads the client's elements. Others are generated or read from the file directly.
    fn needs_library(&self, _client: usize) -> bool {
        false
    }
    /// Writes elements `range` of `client`'s gradient to `out`: `range.len()` elements of type `dtype` as bytes in
    /// native order. Elements of another stored type are rounded to nearest.
    fn read_bytes(&self, client: usize, range: Range, dtype: Dtype, out: &mut [u8]) -> Result<(), SourceError>;
}

/// Writes elements `range` of `client`'s gradient to `out`, which must have `range.len()` elements.
pub fn read<E: Element>(source: &dyn Source, client: usize, range: Range, out: &mut [E]) -> Result<(), SourceError> {
    source.read_bytes(client, range, E::DTYPE, bytemuck::cast_slice_mut(out))
}

/// Rejects a read of a client or of elements that `source` does not have, or into a buffer of the wrong length.
fn check_read(
    source: &dyn Source,
    client: usize,
    range: Range,
    dtype: Dtype,
    out_bytes: usize,
) -> Result<(), SourceError> {
    let problem = if client >= source.clients() {
        format!("client {client} of {} does not exist", source.clients())
    } else if range.start > range.end || range.end > source.elements() {
        format!("elements {range} were asked of a gradient of {} elements", source.elements())
    } else if range.len().checked_mul(dtype.size() as u64) != Some(out_bytes as u64) {
        format!("{} elements of {dtype} do not fit a buffer of {out_bytes} bytes", range.len())
    } else {
        return Ok(());
    };
    Err(SourceError::Request(problem))
}
