//! Signs of life of this process, for whoever must decide whether to end it: whether its rounds move, what its ranks wait
//! for, and whether it is doing something that must not be cut off.
//!
//! They are of the process and not of a rank, since a process ends with all its ranks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

static BEATS: AtomicU64 = AtomicU64::new(0);
static UNINTERRUPTED: AtomicU64 = AtomicU64::new(0);
static WAITING: Mutex<BTreeMap<usize, String>> = Mutex::new(BTreeMap::new());

/// Says that something has moved.
pub fn beat() {
    BEATS.fetch_add(1, Ordering::Relaxed);
}

/// Returns a number that changes whenever something moves.
pub fn beats() -> u64 {
    BEATS.load(Ordering::Relaxed)
}

/// Says what `rank` waits for; None if it waits no longer.
pub fn waits(rank: usize, what: Option<String>) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    match what {
        Some(what) => waiting.insert(rank, what),
        None => waiting.remove(&rank),
    };
}

/// Returns what the ranks of this process wait for, each with its rank, in order. Only waits that have become long are there.
pub fn waiting() -> Vec<String> {
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.iter().map(|(rank, what)| format!("rank {rank}: {what}")).collect()
}

/// While this value lives, the process must not be ended. It counts as moving.
#[derive(Debug)]
pub struct Uninterrupted(());

impl Uninterrupted {
    /// Begins work that must not be cut off, such as saving what was measured.
    pub fn begin() -> Uninterrupted {
        UNINTERRUPTED.fetch_add(1, Ordering::Relaxed);
        Uninterrupted(())
    }

    /// Returns true if there is such work.
    pub fn is_under_way() -> bool {
        UNINTERRUPTED.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        UNINTERRUPTED.fetch_sub(1, Ordering::Relaxed);
        beat();
    }
}
