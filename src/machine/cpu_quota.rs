//! Reads the CPU time that control groups grant, in CPUs. A container may see 64 CPUs and yet be limited to the time of
//! two.

use super::cgroup::{self, CgroupVersion};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The tightest limit on CPU time among the process's control group and its parents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuQuota {
    /// CPU time per wall-clock time that all processes of the group may use together, in CPUs.
    pub cpus: f64,
    /// The file that holds the limit.
    pub file: String,
}

impl CpuQuota {
    /// Returns the limit of the calling process; None if there is none.
    pub fn here() -> Option<Self> {
        Self::read(Path::new("/"))
    }

    fn read(root: &Path) -> Option<Self> {
        let mut tightest: Option<CpuQuota> = None;
        for directory in cgroup::directories(root, "cpu") {
            let text = |file: &str| fs::read_to_string(directory.path.join(file)).ok();
            let (file, quota, period) = match directory.version {
                CgroupVersion::V2 => {
                    let both = text("cpu.max").unwrap_or_default();
                    let mut both = both.split_whitespace().map(str::to_owned);
                    ("cpu.max", both.next(), both.next())
                }
                CgroupVersion::V1 => ("cpu.cfs_quota_us", text("cpu.cfs_quota_us"), text("cpu.cfs_period_us")),
            };
            // "No limit" is `max` in version 2 and -1 in version 1.
            let number = |text: Option<String>| text?.trim().parse::<f64>().ok().filter(|number| *number > 0.0);
            let (Some(quota), Some(period)) = (number(quota), number(period)) else {
                continue;
            };
            let cpus = quota / period;
            if tightest.as_ref().is_none_or(|tightest| cpus < tightest.cpus) {
                tightest = Some(CpuQuota { cpus, file: directory.path.join(file).display().to_string() });
            }
        }
        tightest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    fn quota(mount: &str, group: &str, files: &[(&str, &str)]) -> Result<Option<CpuQuota>, Box<dyn Error>> {
        let root = tempfile::tempdir()?;
        let all = [("proc/self/mountinfo", mount), ("proc/self/cgroup", group)];
        for (path, text) in all.iter().chain(files) {
            let path = root.path().join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, text)?;
        }
        Ok(CpuQuota::read(root.path()))
    }

    #[test]
    fn version_2_takes_the_tightest() -> Result<(), Box<dyn Error>> {
        let mount = "25 1 0:22 / /cg rw - cgroup2 cgroup2 rw\n";
        let files = [("cg/a/b/cpu.max", "400000 100000\n"), ("cg/a/cpu.max", "150000 100000\n")];
        let found = quota(mount, "0::/a/b\n", &files)?.ok_or("none")?;
        assert_eq!(found.cpus, 1.5);
        assert!(found.file.ends_with("cg/a/cpu.max"));
        assert_eq!(quota(mount, "0::/a\n", &[("cg/a/cpu.max", "max 100000\n")])?, None);
        Ok(())
    }

    #[test]
    fn version_1() -> Result<(), Box<dyn Error>> {
        let mount = "35 31 0:32 / /cg rw - cgroup cgroup rw,cpu,cpuacct\n";
        let files = [("cg/a/cpu.cfs_quota_us", "50000\n"), ("cg/a/cpu.cfs_period_us", "100000\n")];
        assert_eq!(quota(mount, "4:cpu,cpuacct:/a\n", &files)?.map(|found| found.cpus), Some(0.5));
        let files = [("cg/a/cpu.cfs_quota_us", "-1\n"), ("cg/a/cpu.cfs_period_us", "100000\n")];
        assert_eq!(quota(mount, "4:cpu,cpuacct:/a\n", &files)?, None);
        Ok(())
    }
}
