//! A case: one strategy for one problem, which a platform can price.

use std::sync::Arc;

use crate::cost::{CostError, Workload};
use crate::gradient::Dtype;
use crate::plan::strategies::Strategy;
use crate::plan::{End, Flow, Layout, Plan, Problem, Roles, call};

/// What is to be priced: who aggregates how much by which strategy. No platform and no price.
#[derive(Clone)]
pub struct Case {
    /// The strategy.
    pub strategy: &'static dyn Strategy,
    /// |θ|, elements.
    pub elements: u64,
    /// N.
    pub clients: u64,
    /// M, for strategies that shard.
    pub shards: u64,
    /// Element type.
    pub dtype: Dtype,
    /// Elements of a piece are those of `chunk_bytes`; None: whole objects.
    pub chunk_bytes: Option<u64>,
    /// P, for strategies that are about ranks; on functions a rank is where a function's instance would be.
    pub ranks: usize,
    /// K.
    pub nodes: usize,
}

/// A case's plan and what it is a plan for.
pub struct Planned {
    /// The plan.
    pub plan: Box<dyn Plan>,
    /// The problem.
    pub problem: Arc<Problem>,
    /// The layout.
    pub layout: Arc<Layout>,
}

impl Case {
    /// `strategy` for N clients with gradients of `elements` f32 elements in whole objects, each client at a rank of its
    /// own on one node.
    pub fn new(strategy: &'static dyn Strategy, elements: u64, clients: u64, shards: u64) -> Case {
        let ranks = usize::try_from(clients).unwrap_or(usize::MAX);
        Case { strategy, elements, clients, shards, dtype: Dtype::F32, chunk_bytes: None, ranks, nodes: 1 }
    }

    /// Bytes of one gradient.
    pub fn gradient_bytes(&self) -> u64 {
        self.elements.saturating_mul(self.dtype.size() as u64)
    }

    /// M as the strategy heeds it.
    pub fn shards_heeded(&self) -> u64 {
        if self.strategy.knobs().heeds_shards(End::Everywhere) { self.shards } else { 1 }
    }

    /// How data moves through an aggregator.
    pub fn flow(&self) -> Flow {
        match self.chunk_bytes {
            None => Flow::Whole,
            Some(bytes) => Flow::Chunk { elements: (bytes / self.dtype.size() as u64).max(1) },
        }
    }

    /// The plan.
    ///
    /// # Errors
    /// If the strategy has none for this problem, or it ends in a collective of the MPI library.
    pub fn plan(&self) -> Result<Planned, CostError> {
        self.plan_on(self.ranks)
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

    /// What the plan asks of functions and of a store.
    ///
    /// # Errors
    /// Those of [`Case::plan`].
    pub fn workload(&self) -> Result<Workload, CostError> {
        // A function for each shard: with fewer ranks one rank would own several.
        let Planned { plan, problem, .. } = self.plan_on(self.ranks.max(self.shards_heeded() as usize))?;
        Ok(Workload::of(plan.as_ref(), &problem, self.dtype, self.flow()))
    }
}
