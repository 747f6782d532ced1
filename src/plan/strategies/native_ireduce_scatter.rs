//! `native-ireduce-scatter`: the MPI library's MPI_Ireduce_scatter.

use std::sync::Arc;

use super::native::LocalSums;
use super::{Family, Knobs, Strategy};
use crate::plan::{Collective, Infeasible, Layout, Plan, Problem};

/// MPI_Ireduce_scatter over local sums.
pub struct NativeIreduceScatter;

impl Strategy for NativeIreduceScatter {
    fn name(&self) -> &'static str {
        "native-ireduce-scatter"
    }
    fn family(&self) -> Family {
        Family::Sharded
    }
    fn about(&self) -> &'static str {
        "a local sum on each rank, then the MPI library's MPI_Ireduce_scatter"
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
            collective: Collective::IreduceScatter,
        }))
    }
}
