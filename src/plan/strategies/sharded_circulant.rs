//! `sharded-circulant`: reduce-scatter in ⌈log₂P⌉ rounds for any number of ranks.

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::Circulant;

/// The circulant reduce-scatter (Träff, Optimal, non-pipelined reduce-scatter and allreduce algorithms,
/// arXiv:2410.14234). Skips are s₀ = P and sₖ = ⌈sₖ₋₁ / 2⌉ down to 1. In round k a rank sends the partial sums of the owners
/// at distances sₖ to sₖ₋₁ − 1 to the rank at distance sₖ. Every rank takes (P−1)/P of a gradient.
pub static STRATEGY: Recipe = Recipe {
    name: "sharded-circulant",
    about: "reduce-scatter on a circulant graph: ⌈log₂P⌉ rounds for any number of ranks",
    knobs: Knobs::ROUNDS,
    plan: |problem, layout| Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, Circulant))),
};
