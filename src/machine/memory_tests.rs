//! Machines laid out as files, so that limits can be tested that this machine does not have.

use super::*;
use std::error::Error;

type Outcome = Result<(), Box<dyn Error>>;

const GIB: u64 = 1 << 30;

/// Writes files below a temporary root.
fn machine(files: &[(&str, &str)]) -> Result<tempfile::TempDir, Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    for (path, text) in files {
        let path = root.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(root)
}

const MEMINFO: (&str, &str) =
    ("proc/meminfo", "MemTotal:       16777216 kB\nMemFree:         1000000 kB\nMemAvailable:    8388608 kB\n");
const V2_MOUNT: (&str, &str) = ("proc/self/mountinfo", "25 1 0:22 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");

#[test]
fn without_limits_the_kernels_estimate_counts() -> Outcome {
    let root = machine(&[MEMINFO])?;
    let memory = RankRoom::read(root.path(), |_| None);
    assert_eq!((memory.total_bytes, memory.available_bytes), (Some(16 * GIB), Some(8 * GIB)));
    assert_eq!((memory.cgroup_version, &memory.cgroup), (None, &None));
    let room = memory.available_for_new_memory().ok_or("no room")?;
    assert_eq!((room.bytes, room.limited_by.as_str()), (8 * GIB, "MemAvailable of /proc/meminfo"));
    // There is no /dev/shm below this root, so nothing is reported about it.
    assert_eq!(memory.shared_memory_free_bytes, None);
    Ok(())
}

#[test]
fn a_parents_limit_of_version_2_binds() -> Outcome {
    let root = machine(&[
        MEMINFO,
        V2_MOUNT,
        ("proc/self/cgroup", "0::/job/step\n"),
        ("sys/fs/cgroup/job/step/memory.max", "max\n"),
        ("sys/fs/cgroup/job/step/memory.current", "1073741824\n"),
        ("sys/fs/cgroup/job/memory.max", "4294967296\n"),
        ("sys/fs/cgroup/job/memory.current", "3221225472\n"),
        ("sys/fs/cgroup/job/memory.stat", "anon 5\ninactive_file 1073741824\nactive_file 7\n"),
    ])?;
    let memory = RankRoom::read(root.path(), |_| None);
    assert_eq!(memory.cgroup_version, Some(CgroupVersion::V2));
    let limit = memory.cgroup.as_ref().ok_or("no limit")?;
    // 4 GiB are allowed and 3 GiB used, of which 1 GiB is reclaimable cache.
    assert_eq!((limit.limit_bytes, limit.used_bytes, limit.left_bytes()), (4 * GIB, 2 * GIB, 2 * GIB));
    assert!(limit.file.ends_with("sys/fs/cgroup/job/memory.max"), "{}", limit.file);
    let room = memory.available_for_new_memory().ok_or("no room")?;
    assert_eq!((room.bytes, room.limited_by), (2 * GIB, limit.file.clone()));
    Ok(())
}

#[test]
fn version_1_unlimited_and_limited() -> Outcome {
    let mount = ("proc/self/mountinfo", "36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    let group = ("proc/self/cgroup", "3:memory:/a\n");
    let parent = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    let unlimited = [MEMINFO, mount, group, parent, ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", parent.1)];
    let memory = RankRoom::read(machine(&unlimited)?.path(), |_| None);
    assert_eq!((memory.cgroup_version, &memory.cgroup), (Some(CgroupVersion::V1), &None));

    let limited = [
        MEMINFO,
        mount,
        group,
        parent,
        ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824\n"),
        ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "2147483648\n"),
    ];
    let memory = RankRoom::read(machine(&limited)?.path(), |_| None);
    let room = memory.available_for_new_memory().ok_or("no room")?;
    // More is used than allowed (the limit was lowered), so nothing is left.
    assert_eq!(room.bytes, 0);
    assert!(room.limited_by.ends_with("a/memory.limit_in_bytes"), "{}", room.limited_by);
    Ok(())
}

#[test]
fn resource_limits_bind_private_or_both() -> Outcome {
    let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                  Max data size             1073741824           unlimited            bytes     \n\
                  Max address space         unlimited            unlimited            bytes     \n";
    let status = ("proc/self/status", "Name:\tx\nVmSize:\t 2097152 kB\nVmData:\t  524288 kB\n");
    let memory = RankRoom::read(machine(&[MEMINFO, status, ("proc/self/limits", limits)])?.path(), |_| None);
    assert_eq!((memory.data_limit_left_bytes, memory.address_space_left_bytes), (Some(GIB / 2), None));
    assert_eq!(memory.available_for_new_memory().map(|room| room.bytes), Some(GIB / 2));
    assert_eq!(memory.available_for_shared_windows().map(|room| room.bytes), Some(8 * GIB));

    let limits = limits.replace("Max address space         unlimited ", "Max address space         3221225472");
    let memory = RankRoom::read(machine(&[MEMINFO, status, ("proc/self/limits", &limits)])?.path(), |_| None);
    assert_eq!(memory.address_space_left_bytes, Some(GIB));
    assert_eq!(memory.available_for_shared_windows().map(|room| room.bytes), Some(GIB));
    Ok(())
}

/// Slurm gives its limit for the node, or for each CPU of the job on the node.
#[test]
fn a_slurm_job_may_use_what_it_asked_for() -> Outcome {
    let machine = machine(&[MEMINFO, ("proc/self/status", "Name:\tx\nVmRSS:\t  102400 kB\n")])?;
    let left = |variables: &[(&str, &str)]| {
        let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        RankRoom::read(machine.path(), value).available_for_new_memory()
    };
    let of_job = |mebibytes: u64| {
        Some(Room { bytes: mebibytes << 20, limited_by: "the memory of the Slurm job (--mem)".to_owned() })
    };
    assert_eq!(left(&[("SLURM_MEM_PER_NODE", "1100")]), of_job(1000));
    assert_eq!(left(&[("SLURM_MEM_PER_CPU", "300"), ("SLURM_CPUS_ON_NODE", "2")]), of_job(500));
    let without = left(&[]);
    assert!(without.is_some());
    for variables in
        [&[("SLURM_MEM_PER_NODE", "0")][..], &[("SLURM_MEM_PER_CPU", "300")], &[("SLURM_MEM_PER_NODE", "x")]]
    {
        assert_eq!(left(variables), without);
    }
    Ok(())
}

#[test]
fn shared_windows_need_room_in_dev_shm() {
    let mut memory = RankRoom { available_bytes: Some(8 * GIB), ..RankRoom::default() };
    memory.shared_memory_free_bytes = Some(64 << 20);
    let room = memory.available_for_shared_windows();
    assert_eq!(room, Some(Room { bytes: 64 << 20, limited_by: "free space of /dev/shm".to_owned() }));
    assert_eq!(memory.available_for_new_memory().map(|room| room.bytes), Some(8 * GIB));
    assert_eq!(RankRoom::default().available_for_new_memory(), None);
}

#[test]
fn this_machine_agrees_with_df() -> Outcome {
    let memory = RankRoom::here();
    assert!(memory.total_bytes >= memory.available_bytes && memory.available_bytes > Some(0));
    let df = std::process::Command::new("df").args(["-B1", "--output=size", "/dev/shm"]).output()?;
    let said = String::from_utf8_lossy(&df.stdout).lines().nth(1).and_then(|size| size.trim().parse().ok());
    assert_eq!(memory.shared_memory_bytes, said);
    Ok(())
}
