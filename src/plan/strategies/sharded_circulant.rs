//! `sharded-circulant`: reduce-scatter in ⌈log₂P⌉ rounds for any number of ranks.

use std::sync::Arc;

use super::{Knobs, Strategy};
use crate::plan::forest::{Cut, Forest, Shape};
use crate::plan::seats::Circle;
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// The circulant reduce-scatter (Träff, Optimal, non-pipelined reduce-scatter and allreduce algorithms,
/// arXiv:2410.14234). Skips are s₀ = P and sₖ = ⌈sₖ₋₁ / 2⌉ down to 1. In round k a rank sends the partial sums of the owners
/// at distances sₖ to sₖ₋₁ − 1 to the rank at distance sₖ. Every rank takes (P−1)/P of a gradient.
pub struct ShardedCirculant;

/// The tree of one shard: distances to the owner lose the skip of their round.
pub struct Circulant;

impl Shape for Circulant {
    fn parent(&self, circle: &Circle<'_>, _part: u64, position: usize) -> (usize, u32) {
        let distance = circle.before_owner(position);
        let (mut skip, mut round) = (circle.positions.div_ceil(2), 1);
        while distance < skip {
            skip = skip.div_ceil(2);
            round += 1;
        }
        ((position + skip) % circle.positions, round)
    }

    fn in_rounds(&self) -> bool {
        true
    }
}

impl Strategy for ShardedCirculant {
    fn name(&self) -> &'static str {
        "sharded-circulant"
    }
    fn about(&self) -> &'static str {
        "reduce-scatter on a circulant graph: ⌈log₂P⌉ rounds for any number of ranks"
    }
    fn knobs(&self) -> Knobs {
        Knobs::ROUNDS
    }
    fn plan(&self, problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
        Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, Circulant)))
    }
}
