//! Errors of result files. Each message says what the user can do.

use std::io;
use std::path::{Path, PathBuf};

use super::schema::SCHEMA_VERSION;

/// A result file could not be claimed, written, read or merged.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}", path = .path.display())]
pub struct ResultError {
    /// The output, or the file that was read.
    pub path: PathBuf,
    /// The problem with it.
    pub problem: FileProblem,
}

/// A problem with a result file.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The output exists, and `--force` was not given.
    #[error("already exists; pass --force to replace it, or another --output")]
    Exists,
    /// Another job is writing the output.
    #[error("another job is writing it; wait for that job, or give another --output")]
    Busy,
    /// The output holds the results of another experiment than the one to continue.
    #[error(
        "holds results of another experiment (its SHA-256 is {found}, not {given}); \
        give the experiment that it was made from, or another --output"
    )]
    OtherExperiment {
        /// SHA-256 of the experiment in the file.
        found: String,
        /// SHA-256 of the experiment that was given.
        given: String,
    },
    /// The output was merged from several files, and a run cannot continue a merged file.
    #[error(
        "was merged from several jobs, but a run can continue only its own job's file; resume that file, \
        then merge it again"
    )]
    Merged,
    /// The output exists and is not a regular file, so it cannot be replaced by one. The field is the kind of the
    /// existing object, with an article.
    #[error("is {0}, not a regular file; give another --output")]
    NotAFile(&'static str),
    /// The path has no file name, or the HDF5 library cannot take it. The field is the problem with the path.
    #[error("{0}; give another --output, for example results.h5")]
    BadPath(&'static str),
    /// The output's directory, the field, is missing or is not a directory.
    #[error("there is no directory {directory}; create it, or give another --output", directory = .0.display())]
    NoDirectory(PathBuf),
    /// No file can be created in the output's directory.
    #[error("cannot create files in {directory}: {error}; make it writable, or give another --output",
        directory = .directory.display())]
    NotWritable {
        /// The directory.
        directory: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Another program put a file at the output's path after this run had claimed it.
    #[error(
        "another program put a file there since this run claimed the path, and it is left alone; \
        give every run its own --output"
    )]
    Taken,
    /// The operating system refused a step of saving. An earlier complete file is untouched.
    #[error("could not {step}: {error}")]
    Save {
        /// The step.
        step: &'static str,
        /// The system's error.
        error: io::Error,
    },
    /// The HDF5 library refused to write. The previous complete file is untouched. The field is the library's message.
    #[error("HDF5 could not write: {0}{hint}; the file is as the last complete save left it", hint = lock_hint(.0))]
    Write(String),
    /// The contents contradict themselves, so they cannot be written.
    #[error("{field}: {problem}")]
    Inconsistent {
        /// The part of the contents.
        field: &'static str,
        /// Its value and the expected one.
        problem: String,
    },
    /// The file does not exist.
    #[error("no such file")]
    Missing,
    /// The operating system would not let the file be read. The field is its error.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file is not in the HDF5 format. The field is a note on what it looks like instead, or empty.
    #[error("is not an HDF5 file{0}; give a file that `gradshard run` wrote")]
    NotHdf5(&'static str),
    /// The file is in the HDF5 format, but gradshard did not write it. The field is the missing mark of a result file.
    #[error("is an HDF5 file, but not a gradshard result file ({0}); give a file that `gradshard run` wrote")]
    NotAResultFile(String),
    /// The file has a schema version that this gradshard does not know.
    #[error("schema version {found}, but this gradshard reads 1 to {SCHEMA_VERSION}; use gradshard {writer} or newer")]
    Version {
        /// The version it declares.
        found: u32,
        /// The gradshard that wrote it.
        writer: String,
    },
    /// The result file is cut off or contradicts itself.
    #[error("damaged or incomplete at {at}: {detail}{hint}", hint = lock_hint(.detail))]
    Damaged {
        /// The object within the file.
        at: String,
        /// The content found and the expected one.
        detail: String,
    },
    /// The output of a merge exists and is not a merged file.
    #[error(
        "is the file of a job, not a merged one, and jobs are not added to it; name the merged file first, \
        then the files to merge"
    )]
    OutputOfAJob,
    /// An input of a merge is its output.
    #[error("is both the output and an input; leave it out of the inputs, as the output keeps its jobs")]
    OutputIsInput,
    /// A file to merge holds another experiment than those before it.
    #[error("holds another experiment than {first}: {difference}; only jobs of one experiment are merged",
        first = .first.display())]
    NotOneExperiment {
        /// The first file, or the output.
        first: PathBuf,
        /// The first field that differs.
        difference: String,
    },
    /// A file to merge has an older layout, which lacks parts of a merged file. The field is its version.
    #[error(
        "schema version {0}, but files of version {SCHEMA_VERSION} are merged; measure once more with \
        this gradshard, or merge with the one that measured"
    )]
    OtherSchema(u32),
    /// Two files to merge differ in the same cell of the same job.
    #[error("cell {cell} of the job {job} differs from the same cell in {first}: one of the files was altered",
        first = .first.display())]
    Altered {
        /// The first file that has the cell, or the output.
        first: PathBuf,
        /// The cell's number.
        cell: u64,
        /// A short description of the job.
        job: String,
    },
}

impl FileProblem {
    /// The error that the file at `path` has this problem.
    pub(super) fn at(self, path: &Path) -> ResultError {
        ResultError { path: path.into(), problem: self }
    }
}

/// A hint for the user. HDF5 locks the files that it opens, and the file systems of some clusters have no locks.
fn lock_hint(detail: &str) -> &'static str {
    if detail.contains("lock file") {
        " (where the file system has no locks, set HDF5_USE_FILE_LOCKING=FALSE)"
    } else {
        ""
    }
}

/// The HDF5 library's message on one line, without the buffers and offsets that it reports with a system error.
pub(super) fn told(error: &hdf5::Error) -> String {
    tidy(&error.to_string())
}

fn tidy(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match (text.split_once(": time = "), text.split_once("error message = '")) {
        (Some((what, _)), Some((_, message))) => format!("{what}: {}", message.split('\'').next().unwrap_or(message)),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages are those of HDF5 1.10.
    #[test]
    fn library_messages_keep_what_and_why() {
        let full = "H5Fflush(): unable to flush file's cached information: file write failed: time = Sun Nov 22 16:07:38 \
            2026\n, filename = 'x', file descriptor = 4, errno = 28, error message = 'No space left on device', buf = \
            0x55ff0086f202, total write size = 2342";
        let right = "H5Fflush(): unable to flush file's cached information: file write failed: No space left on device";
        assert_eq!(tidy(full), right);
        let locked = "H5Fopen(): unable to lock file, errno = 38, error message = 'Function not implemented'";
        assert_eq!(tidy(locked), locked);
        let error = FileProblem::Write(tidy(locked)).at(Path::new("results.h5"));
        assert!(error.to_string().contains("set HDF5_USE_FILE_LOCKING=FALSE"), "{error}");
    }
}
