//! `tree-chain`: every rank adds its clients to what comes from the next rank and passes the sum to the one before.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::{Circle, Shape};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// The pipelined chain. No rank takes more than one gradient, and in chunks a round takes about the time of one gradient
/// over one wire: the best tree for large gradients.
pub struct TreeChain;

/// The chain that ends at the owner, which is at position 0.
pub struct Chain;

impl Shape for Chain {
    fn parent(&self, circle: &Circle, _part: u64, position: usize) -> (usize, u32) {
        let number = circle.after_owner(position);
        (circle.position_after(number - 1), (circle.positions - number) as u32)
    }
}

impl Strategy for TreeChain {
    fn name(&self) -> &'static str {
        "tree-chain"
    }
    fn about(&self) -> &'static str {
        "a chain over ranks: each takes one gradient, adds its clients and passes it on"
    }
    fn knobs(&self) -> Knobs {
        Knobs::TREE
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Rooted(1), Chain)))
    }
}
