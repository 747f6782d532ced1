//! Errors of the engine.

use crate::engine::{OutOfMemory, TransportError};
use crate::gradient::SourceError;

/// The ways in which carrying a plan out can fail.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The transport failed; the job is lost.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// There is no memory for the round's buffers.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// A client's gradient could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The plan needs something that this transport has not got.
    #[error("{0}")]
    Unsupported(String),
    /// Another rank could not make its part of the round ready, and has said why.
    #[error("another rank could not make its part of the round ready")]
    Elsewhere,
    /// Nothing has moved for too long.
    #[error("rank {rank}: nothing has moved for {seconds} s: {waiting}")]
    Stalled {
        /// The rank that gave up.
        rank: usize,
        /// How long it waited.
        seconds: u64,
        /// The message or sum that it waited for.
        waiting: String,
    },
}
