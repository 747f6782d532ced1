//! `tree-binomial`: the binomial tree over ranks.

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::Binomial;

/// The tree of most libraries' reduce for short messages: rank r sends to r without its lowest set bit.
pub static STRATEGY: Recipe = Recipe {
    name: "tree-binomial",
    about: "the binomial tree over ranks",
    knobs: Knobs::TREE,
    plan: |problem, layout| Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Rooted(1), Binomial))),
};
