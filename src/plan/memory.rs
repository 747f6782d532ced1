//! Memory of a rank, predicted from the plan and the flow alone.

use crate::plan::part::{Hold, Reader};
use crate::plan::{Layout, Output, Phase, Plan, Problem, Residency, Terms, distribution};

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
}

/// Bytes of the gradients that `rank` keeps for the round.
pub fn resident(problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> u64 {
    match terms.residency {
        Residency::Streamed => 0,
        Residency::Resident => {
            let clients = layout.clients_on(rank, problem.clients());
            (clients.end - clients.start) * problem.elements * terms.dtype.size() as u64
        }
    }
}

/// Memory of `rank` while it carries out its part of `plan`. Exact for what the engine allocates; what the MPI library
/// allocates for itself comes on top and cannot be known from a plan.
pub fn predict(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> Memory {
    let mut reader = Reader::new(plan, problem, layout, *terms);
    let size = terms.dtype.size() as u64;
    let wide = terms.dtype.accumulator_size() as u64;
    let mut memory = Memory { resident: resident(problem, layout, terms, rank), ..Memory::default() };
    for task in reader.tasks(rank) {
        memory.accumulators += task.hold_bytes(terms) + task.scratch * wide;
        memory.staging += task.slots * task.slot_bytes;
        if task.hold == Hold::Result {
            memory.result += task.aggregator.range.len() * size;
        }
        debug_assert!(task.aggregator.output != Output::Result || task.hold == Hold::Result);
    }
    if let Some(collective) = plan.collective() {
        let out = collective.output_elements(problem.elements, plan.collective_range(rank).len());
        memory.result += out * size;
        if terms.phase == Phase::Round {
            memory.result += collective.spread_elements(problem.elements, layout.ranks()) * size;
        }
        if size != wide {
            memory.accumulators += out * wide;
        }
    }
    memory.result += distribution::received(plan, problem, layout, terms, rank) * size;
    if terms.residency == Residency::Streamed {
        for send in reader.sends(rank) {
            memory.staging += reader.send_buffer_bytes(&send);
        }
    }
    memory
}
