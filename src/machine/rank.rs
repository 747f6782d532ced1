//! The complete record of where one rank runs.

use super::binding::Binding;
use super::environment::RankEnvironment;
use super::memory::RankRoom;
use super::topology::NodeTopology;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The record of one rank. It is sent between ranks as JSON and stored in the result file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankMachine {
    /// The rank.
    pub rank: usize,
    /// The MPI library's own version string; empty without MPI.
    pub mpi_library: String,
    /// Node, kernel, settings, build and job.
    pub environment: RankEnvironment,
    /// The node's hardware. None if hwloc failed; `problems` has the reason.
    pub topology: Option<NodeTopology>,
    /// The rank's binding; None if it could not be read.
    pub binding: Option<Binding>,
    /// Memory limits.
    pub memory: RankRoom,
    /// Everything that could not be read, with reasons.
    pub problems: Vec<String>,
}

impl RankMachine {
    /// Reads the record from the kernel and hwloc. Call it on the working thread, as bindings belong to threads.
    /// Failures are added to `problems`, as a run must not fail because it cannot be described.
    pub fn here(rank: usize, mpi_library: &str) -> Self {
        let mut problems = Vec::new();
        let (topology, binding) = match NodeTopology::here() {
            Ok((topology, handle)) => {
                let binding = Binding::here(&handle).map_err(|error| problems.push(format!("CPU binding: {error}")));
                (Some(topology), binding.ok())
            }
            Err(error) => {
                problems.push(error.to_string());
                (None, None)
            }
        };
        RankMachine {
            rank,
            mpi_library: mpi_library.trim().to_owned(),
            environment: RankEnvironment::here(),
            topology,
            binding,
            memory: RankRoom::here(),
            problems,
        }
    }

    /// Returns the name of the rank's node.
    pub fn node(&self) -> &str {
        &self.environment.hostname
    }
}

/// Groups ranks by node. Nodes are in the order of their first rank in `ranks`.
pub fn by_node(ranks: &[RankMachine]) -> Vec<(&str, Vec<&RankMachine>)> {
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    let mut nodes: Vec<(&str, Vec<&RankMachine>)> = Vec::new();
    for rank in ranks {
        let index = *place.entry(rank.node()).or_insert_with(|| {
            nodes.push((rank.node(), Vec::new()));
            nodes.len() - 1
        });
        nodes[index].1.push(rank);
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn survives_the_way_to_another_rank() -> Result<(), Box<dyn Error>> {
        let here = RankMachine::here(3, " Some MPI 1.2\n");
        assert_eq!((here.rank, here.mpi_library.as_str()), (3, "Some MPI 1.2"));
        assert!(here.problems.is_empty(), "{:?}", here.problems);
        let there: Vec<RankMachine> = serde_json::from_str(&serde_json::to_string(std::slice::from_ref(&here))?)?;
        assert_eq!(there, [here]);
        Ok(())
    }
}
