//! Reads how much more memory a rank may allocate and which limit decides: the kernel's estimate, control groups,
//! resource limits, or the file system of shared windows.

use super::cgroup::{self, CgroupVersion};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The memory limits of one process, in bytes. The ranks of a node share all but the resource limits. A field is None
/// if it cannot be read or there is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankRoom {
    /// Usable memory of the node (MemTotal of /proc/meminfo).
    pub total_bytes: Option<u64>,
    /// The kernel's estimate of memory that can be allocated without swapping (MemAvailable).
    pub available_bytes: Option<u64>,
    /// Version of the memory controller that holds this process; None if no control group counts memory.
    pub cgroup_version: Option<CgroupVersion>,
    /// The control group, own or parent, with the least memory left; None if none has a limit.
    pub cgroup: Option<CgroupLimit>,
    /// Private memory that RLIMIT_DATA still allows.
    pub data_limit_left_bytes: Option<u64>,
    /// Private and shared memory that RLIMIT_AS still allows.
    pub address_space_left_bytes: Option<u64>,
    /// Bytes that Slurm's limit on the job leaves on this node: SLURM_MEM_PER_NODE, or SLURM_MEM_PER_CPU for each of
    /// SLURM_CPUS_ON_NODE, minus the resident memory of this process. The memory of the other ranks is not known here.
    pub slurm_limit_left_bytes: Option<u64>,
    /// Size of /dev/shm, where MPI libraries put shared windows.
    pub shared_memory_bytes: Option<u64>,
    /// Free bytes of /dev/shm.
    pub shared_memory_free_bytes: Option<u64>,
}

/// A control group's memory limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupLimit {
    /// Version of the control group.
    pub version: CgroupVersion,
    /// The file that holds the limit.
    pub file: String,
    /// The limit, bytes.
    pub limit_bytes: u64,
    /// Usage that the kernel cannot easily reclaim, bytes: total usage less inactive page cache.
    pub used_bytes: u64,
}

impl CgroupLimit {
    /// Returns the bytes left under the limit.
    pub fn left_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }
}

/// Memory that can still be allocated, and the limit that decides it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Memory available, bytes.
    pub bytes: u64,
    /// The file or resource limit that would have to be raised for more.
    pub limited_by: String,
}

impl RankRoom {
    /// Reads the current limits of the calling process.
    pub fn here() -> Self {
        Self::read(Path::new("/"), |name| std::env::var(name).ok())
    }

    /// Like `here`, below another root than `/`, for tests.
    fn read(root: &Path, variable: impl Fn(&str) -> Option<String>) -> Self {
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
            slurm_limit_left_bytes: slurm_limit(variable)
                .map(|limit| limit.saturating_sub(kibibytes(&status, "VmRSS").unwrap_or(0))),
            shared_memory_bytes: shared.map(|(size, _)| size),
            shared_memory_free_bytes: shared.map(|(_, free)| free),
        }
    }

    /// Returns the most private memory that this process can still allocate: the least that the kernel, control groups
    /// and resource limits allow. The ranks of a node share it. None if nothing could be read.
    pub fn available_for_new_memory(&self) -> Option<Room> {
        let data = self.data_limit_left_bytes.map(|bytes| (bytes, "RLIMIT_DATA (ulimit -d)".to_owned()));
        least(self.node_limits().chain(data))
    }

    /// Returns the most memory that shared windows can still use. Like `available_for_new_memory`, but with the free
    /// space of /dev/shm in place of RLIMIT_DATA, which does not count shared pages.
    pub fn available_for_shared_windows(&self) -> Option<Room> {
        let shared = self.shared_memory_free_bytes.map(|bytes| (bytes, "free space of /dev/shm".to_owned()));
        least(self.node_limits().chain(shared))
    }

    /// Returns the limits that apply to private and shared memory alike.
    fn node_limits(&self) -> impl Iterator<Item = (u64, String)> {
        let available = self.available_bytes.map(|bytes| (bytes, "MemAvailable of /proc/meminfo".to_owned()));
        let cgroup = self.cgroup.as_ref().map(|cgroup| (cgroup.left_bytes(), cgroup.file.clone()));
        let space = self.address_space_left_bytes.map(|bytes| (bytes, "RLIMIT_AS (ulimit -v)".to_owned()));
        let slurm = self.slurm_limit_left_bytes.map(|bytes| (bytes, "the memory of the Slurm job (--mem)".to_owned()));
        [available, cgroup, space, slurm].into_iter().flatten()
    }
}

fn least(limits: impl Iterator<Item = (u64, String)>) -> Option<Room> {
    limits.min_by_key(|(bytes, _)| *bytes).map(|(bytes, limited_by)| Room { bytes, limited_by })
}

/// Parses a line `Name:   123 kB` of /proc/meminfo or /proc/self/status, in bytes.
pub(crate) fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Parses the soft limit in a line of /proc/self/limits; None if `unlimited`.
fn resource_limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns the memory limit of a Slurm job on one node, in bytes. Slurm may enforce it by looking at the processes
/// instead of by a control group, so that nothing else tells of it. The variables count MiB; 0 means all memory.
fn slurm_limit(variable: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |name: &str| variable(name)?.parse::<u64>().ok().filter(|number| *number > 0);
    let of_cpus = || number("SLURM_MEM_PER_CPU")?.checked_mul(number("SLURM_CPUS_ON_NODE")?);
    number("SLURM_MEM_PER_NODE").or_else(of_cpus)?.checked_mul(1 << 20)
}

/// Returns the version of the memory controller that holds the process, and the group with the least memory left.
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
            // The root group of version 2 has no limit file, although groups below it count memory.
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

/// Returns size and free bytes (for unprivileged processes) of the file system that holds `path`.
fn file_system_space(path: &Path) -> Option<(u64, u64)> {
    let space = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| space.f_frsize.saturating_mul(blocks);
    Some((bytes(space.f_blocks), bytes(space.f_bavail)))
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
