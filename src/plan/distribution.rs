//! Distribution: how finished ranges get back to the clients, the second phase of a full round.
//!
//! Where a node shares memory, one copy on the node serves all its clients; otherwise every rank with clients gets its
//! own. Sharded plans send each range from its owner straight to everyone (an allgather of shards); trees pass the
//! result down the way that the sums came up.

use std::collections::BTreeMap;

use crate::gradient::Range;
use crate::plan::{Input, IntraNode, Layout, Output, Phase, Plan, Problem, Terms};

/// What one rank does with one finished range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Number of the range among the plan's results.
    pub result: u64,
    /// Its elements.
    pub range: Range,
    /// The rank that it comes from; None on the rank that has summed it.
    pub from: Option<usize>,
    /// The ranks that it is passed on to.
    pub to: Vec<usize>,
}

/// A finished range, where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The aggregator that sums it.
    pub aggregator: u64,
    /// Its elements.
    pub range: Range,
    /// Its rank.
    pub rank: usize,
}

/// Ranks that share one copy: a node, or a rank.
fn group_of(layout: &Layout, terms: &Terms, rank: usize) -> usize {
    if terms.intra_node == IntraNode::Shared { layout.node_of(rank) } else { rank }
}

/// Ranks that host some of `clients` clients, by group.
fn client_ranks(layout: &Layout, terms: &Terms, clients: u64) -> BTreeMap<usize, Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for rank in layout.client_ranks() {
        if !layout.clients_on(*rank, clients).is_empty() {
            groups.entry(group_of(layout, terms, *rank)).or_default().push(*rank);
        }
    }
    groups
}

