//! `tree-central`: one parameter server takes every client's whole gradient.

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};

/// One server.
pub static STRATEGY: Recipe = Recipe {
    name: "tree-central",
    about: "one parameter server takes every client's whole gradient",
    knobs: Knobs::TREE,
    plan: |problem, layout| Ok(Box::new(Forest::straight(problem, layout, Cut::Rooted(1)))),
};
