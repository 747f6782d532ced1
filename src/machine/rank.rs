//! All that one rank says of where it runs.

use super::binding::Binding;
use super::environment::Environment;
use super::memory::RankRoom;
use super::topology::NodeTopology;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One rank's account. Goes from rank to rank as JSON, and into the result file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankMachine {
    /// The rank.
    pub rank: usize,
    /// The MPI library and its version as it gives them itself; empty without MPI.
    pub mpi_library: String,
    /// Node, kernel, settings, build, job.
    pub environment: Environment,
    /// The node's hardware; None where hwloc refused, `problems` says why.
    pub topology: Option<NodeTopology>,
    /// Where the rank may run; None where that could not be read.
    pub binding: Option<Binding>,
    /// Memory limits.
    pub memory: RankRoom,
    /// What could not be read, and why.
    pub problems: Vec<String>,
}

impl RankMachine {
    /// Asks the kernel and hwloc. Call it on the thread that will work, since a binding is a thread's. What cannot be
    /// read becomes one of `problems`, never an error: a run must not fail for want of a description.
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
            environment: Environment::here(),
            topology,
            binding,
            memory: RankRoom::here(),
            problems,
        }
    }

    /// Name of the rank's node.
    pub fn node(&self) -> &str {
        &self.environment.hostname
    }
}

/// Ranks by node: nodes in the order of their lowest place in `ranks`.
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

/// The accounts of all ranks as one JSON array, for programs.
///
/// # Errors
/// None is known; serde_json's is passed on.
pub fn to_json(ranks: &[RankMachine]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(ranks)
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
        let there: Vec<RankMachine> = serde_json::from_str(&to_json(std::slice::from_ref(&here))?)?;
        assert_eq!(there, [here]);
        Ok(())
    }
}
