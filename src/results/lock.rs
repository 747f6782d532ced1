//! A lock that allows one writer per result file. The system releases it when its holder ends for any reason.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::{FileProblem, ResultError};
use super::own_file;

/// A lock on the file `.NAME.lock` beside the result file. The file is removed with the lock.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    held: bool,
    _file: File,
}

impl Lock {
    /// Takes the lock of the result file at `output`.
    ///
    /// # Errors
    /// Another process holds it, or no file can be created there. On a file system without locks, as some network ones
    /// are, everybody gets the lock. Then only the check before each save protects the file.
    pub fn take(output: &Path) -> Result<Lock, ResultError> {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        let path = output.with_file_name(format!(".{name}.lock"));
        let directory = output.parent().unwrap_or(Path::new(""));
        loop {
            let file = own_file::open(&path)
                .map_err(|error| FileProblem::NotWritable { directory: directory.into(), error }.at(output))?;
            let held = match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Err(FileProblem::Busy.at(output)),
                Ok(()) => true,
                Err(TryLockError::Error(_)) => false,
            };
            // The previous holder may have removed the file after we opened it and before we locked it.
            if is_at(&file, &path) {
                return Ok(Lock { path, held, _file: file });
            }
        }
    }

    /// False on a file system without locks, where another job may write too.
    pub fn is_held(&self) -> bool {
        self.held
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file is removed while it is locked, so it cannot be another process's.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_left() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let output = directory.path().join("results.h5");
        let first = Lock::take(&output)?;
        let second = Lock::take(&output);
        assert!(second.as_ref().is_err_and(|error| matches!(error.problem, FileProblem::Busy)), "{second:?}");
        drop(first);
        drop(Lock::take(&output)?);
        assert_eq!(fs::read_dir(directory.path())?.count(), 0);
        Ok(())
    }

    #[test]
    fn a_link_in_the_place_of_the_lock_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let victim = directory.path().join("victim");
        fs::write(&victim, "precious")?;
        std::os::unix::fs::symlink(&victim, directory.path().join(".results.h5.lock"))?;
        let refused = Lock::take(&directory.path().join("results.h5"));
        assert!(refused.is_err_and(|error| error.to_string().contains(".results.h5.lock is no regular file")));
        assert_eq!(fs::read_to_string(&victim)?, "precious");
        Ok(())
    }
}
