//! Symmetry: ranks that do the same as others, each with other peers. One representative of a class is simulated and stands for
//! all.
//!
//! A shift moves all ranks, and with them their nodes, clients and shards. If it turns a plan's parts into parts of the same
//! plan, every moment of a rank is that of its representative, with peers that are shifted alike: max-min fair rates are
//! unique, so they have the symmetry of the flows. The lists of steps are compared, part by part, by sums of hashes, in which the
//! order of equals does not count. Two orders are therefore not quite those of each rank: that in which an owner adds the
//! clients of others, and that of the parts of one message.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::fabric::Fabric;
use crate::plan::{Input, Kind, Layout, Plan, Problem, Roles, Step};

/// A way to move all ranks at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shift {
    /// Around the circle of ranks.
    Around,
    /// By bits that are exchanged, as in halving; of powers of two.
    Bits,
}

/// The classes of ranks. Rank r is in the class of r modulo the period, whose representative is that remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes {
    shift: Shift,
    /// Number of classes.
    pub period: usize,
    ranks: usize,
    parts: u64,
    /// Elements of a part.
    part: u64,
}

impl Classes {
    /// Every rank is a class of its own.
    pub fn all(ranks: usize) -> Classes {
        Classes { shift: Shift::Around, period: ranks, ranks, parts: 1, part: u64::MAX }
    }

    /// The fewest classes that a plan is found to have; None if no two ranks are alike.
    pub fn of(plan: &dyn Plan, problem: &Problem, layout: &Layout, fabric: &Fabric) -> Option<Classes> {
        let (ranks, parts) = (layout.ranks(), plan.parts());
        let on_node = layout.ranks_on_node(0).len();
        let in_order = (0..ranks).all(|rank| layout.node_of(rank) == rank / on_node);
        let even = |of: u64, count: u64| count > 0 && of.is_multiple_of(count);
        if layout.roles() != Roles::Colocated || !in_order || !even(ranks as u64, on_node as u64) {
            return None;
        }
        if !even(ranks as u64, parts) || !even(problem.elements, parts) || !even(problem.clients(), ranks as u64) {
            return None;
        }
        let together = fabric.levels().last().map_or(1, |level| level.nodes_per_rack) * on_node;
        let apart = ranks / parts as usize;
        let least = (together..ranks).step_by(together).find(|period| period.is_multiple_of(apart))?;
        let periods = [least, 2 * least];
        let candidates = periods.into_iter().flat_map(|period| [(Shift::Around, period), (Shift::Bits, period)]);
        let candidates = candidates.filter(|(shift, period)| {
            let fits = *shift == Shift::Around || ranks.is_power_of_two() && period.is_power_of_two();
            *period < ranks && ranks.is_multiple_of(*period) && fits
        });
        let part = problem.elements / parts;
        let mut classes = candidates.map(|(shift, period)| Classes { shift, period, ranks, parts, part });
        classes.find(|classes| classes.fit(plan, problem))
    }

    /// True if every rank is a class of its own.
    pub fn is_all(&self) -> bool {
        self.period == self.ranks
    }

    /// The representative of a rank.
    pub fn representative(&self, rank: usize) -> usize {
        rank % self.period
    }

    /// The sender and the receiver of messages, moved so that the sender is a representative.
    pub fn moved(&self, from: usize, to: usize) -> (usize, usize) {
        (from % self.period, self.back(to, from - from % self.period))
    }

    /// A rank, moved back so far.
    fn back(&self, rank: usize, by: usize) -> usize {
        match self.shift {
            Shift::Around => (rank + self.ranks - by) % self.ranks,
            Shift::Bits => rank ^ by,
        }
    }

    /// The first of some elements, moved back with `from`, so that it is the same for all that are alike.
    pub fn moved_element(&self, element: u64, from: usize) -> u64 {
        let (number, within) = (element / self.part, element % self.part);
        let by = (from - from % self.period) as u64 * self.parts / self.ranks as u64;
        let number = match self.shift {
            Shift::Around => (number + self.parts - by) % self.parts,
            Shift::Bits => number ^ by,
        };
        number * self.part + within
    }

    /// True if the shift turns the parts of the plan into each other.
    fn fit(&self, plan: &dyn Plan, problem: &Problem) -> bool {
        let each = problem.clients() / self.ranks as u64;
        let mut owned = vec![false; self.ranks];
        let mut of_class: HashMap<usize, u64> = HashMap::new();
        for part in 0..plan.parts() {
            let steps = plan.part(part);
            let is_finish = |step: &&Step| matches!(step.kind, Kind::Sum { divided: true, .. });
            let mut finishes = steps.iter().filter(is_finish).map(|step| step.rank);
            let (Some(owner), None) = (finishes.next(), finishes.next()) else { return false };
            if std::mem::replace(&mut owned[owner], true) {
                return false;
            }
            let found = self.digest(&steps, owner - owner % self.period, each);
            if *of_class.entry(owner % self.period).or_insert(found) != found {
                return false;
            }
        }
        // Each class of owners has as many members as there are shifts.
        of_class.len() as u64 * (self.ranks / self.period) as u64 == self.parts
    }

    /// A digest of the steps of a part, moved back so far, whatever their order is.
    fn digest(&self, steps: &[Step], by: usize, each: u64) -> u64 {
        let start = steps.iter().map(|step| step.range.start).min().unwrap_or(0);
        let name = |step: &Step| {
            let divided = match step.kind {
                Kind::Sum { divided, .. } => Some(divided),
                Kind::Copy | Kind::Library(_) => None,
            };
            let range = (step.range.start - start, step.range.len());
            hash((self.back(step.rank, by), step.level, step.shards, range, divided))
        };
        let with_inputs = |step: &Step| {
            let inputs = step.inputs.iter().map(|input| match *input {
                Input::Client(client) => hash((self.back((client / each) as usize, by), client % each)).rotate_left(1),
                Input::Step(from) => name(&steps[from]),
            });
            hash((name(step), step.inputs.len(), inputs.fold(0, u64::wrapping_add)))
        };
        steps.iter().map(with_inputs).fold(0, u64::wrapping_add)
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
