//! How much memory a rank may still take, and which file says so: the kernel's estimate, control groups, resource
//! limits, and the file system that shared windows live in.

use super::cgroup::{self, CgroupVersion};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What limits the memory of one process. Every number is in bytes; all but the resource limits are shared by the ranks
/// of a node. None: not readable, or no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankRoom {
    /// Memory of the node that the kernel uses (MemTotal of /proc/meminfo).
    pub total_bytes: Option<u64>,
    /// What the kernel thinks can be taken without swapping (MemAvailable).
    pub available_bytes: Option<u64>,
    /// Whose memory controller holds this process; None where no control group counts memory.
    pub cgroup_version: Option<CgroupVersion>,
    /// The control group, own or parent, that leaves least room; None where none has a limit.
    pub cgroup: Option<CgroupLimit>,
    /// What RLIMIT_DATA leaves for private memory.
    pub data_limit_left_bytes: Option<u64>,
    /// What RLIMIT_AS leaves for private and shared memory.
    pub address_space_left_bytes: Option<u64>,
    /// Size of /dev/shm, where MPI libraries put shared windows.
    pub shared_memory_bytes: Option<u64>,
    /// Free bytes of /dev/shm.
    pub shared_memory_free_bytes: Option<u64>,
}

/// A control group's memory limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupLimit {
    /// Which interface.
    pub version: CgroupVersion,
    /// The file that holds the limit.
    pub file: String,
    /// The limit.
    pub limit_bytes: u64,
    /// What the group uses and the kernel cannot simply take back: usage less inactive page cache.
    pub used_bytes: u64,
}

impl CgroupLimit {
    /// What the limit leaves.
    pub fn left_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }
}

/// Memory that can be had, and what stands in the way of more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// What would have to grow for more: a file, a resource limit.
    pub limited_by: String,
}

impl RankRoom {
    /// That of the calling process, now.
    pub fn here() -> Self {
        Self::read(Path::new("/"))
    }

    /// As `here`, below another root than `/`, so that tests can lay out machines.
    fn read(root: &Path) -> Self {
        let meminfo = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
        let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
        let limits = fs::read_to_string(root.join("proc/self/limits")).unwrap_or_default();
        let left = |limit: &str, used: &str| {
            let limit = resource_limit(&limits, limit)?;
            Some(limit.saturating_sub(kibibytes(&status, used).unwrap_or(0)))
        };
        let (cgroup_version, cgroup) = tightest_cgroup(root);
        let shared = file_system_space(&root.join("dev/shm"));
        RankRoom {
            total_bytes: kibibytes(&meminfo, "MemTotal"),
            available_bytes: kibibytes(&meminfo, "MemAvailable"),
            cgroup_version,
            cgroup,
            data_limit_left_bytes: left("Max data size", "VmData"),
            address_space_left_bytes: left("Max address space", "VmSize"),
            shared_memory_bytes: shared.map(|(size, _)| size),
            shared_memory_free_bytes: shared.map(|(_, free)| free),
        }
    }

    /// The most private memory that this process can still take: the least of what the kernel has, the control groups
    /// leave and the resource limits leave. Ranks of a node take from the same; None where nothing could be read.
    pub fn available_for_new_memory(&self) -> Option<Room> {
        let data = self.data_limit_left_bytes.map(|bytes| (bytes, "RLIMIT_DATA (ulimit -d)".to_owned()));
        least(self.node_limits().chain(data))
    }

    /// The most memory that shared windows can still take. As `available_for_new_memory`, with the free space of
    /// /dev/shm in place of RLIMIT_DATA, which does not count shared pages.
    pub fn available_for_shared_windows(&self) -> Option<Room> {
        let shared = self.shared_memory_free_bytes.map(|bytes| (bytes, "free space of /dev/shm".to_owned()));
        least(self.node_limits().chain(shared))
    }

    /// The limits that bind private and shared memory alike.
    fn node_limits(&self) -> impl Iterator<Item = (u64, String)> {
        let available = self.available_bytes.map(|bytes| (bytes, "MemAvailable of /proc/meminfo".to_owned()));
        let cgroup = self.cgroup.as_ref().map(|cgroup| (cgroup.left_bytes(), cgroup.file.clone()));
        let space = self.address_space_left_bytes.map(|bytes| (bytes, "RLIMIT_AS (ulimit -v)".to_owned()));
        [available, cgroup, space].into_iter().flatten()
    }
}

fn least(limits: impl Iterator<Item = (u64, String)>) -> Option<Room> {
    limits.min_by_key(|(bytes, _)| *bytes).map(|(bytes, limited_by)| Room { bytes, limited_by })
}

/// `Name:   123 kB` of /proc/meminfo and /proc/self/status, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The soft limit of a line of /proc/self/limits; None where it is `unlimited`.
fn resource_limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The interface whose memory controller holds the process, and the group that leaves least room.
fn tightest_cgroup(root: &Path) -> (Option<CgroupVersion>, Option<CgroupLimit>) {
    let mut version = None;
    let mut tightest: Option<CgroupLimit> = None;
    for directory in cgroup::directories(root, "memory") {
        let (limit, usage, cache) = match directory.version {
            CgroupVersion::V1 => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
            CgroupVersion::V2 => ("memory.max", "memory.current", "inactive_file"),
        };
        let file = directory.path.join(limit);
        let Ok(text) = fs::read_to_string(&file) else {
            // The top group of version 2 has no limit file, though groups below it count memory.
            continue;
        };
        version = version.or(Some(directory.version));
        // Version 1 writes "no limit" as the largest page-aligned number, version 2 as `max`.
        let Some(limit_bytes) = text.trim().parse().ok().filter(|limit: &u64| *limit < 1 << 62) else {
            continue;
        };
        let number = |file: &str| fs::read_to_string(directory.path.join(file)).ok();
        let usage = number(usage).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let cache = number("memory.stat").and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix(cache)?.strip_prefix(' ')?.trim().parse().ok())
        });
        let found = CgroupLimit {
            version: directory.version,
            file: file.display().to_string(),
            limit_bytes,
            used_bytes: u64::saturating_sub(usage, cache.unwrap_or(0)),
        };
        if tightest.as_ref().is_none_or(|tightest| found.left_bytes() < tightest.left_bytes()) {
            tightest = Some(found);
        }
    }
    (version, tightest)
}

/// Size and free bytes (for processes without privilege) of the file system that holds `path`.
fn file_system_space(path: &Path) -> Option<(u64, u64)> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut space = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a C string that outlives the call, `space` is writable memory of the type asked for.
    let result = unsafe { libc::statvfs(path.as_ptr(), space.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: statvfs returned 0, so it filled `space`.
    let space = unsafe { space.assume_init() };
    // These fields are 32 bits wide on some targets.
    #[allow(clippy::useless_conversion)]
    let (block, blocks, free) = (u64::from(space.f_frsize), u64::from(space.f_blocks), u64::from(space.f_bavail));
    Some((block.saturating_mul(blocks), block.saturating_mul(free)))
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