/// What `rank` does in the second phase. Nothing where only the first is asked for, or where a collective of the MPI
/// library does it.
pub fn relays(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> Vec<Relay> {
    if terms.phase == Phase::Aggregate || plan.collective().is_some() {
        return Vec::new();
    }
    if plan.is_tree() {
        down_the_tree(plan, problem, layout, terms, rank)
    } else {
        from_owners(plan, problem, layout, terms, rank)
    }
}

fn from_owners(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> Vec<Relay> {
    let groups = client_ranks(layout, terms, problem.clients());
    // A node's ranks take turns at receiving, so that they share the copy's memory.
    let receiver = |ranks: &[usize], result: u64| ranks[(result % ranks.len() as u64) as usize];
    let own_group = group_of(layout, terms, rank);
    let mut relays = Vec::new();
    for (result, Finished { range, rank: owner, .. }) in (0u64..).zip(plan.results()) {
        let owner_group = group_of(layout, terms, owner);
        if owner == rank {
            let others = |group: &usize| *group != owner_group;
            // Starting behind itself, so that not all owners turn to the same group first.
            let behind = groups.range(owner_group..).chain(groups.range(..owner_group));
            let to = behind.filter(|(group, _)| others(group)).map(|(_, ranks)| receiver(ranks, result)).collect();
            relays.push(Relay { result, range, from: None, to });
        } else if own_group != owner_group
            && groups.get(&own_group).is_some_and(|ranks| receiver(ranks, result) == rank)
        {
            relays.push(Relay { result, range, from: Some(owner), to: Vec::new() });
        }
    }
    relays
}

/// The place of a group in a tree: its highest aggregator, or, where it has none, its first client.
#[derive(Clone, Copy)]
struct Seat {
    level: u32,
    rank: usize,
    /// The rank of what takes its sum; None for the one that holds the result.
    above: Option<usize>,
}

fn down_the_tree(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> Vec<Relay> {
    let mut seats: BTreeMap<usize, Seat> = BTreeMap::new();
    let above = |input| plan.consumers(input).first().map(|id| plan.rank_of(*id));
    for (group, ranks) in client_ranks(layout, terms, problem.clients()) {
        let client = layout.clients_on(ranks[0], problem.clients()).start;
        seats.insert(group, Seat { level: 0, rank: ranks[0], above: above(Input::Client(client)) });
    }
    for id in 0..plan.aggregators() {
        let aggregator = plan.aggregator(id);
        let seat = Seat { level: aggregator.level, rank: aggregator.rank, above: above(Input::Aggregator(id)) };
        let seat = Seat { above: seat.above.filter(|_| aggregator.output != Output::Result), ..seat };
        let held = seats.entry(group_of(layout, terms, aggregator.rank)).or_insert(seat);
        if held.level < seat.level || seat.above.is_none() {
            *held = seat;
        }
    }
    // What takes a group's highest sum is in another group and higher still, so this ends at the root.
    let receiver = |rank: usize| seats.get(&group_of(layout, terms, rank)).map(|seat| seat.rank);
    let Some(own) = seats.get(&group_of(layout, terms, rank)).filter(|seat| seat.rank == rank) else {
        return Vec::new();
    };
    let below = seats.values().filter(|seat| seat.above.and_then(receiver) == Some(rank)).map(|seat| seat.rank);
    let to: Vec<usize> = below.collect();
    let from = own.above.and_then(receiver);
    plan.results()
        .into_iter()
        .map(|finished| Relay { result: 0, range: finished.range, from, to: to.clone() })
        .collect()
}

/// Elements that `rank` receives in the second phase.
pub fn received(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> u64 {
    let relays = relays(plan, problem, layout, terms, rank);
    relays.iter().filter(|relay| relay.from.is_some()).map(|relay| relay.range.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gradient::Dtype;
    use crate::plan::{Flow, Order, Residency, Roles, strategies};

    fn terms(intra_node: IntraNode) -> Terms {
        Terms {
            dtype: Dtype::F32,
            flow: Flow::Whole,
            intra_node,
            order: Order::Client,
            residency: Residency::Resident,
            phase: Phase::Round,
        }
    }

    /// Follows the relays of all ranks: every group with clients must end with every range once, every message must be
    /// expected, and nothing may be sent before it is there.
    #[test]
    fn every_group_gets_every_range_once() {
        for strategy in strategies::all().iter().filter(|s| !s.needs_mpi()) {
            for node_of in [vec![0], vec![0, 0, 0, 0], vec![0, 0, 1, 1, 2], vec![0, 1, 0, 1, 2, 2, 2]] {
                for (clients, shards) in [(1, 1), (3, 5), (20, 4)] {
                    for roles in [Roles::Colocated, Roles::Dedicated(None)] {
                        for intra_node in [IntraNode::Shared, IntraNode::Messages] {
                            let Ok(layout) = Layout::new(&node_of, roles) else { continue };
                            let layout = Arc::new(layout);
                            let problem = Arc::new(Problem::unweighted(97, clients, shards));
                            let plan = strategy.plan(&problem, &layout).expect("plan");
                            follow(plan.as_ref(), &problem, &layout, &terms(intra_node), strategy.name());
                        }
                    }
                }
            }
        }
    }

    fn follow(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, name: &str) {
        let of_rank: Vec<Vec<Relay>> =
            (0..layout.ranks()).map(|rank| relays(plan, problem, layout, terms, rank)).collect();
        let mut holds: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        let results = plan.results();
        for (result, finished) in (0u64..).zip(&results) {
            let mut todo = vec![finished.rank];
            while let Some(rank) = todo.pop() {
                *holds.entry((group_of(layout, terms, rank), result)).or_default() += 1;
                let relay = of_rank[rank].iter().find(|relay| relay.result == result).expect("a relay");
                for to in &relay.to {
                    let expected = of_rank[*to].iter().find(|relay| relay.result == result).expect("expected");
                    assert_eq!(expected.from, Some(rank), "{name}");
                    todo.push(*to);
                }
            }
        }
        for group in client_ranks(layout, terms, problem.clients()).keys() {
            for result in 0..results.len() as u64 {
                assert_eq!(holds.get(&(*group, result)), Some(&1), "{name} {:?} group {group}", terms.intra_node);
            }
        }
        let expected = of_rank.iter().flatten().filter(|relay| relay.from.is_some()).count();
        assert_eq!(expected, of_rank.iter().flatten().map(|relay| relay.to.len()).sum::<usize>(), "{name}");
    }
}
