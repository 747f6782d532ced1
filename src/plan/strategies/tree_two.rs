//! `tree-two`: half of the gradient along one binary tree, half along another, in which inner ranks are leaves.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest, Shape};
use crate::plan::seats::Circle;
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// The two-tree (Sanders, Speck and Träff, Two-tree algorithms for full bandwidth broadcast, reduction and scan, 2009;
/// NCCL's double binary tree). Every rank is an inner one in at most one of the trees, so that none takes more than one
/// gradient; the depth is ⌈log₂P⌉ + 1.
pub struct TreeTwo;

/// The two trees, which end at the owner. The other positions have numbers 0 to n − 1.
pub struct TwoTrees;

/// The number that takes the sum of `number` > 0 of `n` in the first tree, whose root is number 0.
fn first_tree(number: usize, n: usize) -> usize {
    let bit = number & number.wrapping_neg();
    let cleared = number ^ bit;
    let parent = cleared | (bit << 1);
    if parent < n { parent } else { cleared }
}

/// The number in the second tree whose place `number` has in the first: the first tree mirrored, or where that would leave
/// inner ranks inner, shifted by one. Inverse with `backwards`.
fn in_second_tree(number: usize, n: usize, backwards: bool) -> usize {
    match (n.is_multiple_of(2), backwards) {
        (true, _) => n - 1 - number,
        (false, false) => (number + n - 1) % n,
        (false, true) => (number + 1) % n,
    }
}

impl Shape for TwoTrees {
    fn parent(&self, circle: &Circle<'_>, part: u64, position: usize) -> (usize, u32) {
        let n = circle.positions - 1;
        let number = circle.after_owner(position) - 1;
        let own = if part == 0 { number } else { in_second_tree(number, n, false) };
        if own == 0 {
            return (circle.owner, usize::BITS - (n - 1).leading_zeros() + 1);
        }
        let parent = first_tree(own, n);
        let parent = if part == 0 { parent } else { in_second_tree(parent, n, true) };
        (circle.position_after(parent + 1), own.trailing_zeros() + 1)
    }
}

impl Strategy for TreeTwo {
    fn name(&self) -> &'static str {
        "tree-two"
    }
    fn about(&self) -> &'static str {
        "two binary trees over ranks, half of the gradient along each: no rank takes more than one gradient"
    }
    fn knobs(&self) -> Knobs {
        Knobs::TREE
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Rooted(2), TwoTrees)))
    }
}
