//! `tree-two`: half of the gradient along one binary tree, half along another, in which inner ranks are leaves.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::TwoTrees;
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// The two-tree (Sanders, Speck and Träff, Two-tree algorithms for full bandwidth broadcast, reduction and scan, 2009;
/// NCCL's double binary tree). Every rank is an inner one in at most one of the trees, so that none takes more than one
/// gradient; the depth is ⌈log₂P⌉ + 1.
pub struct TreeTwo;

impl Strategy for TreeTwo {
    fn name(&self) -> &'static str {
        "tree-two"
    }
    fn about(&self) -> &'static str {
        "two binary trees over ranks, half of the gradient along each: no rank takes more than one gradient"
    }
    fn knobs(&self) -> Knobs {
        Knobs::TREE
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Rooted(2), TwoTrees)))
    }
}
