//! A directory as a store: an object is a file, which also a parallel file system can hold.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use tempfile::NamedTempFile;

use crate::bucket::{Bucket, ObjectName, StoreError, Upload};

/// The number of the file system that lies in memory (linux/magic.h).
const TMPFS: i64 = 0x0102_1994;

/// A directory whose files are objects. A file is written beside its name and then renamed, so that a reader never sees a
/// part of it. A process that is killed leaves its unfinished file, whose name begins with a dot. Nothing is flushed to the
/// disk: after a crash of the machine a file may be cut off, which the checksums of its readers show.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Opens a directory.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn open(path: PathBuf) -> io::Result<Directory> {
        let is_there = path.metadata()?.is_dir();
        if is_there { Ok(Directory { path }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    fn file_beside(&self, name: &ObjectName) -> Result<NamedTempFile, StoreError> {
        let beside = tempfile::Builder::new().prefix(&format!(".{name}.")).tempfile_in(&self.path);
        beside.map_err(|cause| StoreError::failed(name, cause))
    }

    fn rename(&self, file: NamedTempFile, name: &ObjectName) -> Result<(), StoreError> {
        let renamed = file.persist(self.path.join(name.as_ref()));
        renamed.map(drop).map_err(|error| StoreError::failed(name, error.error))
    }
}

impl Bucket for Directory {
    fn get(&self, name: &ObjectName, from: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let failed = |cause: io::Error| StoreError::failed(name, cause);
        // A symbolic link could lead out of the directory, and a pipe would wait for ever.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::open(self.path.join(name.as_ref()), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => {
                return Err(StoreError::Missing { name: name.clone(), place: self.path.display().to_string() });
            }
            Err(cause) => return Err(failed(cause.into())),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::other("is no file")));
        }
        let end = from.saturating_add(into.len() as u64);
        if metadata.len() < end {
            return Err(StoreError::CutOff { name: name.clone(), length: metadata.len(), end });
        }
        file.read_exact_at(into, from).map_err(failed)
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = self.file_beside(name)?;
        file.write_all(bytes).map_err(|cause| StoreError::failed(name, cause))?;
        self.rename(file, name)
    }

    fn begin(&self, name: &ObjectName) -> Result<Box<dyn Upload + '_>, StoreError> {
        Ok(Box::new(Growing { directory: self, name: name.clone(), file: self.file_beside(name)? }))
    }

    fn memory_of_write(&self, _bytes: u64, object_bytes: u64) -> u64 {
        // Pages of other file systems can be given back; those of a tmpfs belong to whoever wrote them.
        let is_memory = rustix::fs::statfs(&self.path).is_ok_and(|found| found.f_type == TMPFS);
        if is_memory { object_bytes } else { 0 }
    }
}

/// A file that is being written.
struct Growing<'d> {
    directory: &'d Directory,
    name: ObjectName,
    file: NamedTempFile,
}

impl Upload for Growing<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|cause| StoreError::failed(&self.name, cause))
    }

    fn complete(self: Box<Self>) -> Result<(), StoreError> {
        self.directory.rename(self.file, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::contract::{self, name};

    #[test]
    fn it_is_a_bucket_and_leaves_nothing_unfinished() {
        let place = tempfile::tempdir().unwrap();
        let store = Directory::open(place.path().to_owned()).unwrap();
        contract::holds(&store);
        assert!(matches!(store.get(&name("a"), u64::MAX, &mut [0]), Err(StoreError::CutOff { .. })));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("outside"), "secret").unwrap();
        let inside = place.path().join("store");
        std::fs::create_dir_all(inside.join("d")).unwrap();
        std::os::unix::fs::symlink("../outside", inside.join("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, inside.join("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let store = Directory::open(inside).unwrap();
        for object in ["d", "link", "pipe"] {
            let error = store.get(&name(object), 0, &mut [0]).unwrap_err();
            assert!(matches!(error, StoreError::Failed { .. }), "{error}");
        }
        assert!(Directory::open(place.path().join("outside")).is_err());
        assert!(Directory::open(place.path().join("none")).is_err());
    }
}
