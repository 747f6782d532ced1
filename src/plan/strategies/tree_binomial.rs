//! `tree-binomial`: the binomial tree over ranks.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::Binomial;
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// The tree of most libraries' reduce for short messages: rank r sends to r without its lowest set bit.
pub struct TreeBinomial;

impl Strategy for TreeBinomial {
    fn name(&self) -> &'static str {
        "tree-binomial"
    }
    fn about(&self) -> &'static str {
        "the binomial tree over ranks"
    }
    fn knobs(&self) -> Knobs {
        Knobs::TREE
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Rooted(1), Binomial)))
    }
}
