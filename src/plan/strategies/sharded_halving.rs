//! `sharded-halving`: reduce-scatter by recursive halving, for any number of ranks.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest, Shape};
use crate::plan::seats::Circle;
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// Recursive halving (Thakur, Rabenseifner and Gropp, Optimization of collective communication operations in MPICH,
/// 2005).
///
/// A group of ranks splits into halves; each rank sends what the other half will own to its partner there, until every
/// rank is alone. Where halves differ by one, the odd rank sends to the last of the other half, which therefore takes more
/// than (P−1)/P of a gradient: up to 1.84 times as much (P = 63). Powers of two have no odd ranks.
pub struct ShardedHalving;

/// The tree of one shard in recursive halving.
pub struct Halving;

impl Shape for Halving {
    fn parent(&self, circle: &Circle<'_>, _part: u64, position: usize) -> (usize, u32) {
        let (mut low, mut high) = (0, circle.positions);
        let mut round = 1;
        loop {
            let middle = low + (high - low).div_ceil(2);
            match (circle.owner < middle, position < middle) {
                (true, false) => return (low + (position - middle), round),
                (false, true) => return (middle + (position - low).min(high - middle - 1), round),
                (true, true) => high = middle,
                (false, false) => low = middle,
            }
            round += 1;
        }
    }

    fn in_rounds(&self) -> bool {
        true
    }
}

impl Strategy for ShardedHalving {
    fn name(&self) -> &'static str {
        "sharded-halving"
    }
    fn about(&self) -> &'static str {
        "reduce-scatter by recursive halving; off powers of two its busiest rank takes up to 1.84 times more"
    }
    fn knobs(&self) -> Knobs {
        Knobs::ROUNDS
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, Halving)))
    }
}
