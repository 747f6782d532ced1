//! Reads the node's hardware with hwloc.

use super::index_set::IndexSet;
use hwloc::Topology;
use hwloc::object::TopologyObject;
use hwloc::object::attributes::ObjectAttributes;
use hwloc::object::types::ObjectType;
use hwloc::topology::builder::BuildFlags;
use serde::{Deserialize, Serialize};

/// The error of a failure to read the hardware.
#[derive(Debug, thiserror::Error)]
#[error("hwloc cannot read this node's topology ({step}): {reason}; `lstopo` shows what hwloc sees")]
pub struct TopologyError {
    /// The step that failed.
    pub step: &'static str,
    /// hwloc's message.
    pub reason: String,
}

/// All packages, NUMA nodes, caches, cores and CPUs of one node, including those not allowed to this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTopology {
    /// Number of processor packages.
    pub packages: usize,
    /// Number of cores.
    pub cores: usize,
    /// CPUs in Linux's sense (hardware threads), by the kernel's numbers.
    pub cpus: IndexSet,
    /// CPUs that the control group or the administrator allows to this process.
    pub allowed_cpus: IndexSet,
    /// NUMA nodes.
    pub numa_nodes: Vec<NumaNode>,
    /// Data and unified caches, lowest level first.
    pub caches: Vec<CacheLevel>,
    /// Processor model reported by hwloc; empty if unknown.
    pub cpu_model: String,
    /// Version of hwloc's API.
    pub hwloc_version: String,
}

/// One NUMA node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumaNode {
    /// The kernel's number of the node.
    pub index: usize,
    /// CPUs local to the node.
    pub cpus: IndexSet,
    /// Local memory that the kernel reports at boot, bytes. Memory added later may be missing.
    pub memory_bytes: u64,
}

/// Caches of the same level and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheLevel {
    /// Name of the level: `L1`, `L2`, `L3` …
    pub name: String,
    /// Size of one cache, bytes.
    pub bytes: u64,
    /// Number of such caches.
    pub count: usize,
}

impl NodeTopology {
    /// Reads this node's hardware. Also returns hwloc's handle, which reading bindings requires and which takes
    /// milliseconds to create.
    ///
    /// # Errors
    /// If hwloc fails.
    pub fn here() -> Result<(NodeTopology, Topology), TopologyError> {
        // Without this flag hwloc hides CPUs forbidden by a control group, so that a confined rank would seem to own
        // the machine.
        let handle = Topology::builder()
            .with_flags(BuildFlags::INCLUDE_DISALLOWED)
            .map_err(|error| TopologyError { step: "flags", reason: error.to_string() })?
            .build()
            .map_err(|error| TopologyError { step: "discovery", reason: error.to_string() })?;
        Ok((Self::from_handle(&handle), handle))
    }

    /// Reads a loaded topology.
    pub(super) fn from_handle(handle: &Topology) -> NodeTopology {
        let cpus = |object: &TopologyObject| match object.cpuset() {
            Some(set) => set.iter_set().map(usize::from).collect(),
            None => IndexSet::default(),
        };
        let numa_nodes = handle
            .objects_with_type(ObjectType::NUMANode)
            .map(|node| NumaNode {
                index: node.os_index().unwrap_or_else(|| node.logical_index()),
                cpus: cpus(node),
                memory_bytes: match node.attributes() {
                    Some(ObjectAttributes::NUMANode(numa)) => numa.local_memory().map_or(0, |bytes| bytes.get()),
                    _ => 0,
                },
            })
            .collect();
        let cpu_model = handle
            .objects_with_type(ObjectType::Package)
            .chain([handle.root_object()])
            .find_map(|object| object.info("CPUModel"))
            .map(|model| model.to_string_lossy().trim().to_owned())
            .unwrap_or_default();
        let version = hwloc::hwloc_api_version();
        NodeTopology {
            packages: handle.objects_with_type(ObjectType::Package).len(),
            cores: handle.objects_with_type(ObjectType::Core).len(),
            cpus: cpus(handle.root_object()),
            allowed_cpus: handle.allowed_cpuset().iter_set().map(usize::from).collect(),
            numa_nodes,
            caches: caches(handle),
            cpu_model,
            hwloc_version: format!("{}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff),
        }
    }
}

/// Counts data and unified caches by level and size.
fn caches(handle: &Topology) -> Vec<CacheLevel> {
    let levels = [
        ("L1", ObjectType::L1Cache),
        ("L2", ObjectType::L2Cache),
        ("L3", ObjectType::L3Cache),
        ("L4", ObjectType::L4Cache),
        ("L5", ObjectType::L5Cache),
    ];
    let mut found: Vec<CacheLevel> = Vec::new();
    for (name, level) in levels {
        for object in handle.objects_with_type(level) {
            let bytes = match object.attributes() {
                Some(ObjectAttributes::Cache(cache)) => cache.size().map_or(0, |bytes| bytes.get()),
                _ => 0,
            };
            match found.iter_mut().find(|cache| cache.name == name && cache.bytes == bytes) {
                Some(cache) => cache.count += 1,
                None => found.push(CacheLevel { name: name.to_owned(), bytes, count: 1 }),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    /// Synthetic machines of hwloc have known shapes.
    #[test]
    fn a_two_package_machine() -> Result<(), Box<dyn Error>> {
        let text = "pack:2 [numa(memory=1073741824)] l3:1(size=33554432) l2:4(size=1048576) core:1 pu:2";
        let handle = Topology::builder().from_synthetic(text)?.build()?;
        let node = NodeTopology::from_handle(&handle);
        assert_eq!((node.packages, node.cores, node.cpus.to_string()), (2, 8, "0-15".to_owned()));
        let numa: Vec<_> = node.numa_nodes.iter().map(|n| (n.index, n.cpus.to_string(), n.memory_bytes)).collect();
        assert_eq!(numa, [(0, "0-7".to_owned(), 1 << 30), (1, "8-15".to_owned(), 1 << 30)]);
        let caches: Vec<_> = node.caches.iter().map(|c| (c.name.as_str(), c.bytes, c.count)).collect();
        assert_eq!(caches, [("L2", 1 << 20, 8), ("L3", 32 << 20, 2)]);
        Ok(())
    }

    /// The kernel and hwloc agree on the number of CPUs.
    #[test]
    fn this_machine_has_the_kernels_cpus() -> Result<(), Box<dyn Error>> {
        let (node, _) = NodeTopology::here()?;
        let online: IndexSet = std::fs::read_to_string("/sys/devices/system/cpu/online")?.parse()?;
        assert_eq!(node.cpus, online);
        assert!(node.cores >= 1 && node.cores <= node.cpus.len() && !node.numa_nodes.is_empty());
        assert!(node.cpus.includes(&node.allowed_cpus));
        Ok(())
    }
}
