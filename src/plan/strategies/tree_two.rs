//! `tree-two`: half of the gradient along one binary tree, half along another, in which inner ranks are leaves.

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::TwoTrees;

/// The two-tree (Sanders, Speck and Träff, Two-tree algorithms for full bandwidth broadcast, reduction and scan, 2009;
/// NCCL's double binary tree). Every rank is an inner one in at most one of the trees, so that none takes more than one
/// gradient; the depth is ⌈log₂P⌉ + 1.
pub static STRATEGY: Recipe = Recipe {
    name: "tree-two",
    about: "two binary trees over ranks, half of the gradient along each: no rank takes more than one gradient",
    knobs: Knobs::TREE,
    plan: |problem, layout| Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Rooted(2), TwoTrees))),
};
