//! Reads where a rank may run: its CPUs with their cores and NUMA nodes, and whether it is bound to them.

use super::cpu_quota::CpuQuota;
use super::index_set::IndexSet;
use hwloc::Topology;
use hwloc::cpu::binding::CpuBindingFlags;
use hwloc::cpu::cpuset::CpuSet;
use hwloc::object::types::ObjectType;
use serde::{Deserialize, Serialize};
use std::io;

/// The CPUs that one process may run on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// CPUs that the calling thread may run on (hwloc).
    pub cpus: IndexSet,
    /// CPUs that any thread of the process may run on. They exceed `cpus` if the MPI library has unbound
    /// threads. Empty if hwloc cannot tell.
    pub process_cpus: IndexSet,
    /// Cores of `cpus`, by hwloc's logical index. Ranks that share a core may slow each other down.
    pub cores: IndexSet,
    /// NUMA nodes of `cpus`.
    pub numa_nodes: IndexSet,
    /// The CPU that the thread ran on.
    pub current_cpu: Option<usize>,
    /// Whether `cpus` is the whole machine, so that neither the launcher nor a control group restricts it.
    pub whole_machine: bool,
    /// Limit on CPU time, if there is one.
    pub cpu_quota: Option<CpuQuota>,
}

impl Binding {
    /// Reads the binding of the calling thread. `topology` must be this node's, as from `NodeTopology::here`.
    ///
    /// # Errors
    /// If the kernel does not report the CPUs.
    pub fn here(topology: &Topology) -> io::Result<Self> {
        let bound = |of| topology.cpu_binding(of).map(|set| set.iter_set().map(usize::from).collect());
        let mut binding = Self::of_cpus(topology, bound(CpuBindingFlags::THREAD).map_err(io::Error::other)?);
        binding.process_cpus = bound(CpuBindingFlags::PROCESS).unwrap_or_default();
        // SAFETY: no arguments, no memory touched.
        binding.current_cpu = usize::try_from(unsafe { libc::sched_getcpu() }).ok();
        binding.cpu_quota = CpuQuota::here();
        Ok(binding)
    }

    /// Finds the cores and NUMA nodes of `cpus` in a topology.
    pub(super) fn of_cpus(topology: &Topology, cpus: IndexSet) -> Self {
        let mut set = CpuSet::new();
        for cpu in cpus.iter().filter_map(|cpu| hwloc::bitmap::BitmapIndex::try_from(cpu).ok()) {
            set.set(cpu);
        }
        // A core counts if any of its CPUs is in the set.
        let touched = |object_type: ObjectType, os_index: bool| {
            topology
                .objects_with_type(object_type)
                .filter(|object| object.cpuset().is_some_and(|cpus| cpus.intersects(&set)))
                .map(|object| match object.os_index() {
                    Some(index) if os_index => index,
                    _ => object.logical_index(),
                })
                .collect()
        };
        // Some virtual machines report CPUs but no cores; each CPU then counts as a core.
        let core =
            if topology.objects_with_type(ObjectType::Core).len() == 0 { ObjectType::PU } else { ObjectType::Core };
        let machine: IndexSet = topology.cpuset().iter_set().map(usize::from).collect();
        Binding {
            whole_machine: cpus.includes(&machine),
            cores: touched(core, false),
            numa_nodes: touched(ObjectType::NUMANode, true),
            process_cpus: IndexSet::default(),
            current_cpu: None,
            cpu_quota: None,
            cpus,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    /// Two packages, each a NUMA node of two cores of two CPUs: CPUs 0-3 and 4-7.
    fn bound_to(list: &str) -> Result<Binding, Box<dyn Error>> {
        let topology = Topology::builder().from_synthetic("pack:2 [numa] core:2 pu:2")?.build()?;
        Ok(Binding::of_cpus(&topology, list.parse()?))
    }

    #[test]
    fn cores_and_nodes_of_cpus() -> Result<(), Box<dyn Error>> {
        for (cpus, cores, nodes, whole) in [
            ("0", "0", "0", false),
            ("1-2", "0-1", "0", false),
            ("3,4", "1-2", "0-1", false),
            ("6-7", "3", "1", false),
            ("0-7", "0-3", "0-1", true),
            ("", "", "", false),
        ] {
            let binding = bound_to(cpus)?;
            let found = (binding.cores.to_string(), binding.numa_nodes.to_string(), binding.whole_machine);
            assert_eq!(found, (cores.to_owned(), nodes.to_owned(), whole), "CPUs {cpus}");
        }
        Ok(())
    }

    #[test]
    fn the_kernel_says_the_same_in_proc() -> Result<(), Box<dyn Error>> {
        let status = std::fs::read_to_string("/proc/thread-self/status")?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).ok_or("no list")?;
        let (_, topology) = super::super::topology::NodeTopology::here()?;
        assert_eq!(Binding::here(&topology)?.cpus, list.trim().parse()?);
        Ok(())
    }

    /// A thread bound to one CPU is reported on that CPU only, while the process as a whole is not bound to it.
    #[test]
    fn a_bound_thread_is_seen_bound() -> Result<(), Box<dyn Error>> {
        let (_, topology) = super::super::topology::NodeTopology::here()?;
        let before = Binding::here(&topology)?.cpus;
        let last = before.iter().last().ok_or("no CPU")?;
        let mut one = CpuSet::new();
        one.set(hwloc::bitmap::BitmapIndex::try_from(last)?);
        let bound = std::thread::scope(|scope| {
            let bound = scope.spawn(|| {
                topology.bind_cpu(&one, CpuBindingFlags::THREAD).map_err(|error| error.to_string())?;
                Binding::here(&topology).map_err(|error| error.to_string())
            });
            bound.join().map_err(|_| "the thread panicked".to_owned())?
        })?;
        assert_eq!((bound.cpus.to_string(), bound.current_cpu), (last.to_string(), Some(last)));
        assert_eq!(bound.whole_machine, before.len() == 1);
        assert!(bound.process_cpus.includes(&before));
        Ok(())
    }
}
