//! `native-reduce-scatter-then-allgather`: what MPI_Allreduce should not be slower than.

use std::sync::Arc;

use super::native::LocalSums;
use super::{Family, Knobs, Strategy};
use crate::plan::{Collective, Infeasible, Layout, Plan, Problem};

/// MPI_Reduce_scatter over local sums in equal parts, then MPI_Allgatherv; every rank ends with the whole result.
pub struct NativeReduceScatterThenAllgather;

impl Strategy for NativeReduceScatterThenAllgather {
    fn name(&self) -> &'static str {
        "native-reduce-scatter-then-allgather"
    }
    fn family(&self) -> Family {
        Family::Tree
    }
    fn about(&self) -> &'static str {
        "a local sum on each rank, then MPI_Reduce_scatter and MPI_Allgatherv: a mock-up of MPI_Allreduce"
    }
    fn knobs(&self) -> Knobs {
        Knobs { shards: false, flow: false, intra_node: false, order: false }
    }
    fn needs_mpi(&self) -> bool {
        true
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(LocalSums {
            problem: Arc::clone(problem),
            layout: Arc::clone(layout),
            collective: Collective::ReduceScatterThenAllgather { root: layout.aggregator_ranks()[0] },
        }))
    }
}
