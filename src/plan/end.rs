//! The state in which a round ends.

use serde::{Deserialize, Serialize};

/// The places of the finished ranges when a round ends. Times of different ends must not be compared.
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
