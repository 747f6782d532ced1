//! A file beside the result file that names the running cell. A job that dies of its memory ceiling leaves it behind.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::own_file;

/// A note of the cell that is running under an enforced ceiling. It outlives the job, so that the next job knows which
/// cell the last one died of.
#[derive(Debug)]
pub struct Running {
    path: PathBuf,
}

impl Running {
    /// The note of the result file at `output`: `.NAME.running` beside it. Nothing is written yet.
    pub fn beside(output: &Path) -> Running {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        Running { path: output.with_file_name(format!(".{name}.running")) }
    }

    /// Notes that this cell runs from now on.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn enter(&self, cell: u64) -> io::Result<()> {
        own_file::create(&self.path)?.write_all(cell.to_string().as_bytes())
    }

    /// The cell that was running when the last job died; None if no cell was.
    pub fn left(&self) -> Option<u64> {
        fs::read_to_string(&self.path).ok()?.trim().parse().ok()
    }

    /// Removes the note, as no cell is running any more.
    pub fn clear(&self) {
        // The note may not exist.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_outlives_its_writer_until_it_is_cleared() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let output = directory.path().join("results.h5");
        let running = Running::beside(&output);
        assert_eq!(running.left(), None);
        running.enter(7)?;
        running.enter(12)?;
        assert_eq!(Running::beside(&output).left(), Some(12));
        running.clear();
        running.clear();
        assert_eq!(running.left(), None);
        Ok(())
    }
}
