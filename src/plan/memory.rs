//! Memory of a rank, predicted from the plan and the flow alone.

use crate::plan::lowering::{Hold, Incoming, LibraryCall, SumTask, Taker};
use crate::plan::{Layout, Lowering, Plan, Problem, Residency, Terms, lower};

/// Bytes that a rank holds at the peak of a round, by purpose. All of it is held for the whole round.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, bytemuck::Pod, bytemuck::Zeroable)]
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
        // Numbers of a damaged result file may be too large for a sum.
        let others = [self.accumulators, self.staging, self.result];
        others.into_iter().fold(self.resident, u64::saturating_add)
    }

    /// Bytes that the round needs beside the clients' own gradients.
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

/// The memory of a rank, with its aggregators' share told apart from the clients'.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct RankPrediction {
    /// Everything, as [`predict`] has it.
    pub all: Memory,
    /// Its aggregators. With a collective of the library the rank is one aggregator.
    pub aggregators: u64,
    /// Memory of all its aggregators together.
    pub aggregating: Memory,
    /// The aggregator that holds most.
    pub heaviest: Memory,
    /// The bytes of `aggregating` in memory that the node shares.
    pub aggregating_shared: u64,
}

/// As [`predict`], with the aggregators' share told apart from the clients'.
pub fn predict_rank(plan: &dyn Plan, problem: &Problem, layout: &Layout, terms: &Terms, rank: usize) -> RankPrediction {
    predict_lowered(&lower(plan, problem, layout, terms, rank), problem, layout, terms, rank)
}

/// As [`predict_rank`], from the rank's lowering.
pub fn predict_lowered(
    lowering: &Lowering,
    problem: &Problem,
    layout: &Layout,
    terms: &Terms,
    rank: usize,
) -> RankPrediction {
    let size = terms.dtype.size() as u64;
    let wide = terms.dtype.accumulator_size() as u64;
    let mut found = RankPrediction::default();
    let mut finished = 0;
    for task in &lowering.sums {
        let result = if task.hold == Hold::Result { task.range.len() * size } else { 0 };
        finished += result;
        found.aggregators += task.shards;
        found.aggregating.accumulators += task.scratch * wide;
        found.aggregating.staging += task.slots * task.slot_bytes;
        found.aggregating.result += result;
        let alone = one_aggregator(lowering, task, terms);
        if alone.total() > found.heaviest.total() {
            found.heaviest = alone;
        }
    }
    found.aggregating.accumulators += lowering.shared_hold_bytes + lowering.private_hold_bytes;
    found.aggregating_shared = lowering.shared_hold_bytes + if lowering.shares_result { finished } else { 0 };
    let mut clients = Memory { resident: resident(problem, layout, terms, rank), ..Memory::default() };
    clients.result = lowering.result_elements * size - finished;
    for stream in &lowering.incoming {
        let staging = stream.depth * stream.slot_bytes;
        let sums = stream.segments.iter().any(|segment| matches!(segment.target, Taker::Sum { .. }));
        if sums { found.aggregating.staging += staging } else { clients.staging += staging }
    }
    for stream in &lowering.outgoing {
        let staging = stream.depth * stream.slot_bytes;
        let sums = stream.segments.iter().any(|segment| segment.wide);
        if sums { found.aggregating.staging += staging } else { clients.staging += staging }
    }
    if !lowering.calls.is_empty() {
        let calls = library_memory(lowering, terms, rank);
        found.aggregating = found.aggregating.plus(calls);
        found.aggregators = 1;
        found.heaviest = found.aggregating;
    }
    found.all = found.aggregating.plus(clients);
    found
}

/// Memory of one of the aggregators that a task consists of: one shard's share.
fn one_aggregator(lowering: &Lowering, task: &SumTask, terms: &Terms) -> Memory {
    let size = terms.dtype.size() as u64;
    let wide = terms.dtype.accumulator_size() as u64;
    let elements = task.range.len().div_ceil(task.shards);
    let piece = task.piece.min(elements);
    let slot_width = task.slot_bytes.checked_div(task.piece).unwrap_or(0);
    let index = lowering.sums.iter().position(|other| other.number == task.number);
    let shared = |stream: &&Incoming| {
        stream.segments.iter().any(|segment| matches!(segment.target, Taker::Sum { task, .. } if Some(task) == index))
    };
    let streams = lowering.incoming.iter().filter(shared);
    let delivered: u64 = streams.map(|stream| stream.depth * stream.slot_bytes.min(elements * wide)).sum();
    let hold = match task.hold {
        Hold::Result | Hold::PassThrough => 0,
        Hold::Full => elements * wide,
        Hold::Ring(pieces) => pieces * piece * wide,
    };
    Memory {
        resident: 0,
        accumulators: hold + task.scratch.min(elements) * wide,
        staging: task.slots * piece * slot_width + delivered,
        result: if task.hold == Hold::Result { elements * size } else { 0 },
    }
}

/// The buffers of a rank for calls of the library: the output of each call in the type that it moves, and the packed pieces
/// of a reduce-scatter.
fn library_memory(lowering: &Lowering, terms: &Terms, rank: usize) -> Memory {
    let (size, wide) = (terms.dtype.size() as u64, terms.dtype.accumulator_size() as u64);
    let mut memory = Memory::default();
    let last = lowering.calls.len() - 1;
    let divides = lowering.calls.iter().position(|call| call.divides).unwrap_or(last);
    for (number, library) in lowering.calls.iter().enumerate() {
        let LibraryCall { call, ranges, .. } = library;
        if let Some(dealt) = library.dealt() {
            memory.staging += call.in_flight().min(dealt.pieces()) * dealt.longest() * wide;
        }
        let elements = call.output_elements(ranges[rank].len());
        // Sums arrive in the type of the sum, and where that is wider are narrowed as they are divided.
        if number < divides || (number == divides && size != wide) {
            memory.accumulators += elements * wide;
        }
        if number >= divides {
            memory.result += elements * size;
        }
    }
    memory
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
