//! `native-allreduce`: the MPI library's MPI_Allreduce.

use std::sync::Arc;

use super::native::LocalSums;
use super::{Family, Knobs, Strategy};
use crate::plan::{Collective, Infeasible, Layout, Plan, Problem};

/// MPI_Allreduce over local sums.
pub struct NativeAllreduce;

impl Strategy for NativeAllreduce {
    fn name(&self) -> &'static str {
        "native-allreduce"
    }
    fn family(&self) -> Family {
        Family::Tree
    }
    fn about(&self) -> &'static str {
        "a local sum on each rank, then the MPI library's MPI_Allreduce"
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
            collective: Collective::Allreduce { root: layout.aggregator_ranks()[0] },
        }))
    }
}
