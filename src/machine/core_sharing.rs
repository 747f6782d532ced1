//! Finds ranks that cannot each have a core of their own. Such ranks take turns on a core, and measurements then
//! reflect the scheduler.

use super::index_set::IndexSet;
use super::rank::{RankMachine, by_node};
use std::collections::{BTreeMap, BTreeSet};

/// A group of ranks of one node that outnumber the cores available to them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Name of the node.
    pub node: String,
    /// The ranks of the group.
    pub ranks: IndexSet,
    /// All cores that any of the ranks may use.
    pub cores: IndexSet,
}

/// Returns whether ranks of some node outnumber the cores available to them together, because of the binding or because
/// the node is small.
pub fn cores_shared(ranks: &[RankMachine]) -> bool {
    !crowds(ranks).is_empty()
}

/// Returns all such groups. Ranks with unknown binding are left out.
pub fn crowds(ranks: &[RankMachine]) -> Vec<Crowd> {
    let mut found = Vec::new();
    for (node, ranks) in by_node(ranks) {
        let known: Vec<(usize, &IndexSet)> =
            ranks.iter().filter_map(|rank| Some((rank.rank, &rank.binding.as_ref()?.cores))).collect();
        found.extend(crowds_of(&known).into_iter().map(|(ranks, cores)| Crowd { node: node.to_owned(), ranks, cores }));
    }
    found
}

/// Finds groups of (rank, usable cores) that outnumber their cores. By Hall's theorem there is none exactly if every
/// rank can have its own core. Where this fails, the ranks and cores visited form a group.
fn crowds_of(ranks: &[(usize, &IndexSet)]) -> Vec<(IndexSet, IndexSet)> {
    // core -> index in `ranks` of the rank that holds it
    let mut owner: BTreeMap<usize, usize> = BTreeMap::new();
    let mut crowds: Vec<(BTreeSet<usize>, BTreeSet<usize>)> = Vec::new();
    for place in 0..ranks.len() {
        let Err((met, cores)) = give_core(ranks, place, &mut owner) else {
            continue;
        };
        let mut crowd: (BTreeSet<usize>, BTreeSet<usize>) =
            (met.into_iter().map(|place| ranks[place].0).collect(), cores);
        // Groups with a core in common are merged.
        let (same, apart): (Vec<_>, Vec<_>) = crowds.into_iter().partition(|(_, cores)| !cores.is_disjoint(&crowd.1));
        for (ranks, cores) in same {
            crowd.0.extend(ranks);
            crowd.1.extend(cores);
        }
        crowds = apart;
        crowds.push(crowd);
    }
    let indices = |set: BTreeSet<usize>| set.into_iter().collect();
    crowds.into_iter().map(|(ranks, cores)| (indices(ranks), indices(cores))).collect()
}

/// Assigns a core to the rank at `place`, moving other ranks if needed. Searches breadth first, so that recursion depth
/// is bounded. On failure returns the ranks (by index) and cores visited, which are all that the rank competes with.
fn give_core(
    ranks: &[(usize, &IndexSet)],
    place: usize,
    owner: &mut BTreeMap<usize, usize>,
) -> Result<(), (BTreeSet<usize>, BTreeSet<usize>)> {
    // core -> the rank that would take it, and the core that this rank would leave
    let mut reached: BTreeMap<usize, (usize, Option<usize>)> = BTreeMap::new();
    let mut met = BTreeSet::from([place]);
    let mut queue = std::collections::VecDeque::from([(place, None)]);
    while let Some((taker, leaves)) = queue.pop_front() {
        for core in ranks[taker].1.iter() {
            if reached.contains_key(&core) {
                continue;
            }
            reached.insert(core, (taker, leaves));
            if let Some(&holder) = owner.get(&core) {
                met.insert(holder);
                queue.push_back((holder, Some(core)));
                continue;
            }
            let mut next = Some(core);
            while let Some(core) = next {
                let Some(&(taker, leaves)) = reached.get(&core) else { break };
                owner.insert(core, taker);
                next = leaves;
            }
            return Ok(());
        }
    }
    Err((met, reached.into_keys().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn crowds_in(cores: &[&str]) -> Vec<(String, String)> {
        let sets: Vec<IndexSet> = cores.iter().filter_map(|list| list.parse().ok()).collect();
        assert_eq!(sets.len(), cores.len());
        let ranks: Vec<(usize, &IndexSet)> = sets.iter().enumerate().collect();
        crowds_of(&ranks).into_iter().map(|(ranks, cores)| (ranks.to_string(), cores.to_string())).collect()
    }

    fn group(ranks: &str, cores: &str) -> (String, String) {
        (ranks.to_owned(), cores.to_owned())
    }

    #[test]
    fn one_core_each_is_no_crowd() {
        assert!(crowds_in(&[]).is_empty());
        assert!(crowds_in(&["0"]).is_empty());
        assert!(crowds_in(&["0", "1", "2-3"]).is_empty());
        assert!(crowds_in(&["0-1", "0-1"]).is_empty());
        // Rank 0 must leave core 0 to rank 1, and rank 1 leave core 1 to rank 2.
        assert!(crowds_in(&["0-2", "0-1", "0"]).is_empty());
    }

    #[test]
    fn more_ranks_than_cores() {
        assert_eq!(crowds_in(&["0-1", "0-1", "0-1", "0-1"]), [group("0-3", "0-1")]);
        assert_eq!(crowds_in(&["0", "0"]), [group("0-1", "0")]);
        // The node has enough cores as a whole, but ranks 1 and 2 do not.
        assert_eq!(crowds_in(&["1-7", "0", "0"]), [group("1-2", "0")]);
        // Two independent groups.
        assert_eq!(crowds_in(&["0", "0", "5", "5", "5"]), [group("0-1", "0"), group("2-4", "5")]);
        assert_eq!(crowds_in(&["0-1", "1-2", "0,2", "0-2"]), [group("0-3", "0-2")]);
        // A later rank merges two groups, or belongs to part of one.
        assert_eq!(crowds_in(&["0", "0", "1", "1", "0-1"]), [group("0-4", "0-1")]);
        assert_eq!(crowds_in(&["0", "1", "0-1", "0"]), [group("0-3", "0-1")]);
    }

    proptest! {
        /// Compares with the definition: some subset of the ranks outnumbers its cores.
        #[test]
        fn a_crowd_exactly_where_a_subset_outnumbers_its_cores(masks in prop::collection::vec(1_u8..64, 0..7)) {
            let sets: Vec<IndexSet> =
                masks.iter().map(|mask| (0..6).filter(|core| mask >> core & 1 == 1).collect()).collect();
            let ranks: Vec<(usize, &IndexSet)> = sets.iter().enumerate().collect();
            let outnumbered = |chosen: u32| {
                let cores = (0..masks.len()).filter(|i| chosen >> i & 1 == 1).fold(0, |all, i| all | masks[i]);
                chosen.count_ones() > cores.count_ones()
            };
            let crowds = crowds_of(&ranks);
            prop_assert_eq!(!crowds.is_empty(), (0_u32..1 << masks.len()).any(outnumbered));
            for (ranks, cores) in crowds {
                prop_assert!(ranks.len() > cores.len());
                prop_assert!(ranks.iter().all(|rank| cores.includes(&sets[rank])));
            }
        }
    }
}
