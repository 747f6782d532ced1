//! Accounts for memory allocated by our own code on one rank, by purpose. It is updated outside timed regions only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::memory::Memory;

/// The purpose of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Clients' gradients kept for the round.
    Resident,
    /// Sums in progress.
    Accumulators,
    /// Pieces in flight, received or produced.
    Staging,
    /// Finished ranges.
    Result,
}

/// The account of one rank; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    current: [AtomicU64; 4],
    peak: [AtomicU64; 4],
}

impl Ledger {
    /// Adds `bytes`; they are subtracted when the returned value is dropped.
    pub fn enter(&self, purpose: Purpose, bytes: u64) -> Entered {
        let at = purpose as usize;
        let now = self.0.current[at].fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.0.peak[at].fetch_max(now, Ordering::Relaxed);
        Entered { ledger: self.clone(), purpose, bytes }
    }

    /// Returns the bytes currently allocated.
    pub fn current(&self) -> Memory {
        read(&self.0.current)
    }

    /// Returns the peak of each purpose since the start.
    pub fn peak(&self) -> Memory {
        read(&self.0.peak)
    }
}

fn read(counts: &[AtomicU64; 4]) -> Memory {
    let at = |purpose: Purpose| counts[purpose as usize].load(Ordering::Relaxed);
    Memory {
        resident: at(Purpose::Resident),
        accumulators: at(Purpose::Accumulators),
        staging: at(Purpose::Staging),
        result: at(Purpose::Result),
    }
}

/// Bytes that count as allocated while this value lives.
#[derive(Debug)]
pub struct Entered {
    ledger: Ledger,
    purpose: Purpose,
    bytes: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.ledger.0.current[self.purpose as usize].fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_outlives_what_made_it() {
        let ledger = Ledger::default();
        let kept = ledger.enter(Purpose::Result, 5);
        drop(ledger.enter(Purpose::Staging, 100));
        let also = ledger.enter(Purpose::Staging, 7);
        assert_eq!(ledger.current(), Memory { staging: 7, result: 5, ..Memory::default() });
        assert_eq!(ledger.peak(), Memory { staging: 100, result: 5, ..Memory::default() });
        drop((kept, also));
        assert_eq!(ledger.current(), Memory::default());
    }
}
