//! `native-reduce`: the MPI library's MPI_Reduce.

use std::sync::Arc;

use super::native::LocalSums;
use super::{Family, Knobs, Strategy};
use crate::plan::{Collective, Infeasible, Layout, Plan, Problem};

/// MPI_Reduce over local sums to the first aggregating rank.
pub struct NativeReduce;

impl Strategy for NativeReduce {
    fn name(&self) -> &'static str {
        "native-reduce"
    }
    fn family(&self) -> Family {
        Family::Tree
    }
    fn about(&self) -> &'static str {
        "a local sum on each rank, then the MPI library's MPI_Reduce to one"
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
            collective: Collective::Reduce { root: layout.aggregator_ranks()[0] },
        }))
    }
}
