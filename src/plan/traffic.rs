//! Traffic: the bytes that a plan moves between ranks, nodes and racks, and through the memory of each rank.

use serde::Serialize;

use crate::plan::lowering::stands_for;
use crate::plan::{Flow, Input, IntraNode, Kind, Layout, Plan, Problem, Residency, Step, Terms};

/// Bytes that enter and leave a place in one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Passing {
    /// Bytes that come from other places.
    pub into: u64,
    /// Bytes that go to other places.
    pub out: u64,
}

impl Passing {
    /// The greater of both directions.
    pub fn busier(self) -> u64 {
        self.into.max(self.out)
    }
}

/// The traffic of one round, in bytes. Envelopes of messages do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Messages of each rank.
    pub ranks: Vec<Passing>,
    /// Messages between each node and other nodes.
    pub nodes: Vec<Passing>,
    /// Messages between each rack and other racks.
    pub racks: Vec<Passing>,
    /// Bytes that each rank reads from memory and writes to it: resident gradients that it sums or sends, and finished
    /// ranges; with whole objects also partial sums and received objects. Chunks of these stay in caches.
    pub memory: Vec<u64>,
}

/// The traffic of `plan`. None for a plan of the MPI library's collectives, as their algorithm is the library's own.
///
/// Time grows with the inputs of all steps.
pub fn traffic(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms) -> Option<Traffic> {
    if !plan.calls().is_empty() {
        return None;
    }
    let mut counter = Counter {
        problem,
        layout,
        terms: *terms,
        traffic: Traffic {
            ranks: vec![Passing::default(); layout.ranks()],
            nodes: vec![Passing::default(); layout.nodes()],
            racks: vec![Passing::default(); layout.racks()],
            memory: vec![0; layout.ranks()],
        },
    };
    for part in 0..plan.parts() {
        counter.part(&plan.part(part));
    }
    Some(counter.traffic)
}

/// The greatest of some places' busier directions; 0 without places.
pub fn busiest(places: &[Passing]) -> u64 {
    places.iter().map(|place| place.busier()).max().unwrap_or(0)
}

struct Counter<'a> {
    problem: &'a Problem,
    layout: &'a Layout,
    terms: Terms,
    traffic: Traffic,
}

impl Counter<'_> {
    fn part(&mut self, steps: &[Step]) {
        // The rank whose memory holds each step's elements. A copy inside shared memory leaves them where they are.
        let mut lies: Vec<usize> = Vec::with_capacity(steps.len());
        for step in steps {
            let from = match (step.kind, step.inputs.first()) {
                (Kind::Copy, Some(Input::Step(from))) => Some(*from),
                _ => None,
            };
            lies.push(from.map(|from| lies[from]).filter(|rank| self.reaches(*rank, step.rank)).unwrap_or(step.rank));
            match from {
                Some(from) => self.copy(step, steps[from].rank, lies[from]),
                None => self.sum(step, steps),
            }
        }
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        from == to || (self.terms.intra_node == IntraNode::Shared && self.layout.same_node(from, to))
    }

    fn copy(&mut self, step: &Step, from: usize, lies: usize) {
        if !self.reaches(lies, step.rank) {
            let bytes = step.range.len() * self.terms.dtype.size() as u64;
            self.message(from, step.rank, bytes);
            self.traffic.memory[step.rank] += bytes;
        }
    }

    fn sum(&mut self, step: &Step, steps: &[Step]) {
        // A sum of one client's gradient that travels in the sum's place is no work.
        if stands_for(step, self.problem, self.layout, &self.terms).is_some() {
            return;
        }
        let elements = step.range.len();
        let (narrow, wide) = (self.terms.dtype.size() as u64, self.terms.dtype.accumulator_size() as u64);
        let resident = self.terms.residency == Residency::Resident;
        let whole = self.terms.flow == Flow::Whole;
        for input in &step.inputs {
            let (from, gradient) = match *input {
                Input::Client(client) => (self.layout.rank_of_client(client, self.problem.clients()), true),
                Input::Step(from) => {
                    let stands = stands_for(&steps[from], self.problem, self.layout, &self.terms);
                    (steps[from].rank, stands.is_some())
                }
            };
            let bytes = elements * if gradient { narrow } else { wide };
            let at_hand = if gradient && !resident { from == step.rank } else { self.reaches(from, step.rank) };
            if !at_hand {
                self.message(from, step.rank, bytes);
            }
            if gradient && resident {
                self.traffic.memory[if at_hand { step.rank } else { from }] += bytes;
            }
            if whole && !(gradient && at_hand) {
                self.traffic.memory[step.rank] += bytes;
            }
        }
        match step.kind {
            Kind::Sum { divided: true, .. } => self.traffic.memory[step.rank] += elements * narrow,
            _ if whole => self.traffic.memory[step.rank] += elements * wide,
            _ => {}
        }
    }

    fn message(&mut self, from: usize, to: usize, bytes: u64) {
        let Traffic { ranks, nodes, racks, .. } = &mut self.traffic;
        let pass = |places: &mut [Passing], from: usize, to: usize| {
            if from != to {
                places[from].out += bytes;
                places[to].into += bytes;
            }
        };
        pass(ranks, from, to);
        pass(nodes, self.layout.node_of(from), self.layout.node_of(to));
        pass(racks, self.layout.rack_of(from), self.layout.rack_of(to));
    }
}
