//! Errors of result files. Each message says what the user can do.

use std::io;
use std::path::PathBuf;

/// A result file could not be claimed, written or read.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// The output exists, and `--force` was not given.
    #[error("{path}: already exists; pass --force to replace it, or another --output", path = .path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// Another job is writing the output.
    #[error("{path}: another job is writing it; wait for that job, or give another --output", path = .path.display())]
    Busy {
        /// The output.
        path: PathBuf,
    },
    /// The output holds the results of another experiment than the one to continue.
    #[error("{path}: holds results of another experiment (its SHA-256 is {found}, not {given}); \
        give the experiment that it was made from, or another --output", path = .path.display())]
    OtherExperiment {
        /// The output.
        path: PathBuf,
        /// SHA-256 of the experiment in the file.
        found: String,
        /// SHA-256 of the experiment that was given.
        given: String,
    },
    /// The output was merged from several files, and a run cannot continue a merged file.
    #[error("{path}: was merged from several jobs, but a run can continue only its own job's file; resume that file, \
        then merge it again", path = .path.display())]
    Merged {
        /// The output.
        path: PathBuf,
    },
    /// The output exists and is not a regular file, so it cannot be replaced by one.
    #[error("{path}: is {kind}, not a regular file; give another --output", path = .path.display())]
    NotAFile {
        /// The output.
        path: PathBuf,
        /// The kind of the existing object, with an article.
        kind: &'static str,
    },
    /// The path has no file name, or the HDF5 library cannot take it.
    #[error("{path}: {problem}; give another --output, for example results.h5", path = .path.display())]
    BadPath {
        /// The output.
        path: PathBuf,
        /// The problem with it.
        problem: &'static str,
    },
    /// The output's directory is missing or is not a directory.
    #[error("{path}: there is no directory {directory}; create it, or give another --output",
        path = .path.display(), directory = .directory.display())]
    NoDirectory {
        /// The output.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// No file can be created in the output's directory.
    #[error("{path}: cannot create files in {directory}: {source}; make it writable, or give another --output",
        path = .path.display(), directory = .directory.display())]
    NotWritable {
        /// The output.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another program put a file at the output's path after this run had claimed it.
    #[error("{path}: another program put a file there since this run claimed the path, and it is left alone; \
        give every run its own --output", path = .path.display())]
    Taken {
        /// The output.
        path: PathBuf,
    },
    /// The operating system refused a step of saving. An earlier complete file is untouched.
    #[error("{path}: could not {step}: {source}", path = .path.display())]
    Save {
        /// The output.
        path: PathBuf,
        /// The step.
        step: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The HDF5 library refused to write. The previous complete file is untouched.
    #[error("{path}: HDF5 could not write: {detail}{hint}; the file is as the last complete save left it",
        path = .path.display(), hint = lock_hint(.detail))]
    Write {
        /// The output.
        path: PathBuf,
        /// The library's message.
        detail: String,
    },
    /// The contents contradict themselves, so they cannot be written.
    #[error("{path}: {field}: {problem}", path = .path.display())]
    Inconsistent {
        /// The output.
        path: PathBuf,
        /// The part of the contents.
        field: &'static str,
        /// Its value and the expected one.
        problem: String,
    },
    /// The file does not exist.
    #[error("{path}: no such file", path = .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The operating system would not let the file be read.
    #[error("{path}: cannot be read: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not in the HDF5 format.
    #[error("{path}: is not an HDF5 file{seen}; give a file that `gradshard run` wrote", path = .path.display())]
    NotHdf5 {
        /// The file.
        path: PathBuf,
        /// A note on what it looks like instead, or empty.
        seen: &'static str,
    },
    /// The file is in the HDF5 format, but gradshard did not write it.
    #[error("{path}: is an HDF5 file, but not a gradshard result file ({lacking}); give a file that \
        `gradshard run` wrote", path = .path.display())]
    NotAResultFile {
        /// The file.
        path: PathBuf,
        /// The missing mark of a result file.
        lacking: String,
    },
    /// The file has a schema version that this gradshard does not know.
    #[error("{path}: schema version {found}, but this gradshard reads 1 to {newest}; use gradshard {writer} or newer",
        path = .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it declares.
        found: u32,
        /// The newest version this program reads.
        newest: u32,
        /// The gradshard that wrote it.
        writer: String,
    },
    /// The result file is cut off or contradicts itself.
    #[error("{path}: damaged or incomplete at {at}: {detail}{hint}", path = .path.display(), hint = lock_hint(.detail))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The object within the file.
        at: String,
        /// The content found and the expected one.
        detail: String,
    },
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
        let path = PathBuf::from("results.h5");
        let error = ResultError::Write { path, detail: tidy(locked) };
        assert!(error.to_string().contains("set HDF5_USE_FILE_LOCKING=FALSE"), "{error}");
    }
}
