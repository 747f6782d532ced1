//! The state in which a round ends.

use serde::{Deserialize, Serialize};

use crate::gradient::Range;
use crate::plan::{Layout, Problem};

/// Where the finished ranges of the result are when a round ends. Times of different ends must not be compared.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum End {
    /// Each shard is finished on the one rank that owns it.
    Scattered,
    /// The whole result is on one rank, the first that may aggregate.
    Root,
    /// Every client holds the whole result.
    #[default]
    Everywhere,
}

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
