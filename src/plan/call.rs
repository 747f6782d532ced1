//! Calls of the MPI library: the collectives that a plan's `Library` steps take part in.

use crate::gradient::{Range, shard_range};

/// One MPI collective over all ranks. Reducing calls sum with MPI_SUM; the others move finished or summed elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// MPI_Reduce_scatter: each rank ends with its own element range.
    ReduceScatter,
    /// MPI_Ireduce_scatter, waited for at once.
    IreduceScatter,
    /// MPI_Reduce_scatter_block: every rank ends with a block of the same length; the last may be padding.
    ReduceScatterBlock {
        /// Elements of a block.
        block: u64,
    },
    /// MPI_Reduce to this rank.
    Reduce {
        /// The rank that ends with the whole sum.
        root: usize,
    },
    /// MPI_Allreduce: every rank ends with the whole sum.
    Allreduce,
    /// MPI_Scatterv from this rank: each rank ends with its own element range.
    Scatter {
        /// The rank that has all elements before.
        root: usize,
    },
    /// MPI_Gatherv to this rank.
    Gather {
        /// The rank that ends with all elements.
        root: usize,
    },
    /// MPI_Allgatherv: every rank ends with all elements.
    Allgather,
    /// MPI_Bcast from this rank.
    Broadcast {
        /// The rank that has all elements before.
        root: usize,
    },
}

impl Call {
    /// The MPI function's name.
    pub fn name(self) -> &'static str {
        match self {
            Call::ReduceScatter => "MPI_Reduce_scatter",
            Call::IreduceScatter => "MPI_Ireduce_scatter",
            Call::ReduceScatterBlock { .. } => "MPI_Reduce_scatter_block",
            Call::Reduce { .. } => "MPI_Reduce",
            Call::Allreduce => "MPI_Allreduce",
            Call::Scatter { .. } => "MPI_Scatterv",
            Call::Gather { .. } => "MPI_Gatherv",
            Call::Allgather => "MPI_Allgatherv",
            Call::Broadcast { .. } => "MPI_Bcast",
        }
    }

    /// True if it sums.
    pub fn reduces(self) -> bool {
        matches!(
            self,
            Call::ReduceScatter
                | Call::IreduceScatter
                | Call::ReduceScatterBlock { .. }
                | Call::Reduce { .. }
                | Call::Allreduce
        )
    }

    /// True if it may be made for one piece of the gradient after another. Blocks of one length for every rank are a split
    /// of their own.
    pub fn comes_in_pieces(self) -> bool {
        self.reduces() && !matches!(self, Call::ReduceScatterBlock { .. })
    }

    /// Pieces that are under way at once: two, if the call returns before it is done.
    pub fn in_flight(self) -> u64 {
        if self == Call::IreduceScatter { 2 } else { 1 }
    }

    /// The elements, of `elements`, that `rank` holds after it. `owned` is the range that a call which deals ranges out
    /// gives to `rank`.
    pub fn leaves(self, elements: u64, rank: usize, owned: Range) -> Range {
        let whole = Range::new(0, elements);
        let nothing = Range::new(0, 0);
        match self {
            Call::ReduceScatter | Call::IreduceScatter | Call::Scatter { .. } => owned,
            Call::ReduceScatterBlock { block } => {
                let start = (rank as u64 * block).min(elements);
                Range::new(start, (start + block).min(elements))
            }
            Call::Reduce { root } | Call::Gather { root } => {
                if rank == root {
                    whole
                } else {
                    nothing
                }
            }
            Call::Allreduce | Call::Allgather | Call::Broadcast { .. } => whole,
        }
    }

    /// Elements for which a rank needs room in the output, where it holds `held` of the result afterwards.
    pub fn output_elements(self, held: u64) -> u64 {
        match self {
            Call::ReduceScatterBlock { block } => block,
            _ => held,
        }
    }

    /// Elements that every rank puts into a reducing call, of a gradient of `elements` elements on `ranks` ranks.
    pub fn input_elements(self, elements: u64, ranks: usize) -> u64 {
        match self {
            Call::ReduceScatterBlock { block } => block * ranks as u64,
            _ => elements,
        }
    }
}

/// The equal parts in which a call deals elements out where no shards are asked for.
pub fn equal_parts(elements: u64, ranks: usize, rank: usize) -> Range {
    shard_range(elements, ranks as u64, rank as u64)
}

/// The names of calls, joined by `and`.
pub fn names(calls: &[Call]) -> String {
    calls.iter().map(|call| call.name()).collect::<Vec<_>>().join(" and ")
}
