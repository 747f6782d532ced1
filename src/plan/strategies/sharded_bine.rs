//! `sharded-bine`: reduce-scatter along Bine trees, for powers of two.

use std::sync::Arc;

use super::{Knobs, Recipe};
use crate::plan::forest::{Cut, Forest};
use crate::plan::shape::{Circle, Shape};
use crate::plan::{Infeasible, Layout, Plan, Problem};

/// The tree of one shard.
pub struct Bine {
    /// For each distance from an even rank, the set of steps that lead there, as bits.
    steps: Vec<usize>,
}

/// ρ(step).
fn reach(step: u32) -> i64 {
    (1 - (-2i64).pow(step + 1)) / 3
}

impl Bine {
    /// Trees of `positions` positions, a power of two.
    pub fn new(positions: usize) -> Bine {
        let mut steps = vec![0; positions];
        for set in 0..positions {
            // Every step changes from even to odd or back, and so the sign.
            let (mut distance, mut sign) = (0, 1);
            for step in (0..usize::BITS).filter(|step| set >> step & 1 == 1) {
                distance += sign * reach(step);
                sign = -sign;
            }
            steps[distance.rem_euclid(positions as i64) as usize] = set;
        }
        Bine { steps }
    }
}

impl Shape for Bine {
    fn parent(&self, circle: &Circle, _part: u64, position: usize) -> (usize, u32) {
        let positions = circle.positions as i64;
        let sign = if position.is_multiple_of(2) { 1 } else { -1 };
        let distance = sign * (circle.owner as i64 - position as i64);
        let step = self.steps[distance.rem_euclid(positions) as usize].trailing_zeros();
        let parent = (position as i64 + sign * reach(step)).rem_euclid(positions);
        (parent as usize, step + 1)
    }

    fn in_rounds(&self) -> bool {
        true
    }
}

/// Bine trees (De Sensi et al., Bine trees: enhancing collective operations by optimizing communication locality,
/// arXiv:2508.17311). In step s even ranks pair with rank r + ρ(s) and odd ones with r − ρ(s), where
/// ρ(s) = (1 − (−2)^(s+1)) / 3 = 1, −1, 3, −5, 11, …
pub static STRATEGY: Recipe = Recipe {
    name: "sharded-bine",
    about: "reduce-scatter along Bine trees: log₂P rounds that hardly leave a group of neighbours; powers of two only",
    knobs: Knobs::ROUNDS,
    plan,
};

fn plan(problem: &Arc<Problem>, layout: &Arc<Layout>) -> Result<Box<dyn Plan>, Infeasible> {
    let homes = layout.homes(problem.clients());
    let owns = |place: &usize| layout.spread_on(layout.aggregator_ranks()[*place], problem.shards).is_empty();
    let all_at_home = (0..layout.aggregator_ranks().len()).all(|place| homes.contains(&place) || owns(&place));
    if !homes.len().is_power_of_two() || !all_at_home {
        return Err(Infeasible(format!(
            "Bine trees need a power of two of ranks with clients, and owners of shards among them; {} ranks have clients",
            homes.len()
        )));
    }
    Ok(Box::new(Forest::of_ranks(problem, layout, Cut::Shards, Bine::new(homes.len()))))
}
