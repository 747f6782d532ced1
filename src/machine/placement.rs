//! Describes in words how ranks are bound and what this means for first-touch memory placement.

use super::index_set::IndexSet;
use super::rank::{RankMachine, by_node};

/// The binding and memory placement of ranks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Placement {
    /// Whether ranks are bound to part of their node, in words.
    pub binding: String,
    /// Whether memory stays near the rank that touches it first, in words. Every rank touches its gradients, sums and
    /// windows before a round, so the kernel places them on the rank's current NUMA node. Only binding keeps the rank
    /// there.
    pub first_touch: String,
}

/// Describes the placement of all ranks of a job.
pub fn placement(ranks: &[RankMachine]) -> Placement {
    let unknown = ranks.iter().filter(|rank| rank.binding.is_none() || rank.topology.is_none()).count();
    if unknown > 0 {
        let text = format!("unknown for {unknown} of {} ranks", ranks.len());
        return Placement { binding: text.clone(), first_touch: text };
    }
    let free = ranks.iter().filter(|rank| is_free(rank)).count();
    let binding = match free {
        0 => "every rank is bound".to_owned(),
        all if all == ranks.len() => "no rank is bound: the kernel may move them while rounds are timed".to_owned(),
        some => format!("{some} of {} ranks are not bound: the kernel may move them", ranks.len()),
    };
    let several = |rank: &&RankMachine| rank.topology.as_ref().is_some_and(|topology| topology.numa_nodes.len() > 1);
    let straddling: IndexSet = ranks
        .iter()
        .filter(several)
        .filter(|rank| rank.binding.as_ref().is_some_and(|binding| binding.numa_nodes.len() > 1))
        .map(|rank| rank.rank)
        .collect();
    let first_touch = if !ranks.iter().any(|rank| several(&rank)) {
        "one NUMA node everywhere: all memory is near".to_owned()
    } else if straddling.is_empty() {
        "every rank is bound to one NUMA node, and has its memory there".to_owned()
    } else {
        let nodes = by_node(ranks).len();
        let on = if nodes == 1 { String::new() } else { format!(" on {nodes} nodes") };
        format!("{} of {} ranks{on} may run on several NUMA nodes: memory may be far", straddling.len(), ranks.len())
    };
    Placement { binding, first_touch }
}

/// Returns true if a rank may use several cores and all CPUs that are allowed to the job.
fn is_free(rank: &RankMachine) -> bool {
    let (Some(binding), Some(topology)) = (&rank.binding, &rank.topology) else { return false };
    binding.cores.len() > 1 && binding.cpus.includes(&topology.allowed_cpus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::binding::Binding;
    use crate::machine::topology::NodeTopology;
    use hwloc::Topology;
    use std::error::Error;

    fn placed(machine: &str, cpus: &[&str]) -> Result<Placement, Box<dyn Error>> {
        let handle = Topology::builder().from_synthetic(machine)?.build()?;
        let mut ranks = Vec::new();
        for (number, cpus) in cpus.iter().enumerate() {
            let mut rank = RankMachine::here(number, "");
            rank.topology = Some(NodeTopology::from_handle(&handle));
            rank.binding = Some(Binding::of_cpus(&handle, cpus.parse()?));
            ranks.push(rank);
        }
        Ok(placement(&ranks))
    }

    #[test]
    fn says_who_may_be_moved_and_whose_memory_may_be_far() -> Result<(), Box<dyn Error>> {
        let (one, two) = ("pack:1 [numa] core:4 pu:1", "pack:2 [numa] core:2 pu:1");
        for (machine, cpus, binding, first_touch) in [
            (one, vec!["0", "1"], "every rank is bound", "one NUMA node everywhere: all memory is near"),
            (one, vec!["0-3", "0-3"], "no rank is bound: the kernel may", "one NUMA node everywhere"),
            (two, vec!["0-1", "2-3"], "every rank is bound", "every rank is bound to one NUMA node"),
            (two, vec!["0-1", "0-3"], "1 of 2 ranks are not bound", "1 of 2 ranks may run on several NUMA nodes"),
            // Bound, but across both NUMA nodes.
            (two, vec!["1-2", "0"], "every rank is bound", "1 of 2 ranks may run on several NUMA nodes"),
        ] {
            let found = placed(machine, &cpus)?;
            assert!(found.binding.starts_with(binding), "{machine}, {cpus:?}: {found:?}");
            assert!(found.first_touch.starts_with(first_touch), "{machine}, {cpus:?}: {found:?}");
        }
        let mut unknown = RankMachine::here(0, "");
        unknown.binding = None;
        assert_eq!(placement(&[unknown]).binding, "unknown for 1 of 1 ranks");
        Ok(())
    }
}
