//! Closings: the steps that bring finished ranges from the ranks that sum them to the ranks where the end wants them.

use std::collections::BTreeMap;

use crate::gradient::{Range, shard_of, shard_range};
use crate::plan::form::LEAST_RADIX;
use crate::plan::shape::Circle;
use crate::plan::wanted::{root, wanted};
use crate::plan::{Closing, End, Input, Kind, Layout, Problem, Step, Way};

/// Appends to the sums of one part the copies that reach the problem's end. `part` is its number.
///
/// - `scattered`: every owner of shards gets its piece straight from the rank that has finished the range.
/// - `root`: the root gets the range straight from there, or up a binomial tree.
/// - `everywhere`: the range goes back the way that the sums came, in the reverse order of levels, or along the way that
///   the form's closing names. A node takes it in once; its other ranks get it from the rank that took it in.
///
/// Parts without a finished sum, and empty ones, stay as they are.
pub fn close(steps: &mut Vec<Step>, problem: &Problem, layout: &Layout, part: u64) {
    let Some(finish) = steps.iter().position(|step| matches!(step.kind, Kind::Sum { divided: true, .. })) else {
        return;
    };
    if steps[finish].range.is_empty() {
        return;
    }
    match (problem.end, problem.form.closing) {
        (End::Root, Closing::Binomial) => gather(steps, layout, finish),
        (End::Root, _) => copy(steps, root(layout), finish, steps[finish].level + 1),
        (End::Scattered, _) => scatter(steps, problem, layout, finish),
        (End::Everywhere, closing) => {
            let receivers = || Receivers::new(problem, layout, part, steps[finish].rank);
            match closing.way() {
                Some(way) => receivers().along(way, steps, finish),
                None if closing == Closing::ScatterAllgather => receivers().in_pieces(steps, finish),
                None => back(steps, problem, layout, finish, part),
            }
        }
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
    let [mut shard, last] =
        [whole.start, whole.end - 1].map(|element| shard_of(problem.elements, problem.shards, element));
    while shard <= last {
        let rank = layout.spread(shard, problem.shards);
        let range = wanted(problem, layout, rank).intersect(whole);
        if rank != from && !range.is_empty() {
            let inputs = vec![Input::Step(finish)];
            steps.push(Step { rank, range, inputs, kind: Kind::Copy, level, shards: 1 });
        }
        shard = layout.spread_on(rank, problem.shards).end.max(shard + 1);
    }
}

/// Brings a range to the root up a binomial tree over the aggregating ranks. Ranges that a rank has gathered on one level
/// leave it in one message.
fn gather(steps: &mut Vec<Step>, layout: &Layout, finish: usize) {
    let ranks = layout.aggregator_ranks();
    let top = steps[finish].level;
    let (mut place, mut from) = (ranks.binary_search(&steps[finish].rank).unwrap_or(0), finish);
    while place > 0 {
        let level = top + place.trailing_zeros() + 1;
        place &= place - 1;
        copy(steps, ranks[place], from, level);
        from = steps.len() - 1;
    }
}

/// The ranks that want a part of the result, in a circle: one rank of each node takes it in, or on a single node each rank.
struct Receivers {
    circle: Circle,
    part: u64,
    /// The rank of each position that takes the range in, and the other ranks that get it from there.
    positions: Vec<(usize, Vec<usize>)>,
}

impl Receivers {
    /// The receivers of a part that `owner` has finished.
    fn new(problem: &Problem, layout: &Layout, part: u64, owner: usize) -> Receivers {
        let place = |rank: usize| if layout.nodes() > 1 { layout.node_of(rank) } else { rank };
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::from([(place(owner), Vec::new())]);
        let wanting =
            layout.client_ranks().iter().filter(|rank| !layout.clients_on(**rank, problem.clients()).is_empty());
        for &rank in wanting {
            groups.entry(place(rank)).or_default().push(rank);
        }
        let owner_at = groups.keys().position(|group| *group == place(owner)).unwrap_or(0);
        let positions: Vec<(usize, Vec<usize>)> = groups
            .into_iter()
            .map(|(group, mut ranks)| {
                let entry = if group == place(owner) { owner } else { ranks[(part % ranks.len() as u64) as usize] };
                ranks.retain(|rank| *rank != entry);
                (entry, ranks)
            })
            .collect();
        Receivers { circle: Circle { owner: owner_at, positions: positions.len() }, part, positions }
    }

    /// Appends copies of `range` of the step `from` to `position`, which takes it in, and to the other ranks there.
    /// Returns the place of the first.
    fn arrive(&self, steps: &mut Vec<Step>, position: usize, from: usize, range: Range, level: u32) -> usize {
        let (entry, others) = &self.positions[position];
        let copy = |rank: usize, from: usize, level: u32| {
            let inputs = vec![Input::Step(from)];
            Step { rank, range, inputs, kind: Kind::Copy, level, shards: 1 }
        };
        let place = if position == self.circle.owner {
            from
        } else {
            steps.push(copy(*entry, from, level));
            steps.len() - 1
        };
        steps.extend(others.iter().map(|rank| copy(*rank, place, level + 1)));
        place
    }

    /// Appends copies that carry the range from the owner along the tree of this way, against the direction of sums.
    fn along(&self, way: Way, steps: &mut Vec<Step>, finish: usize) {
        let Circle { owner, positions } = self.circle;
        let (whole, top, shape) = (steps[finish].range, steps[finish].level, way.shape(LEAST_RADIX));
        for tree in 0..way.trees() {
            let piece = shard_range(whole.len(), way.trees(), tree);
            let range = Range::new(whole.start + piece.start, whole.start + piece.end);
            if range.is_empty() {
                continue;
            }
            let mut links: Vec<(u32, usize, usize)> = (0..positions)
                .filter(|position| *position != owner)
                .map(|position| {
                    let (parent, round) = shape.parent(&self.circle, self.part + tree, position);
                    (round, position, parent)
                })
                .collect();
            links.sort_unstable_by_key(|(round, position, _)| (std::cmp::Reverse(*round), *position));
            let rounds = links.first().map_or(0, |(round, ..)| *round);
            let mut places = vec![finish; positions];
            self.arrive(steps, owner, finish, range, top);
            for (round, position, parent) in links {
                let level = top + 1 + rounds - round;
                places[position] = self.arrive(steps, position, places[parent], range, level);
            }
        }
    }

    /// Appends copies that give every position but the owner's a piece of the range, and then copies that carry all pieces
    /// around a ring of these positions.
    fn in_pieces(&self, steps: &mut Vec<Step>, finish: usize) {
        let (whole, top) = (steps[finish].range, steps[finish].level);
        let takers: Vec<usize> = (0..self.circle.positions).filter(|position| *position != self.circle.owner).collect();
        self.arrive(steps, self.circle.owner, finish, whole, top);
        let count = takers.len();
        for first in 0..count {
            let piece = shard_range(whole.len(), count as u64, first as u64);
            let range = Range::new(whole.start + piece.start, whole.start + piece.end);
            if range.is_empty() {
                continue;
            }
            let mut from = finish;
            for hop in 0..count {
                let position = takers[(first + hop) % count];
                from = self.arrive(steps, position, from, range, top + 1 + hop as u32);
            }
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
