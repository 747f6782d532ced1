//! `sharded-radix`: reduce-scatter that clears the digits of the distance to the owner, lowest first.

use super::{Knobs, Recipe};
use crate::plan::Way;
use crate::plan::forest::{Cut, Forest};

/// Radix 2: PAT (Jeaugey, PAT: a new algorithm for all-gather and reduce-scatter operations at scale, arXiv:2506.20252).
/// Near ranks exchange most and far ones least, so that little crosses between groups of neighbours. A greater radix needs
/// fewer rounds and more messages; from the number of ranks on it is `sharded-direct`.
pub static STRATEGY: Recipe = Recipe {
    name: "sharded-radix",
    about: "reduce-scatter by the digits of the distance: `radix` 2 is PAT, ⌈log₂P⌉ rounds among neighbours; P is direct",
    knobs: Knobs { radix: true, ..Knobs::ROUNDS },
    plan: |problem, layout| {
        let radix = problem.form.radix;
        if radix >= layout.aggregator_ranks().len() as u64 {
            return Ok(Box::new(Forest::straight(problem, layout, Cut::Shards)));
        }
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, Way::Radix.shape(radix))))
    },
};
