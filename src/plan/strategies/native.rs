//! The MPI library's own reductions, and mock-ups of them made of others: each a local sum on every rank and a collective.

use std::sync::Arc;

use super::local_sums::LocalSums;
use super::{Family, Knobs, Strategy};
use crate::plan::{Collective, Infeasible, Layout, Plan, Problem, Roles};

/// A strategy that is a local sum and a collective.
pub struct Native {
    name: &'static str,
    family: Family,
    about: &'static str,
    /// Whether M changes anything.
    shards: bool,
    collective: fn(&Problem, &Layout) -> Result<Collective, Infeasible>,
}

/// The rank that a rooted collective ends on.
fn root(layout: &Layout) -> usize {
    layout.aggregator_ranks()[0]
}

/// A block for every rank.
fn blocks(problem: &Problem, layout: &Layout) -> Result<Collective, Infeasible> {
    if layout.roles() != Roles::Colocated {
        return Err(Infeasible(
            "MPI_Reduce_scatter_block gives every rank a block, so no rank can only host clients: roles must be colocated"
                .into(),
        ));
    }
    Ok(Collective::ReduceScatterBlock { block: problem.elements.div_ceil(layout.ranks() as u64) })
}

/// `native-reduce-scatter`.
pub const REDUCE_SCATTER: Native = Native {
    name: "native-reduce-scatter",
    family: Family::Sharded,
    about: "a local sum on each rank, then the MPI library's MPI_Reduce_scatter",
    shards: true,
    collective: |_, _| Ok(Collective::ReduceScatter),
};

/// `native-reduce-scatter-block`: as many shards as ranks, all of one length, the last ones cut off by the gradient's end.
pub const REDUCE_SCATTER_BLOCK: Native = Native {
    name: "native-reduce-scatter-block",
    family: Family::Sharded,
    about: "a local sum on each rank, then the MPI library's MPI_Reduce_scatter_block: a shard a rank",
    shards: false,
    collective: blocks,
};

/// `native-ireduce-scatter`.
pub const IREDUCE_SCATTER: Native = Native {
    name: "native-ireduce-scatter",
    family: Family::Sharded,
    about: "a local sum on each rank, then the MPI library's MPI_Ireduce_scatter",
    shards: true,
    collective: |_, _| Ok(Collective::IreduceScatter),
};

/// `native-reduce-then-scatter`: what MPI_Reduce_scatter should not be slower than.
pub const REDUCE_THEN_SCATTER: Native = Native {
    name: "native-reduce-then-scatter",
    family: Family::Sharded,
    about: "a local sum on each rank, then MPI_Reduce and MPI_Scatterv: a mock-up of MPI_Reduce_scatter",
    shards: true,
    collective: |_, layout| Ok(Collective::ReduceThenScatter { root: root(layout) }),
};

/// `native-reduce`.
pub const REDUCE: Native = Native {
    name: "native-reduce",
    family: Family::Tree,
    about: "a local sum on each rank, then the MPI library's MPI_Reduce to one",
    shards: false,
    collective: |_, layout| Ok(Collective::Reduce { root: root(layout) }),
};

/// `native-allreduce`.
pub const ALLREDUCE: Native = Native {
    name: "native-allreduce",
    family: Family::Tree,
    about: "a local sum on each rank, then the MPI library's MPI_Allreduce",
    shards: false,
    collective: |_, layout| Ok(Collective::Allreduce { root: root(layout) }),
};

/// `native-reduce-scatter-then-gather`: what MPI_Reduce should not be slower than.
pub const REDUCE_SCATTER_THEN_GATHER: Native = Native {
    name: "native-reduce-scatter-then-gather",
    family: Family::Tree,
    about: "a local sum on each rank, then MPI_Reduce_scatter and MPI_Gatherv: a mock-up of MPI_Reduce",
    shards: false,
    collective: |_, layout| Ok(Collective::ReduceScatterThenGather { root: root(layout) }),
};

/// `native-reduce-scatter-then-allgather`: what MPI_Allreduce should not be slower than.
pub const REDUCE_SCATTER_THEN_ALLGATHER: Native = Native {
    name: "native-reduce-scatter-then-allgather",
    family: Family::Tree,
    about: "a local sum on each rank, then MPI_Reduce_scatter and MPI_Allgatherv: a mock-up of MPI_Allreduce",
    shards: false,
    collective: |_, layout| Ok(Collective::ReduceScatterThenAllgather { root: root(layout) }),
};

impl Strategy for Native {
    fn name(&self) -> &'static str {
        self.name
    }
    fn family(&self) -> Family {
        self.family
    }
    fn about(&self) -> &'static str {
        self.about
    }
    fn knobs(&self) -> Knobs {
        Knobs { shards: self.shards, flow: false, intra_node: false, order: false }
    }
    fn needs_mpi(&self) -> bool {
        true
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        let collective = (self.collective)(problem, layout)?;
        Ok(Box::new(LocalSums { problem: Arc::clone(problem), layout: Arc::clone(layout), collective }))
    }
}
