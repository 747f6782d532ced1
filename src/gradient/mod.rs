//! Gradients: their element types, where clients' gradients come from, the models that give them their lengths,
//! and the shards that cut them.

pub mod element;
pub mod models;
pub mod shard;
pub mod source;

pub use element::{Accumulator, Dtype, Element};
pub use shard::{Range, shard_range};
pub use source::{Source, SourceError};
