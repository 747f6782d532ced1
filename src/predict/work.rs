//! The time that a rank's core needs for a piece of work, and the bytes of memory that it moves.

use super::parameters::Parameters;
use crate::plan::{Layout, Problem, Terms};

/// Work of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CoreWork {
    /// Time on a core of its own with the node's memory to itself, seconds.
    pub seconds: f64,
    /// Bytes that cross the memory of the node.
    pub memory: f64,
}

impl CoreWork {
    /// Both one after another.
    #[must_use]
    pub fn and(self, other: CoreWork) -> CoreWork {
        CoreWork { seconds: self.seconds + other.seconds, memory: self.memory + other.memory }
    }
}

/// Inputs of one pass of a sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass {
    /// Elements of the sum.
    pub elements: u64,
    /// Inputs that are read where they lie in memory, and others.
    pub gradients: u64,
    /// Inputs that were received or are partial sums.
    pub others: u64,
    /// True if they are added to what earlier passes left.
    pub has_lead: bool,
    /// True if the pass ends with finished elements.
    pub finishes: bool,
}

/// The costs of a rank's work in one cell.
pub struct WorkModel {
    /// Seconds for one input of one element.
    input: f64,
    /// Bandwidth of one rank, bytes/s.
    one_rank: f64,
    overhead: f64,
    narrow: f64,
    wide: f64,
    /// True if gradients lie in memory and not in caches.
    gradients_in_memory: bool,
    /// Bytes of cache for one rank.
    cache: f64,
}

/// The part of a rank's cache in which a piece is still there when it is read again; the others hold what came meanwhile.
const STAYS: f64 = 0.25;

impl WorkModel {
    /// The costs of a cell.
    pub fn new(parameters: &Parameters, problem: &Problem, layout: &Layout, terms: &Terms) -> WorkModel {
        let on_node = layout.ranks_on_node(0).len().max(1) as f64;
        let narrow = terms.dtype.size() as f64;
        let resident = problem.clients() as f64 / layout.client_ranks().len().max(1) as f64 * problem.elements as f64;
        let cache = parameters.cache as f64 / on_node;
        WorkModel {
            input: 1.0 / (2.0 * parameters.sums_per_s(terms.dtype)),
            one_rank: parameters.one_rank,
            overhead: parameters.overhead,
            narrow,
            wide: terms.dtype.accumulator_size() as f64,
            gradients_in_memory: resident * narrow > cache,
            cache,
        }
    }

    /// Sending or receiving messages, without the way between.
    pub fn messages(&self, count: u64) -> CoreWork {
        CoreWork { seconds: self.overhead * count as f64, memory: 0.0 }
    }

    /// One pass of a sum. A core reads its inputs at the rate that it reaches in its first-level cache, or at that of
    /// memory, whichever takes longer.
    pub fn pass(&self, pass: Pass) -> CoreWork {
        let Pass { elements, gradients, others, has_lead, finishes } = pass;
        let elements = elements as f64;
        let core = elements * (gradients + others + u64::from(has_lead)) as f64 * self.input;
        let mut memory = 0.0;
        if self.gradients_in_memory {
            memory += elements * gradients as f64 * self.narrow;
        }
        if !self.stays(elements * self.wide) {
            let both_ways = if finishes { 1.0 } else { 2.0 };
            memory += elements * self.wide * (others as f64 + both_ways * f64::from(u8::from(has_lead)));
        }
        if finishes && self.gradients_in_memory {
            memory += elements * self.narrow;
        } else if !finishes && !has_lead && !self.stays(elements * self.wide) {
            memory += elements * self.wide;
        }
        CoreWork { seconds: core.max(memory / self.one_rank), memory }
    }

    /// Copying bytes from one place to another.
    pub fn copy(&self, bytes: u64) -> CoreWork {
        let moved = 2.0 * bytes as f64;
        CoreWork { seconds: moved / self.one_rank, memory: if self.stays(bytes as f64) { 0.0 } else { moved } }
    }

    fn stays(&self, bytes: f64) -> bool {
        bytes <= self.cache * STAYS
    }
}
