//! The header of a safetensors file, checked against the file's length.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ::safetensors::Dtype as StoredAs;
use ::safetensors::tensor::Metadata;

use crate::gradient::{Dtype, SourceError};

/// Greatest length of a header that the format allows, bytes.
const LONGEST: u64 = 100_000_000;

/// The contents of a file's header.
pub(super) struct Header {
    pub(super) path: PathBuf,
    /// The `__metadata__` entry.
    pub(super) metadata: HashMap<String, String>,
    /// The tensors by name, in byte order.
    pub(super) tensors: BTreeMap<String, Tensor>,
}

/// One tensor of a file.
pub(super) struct Tensor {
    /// Element type; None if it is not one of gradients.
    pub(super) dtype: Option<Dtype>,
    /// Element type in the format's notation.
    pub(super) stored_as: String,
    pub(super) shape: Vec<usize>,
    /// Offset of the tensor in the file, bytes.
    pub(super) offset: u64,
}

impl Tensor {
    /// Returns the number of elements.
    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }
}

impl Header {
    /// Makes the error for contents of this file.
    pub(super) fn wrong(&self, problem: String) -> SourceError {
        SourceError::content(&self.path, problem)
    }

    /// Reads only the header of `path`. It is an error if the header is damaged or disagrees with the file's length.
    pub(super) fn read(path: &Path) -> Result<Self, SourceError> {
        let io = |cause| SourceError::io(path, cause);
        let wrong = |problem: String| SourceError::content(path, problem);
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        if length < 8 {
            return Err(wrong(format!(
                "has {length} bytes; a safetensors file begins with the 8 of its header's length"
            )));
        }
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(io)?;
        let size = u64::from_le_bytes(size);
        if size > LONGEST {
            return Err(wrong(format!(
                "claims a header of {size} bytes, more than the {LONGEST} that the format allows; it is damaged, or no \
                 safetensors file"
            )));
        }
        if size > length - 8 {
            return Err(wrong(format!("is cut off: {length} bytes do not hold its header of {size}")));
        }
        let mut text = vec![0; size as usize];
        file.read_exact(&mut text).map_err(io)?;
        // Parsing checks that shapes, types and offsets agree and that tensors leave no gap. The crate's read_metadata
        // would need the whole file in memory.
        let parsed: Metadata =
            serde_json::from_slice(&text).map_err(|cause| wrong(format!("has a damaged header: {cause}")))?;
        let begin = 8 + size;
        let expected = begin + parsed.data_len() as u64;
        if length != expected {
            let fault = if length < expected { "it is cut off" } else { "something follows the tensors" };
            return Err(wrong(format!("has {length} bytes where its header asks for {expected}: {fault}")));
        }
        let tensors = parsed.tensors().into_iter().map(|(name, info)| {
            let dtype = match info.dtype {
                StoredAs::F32 => Some(Dtype::F32),
                StoredAs::F64 => Some(Dtype::F64),
                StoredAs::F16 => Some(Dtype::F16),
                StoredAs::BF16 => Some(Dtype::Bf16),
                _ => None,
            };
            let offset = begin + info.data_offsets.0 as u64;
            (name, Tensor { dtype, stored_as: format!("{:?}", info.dtype), shape: info.shape.clone(), offset })
        });
        Ok(Header {
            path: path.to_owned(),
            tensors: tensors.collect(),
            metadata: parsed.metadata().clone().unwrap_or_default(),
        })
    }
}
