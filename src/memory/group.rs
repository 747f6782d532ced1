//! The memory peak of the control group that holds this process, which schedulers compare with their limit.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::machine::cgroup::{self, CgroupVersion};

/// The peak counter of one control group. The ranks of a job on one node usually share a group. The peak is then their
/// common one; it includes shared memory and page cache.
#[derive(Debug)]
pub struct GroupPeak {
    /// Kept open because version 2 resets the peak only for reads through the file descriptor that was written to.
    file: File,
}

impl GroupPeak {
    /// Finds the innermost group with a memory controller. None if there is none or its peak cannot be read.
    pub fn find() -> Option<GroupPeak> {
        GroupPeak::below(Path::new("/"))
    }

    fn below(root: &Path) -> Option<GroupPeak> {
        let peaks = cgroup::directories(root, "memory").into_iter().filter_map(|directory| {
            let path = directory.path.join(match directory.version {
                CgroupVersion::V1 => "memory.max_usage_in_bytes",
                CgroupVersion::V2 => "memory.peak",
            });
            let file = OpenOptions::new().read(true).write(true).open(&path).or_else(|_| File::open(&path)).ok()?;
            Some(GroupPeak { file })
        });
        peaks.into_iter().find(|peak| peak.bytes().is_some())
    }

    /// Returns the peak since creation or reset, bytes.
    pub fn bytes(&self) -> Option<u64> {
        let mut text = [0; 32];
        let length = self.file.read_at(&mut text, 0).ok()?;
        std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok()
    }

    /// Resets the peak to the current usage. Returns false if that is not permitted (version 2 before Linux 6.12, and
    /// most users); the peak then covers the group's whole life.
    pub fn reset(&self) -> bool {
        // Version 2 accepts any text; version 1 requires a number.
        self.file.write_at(b"0", 0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_innermost_group_that_counts() -> Result<(), Box<dyn std::error::Error>> {
        let root = tempfile::tempdir()?;
        let proc = root.path().join("proc/self");
        fs::create_dir_all(&proc)?;
        fs::write(proc.join("cgroup"), "3:memory:/job/step\n")?;
        fs::write(proc.join("mountinfo"), "36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")?;
        assert!(GroupPeak::below(root.path()).is_none());
        let job = root.path().join("sys/fs/cgroup/memory/job");
        fs::create_dir_all(job.join("step"))?;
        fs::write(job.join("memory.max_usage_in_bytes"), "4096\n")?;
        assert_eq!(GroupPeak::below(root.path()).and_then(|peak| peak.bytes()), Some(4096));
        fs::write(job.join("step/memory.max_usage_in_bytes"), "1024\n")?;
        let Some(innermost) = GroupPeak::below(root.path()) else { return Err("not found".into()) };
        assert_eq!(innermost.bytes(), Some(1024));
        assert!(innermost.reset());
        // A real counter falls to the current usage. In this plain file the first digit is overwritten.
        assert_eq!(innermost.bytes(), Some(24));
        Ok(())
    }
}
