//! `native-reduce-scatter-then-gather`: what MPI_Reduce should not be slower than.

use std::sync::Arc;

use super::native::LocalSums;
use super::{Family, Knobs, Strategy};
use crate::plan::{Collective, Infeasible, Layout, Plan, Problem};

/// MPI_Reduce_scatter over local sums in equal parts, then MPI_Gatherv to the first aggregating rank.
pub struct NativeReduceScatterThenGather;

impl Strategy for NativeReduceScatterThenGather {
    fn name(&self) -> &'static str {
        "native-reduce-scatter-then-gather"
    }
    fn family(&self) -> Family {
        Family::Tree
    }
    fn about(&self) -> &'static str {
        "a local sum on each rank, then MPI_Reduce_scatter and MPI_Gatherv: a mock-up of MPI_Reduce"
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
            collective: Collective::ReduceScatterThenGather { root: layout.aggregator_ranks()[0] },
        }))
    }
}
