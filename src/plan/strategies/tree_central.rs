//! `tree-central`: one parameter server takes every client's whole gradient.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// One server.
pub struct TreeCentral;

impl Strategy for TreeCentral {
    fn name(&self) -> &'static str {
        "tree-central"
    }
    fn about(&self) -> &'static str {
        "one parameter server takes every client's whole gradient"
    }
    fn knobs(&self) -> Knobs {
        Knobs::TREE
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::straight(problem, layout, Cut::Rooted(1))))
    }
}
