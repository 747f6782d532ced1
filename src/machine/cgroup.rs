//! Finds the control groups of this process in version 1, version 2 or both: its own group, then its parents. A
//! parent's limit applies as well.

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The two interfaces of Linux control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum CgroupVersion {
    /// One hierarchy for each controller.
    V1,
    /// One hierarchy for all controllers.
    V2,
}

/// The directory of one control group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupDirectory {
    /// The interface that its files follow.
    pub version: CgroupVersion,
    /// The directory's path.
    pub path: PathBuf,
}

/// One line of /proc/self/mountinfo that mounts control groups.
struct Mount {
    version: CgroupVersion,
    /// The group visible at the mount point. In a container that sees the host's paths it is not `/`.
    shown: String,
    point: PathBuf,
    options: Vec<String>,
}

/// Returns the directories that may limit `controller` (`memory`, `cpu`) for this process, innermost first. Empty if
/// none is mounted. `root` is `/`, except in tests.
pub fn directories(root: &Path, controller: &str) -> Vec<CgroupDirectory> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mountinfo = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(parse_mount).collect();
    let mut found = Vec::new();
    for line in groups.lines() {
        // The format is number:controllers:path. Version 2 has number 0 and no controllers.
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let version = if number == "0" && controllers.is_empty() { CgroupVersion::V2 } else { CgroupVersion::V1 };
        if version == CgroupVersion::V1 && !controllers.split(',').any(|name| name == controller) {
            continue;
        }
        // If mounts cover each other, the last one is visible.
        let mount = mounts.iter().rfind(|mount| {
            mount.version == version
                && (version == CgroupVersion::V2 || mount.options.iter().any(|option| option == controller))
        });
        if let Some(mount) = mount {
            found.extend(upwards(root, mount, path).map(|path| CgroupDirectory { version, path }));
        }
    }
    found
}

/// Returns the directory of group `path`, then of each parent up to the mount point.
fn upwards(root: &Path, mount: &Mount, path: &str) -> impl Iterator<Item = PathBuf> {
    let point = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
    // A path outside the mounted group (`/..` in a cgroup namespace) leaves only the mount point.
    let inside = Path::new(path)
        .strip_prefix(&mount.shown)
        .ok()
        .filter(|inside| inside.components().all(|part| matches!(part, std::path::Component::Normal(_))))
        .map(Path::to_path_buf)
        .unwrap_or_default();
    let parts: Vec<PathBuf> = inside.ancestors().map(|part| point.join(part)).collect();
    parts.into_iter()
}

/// Parses a line such as `36 35 98:0 /shown /point rw,… shared:1 - cgroup2 source options`.
fn parse_mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(3);
    let (shown, point) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let version = match after.next()? {
        "cgroup" => CgroupVersion::V1,
        "cgroup2" => CgroupVersion::V2,
        _ => return None,
    };
    let options = after.nth(1).unwrap_or_default().split(',').map(str::to_owned).collect();
    Some(Mount { version, shown: shown.to_owned(), point: PathBuf::from(point), options })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    fn machine(cgroup: &str, mountinfo: &str) -> Result<tempfile::TempDir, Box<dyn Error>> {
        let root = tempfile::tempdir()?;
        fs::create_dir_all(root.path().join("proc/self"))?;
        fs::write(root.path().join("proc/self/cgroup"), cgroup)?;
        fs::write(root.path().join("proc/self/mountinfo"), mountinfo)?;
        Ok(root)
    }

    fn found(root: &tempfile::TempDir, controller: &str) -> Vec<(CgroupVersion, String)> {
        directories(root.path(), controller)
            .into_iter()
            .map(|dir| {
                let path = dir.path.strip_prefix(root.path()).map(|p| p.display().to_string()).unwrap_or_default();
                (dir.version, path.trim_end_matches('/').to_owned())
            })
            .collect()
    }

    const V1: CgroupVersion = CgroupVersion::V1;
    const V2: CgroupVersion = CgroupVersion::V2;

    #[test]
    fn version_2_with_parents() -> Result<(), Box<dyn Error>> {
        let root = machine(
            "0::/slurm/job_7/step_0\n",
            "25 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        )?;
        let expected = ["/slurm/job_7/step_0", "/slurm/job_7", "/slurm", ""]
            .map(|tail| (V2, format!("sys/fs/cgroup{tail}").trim_end_matches('/').to_owned()));
        assert_eq!(found(&root, "memory"), expected);
        Ok(())
    }

    #[test]
    fn version_1_takes_the_hierarchy_of_the_controller() -> Result<(), Box<dyn Error>> {
        let root = machine(
            "4:cpu,cpuacct:/a\n3:memory:/job/b\n1:name=systemd:/x\n0::/unified\n",
            "35 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        )?;
        let memory = ["sys/fs/cgroup/memory/job/b", "sys/fs/cgroup/memory/job", "sys/fs/cgroup/memory"];
        assert_eq!(found(&root, "memory"), memory.map(|path| (V1, path.to_owned())));
        let cpu = ["sys/fs/cgroup/cpu,cpuacct/a", "sys/fs/cgroup/cpu,cpuacct"];
        assert_eq!(found(&root, "cpu"), cpu.map(|path| (V1, path.to_owned())));
        assert!(found(&root, "pids").is_empty());
        Ok(())
    }

    #[test]
    fn a_container_that_sees_host_paths_and_one_that_sees_none() -> Result<(), Box<dyn Error>> {
        let host = machine(
            "4:memory:/docker/abc/inner\n",
            "36 31 0:33 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        )?;
        let expected = ["sys/fs/cgroup/memory/inner", "sys/fs/cgroup/memory"];
        assert_eq!(found(&host, "memory"), expected.map(|path| (V1, path.to_owned())));
        let namespace = machine("0::/../sibling\n", "25 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")?;
        assert_eq!(found(&namespace, "memory"), [(V2, "sys/fs/cgroup".to_owned())]);
        Ok(())
    }

    #[test]
    fn a_mount_over_another_is_the_one_that_is_seen() -> Result<(), Box<dyn Error>> {
        let root = machine(
            "4:memory:/mine/job_1\n",
            "36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             90 36 0:33 /mine /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        )?;
        let expected = ["sys/fs/cgroup/memory/job_1", "sys/fs/cgroup/memory"];
        assert_eq!(found(&root, "memory"), expected.map(|path| (V1, path.to_owned())));
        Ok(())
    }

    #[test]
    fn nothing_mounted_is_nothing() -> Result<(), Box<dyn Error>> {
        assert!(found(&machine("", "")?, "memory").is_empty());
        assert!(found(&machine("0::/\n", "junk\n")?, "memory").is_empty());
        Ok(())
    }
}
