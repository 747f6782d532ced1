//! Clean copies of result files. The process that reads a file from elsewhere makes one, and the process that goes on reads
//! only this: the HDF5 library may survive a damaged file in one process and die of it in another.

use std::path::Path;

use super::error::{FileProblem, told};
use super::schema::SCHEMA_VERSION;
use super::write::{check, write};
use super::{ResultError, ResultFile};

/// Reads the file at `from` and writes its contents to `to`, in today's layout. Returns the layout's version in `from`.
///
/// # Errors
/// The errors of [`ResultFile::open`]. The contents contradict each other, or `to` cannot be written.
pub fn copy(from: &Path, to: &Path) -> Result<u32, ResultError> {
    let mut file = ResultFile::open(from)?;
    let version = std::mem::replace(&mut file.schema_version, SCHEMA_VERSION);
    check(&file).map_err(|problem| problem.at(from))?;
    write(to, &file).map_err(|error| FileProblem::Write(told(&error)).at(to))?;
    Ok(version)
}
