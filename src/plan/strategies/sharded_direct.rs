//! `sharded-direct`: GradsSharding. Aggregator j takes shard j straight from every client, in client order.

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};

/// GradsSharding (Barrak 2026, arXiv:2604.22072).
pub static STRATEGY: Recipe = Recipe {
    name: "sharded-direct",
    about: "GradsSharding: aggregator j takes shard j straight from every client",
    knobs: Knobs::SHARDED,
    plan: |problem, layout| Ok(Box::new(Forest::straight(problem, layout, Cut::Shards))),
};
