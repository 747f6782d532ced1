//! `sharded-radix`: reduce-scatter that clears the digits of the distance to the owner, lowest first.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest, Shape};
use crate::plan::seats::Circle;
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// Digits of the distance have this radix.
const RADIX: usize = 2;

/// Radix 2: PAT (Jeaugey, PAT: a new algorithm for all-gather and reduce-scatter operations at scale, arXiv:2506.20252).
/// Near ranks exchange most and far ones least, so that little crosses between groups of neighbours.
pub struct ShardedRadix;

/// The tree of one shard: distances to the owner lose their lowest digit that is not zero.
pub struct Digits(pub usize);

impl Shape for Digits {
    fn parent(&self, circle: &Circle<'_>, _part: u64, position: usize) -> (usize, u32) {
        let distance = circle.before_owner(position);
        let (mut place, mut round) = (1, 1);
        while (distance / place).is_multiple_of(self.0) {
            place *= self.0;
            round += 1;
        }
        let digit = distance / place % self.0;
        ((position + digit * place) % circle.positions, round)
    }

    fn in_rounds(&self) -> bool {
        true
    }
}

impl Strategy for ShardedRadix {
    fn name(&self) -> &'static str {
        "sharded-radix"
    }
    fn about(&self) -> &'static str {
        "reduce-scatter by the digits of the distance, radix 2 (PAT): ⌈log₂P⌉ rounds that stay among neighbours"
    }
    fn knobs(&self) -> Knobs {
        Knobs::ROUNDS
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, Digits(RADIX))))
    }
}
