//! Entries: the progress of each task of a rank, visible to the other ranks of its node.

use std::sync::atomic::{AtomicU64, Ordering};

/// The progress of one task, or the readiness of one client, on its own cache lines.
#[repr(C, align(128))]
pub(super) struct Entry {
    /// Offset of the task's sum or finished range from the start of its rank's shared memory, bytes.
    pub offset: AtomicU64,
    /// Number of complete elements, from the first that the task holds.
    pub produced: AtomicU64,
    /// Number of pieces that the consumer has taken, if they are kept in a ring.
    pub consumed: AtomicU64,
}

impl Entry {
    /// Tells the other ranks whether the gradient of the entry's client is there.
    pub fn set_ready(&self, ready: bool) {
        self.produced.store(u64::from(ready), Ordering::Release);
    }

    /// Whether the gradient of the entry's client is there.
    pub fn is_ready(&self) -> bool {
        self.produced.load(Ordering::Acquire) > 0
    }
}

/// A task that this rank can read: its entry, and the address of the first element that it holds.
#[derive(Clone, Copy)]
pub(super) struct Located {
    pub entry: *const Entry,
    pub base: *const u8,
}

impl Located {
    /// A task that has not been located yet.
    pub const NOWHERE: Located = Located { entry: std::ptr::null(), base: std::ptr::null() };

    /// Returns the task's entry.
    pub fn entry(&self) -> &Entry {
        // SAFETY: entries are in memory of the round, which outlives their readers.
        unsafe { &*self.entry }
    }

    /// Returns the number of complete elements, from the first that the task holds.
    pub fn produced(&self) -> u64 {
        self.entry().produced.load(Ordering::Acquire)
    }
}
