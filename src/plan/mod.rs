//! Plans: who sums what, where. A strategy yields a plan for one problem on one layout; everything else reads it.
//!
//! A plan is asked for one aggregator, or for the aggregators of one rank, at a time: nothing here needs memory that
//! grows with ranks × shards, so that 4,096 ranks × 4,096 shards can be planned by each rank on its own.

pub mod check;
pub mod distribution;
pub mod end;
pub mod explicit;
pub mod flow;
pub mod layout;
pub mod memory;
pub mod part;
pub mod picture;
pub mod problem;
pub mod shard_tree;
pub mod strategies;

pub use check::{Fault, Verdict, check};
pub use distribution::Finished;
pub use end::End;
pub use explicit::ExplicitPlan;
pub use flow::{Flow, IntraNode, Order, Phase, Residency, Terms};
pub use layout::{Layout, Roles};
pub use problem::Problem;

use crate::gradient::Range;

/// Where one input of an aggregator comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// A client's gradient, to be weighted.
    Client(u64),
    /// Another aggregator's partial sum, already weighted, not yet divided.
    Aggregator(u64),
}

/// What becomes of an aggregator's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// It is divided by the weight and is a finished range of the result.
    Result,
    /// It travels on, unscaled, with its weight.
    Partial,
    /// It enters the MPI library's collective.
    Collective,
}

/// One aggregator: sums one element range over its inputs, in the order in which they are listed.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregator {
    /// Number within the plan.
    pub id: u64,
    /// The rank that hosts it.
    pub rank: usize,
    /// The elements that it sums. Every input's own range contains it.
    pub range: Range,
    /// What it sums, in order.
    pub inputs: Vec<Input>,
    /// Sum of its clients' weights.
    pub weight: f64,
    /// What becomes of the sum.
    pub output: Output,
    /// Distance from the clients: 1 where every input is a client.
    pub level: u32,
}

/// An MPI collective that ends a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collective {
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
        /// The rank that ends with the whole result.
        root: usize,
    },
    /// MPI_Allreduce: every rank ends with the whole result; this one answers for it.
    Allreduce {
        /// The rank whose copy is verified and kept.
        root: usize,
    },
    /// MPI_Reduce to this rank, then MPI_Scatterv: each rank ends with its own element range, as after
    /// MPI_Reduce_scatter, which should not be slower.
    ReduceThenScatter {
        /// The rank that has the whole sum in between.
        root: usize,
    },
    /// MPI_Reduce_scatter in equal parts, then MPI_Gatherv: this rank ends with the whole result, as after MPI_Reduce.
    ReduceScatterThenGather {
        /// The rank that ends with the whole result.
        root: usize,
    },
    /// MPI_Reduce_scatter in equal parts, then MPI_Allgatherv: every rank ends with the whole result, as after
    /// MPI_Allreduce.
    ReduceScatterThenAllgather {
        /// The rank whose copy is verified and kept.
        root: usize,
    },
}

impl Collective {
    /// The MPI function's name.
    pub fn name(self) -> &'static str {
        match self {
            Collective::ReduceScatter => "MPI_Reduce_scatter",
            Collective::IreduceScatter => "MPI_Ireduce_scatter",
            Collective::ReduceScatterBlock { .. } => "MPI_Reduce_scatter_block",
            Collective::Reduce { .. } => "MPI_Reduce",
            Collective::Allreduce { .. } => "MPI_Allreduce",
            Collective::ReduceThenScatter { .. } => "MPI_Reduce and MPI_Scatterv",
            Collective::ReduceScatterThenGather { .. } => "MPI_Reduce_scatter and MPI_Gatherv",
            Collective::ReduceScatterThenAllgather { .. } => "MPI_Reduce_scatter and MPI_Allgatherv",
        }
    }

    /// Elements that every rank puts in, of a gradient of `elements` elements on `ranks` ranks.
    pub fn input_elements(self, elements: u64, ranks: usize) -> u64 {
        match self {
            Collective::ReduceScatterBlock { block } => block * ranks as u64,
            _ => elements,
        }
    }

    /// Elements for which a rank needs room in what it gets out, where `held` of them are its part of the result.
    pub fn output_elements(self, elements: u64, held: u64) -> u64 {
        match self {
            Collective::ReduceScatterBlock { block } => block,
            Collective::Allreduce { .. } | Collective::ReduceScatterThenAllgather { .. } => elements,
            _ => held,
        }
    }

    /// The elements that `rank` has between the two calls of a collective that is made of two; empty for the others.
    pub fn between(self, elements: u64, ranks: usize, rank: usize) -> Range {
        match self {
            Collective::ReduceThenScatter { root } if root == rank => Range::new(0, elements),
            Collective::ReduceScatterThenGather { .. } | Collective::ReduceScatterThenAllgather { .. } => {
                crate::gradient::shard_range(elements, ranks as u64, rank as u64)
            }
            _ => Range::new(0, 0),
        }
    }

    /// True if every rank ends with the whole result.
    pub fn leaves_whole_result_everywhere(self) -> bool {
        matches!(self, Collective::Allreduce { .. } | Collective::ReduceScatterThenAllgather { .. })
    }
}

impl Collective {
    /// Elements for which every rank needs room beside that, to receive the whole result in the second phase of a
    /// round; after MPI_Allreduce every rank has it already.
    pub fn spread_elements(self, elements: u64, ranks: usize) -> u64 {
        match self {
            Collective::Allreduce { .. } | Collective::ReduceScatterThenAllgather { .. } => 0,
            Collective::ReduceScatterBlock { block } => block * ranks as u64,
            _ => elements,
        }
    }
}

/// Who sums what, where, for one problem on one layout. All answers are computed on demand.
pub trait Plan: Send + Sync {
    /// Number of aggregators; their ids are 0 up to this.
    fn aggregators(&self) -> u64;
    /// Aggregator `id`, whole.
    fn aggregator(&self, id: u64) -> Aggregator;
    /// The rank of aggregator `id`. Asked far more often than for the whole aggregator.
    fn rank_of(&self, id: u64) -> usize {
        self.aggregator(id).rank
    }
    /// The ids of the aggregators that `rank` hosts, ascending.
    fn on_rank(&self, rank: usize) -> Vec<u64>;
    /// The ids of the aggregators that take `input`, ascending. Their ranges do not overlap.
    fn consumers(&self, input: Input) -> Vec<u64>;
    /// The finished ranges, by the number of their aggregator. A plan that can tell them without looking at every
    /// aggregator should.
    fn results(&self) -> Vec<Finished> {
        let all = (0..self.aggregators()).map(|id| self.aggregator(id));
        let finished = all.filter(|aggregator| aggregator.output == Output::Result);
        finished.map(|a| Finished { aggregator: a.id, range: a.range, rank: a.rank }).collect()
    }
    /// True if the result goes back to the clients the way that the sums came.
    fn is_tree(&self) -> bool {
        false
    }
    /// The collective that ends the round, and the element range that `rank` holds after it.
    fn collective(&self) -> Option<Collective> {
        None
    }
    /// The elements that `rank` holds after the plan's collective; empty for plans without one.
    fn collective_range(&self, _rank: usize) -> Range {
        Range::new(0, 0)
    }
}

/// Why a strategy has no plan for a problem on a layout. The cell becomes a row with status infeasible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Infeasible(pub String);
