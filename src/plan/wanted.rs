//! The elements that each rank must hold when a round ends.

use crate::gradient::Range;
use crate::plan::{End, Layout, Problem};

/// The elements of the result that `rank` must hold when the round ends: one range, which may be empty. A rank that hosts
/// several shards hosts consecutive ones.
pub fn wanted(problem: &Problem, layout: &Layout, rank: usize) -> Range {
    let whole = Range::new(0, problem.elements);
    let nothing = Range::new(0, 0);
    match problem.end {
        End::Scattered => problem.run(layout.spread_on(rank, problem.shards)),
        End::Root => {
            if rank == root(layout) {
                whole
            } else {
                nothing
            }
        }
        End::Everywhere => {
            if layout.clients_on(rank, problem.clients()).is_empty() {
                nothing
            } else {
                whole
            }
        }
    }
}

/// The rank on which a round with end `root` ends: the first that may aggregate.
pub fn root(layout: &Layout) -> usize {
    layout.aggregator_ranks()[0]
}
