//! Steps: the nodes of a plan's graph.

use crate::gradient::Range;

/// One input of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A client's gradient, to be weighted.
    Client(u64),
    /// The step at this place in the same part of the plan: its partial sum, or its finished range.
    Step(usize),
}

/// The work of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Sums its inputs in the order in which they are listed.
    Sum {
        /// Sum of the weights of the clients that enter it.
        weight: f64,
        /// True if the sum is divided by the weight and is then a finished range. Otherwise it travels on, undivided.
        divided: bool,
    },
    /// Brings a finished range from the rank of its one input to its own rank.
    Copy,
    /// Takes part in one of the plan's calls of the MPI library, the one of this number.
    Library(usize),
}

/// One step of a round: `rank` holds the elements of `range` once it is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The rank that carries it out.
    pub rank: usize,
    /// The elements that it yields. The range of every input contains them.
    pub range: Range,
    /// The steps and clients that it takes, in order.
    pub inputs: Vec<Input>,
    /// The work.
    pub kind: Kind,
    /// Position in the order of the round: greater than the level of every input. Clients have level 0. Steps that
    /// send to one rank on one level share their messages.
    pub level: u32,
    /// Shards of the problem that the range covers: consecutive shards of one owner are one step. At least 1.
    pub shards: u64,
}

impl Step {
    /// True if its range is part of the result: a divided sum, or a copy of one.
    pub fn is_finished(&self) -> bool {
        matches!(self.kind, Kind::Copy | Kind::Sum { divided: true, .. })
    }

    /// True if it is a sum that travels on, undivided.
    pub fn is_partial(&self) -> bool {
        matches!(self.kind, Kind::Sum { divided: false, .. })
    }

    /// The word that tables and pictures use for it.
    pub fn word(&self) -> &'static str {
        match self.kind {
            Kind::Sum { divided: true, .. } => "result",
            Kind::Sum { divided: false, .. } => "partial",
            Kind::Copy => "copy",
            Kind::Library(_) => "library",
        }
    }
}

/// For each step of a part, the places of the steps that take it, ascending.
pub fn consumers(steps: &[Step]) -> Vec<Vec<usize>> {
    let mut consumers = vec![Vec::new(); steps.len()];
    for (place, step) in steps.iter().enumerate() {
        for input in &step.inputs {
            if let Input::Step(from) = input
                && let Some(takers) = consumers.get_mut(*from)
            {
                takers.push(place);
            }
        }
    }
    consumers
}
