//! Saves a result file so that a kill at any moment leaves the previous complete one.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::contents::ResultFile;
use super::digest::sha256;
use super::error::ResultError;
use super::error::told;
use super::lock::Lock;
use super::schema::SCHEMA_VERSION;
use super::write;

/// How the name of a file ends that is being written.
const PARTIAL: &str = ".partial";

/// A claimed path for a job's result file.
///
/// Each save writes the whole file under a temporary name in the same directory, forces it to the disk and renames it
/// over the target. Only a file that was there when the path was claimed with `force`, or that this `Output` saved,
/// is ever replaced. Save the still empty file right after claiming the path: then a second run with the same path
/// is refused at once, and not after its first cell.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    directory: PathBuf,
    /// The file that may be replaced; None if there must be none.
    replaceable: Option<Identity>,
    /// No other job may write the same file meanwhile.
    _lock: Lock,
}

/// Tells one file from another. The length is there because an inode number is used again once its file is gone.
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
    /// Claims a path before anything is measured. Nothing is left in the directory.
    ///
    /// # Errors
    /// The target exists and `force` is not given; it exists and is not a regular file; its directory does not exist
    /// or takes no file; the path has no file name or is not UTF-8.
    pub fn create(path: impl AsRef<Path>, force: bool) -> Result<Output, ResultError> {
        let path = path.as_ref().to_path_buf();
        let names_a_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if path.file_name().is_none() || names_a_directory {
            return Err(ResultError::BadPath { path, problem: "names no file" });
        }
        if path.to_str().is_none() {
            return Err(ResultError::BadPath { path, problem: "is not UTF-8" });
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if !directory.is_dir() {
            return Err(ResultError::NoDirectory { path, directory });
        }
        let replaceable = match existing(&path)? {
            Some(_) if !force => return Err(ResultError::Exists { path }),
            Some(metadata) if !metadata.is_file() => {
                return Err(ResultError::NotAFile { kind: kind(&metadata), path });
            }
            found => found.as_ref().map(Identity::of),
        };
        let lock = Lock::take(&path)?;
        let locked = lock.is_held();
        let output = Output { path, directory, replaceable, _lock: lock };
        // Nobody else is writing one now, where there are locks.
        if locked {
            output.clear_left_overs();
        }
        // Permission bits do not tell (root, read-only mounts, quotas); a file does.
        output.temporary()?;
        Ok(output)
    }

    /// Claims a path to go on with what is there. The contents, where there is a file; None where there is none yet.
    ///
    /// # Errors
    /// As for [`Output::create`]; the file cannot be read; it is of another experiment than `experiment_json`,
    /// or was merged from several jobs.
    pub fn resume(path: impl AsRef<Path>, experiment_json: &str) -> Result<(Output, Option<ResultFile>), ResultError> {
        let path = path.as_ref();
        let output = Output::create(path, true)?;
        if output.replaceable.is_none() {
            return Ok((output, None));
        }
        let mut contents = ResultFile::open(path)?;
        if contents.is_merged() {
            return Err(ResultError::Merged { path: path.to_path_buf() });
        }
        let given = sha256(experiment_json);
        if contents.experiment_sha256 != given {
            let found = contents.experiment_sha256;
            return Err(ResultError::OtherExperiment { path: path.to_path_buf(), found, given });
        }
        contents.schema_version = SCHEMA_VERSION;
        Ok((output, Some(contents)))
    }

    /// Claims a path to add jobs to what is there. The contents, where there is a file; None where there is none yet.
    ///
    /// # Errors
    /// As for [`Output::create`]; the file cannot be read.
    pub fn add_to(path: impl AsRef<Path>) -> Result<(Output, Option<ResultFile>), ResultError> {
        let output = Output::create(&path, true)?;
        let contents = output.replaceable.map(|_| ResultFile::open(&path)).transpose()?;
        Ok((output, contents))
    }

    /// The claimed path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the contents over the previous save. Afterwards they are on the disk.
    ///
    /// # Errors
    /// The contents contradict themselves; someone else put a file at the path; HDF5 or the system refuse, as on a
    /// full disk. The target is then as it was before, and the temporary file is gone.
    pub fn save(&mut self, contents: &ResultFile) -> Result<(), ResultError> {
        write::check(contents).map_err(|write::Inconsistency { field, problem }| ResultError::Inconsistent {
            path: self.path.clone(),
            field,
            problem,
        })?;
        self.check_owner()?;
        let temporary = self.temporary()?;
        write::write(temporary.path(), contents)
            .map_err(|error| ResultError::Write { path: self.path.clone(), detail: told(&error) })?;
        let path = &self.path;
        let failed = |step: &'static str| move |source| ResultError::Save { path: path.clone(), step, source };
        temporary.as_file().sync_all().map_err(failed("force the file to the disk"))?;
        let identity = Identity::of(&temporary.as_file().metadata().map_err(failed("look at the new file"))?);
        // Once more, as writing may have taken a while.
        if self.check_owner()? {
            temporary.persist(&self.path).map_err(|error| failed("rename the new file")(error.error))?;
        } else {
            temporary.persist_noclobber(&self.path).map_err(|error| match error.error.kind() {
                io::ErrorKind::AlreadyExists => ResultError::Taken { path: self.path.clone() },
                _ => failed("rename the new file")(error.error),
            })?;
        }
        self.replaceable = Some(identity);
        let path = &self.path;
        sync_directory(&self.directory).map_err(|source| ResultError::Save {
            path: path.clone(),
            step: "force the directory to the disk",
            source,
        })
    }

    /// Writes contents that the path has no room for to a new file of the system's temporary directory, and yields its
    /// path.
    ///
    /// # Errors
    /// The directory takes no file either; the message begins with it.
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

    /// Takes away what saves of a job that was killed have left half written beside the file.
    fn clear_left_overs(&self) {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".{name}.");
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let other = entry.file_name();
            let other = other.to_string_lossy();
            if other.starts_with(&prefix) && other.ends_with(PARTIAL) {
                // Somebody may have been quicker.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Whether there is a file at the path; an error if it is not the one that may be replaced.
    fn check_owner(&self) -> Result<bool, ResultError> {
        match existing(&self.path)? {
            None => Ok(false),
            Some(metadata) if self.replaceable == Some(Identity::of(&metadata)) => Ok(true),
            Some(_) => Err(ResultError::Taken { path: self.path.clone() }),
        }
    }

    /// A new file in the target's directory, removed when dropped.
    fn temporary(&self) -> Result<NamedTempFile, ResultError> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(PARTIAL)
            // Results are for sharing: as readable as any file the user creates.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.directory)
            .map_err(|source| ResultError::NotWritable {
                path: self.path.clone(),
                directory: self.directory.clone(),
                source,
            })
    }
}

/// What is at a path, links not followed; None if nothing is.
fn existing(path: &Path) -> Result<Option<fs::Metadata>, ResultError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ResultError::Save { path: path.to_path_buf(), step: "look at the path", source }),
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
        // Some network file systems cannot, and need not.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}
