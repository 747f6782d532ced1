//! Opens files that gradshard makes under a fixed name. A name that somebody else prepared must not lead elsewhere.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens the regular file at `path` for reading and writing, and creates it if there is none. Its contents stay as they
/// are.
///
/// # Errors
/// If there is a symbolic link, a FIFO or anything else that is no regular file, or the file cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Without waiting, as a FIFO without a reader would stop the job.
    options.read(true).write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let irregular =
        || io::Error::other(format!("{} is no regular file; remove it, or use another name", path.display()));
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENXIO) => irregular(),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

/// Like [`open`], and removes the contents of an existing file.
///
/// # Errors
/// As for [`open`].
pub fn create(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    file.set_len(0)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn links_and_pipes_are_refused_and_their_targets_stay() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let (victim, link, pipe) = (directory.path().join("v"), directory.path().join("l"), directory.path().join("p"));
        fs::write(&victim, "precious")?;
        symlink(&victim, &link)?;
        assert!(Command::new("mkfifo").arg(&pipe).status()?.success());
        for path in [&link, &pipe, directory.path()] {
            for opened in [open(path), create(path)] {
                assert!(opened.is_err(), "{}", path.display());
            }
        }
        assert!(open(&link).is_err_and(|error| error.to_string().contains("no regular file")));
        assert_eq!(fs::read_to_string(&victim)?, "precious");
        open(&victim)?;
        assert_eq!(fs::read_to_string(&victim)?, "precious");
        create(&victim)?.write_all(b"new")?;
        assert_eq!(fs::read_to_string(&victim)?, "new");
        Ok(())
    }
}
