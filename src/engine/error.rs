//! Errors of the engine.

use crate::engine::{OutOfMemory, TransportError};
use crate::gradient::SourceError;

/// The ways in which carrying out a plan can fail.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The transport failed, and the job with it.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// There is no memory for the round's buffers.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// A client's gradient could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The transport lacks a feature that the plan needs.
    #[error("{0}")]
    Unsupported(String),
    /// Another rank failed to prepare the round and reports the reason.
    #[error("another rank could not make its part of the round ready")]
    Elsewhere,
    /// There was no progress for too long.
    #[error("rank {rank}: nothing has moved for {seconds} s: {waiting}")]
    Stalled {
        /// The rank that gave up.
        rank: usize,
        /// Duration of the wait, s.
        seconds: u64,
        /// The message or sum for which it waited.
        waiting: String,
    },
}
