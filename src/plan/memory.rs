//! Memory of a rank, predicted from the plan and the flow alone.

use crate::plan::part::{Hold, Reader};
use crate::plan::{IntraNode, Layout, Output, Phase, Plan, Problem, Residency, Terms, distribution};

/// Bytes that a rank holds at the peak of a round, by purpose. All of it is held for the whole round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// Clients' gradients kept for the round.
    pub resident: u64,
    /// Sums in progress.
    pub accumulators: u64,
    /// Pieces in flight, received or produced.
    pub staging: u64,
    /// Finished ranges.
    pub result: u64,
}

impl Memory {
    /// All purposes together.
    pub fn total(&self) -> u64 {
        self.resident + self.accumulators + self.staging + self.result
    }

    /// What the round needs beside the clients' own gradients.
    pub fn working(&self) -> u64 {
        self.accumulators + self.staging + self.result
    }

    /// Both together, purpose by purpose.
    #[must_use]
    pub fn plus(self, other: Memory) -> Memory {
        Memory {
            resident: self.resident + other.resident,
            accumulators: self.accumulators + other.accumulators,
            staging: self.staging + other.staging,
            result: self.result + other.result,
        }
    }
}

/// Bytes from the beginning of a resident gradient of `elements` elements of `size` bytes to that of the next: each begins
/// a cache line, so that an element range of several gradients has its lines at the same places in all of them.
pub fn gradient_stride(elements: u64, size: usize) -> u64 {
    const LINE: u64 = 64;
    (elements * size as u64).next_multiple_of(LINE)
}

/// Bytes of the gradients that `rank` keeps for the round.
pub fn resident(problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> u64 {
    match terms.residency {
        Residency::Streamed => 0,
        Residency::Resident => {
            let clients = layout.clients_on(rank, problem.clients());
            (clients.end - clients.start) * gradient_stride(problem.elements, terms.dtype.size())
        }
    }
}

/// Memory of `rank` while it carries out its part of `plan`. Exact for what the engine allocates; what the MPI library
/// allocates for itself comes on top and cannot be known from a plan.
pub fn predict(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> Memory {
    predict_rank(plan, problem, layout, terms, rank).all
}

/// What a rank holds, and how much of it is for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RankPrediction {
    /// Everything, as [`predict`] has it.
    pub all: Memory,
    /// Its aggregators. With a collective of the library the rank is one aggregator.
    pub aggregators: u64,
    /// What its aggregators hold together.
    pub aggregating: Memory,
    /// The aggregator that holds most.
    pub heaviest: Memory,
    /// Of `aggregating`, what lies in memory that the node shares.
    pub aggregating_shared: u64,
}

/// As [`predict`], with the aggregators' share told apart from the clients'.
pub fn predict_rank(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> RankPrediction {
    let mut reader = Reader::new(plan, problem, layout, *terms);
    let size = terms.dtype.size() as u64;
    let wide = terms.dtype.accumulator_size() as u64;
    let mut found = RankPrediction::default();
    // What clients can read of the result lies in shared memory.
    let clients_read = terms.phase == Phase::Round && terms.intra_node == IntraNode::Shared;
    let shared_result = clients_read && plan.collective().is_none();
    for task in reader.tasks(rank) {
        let hold = task.hold_bytes(terms);
        let memory = Memory {
            resident: 0,
            accumulators: hold + task.scratch * wide,
            staging: task.slots * task.slot_bytes,
            result: if task.hold == Hold::Result { task.aggregator.range.len() * size } else { 0 },
        };
        debug_assert!(task.aggregator.output != Output::Result || task.hold == Hold::Result);
        found.aggregators += 1;
        found.aggregating = found.aggregating.plus(memory);
        found.aggregating_shared +=
            if task.exported { hold } else { 0 } + if shared_result { memory.result } else { 0 };
        if memory.total() > found.heaviest.total() {
            found.heaviest = memory;
        }
    }
    if let Some(collective) = plan.collective() {
        let out = collective.output_elements(problem.elements, plan.collective_range(rank).len());
        found.aggregating.result += out * size;
        if terms.phase == Phase::Round {
            found.aggregating.result += collective.spread_elements(problem.elements, layout.ranks()) * size;
        }
        if size != wide {
            found.aggregating.accumulators += out * wide;
        }
        found.aggregating.accumulators += collective.between(problem.elements, layout.ranks(), rank).len() * wide;
        found.aggregators = 1;
        found.heaviest = found.aggregating;
    }
    let received = distribution::received(plan, problem, layout, terms, rank) * size;
    let mut sending = 0;
    if terms.residency == Residency::Streamed {
        for send in reader.sends(rank) {
            sending += reader.send_buffer_bytes(&send);
        }
    }
    let clients = Memory {
        resident: resident(problem, layout, terms, rank),
        accumulators: 0,
        staging: sending,
        result: received,
    };
    found.all = found.aggregating.plus(clients);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_begin_at_lines_of_64_bytes() {
        let strides =
            [(0, 4), (1, 4), (16, 4), (17, 4), (85_002, 4), (3, 8), (33, 2)].map(|(n, size)| gradient_stride(n, size));
        assert_eq!(strides, [0, 64, 64, 128, 340_032, 64, 128]);
    }
}
