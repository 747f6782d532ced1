//! `tree-chain`: every rank adds its clients to what comes from the next rank and passes the sum to the one before.

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::{Circle, Shape};

/// The chain that ends at the owner, which is at position 0.
pub struct Chain;

impl Shape for Chain {
    fn parent(&self, circle: &Circle, _part: u64, position: usize) -> (usize, u32) {
        let number = circle.after_owner(position);
        (circle.position_after(number - 1), (circle.positions - number) as u32)
    }
}

/// The pipelined chain. No rank takes more than one gradient, and in chunks a round takes about the time of one gradient
/// over one wire: the best tree for large gradients.
pub static STRATEGY: Recipe = Recipe {
    name: "tree-chain",
    about: "a chain over ranks: each takes one gradient, adds its clients and passes it on",
    knobs: Knobs::TREE,
    plan: |problem, layout| Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Rooted(1), Chain))),
};
