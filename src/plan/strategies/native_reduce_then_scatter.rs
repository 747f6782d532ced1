//! `native-reduce-then-scatter`: what MPI_Reduce_scatter should not be slower than.

use std::sync::Arc;

use super::native::LocalSums;
use super::{Family, Knobs, Strategy};
use crate::plan::{Collective, Infeasible, Layout, Plan, Problem};

/// MPI_Reduce over local sums, then MPI_Scatterv of the shards; each aggregating rank ends with its run of them.
pub struct NativeReduceThenScatter;

impl Strategy for NativeReduceThenScatter {
    fn name(&self) -> &'static str {
        "native-reduce-then-scatter"
    }
    fn family(&self) -> Family {
        Family::Sharded
    }
    fn about(&self) -> &'static str {
        "a local sum on each rank, then MPI_Reduce and MPI_Scatterv: a mock-up of MPI_Reduce_scatter"
    }
    fn knobs(&self) -> Knobs {
        Knobs { shards: true, flow: false, intra_node: false, order: false }
    }
    fn needs_mpi(&self) -> bool {
        true
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(LocalSums {
            problem: Arc::clone(problem),
            layout: Arc::clone(layout),
            collective: Collective::ReduceThenScatter { root: layout.aggregator_ranks()[0] },
        }))
    }
}
