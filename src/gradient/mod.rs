//! Gradients: their element types, their sources, the models that give their lengths, and the shards that divide them.

pub mod element;
pub mod models;
pub mod shard;
pub mod source;
mod splitmix;

pub use element::{Accumulator, Dtype, Element};
pub use shard::{Range, shard_of, shard_range};
pub use source::{Source, SourceError};
