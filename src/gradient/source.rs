//! Where clients' gradients come from. A source knows N, |θ| and the weights, and hands out any range of any client.

use std::path::PathBuf;

use crate::gradient::{Dtype, Element, Range};

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
