//! `tree-kary`: a complete tree over ranks, four children each.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::{Circle, Shape};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// Children of a rank.
const CHILDREN: usize = 4;

/// The complete tree in which rank r sends to ⌊(r − 1) / 4⌋.
pub struct TreeKary;

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

impl Strategy for TreeKary {
    fn name(&self) -> &'static str {
        "tree-kary"
    }
    fn about(&self) -> &'static str {
        "a complete tree over ranks, four children each"
    }
    fn knobs(&self) -> Knobs {
        Knobs::TREE
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Rooted(1), Kary(CHILDREN))))
    }
}
