//! `sharded-halving`: reduce-scatter by recursive halving, for any number of ranks.

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::{Circle, Circulant, Shape};

/// The tree of one shard in recursive halving.
pub struct Halving;

impl Shape for Halving {
    fn parent(&self, circle: &Circle, part: u64, position: usize) -> (usize, u32) {
        if !circle.positions.is_power_of_two() {
            return Circulant.parent(circle, part, position);
        }
        // The rank and the owner part in the round of the highest bit in which they differ.
        let highest = (position ^ circle.owner).ilog2();
        (position ^ (1 << highest), circle.positions.ilog2() - highest)
    }

    fn in_rounds(&self) -> bool {
        true
    }
}

/// Recursive halving (Thakur, Rabenseifner and Gropp, Optimization of collective communication operations in MPICH,
/// 2005): in each round a rank sends the half that it does not own to its partner in the other half of its group.
///
/// Off powers of two the halves are those of the circulant graph, which is halving for any number of ranks (Träff,
/// arXiv:2410.14234). So every rank sends ⌈log₂P⌉ messages and takes (P−1)/P of a gradient, whatever P is.
pub static STRATEGY: Recipe = Recipe {
    name: "sharded-halving",
    about: "reduce-scatter by recursive halving; off powers of two by halving on a circulant graph",
    knobs: Knobs::ROUNDS,
    plan: |problem, layout| Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, Halving))),
};
