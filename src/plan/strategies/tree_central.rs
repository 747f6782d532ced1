//! `tree-central`: one parameter server takes every client's whole gradient.

use std::sync::Arc;

use super::{Family, Knobs, Strategy};
use crate::plan::explicit::TreeBuilder;
use crate::plan::{Infeasible, Input, Layout, Plan, Problem};

/// One server.
pub struct TreeCentral;

impl Strategy for TreeCentral {
    fn name(&self) -> &'static str {
        "tree-central"
    }
    fn family(&self) -> Family {
        Family::Tree
    }
    fn about(&self) -> &'static str {
        "one parameter server takes every client's whole gradient"
    }
    fn knobs(&self) -> Knobs {
        Knobs::TREE
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        let mut tree = TreeBuilder::new(problem);
        tree.add(layout.aggregator_ranks()[0], (0..problem.clients()).map(Input::Client).collect());
        Ok(Box::new(tree.finish()))
    }
}
