//! A case: one strategy for one problem, which a platform can price.

use std::sync::Arc;

use crate::cost::{CostError, ObjectFlow, Workload};
use crate::gradient::Dtype;
use crate::plan::strategies::Strategy;
use crate::plan::{End, Layout, Plan, Problem, Roles, call};

/// A strategy with its problem. It contains no platform and no price.
#[derive(Clone)]
pub struct Case {
    /// The strategy.
    pub strategy: &'static dyn Strategy,
    /// Number of elements of the gradient, |θ|.
    pub elements: u64,
    /// Number of clients, N.
    pub clients: u64,
    /// Number of shards, M, for strategies that shard.
    pub shards: u64,
    /// Element type of the gradients.
    pub dtype: Dtype,
    /// How aggregators read and write objects.
    pub flow: ObjectFlow,
    /// Number of ranks, P, for strategies that depend on ranks. On functions, a rank stands for the instance of a
    /// function.
    pub ranks: usize,
    /// Number of nodes, K.
    pub nodes: usize,
}

/// The plan of a case, with its problem and its layout.
pub struct Planned {
    /// The plan.
    pub plan: Box<dyn Plan>,
    /// The problem.
    pub problem: Arc<Problem>,
    /// The layout.
    pub layout: Arc<Layout>,
}

impl Case {
    /// Creates the case of N clients with f32 gradients of `elements` elements in whole objects. Each client has its
    /// own rank, and all ranks are on one node.
    pub fn new(strategy: &'static dyn Strategy, elements: u64, clients: u64, shards: u64) -> Case {
        let ranks = usize::try_from(clients).unwrap_or(usize::MAX);
        Case { strategy, elements, clients, shards, dtype: Dtype::F32, flow: ObjectFlow::default(), ranks, nodes: 1 }
    }

    /// Returns the size of one gradient, bytes.
    pub fn gradient_bytes(&self) -> u64 {
        self.elements.saturating_mul(self.dtype.size() as u64)
    }

    /// Returns M, or 1 for a strategy that does not shard.
    pub fn shards_heeded(&self) -> u64 {
        if self.strategy.knobs().heeds_shards(End::Everywhere) { self.shards } else { 1 }
    }

    /// Returns the most inputs that the sums of its plan can have together: the work of pricing it once.
    pub fn most_inputs(&self) -> u64 {
        let shards = self.shards_heeded();
        shards.saturating_mul(self.clients.max(self.ranks as u64).max(shards))
    }

    /// Builds the plan.
    ///
    /// # Errors
    /// [`CostError`] if the strategy has no plan for this problem, or if the plan ends in a collective of the MPI
    /// library.
    pub fn plan(&self) -> Result<Planned, CostError> {
        self.plan_on(self.ranks)
    }

    /// Builds the plan whose sums are invocations of functions.
    ///
    /// # Errors
    /// The errors of [`Case::plan`].
    pub fn on_functions(&self) -> Result<Planned, CostError> {
        // A function for each shard: with fewer ranks one rank would own several.
        self.plan_on(self.ranks.max(self.shards_heeded() as usize))
    }

    fn plan_on(&self, ranks: usize) -> Result<Planned, CostError> {
        let layout = Arc::new(Layout::even(ranks, self.nodes, Roles::Colocated)?);
        let problem = Arc::new(Problem::unweighted(self.elements, self.clients, self.shards_heeded()));
        let plan = self.strategy.plan(&problem, &layout)?;
        if !plan.calls().is_empty() {
            return Err(CostError::Collective { strategy: self.strategy.name(), function: call::names(plan.calls()) });
        }
        Ok(Planned { plan, problem, layout })
    }

    /// Computes the requests and the bytes that the plan needs on functions with an object store.
    ///
    /// # Errors
    /// The errors of [`Case::plan`].
    pub fn workload(&self) -> Result<Workload, CostError> {
        let Planned { plan, problem, .. } = self.on_functions()?;
        Ok(Workload::of(plan.as_ref(), &problem, self.dtype, self.flow))
    }
}
