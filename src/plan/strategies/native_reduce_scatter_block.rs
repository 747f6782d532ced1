//! `native-reduce-scatter-block`: the MPI library's MPI_Reduce_scatter_block.

use std::sync::Arc;

use super::native::LocalSums;
use super::{Family, Knobs, Strategy};
use crate::plan::{Collective, Infeasible, Layout, Plan, Problem, Roles};

/// MPI_Reduce_scatter_block over local sums: one block of the same length for every rank, whatever M is.
pub struct NativeReduceScatterBlock;

impl Strategy for NativeReduceScatterBlock {
    fn name(&self) -> &'static str {
        "native-reduce-scatter-block"
    }
    fn family(&self) -> Family {
        Family::Sharded
    }
    fn about(&self) -> &'static str {
        "a local sum on each rank, then the MPI library's MPI_Reduce_scatter_block: a shard a rank"
    }
    fn knobs(&self) -> Knobs {
        Knobs { shards: false, flow: false, intra_node: false, order: false }
    }
    fn needs_mpi(&self) -> bool {
        true
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        if layout.roles() != Roles::Colocated {
            return Err(Infeasible(
                "MPI_Reduce_scatter_block gives every rank a block, so no rank can only host clients: roles must be \
                 colocated"
                    .into(),
            ));
        }
        let block = problem.elements.div_ceil(layout.ranks() as u64);
        Ok(Box::new(LocalSums {
            problem: Arc::clone(problem),
            layout: Arc::clone(layout),
            collective: Collective::ReduceScatterBlock { block },
        }))
    }
}
