//! Opens the gradients that an experiment names.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::weights::Weights;
use super::{Source, SourceError, find, hdf5, npy, safetensors};

/// The format of files of gradients, as named in experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[derive(strum::Display, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum FileKind {
    /// A safetensors file a client, or one for all, each client's tensors under a prefix.
    Safetensors,
    /// HDF5: one dataset \[clients, elements\], or a one-dimensional dataset a client.
    Hdf5,
    /// A one-dimensional npy file a client, or one of shape \[clients, elements\].
    Npy,
}

impl FileKind {
    /// Returns the extensions by which such files are found in a directory.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            FileKind::Safetensors => &["safetensors"],
            FileKind::Hdf5 => &["h5", "hdf5"],
            FileKind::Npy => &["npy"],
        }
    }
}

/// Returns the advice for files of formats that are not read; None for others.
fn remedy(pattern: &str) -> Option<&'static str> {
    let extension = Path::new(pattern).extension()?.to_str()?.to_lowercase();
    match extension.as_str() {
        "npz" => Some(
            "an npz archive holds several arrays; python -m gradshard.convert (analysis/python) makes safetensors of it",
        ),
        "pt" | "pth" | "pkl" | "ckpt" => Some(
            "a pickle of PyTorch may run code when it is read; python -m gradshard.convert (analysis/python) makes \
             safetensors of a state_dict without running any",
        ),
        _ => None,
    }
}

/// Returns the files that `pattern` denotes, as [`open_files`] finds them.
///
/// # Errors
/// There is no such file, or the pattern is not valid.
pub fn files_of(kind: FileKind, pattern: &str, base_dir: &Path) -> Result<Vec<PathBuf>, SourceError> {
    find::files(pattern, base_dir, kind.extensions()).map(|(files, _)| files)
}

/// Opens the gradients of the files that `pattern` denotes: a file, a directory (all its files with the kind's
/// extensions) or a glob, relative to `base_dir`. Clients are numbered in byte order of the files' paths.
///
/// `weights` tells where the clients' weights come from. `dataset` is the dataset or group of an HDF5 file; None is its
/// root group. Only headers are read here.
pub fn open_files(
    kind: FileKind,
    pattern: &str,
    base_dir: &Path,
    weights: &Weights,
    dataset: Option<&str>,
) -> Result<Box<dyn Source>, SourceError> {
    if let (FileKind::Safetensors | FileKind::Npy, Some(dataset)) = (kind, dataset) {
        return Err(SourceError::Request(format!(
            "dataset \"{dataset}\" was given, but only an HDF5 file has datasets to choose from"
        )));
    }
    if let Some(remedy) = remedy(pattern) {
        return Err(SourceError::Request(format!("\"{pattern}\": {remedy}")));
    }
    let (files, named) = find::files(pattern, base_dir, kind.extensions())?;
    Ok(match kind {
        FileKind::Safetensors => Box::new(safetensors::open(&files, named, weights)?),
        FileKind::Hdf5 => Box::new(hdf5::open(&files, dataset, weights)?),
        FileKind::Npy => Box::new(npy::open(&files, weights)?),
    })
}
