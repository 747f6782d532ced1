//! What an aggregator's neighbours see of its progress.

use std::sync::atomic::AtomicU64;

/// How far an aggregator has come, where its node's other ranks can see it. On cache lines of its own.
#[repr(C, align(128))]
pub(super) struct Entry {
    /// Where its sum begins, in bytes from the start of its rank's shared memory.
    pub offset: AtomicU64,
    /// Elements of its sum that are complete, from the start of its range.
    pub produced: AtomicU64,
    /// Pieces of its sum that its consumer has taken.
    pub consumed: AtomicU64,
}
