//! Reads software and settings of the node that affect measurements: kernel, processor model, frequency governor,
//! clock, huge pages.

use super::build_facts::BuildFacts;
use super::launcher::Launcher;
use super::parameter_files;
use crate::utc;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A rank's record of its node apart from hardware and memory. A field is None if the kernel does not report it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankEnvironment {
    /// Name of the node. Ranks with equal names count as being on one node.
    pub hostname: String,
    /// `Linux` and its release.
    pub kernel: String,
    /// Processor model.
    pub cpu_model: Option<String>,
    /// Frequency governors in use over all CPUs, separated by commas. With any but `performance`, times vary more.
    pub governors: Option<String>,
    /// Clock source. With any but `tsc`, reading the time may take a microsecond.
    pub clock_source: Option<String>,
    /// Transparent huge pages for private memory: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
    /// Transparent huge pages for shared memory, which includes shared windows.
    pub huge_pages_shared: Option<String>,
    /// Whether the kernel moves pages between NUMA nodes by itself (NUMA balancing).
    pub numa_balancing: Option<bool>,
    /// TCP congestion control, which affects Ethernet between nodes.
    pub tcp_congestion_control: Option<String>,
    /// Whether TCP restarts with slow start after an idle time. Rounds follow pauses, so this slows long links.
    pub tcp_slow_start_after_idle: Option<bool>,
    /// Time of this record, UTC.
    pub started: String,
    /// The build of the binary.
    pub build: BuildFacts,
    /// Environment variables of the job and of the MPI library.
    pub launcher: Launcher,
    /// Settings in configuration files of the MPI library: lines by file.
    #[serde(default)]
    pub parameter_files: BTreeMap<String, Vec<String>>,
}

/// Returns the name of this node below the file system `root`.
pub fn hostname(root: &Path) -> String {
    let text = fs::read_to_string(root.join("proc/sys/kernel/hostname")).unwrap_or_default();
    Some(text.trim()).filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned()
}

impl RankEnvironment {
    /// Reads the environment of the calling process.
    pub fn here() -> Self {
        Self::read(Path::new("/"))
    }

    /// Like `here`, with the kernel's files below another root.
    fn read(root: &Path) -> Self {
        let line = |path: &str| {
            let text = fs::read_to_string(root.join(path)).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let huge_pages =
            |file: &str| chosen(&line(&format!("sys/kernel/mm/transparent_hugepage/{file}"))?).map(str::to_owned);
        RankEnvironment {
            hostname: hostname(root),
            kernel: format!("Linux {}", line("proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned())),
            cpu_model: fs::read_to_string(root.join("proc/cpuinfo")).ok().and_then(|text| cpu_model(&text)),
            governors: governors(&root.join("sys/devices/system/cpu")),
            clock_source: line("sys/devices/system/clocksource/clocksource0/current_clocksource"),
            huge_pages: huge_pages("enabled"),
            huge_pages_shared: huge_pages("shmem_enabled"),
            numa_balancing: line("proc/sys/kernel/numa_balancing").map(|value| value != "0"),
            tcp_congestion_control: line("proc/sys/net/ipv4/tcp_congestion_control"),
            tcp_slow_start_after_idle: line("proc/sys/net/ipv4/tcp_slow_start_after_idle").map(|value| value != "0"),
            started: utc::now(),
            build: BuildFacts::here(),
            launcher: Launcher::here(),
            parameter_files: parameter_files::read(),
        }
    }
}

/// Returns the bracketed word of a text such as `always [madvise] never`.
fn chosen(choices: &str) -> Option<&str> {
    choices.split_once('[')?.1.split_once(']').map(|(word, _)| word)
}

/// Returns `model name` on x86, `cpu` on POWER; ARM has neither.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    cpuinfo.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        let value = value.trim();
        (matches!(name.trim(), "model name" | "cpu") && !value.is_empty()).then(|| value.to_owned())
    })
}

/// Returns the distinct governors of all CPUs below `cpus`, sorted and separated by commas; None if none is readable.
fn governors(cpus: &Path) -> Option<String> {
    let found: BTreeSet<String> = fs::read_dir(cpus)
        .ok()?
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("cpufreq/scaling_governor")).ok())
        .map(|governor| governor.trim().to_owned())
        .collect();
    if found.is_empty() { None } else { Some(found.into_iter().collect::<Vec<_>>().join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn reads_a_node_laid_out_as_files() -> Result<(), Box<dyn Error>> {
        let root = tempfile::tempdir()?;
        for (path, text) in [
            ("proc/sys/kernel/hostname", "node7\n"),
            ("proc/sys/kernel/osrelease", "6.1.0-9\n"),
            ("proc/sys/kernel/numa_balancing", "1\n"),
            ("proc/sys/net/ipv4/tcp_congestion_control", "cubic\n"),
            ("proc/sys/net/ipv4/tcp_slow_start_after_idle", "0\n"),
            ("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
            ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().ok_or("no parent")?)?;
            fs::write(path, text)?;
        }
        let node = RankEnvironment::read(root.path());
        assert_eq!((node.hostname.as_str(), node.kernel.as_str()), ("node7", "Linux 6.1.0-9"));
        assert_eq!(node.cpu_model.as_deref(), Some("Some CPU @ 2.0GHz"));
        assert_eq!(node.governors.as_deref(), Some("performance,powersave"));
        assert_eq!(node.clock_source.as_deref(), Some("hpet"));
        assert_eq!((node.huge_pages.as_deref(), node.huge_pages_shared), (Some("madvise"), None));
        assert_eq!(node.numa_balancing, Some(true));
        assert_eq!(node.tcp_congestion_control.as_deref(), Some("cubic"));
        assert_eq!(node.tcp_slow_start_after_idle, Some(false));
        Ok(())
    }

    #[test]
    fn what_cannot_be_read_is_none() -> Result<(), Box<dyn Error>> {
        let node = RankEnvironment::read(tempfile::tempdir()?.path());
        assert_eq!((node.cpu_model, node.governors, node.clock_source), (None, None, None));
        assert_eq!((node.huge_pages, node.numa_balancing), (None, None));
        Ok(())
    }

    #[test]
    fn hostname_is_unames() -> Result<(), Box<dyn Error>> {
        let uname = std::process::Command::new("uname").args(["-n", "-r"]).output()?;
        let here = RankEnvironment::here();
        let kernel = here.kernel.trim_start_matches("Linux ").to_owned();
        assert_eq!(format!("{} {kernel}\n", here.hostname), String::from_utf8_lossy(&uname.stdout));
        Ok(())
    }
}
