//! `tree-kary`: a complete tree over ranks, four children each.

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::{Circle, Shape};

/// Children of a rank.
const CHILDREN: usize = 4;

/// The complete tree with this many children each, numbered from the owner on.
pub struct Kary(pub usize);

impl Shape for Kary {
    fn parent(&self, circle: &Circle, _part: u64, position: usize) -> (usize, u32) {
        let number = circle.after_owner(position);
        // Its first descendants are its lowest: as many levels as there are of them lie below it.
        let descendants = std::iter::successors(Some(number), |n| Some(n * self.0 + 1));
        let height = descendants.take_while(|n| *n < circle.positions).count();
        (circle.position_after((number - 1) / self.0), height as u32)
    }
}

/// The complete tree in which rank r sends to ⌊(r − 1) / 4⌋.
pub static STRATEGY: Recipe = Recipe {
    name: "tree-kary",
    about: "a complete tree over ranks, four children each",
    knobs: Knobs::TREE,
    plan: |problem, layout| Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Rooted(1), Kary(CHILDREN)))),
};
