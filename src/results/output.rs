//! Saves a result file so that a kill at any moment leaves the previous complete one.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::contents::ResultFile;
use super::digest::sha256;
use super::error::{FileProblem, ResultError, told};
use super::lock::Lock;
use super::schema::SCHEMA_VERSION;
use super::write;

/// End of the name of a file that is being written.
const PARTIAL: &str = ".partial";

/// A claimed path for a job's result file.
///
/// Each save writes the whole file under a temporary name in the same directory, forces it to the disk, and renames it
/// over the target. It replaces only a file that existed when the path was claimed with `force`, or that this `Output`
/// saved. Save the still empty file right after claiming the path, so that a second run with the same path is refused
/// at once, and not after its first cell.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    directory: PathBuf,
    /// The file that may be replaced; None if the path must be free.
    replaceable: Option<Identity>,
    /// Keeps other jobs from writing the same file.
    lock: Lock,
}

/// Identifies a file. It contains the length because a removed file's inode number is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Identity { device: metadata.dev(), inode: metadata.ino(), length: metadata.len() }
    }
}

impl Output {
    /// Claims a path before anything is measured. Leaves no file in the directory except the lock.
    ///
    /// # Errors
    /// The target exists and `force` is not given. The target is not a regular file. Another job holds the lock. The
    /// directory does not exist, or no file can be created there. The path has no file name or is not UTF-8.
    pub fn create(path: impl AsRef<Path>, force: bool) -> Result<Output, ResultError> {
        let path = path.as_ref();
        let names_a_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if path.file_name().is_none() || names_a_directory {
            return Err(FileProblem::BadPath("names no file").at(path));
        }
        if path.to_str().is_none() {
            return Err(FileProblem::BadPath("is not UTF-8").at(path));
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if !directory.is_dir() {
            return Err(FileProblem::NoDirectory(directory).at(path));
        }
        let replaceable = match existing(path)? {
            Some(_) if !force => return Err(FileProblem::Exists.at(path)),
            Some(metadata) if !metadata.is_file() => return Err(FileProblem::NotAFile(kind(&metadata)).at(path)),
            found => found.as_ref().map(Identity::of),
        };
        let output = Output { path: path.into(), directory, replaceable, lock: Lock::take(path)? };
        // With the lock held, no other job is writing a temporary file.
        if output.lock.is_held() {
            output.clear_left_overs();
        }
        // Permission bits are not sufficient (root, read-only mounts, quotas), so a file is created as a test.
        output.temporary()?;
        Ok(output)
    }

    /// Claims a path to continue its file. Returns the file's contents, or None if there is no file yet.
    ///
    /// # Errors
    /// As for [`Output::create`]. The file cannot be read, holds another experiment than `experiment_json`, or was
    /// merged from several jobs.
    pub fn resume(path: impl AsRef<Path>, experiment_json: &str) -> Result<(Output, Option<ResultFile>), ResultError> {
        let path = path.as_ref();
        let output = Output::create(path, true)?;
        if output.replaceable.is_none() {
            return Ok((output, None));
        }
        let mut contents = ResultFile::open(path)?;
        if contents.is_merged() {
            return Err(FileProblem::Merged.at(path));
        }
        let given = sha256(experiment_json);
        if contents.experiment_sha256 != given {
            let found = contents.experiment_sha256;
            return Err(FileProblem::OtherExperiment { found, given }.at(path));
        }
        contents.schema_version = SCHEMA_VERSION;
        Ok((output, Some(contents)))
    }

    /// Claims a path to add jobs to its file. Returns the file's contents, or None if there is no file yet.
    ///
    /// # Errors
    /// As for [`Output::create`]. The file cannot be read.
    pub fn add_to(path: impl AsRef<Path>) -> Result<(Output, Option<ResultFile>), ResultError> {
        let output = Output::create(&path, true)?;
        let contents = output.replaceable.map(|_| ResultFile::open(&path)).transpose()?;
        Ok((output, contents))
    }

    /// The claimed path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the previous save by the contents, and forces them to the disk.
    ///
    /// # Errors
    /// The contents contradict themselves, another program put a file at the path, or HDF5 or the system refuses, as on
    /// a full disk. After an error the target is unchanged, and the temporary file is removed.
    pub fn save(&mut self, contents: &ResultFile) -> Result<(), ResultError> {
        let path = &self.path;
        write::check(contents).map_err(|problem| problem.at(path))?;
        self.check_owner()?;
        let temporary = self.temporary()?;
        write::write(temporary.path(), contents).map_err(|error| FileProblem::Write(told(&error)).at(path))?;
        let failed = |step: &'static str| move |error| FileProblem::Save { step, error }.at(path);
        temporary.as_file().sync_all().map_err(failed("force the file to the disk"))?;
        let identity = Identity::of(&temporary.as_file().metadata().map_err(failed("look at the new file"))?);
        // Checked again, as writing may have taken a while.
        if self.check_owner()? {
            temporary.persist(path).map_err(|error| failed("rename the new file")(error.error))?;
        } else {
            temporary.persist_noclobber(path).map_err(|error| match error.error.kind() {
                io::ErrorKind::AlreadyExists => FileProblem::Taken.at(path),
                _ => failed("rename the new file")(error.error),
            })?;
        }
        self.replaceable = Some(identity);
        let step = "force the directory to the disk";
        sync_directory(&self.directory).map_err(|error| FileProblem::Save { step, error }.at(&self.path))
    }

    /// Writes contents that could not be saved to a new file in the system's temporary directory, and returns its path.
    ///
    /// # Errors
    /// The file cannot be written there either. The message begins with the directory.
    pub fn rescue(&self, contents: &ResultFile) -> Result<PathBuf, String> {
        let directory = std::env::temp_dir();
        let why = |what: &dyn std::fmt::Display| format!("{}: {what}", directory.display());
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let file = tempfile::Builder::new()
            .prefix(&format!("{name}.rescued-"))
            .suffix(".h5")
            .tempfile_in(&directory)
            .map_err(|error| why(&error))?;
        write::write(file.path(), contents).map_err(|error| why(&told(&error)))?;
        file.as_file().sync_all().map_err(|error| why(&error))?;
        let (_, path) = file.keep().map_err(|error| why(&error))?;
        Ok(path)
    }

    /// Removes temporary files that killed jobs have left beside the file.
    fn clear_left_overs(&self) {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".{name}.");
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let other = entry.file_name();
            let other = other.to_string_lossy();
            let middle = other.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(PARTIAL));
            // The result file NAME.b has files with the same prefix.
            if middle.is_some_and(|random| !random.contains('.')) {
                // Another process may have removed it already.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// True if there is a file at the path; an error if it is not the one that may be replaced.
    fn check_owner(&self) -> Result<bool, ResultError> {
        match existing(&self.path)? {
            None => Ok(false),
            Some(metadata) if self.replaceable == Some(Identity::of(&metadata)) => Ok(true),
            Some(_) => Err(FileProblem::Taken.at(&self.path)),
        }
    }

    /// A new file in the target's directory, removed when dropped.
    fn temporary(&self) -> Result<NamedTempFile, ResultError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(PARTIAL)
            // Results are shared, so they get the same permissions as any file that the user creates.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.directory)
            .map_err(|error| FileProblem::NotWritable { directory: self.directory.clone(), error }.at(&self.path))
    }
}

/// Metadata of the path without following a link; None if there is nothing.
fn existing(path: &Path) -> Result<Option<fs::Metadata>, ResultError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileProblem::Save { step: "look at the path", error }.at(path)),
    }
}

fn kind(metadata: &fs::Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "a pipe or socket"
    }
}

/// Makes a rename durable.
fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        // Some network file systems do not support this and do not need it.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}
