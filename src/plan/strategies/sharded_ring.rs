//! `sharded-ring`: reduce-scatter by a ring. Every shard travels once around the ranks, from the one after its owner to
//! the owner, and each adds its own clients.

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::Ring;

/// Ring reduce-scatter (Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms, 2009).
pub static STRATEGY: Recipe = Recipe {
    name: "sharded-ring",
    about: "reduce-scatter by a ring: each shard goes around once, every rank adds its clients",
    knobs: Knobs::SHARDED,
    plan: |problem, layout| Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, Ring))),
};
