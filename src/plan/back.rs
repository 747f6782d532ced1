//! Closings: the steps that bring finished ranges from the ranks that sum them to the ranks where the end wants them.

use std::collections::BTreeMap;

use crate::plan::wanted::{root, wanted};
use crate::plan::{End, Input, Kind, Layout, Problem, Step};

/// Appends to the sums of one part the copies that reach the problem's end. `part` is its number.
///
/// - `root`: the root gets the range straight from the rank that has finished it.
/// - `scattered`: every owner of shards gets its piece straight from there.
/// - `everywhere`: the range goes back the way that the sums came, in the reverse order of levels. A node takes it in once;
///   its other ranks get it from the rank that took it in.
///
/// Parts without a finished sum, and empty ones, stay as they are.
pub fn close(steps: &mut Vec<Step>, problem: &Problem, layout: &Layout, part: u64) {
    let Some(finish) = steps.iter().position(|step| matches!(step.kind, Kind::Sum { divided: true, .. })) else {
        return;
    };
    if steps[finish].range.is_empty() {
        return;
    }
    match problem.end {
        End::Root => copy(steps, root(layout), finish, steps[finish].level + 1),
        End::Scattered => scatter(steps, problem, layout, finish),
        End::Everywhere => back(steps, problem, layout, finish, part),
    }
}

/// Appends a copy of all that the step `from` holds on `rank`, unless it is there.
fn copy(steps: &mut Vec<Step>, rank: usize, from: usize, level: u32) {
    if steps[from].rank != rank {
        let Step { range, shards, .. } = steps[from];
        steps.push(Step { rank, range, inputs: vec![Input::Step(from)], kind: Kind::Copy, level, shards });
    }
}

fn scatter(steps: &mut Vec<Step>, problem: &Problem, layout: &Layout, finish: usize) {
    let (whole, from, level) = (steps[finish].range, steps[finish].rank, steps[finish].level + 1);
    if wanted(problem, layout, from).contains(whole) {
        return;
    }
    for &rank in layout.aggregator_ranks().iter().filter(|rank| **rank != from) {
        let range = wanted(problem, layout, rank).intersect(whole);
        if !range.is_empty() {
            let inputs = vec![Input::Step(finish)];
            steps.push(Step { rank, range, inputs, kind: Kind::Copy, level, shards: 1 });
        }
    }
}

/// The position of a rank on the way of the sums.
#[derive(Clone, Copy)]
struct Stand {
    /// Level of its highest step; 0 for a rank that only has clients.
    level: u32,
    /// The rank that takes the sum of that step, or its first client.
    above: usize,
}

/// The way of the sums by rank, without the rank at its end.
fn stands(steps: &[Step], problem: &Problem, layout: &Layout, end: usize) -> BTreeMap<usize, Stand> {
    let mut stands: BTreeMap<usize, Stand> = BTreeMap::new();
    for step in steps {
        for input in &step.inputs {
            let (rank, level) = match *input {
                Input::Client(client) => (layout.rank_of_client(client, problem.clients()), 0),
                Input::Step(from) => (steps[from].rank, steps[from].level),
            };
            if rank == end || rank == step.rank {
                continue;
            }
            let stand = Stand { level, above: step.rank };
            let held = stands.entry(rank).or_insert(stand);
            if held.level < level {
                *held = stand;
            }
        }
    }
    stands
}

fn back(steps: &mut Vec<Step>, problem: &Problem, layout: &Layout, finish: usize, part: u64) {
    let (end, top) = (steps[finish].rank, steps[finish].level);
    let mut stands = stands(steps, problem, layout, end);
    once_a_node(&mut stands, layout, end, part);
    // Ranks with clients need the range, and so do the ranks between them and the end.
    let mut places: BTreeMap<usize, (usize, u32)> = BTreeMap::from([(end, (finish, top))]);
    for &rank in layout.client_ranks() {
        let mut way = Vec::new();
        let mut at = rank;
        if layout.clients_on(rank, problem.clients()).is_empty() {
            continue;
        }
        while !places.contains_key(&at) {
            let Some(stand) = stands.get(&at) else { break };
            way.push((at, stand.level));
            at = stand.above;
        }
        for (rank, level) in way.into_iter().rev() {
            let Some(&(from, above)) = places.get(&at) else { break };
            // The sums of level l travel back on level 2·top − l.
            let level = (2 * top - level).max(above + 1);
            copy(steps, rank, from, level);
            at = rank;
            places.insert(rank, (steps.len() - 1, level));
        }
    }
}

/// Lets every node take the range in once: of its ranks that would get it from another node, the highest on the way of
/// the sums does, and the others get it from that one. Where several are equally high the parts take turns.
///
/// No circle can arise: whatever is above a rank is on a higher level than the rank.
fn once_a_node(stands: &mut BTreeMap<usize, Stand>, layout: &Layout, end: usize, part: u64) {
    let mut outside: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (&rank, stand) in stands.iter() {
        if !layout.same_node(rank, stand.above) && !layout.same_node(rank, end) {
            outside.entry(layout.node_of(rank)).or_default().push(rank);
        }
    }
    // A rank on the node where the range is finished gets it there.
    for (&rank, stand) in stands.iter_mut() {
        if layout.same_node(rank, end) && !layout.same_node(rank, stand.above) {
            stand.above = end;
        }
    }
    for ranks in outside.into_values() {
        let highest = ranks.iter().map(|rank| stands[rank].level).max().unwrap_or(0);
        let equals: Vec<usize> = ranks.iter().copied().filter(|rank| stands[rank].level == highest).collect();
        let entry = equals[(part % equals.len() as u64) as usize];
        for rank in ranks.into_iter().filter(|rank| *rank != entry) {
            if let Some(stand) = stands.get_mut(&rank) {
                stand.above = entry;
            }
        }
    }
}
