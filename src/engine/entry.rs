//! Entries: how far each task of a rank has come, where its node's other ranks can see it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The progress of one task, on cache lines of its own.
#[repr(C, align(128))]
pub(super) struct Entry {
    /// Beginning of the task's sum or finished range, in bytes from the start of its rank's shared memory.
    pub offset: AtomicU64,
    /// Elements that are complete, from the first that the task holds.
    pub produced: AtomicU64,
    /// Pieces that its consumer has taken, where they are kept in a ring.
    pub consumed: AtomicU64,
}

/// A task that this rank can read: its entry, and the memory of the first element that it holds.
#[derive(Clone, Copy)]
pub(super) struct Located {
    pub entry: *const Entry,
    pub base: *const u8,
}

impl Located {
    /// A task that is not known yet.
    pub const NOWHERE: Located = Located { entry: std::ptr::null(), base: std::ptr::null() };

    /// Its entry.
    pub fn entry(&self) -> &Entry {
        // SAFETY: entries lie in memory of the round, which outlives whatever reads them.
        unsafe { &*self.entry }
    }

    /// Elements that are complete, from the first that the task holds.
    pub fn produced(&self) -> u64 {
        self.entry().produced.load(Ordering::Acquire)
    }
}
