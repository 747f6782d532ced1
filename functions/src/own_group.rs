//! A control group that one function has to itself, so that the kernel limits and counts its memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gradshard::machine::cgroup::{CgroupDirectory, CgroupVersion, directories};

/// Bytes that the group has beside those of the sum: the runtime, tables of pages, buffers of connections.
pub const GROUP_ROOM: u64 = 8 << 20;

/// The group of one process.
#[derive(Debug)]
struct GroupPlace {
    version: CgroupVersion,
    path: PathBuf,
}

/// The group of this process. When the value is dropped, the process is back in its former group and this one is removed. The
/// group of a process that was killed stays; see [`died_of_memory`].
#[derive(Debug)]
pub struct OwnGroup(GroupPlace);

/// Returns the group of the process `id`, which the process that starts it and itself see below the same group.
fn group_of(id: u32) -> Option<GroupPlace> {
    let CgroupDirectory { version, path } = directories(Path::new("/"), "memory").into_iter().find(has_counters)?;
    Some(GroupPlace { version, path: path.join(format!("gradshard-function-{id}")) })
}

/// True if groups below this one can have limits.
fn has_counters(directory: &CgroupDirectory) -> bool {
    match directory.version {
        CgroupVersion::V1 => directory.path.join("memory.limit_in_bytes").exists(),
        CgroupVersion::V2 => fs::read_to_string(directory.path.join("cgroup.subtree_control"))
            .is_ok_and(|all| all.split_whitespace().any(|name| name == "memory")),
    }
}

impl GroupPlace {
    /// The file with this name in version 1 or 2.
    fn file(&self, names: [&str; 2]) -> PathBuf {
        self.path.join(names[usize::from(self.version == CgroupVersion::V2)])
    }

    fn name(&self) -> &'static str {
        ["cgroup-v1", "cgroup-v2"][usize::from(self.version == CgroupVersion::V2)]
    }
}

impl OwnGroup {
    /// Moves this process to a new group of its own, which may hold `bytes` bytes and [`GROUP_ROOM`].
    ///
    /// # Errors
    /// There is no control group for memory, or this process may not make one.
    pub fn join(bytes: u64) -> io::Result<OwnGroup> {
        let place = group_of(std::process::id());
        let place = place.ok_or_else(|| io::Error::other("no control group passes a memory controller on"))?;
        fs::create_dir(&place.path)?;
        let own = OwnGroup(place);
        let most = bytes.saturating_add(GROUP_ROOM).to_string();
        fs::write(own.0.file(["memory.limit_in_bytes", "memory.max"]), most)?;
        // Kernels without swap have no such file.
        let _ = fs::write(own.0.file(["memory.swappiness", "memory.swap.max"]), "0");
        fs::write(own.0.path.join("cgroup.procs"), std::process::id().to_string())?;
        Ok(own)
    }

    /// The name of the mechanism.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Returns the greatest memory that the group has held, bytes; None if the kernel does not tell.
    pub fn peak(&self) -> Option<u64> {
        let file = self.0.file(["memory.max_usage_in_bytes", "memory.peak"]);
        fs::read_to_string(file).ok()?.trim().parse().ok()
    }
}

impl Drop for OwnGroup {
    fn drop(&mut self) {
        let Some(former) = self.0.path.parent() else { return };
        // A group that stays behind is empty and does no harm.
        let _ = fs::write(former.join("cgroup.procs"), std::process::id().to_string());
        let _ = fs::remove_dir(&self.0.path);
    }
}

/// Removes the group of the process `id`, which has ended. Returns the mechanism's name if the kernel killed the process for its
/// group's limit.
pub fn died_of_memory(id: u32) -> Option<&'static str> {
    let left = group_of(id)?;
    let text = fs::read_to_string(left.file(["memory.oom_control", "memory.events"])).ok()?;
    let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim() != "0";
    let _ = fs::remove_dir(&left.path);
    kills.then_some(left.name())
}
