//! Requests to stop a job: Slurm's signal before the time limit, or Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::TransportError;
use crate::engine::transport::Transport;

/// Records whether this process was asked to stop, and by which signal. Clones share the record.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Returns the place for a handler to store the signal's number; 0 means no request.
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }

    /// Returns the signal that some rank received, or None. All ranks get the same answer, so that none waits for one
    /// that has stopped. Collective.
    ///
    /// # Errors
    /// If the transport fails.
    pub fn asked(&self, transport: &mut dyn Transport) -> Result<Option<i32>, TransportError> {
        let here = self.0.load(Ordering::Relaxed) as u64;
        let signal = transport.max(here)?;
        Ok(i32::try_from(signal).ok().filter(|signal| *signal != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run_threads;

    #[test]
    fn what_one_rank_was_told_all_of_them_know() {
        let stops: Vec<Stop> = (0..3).map(|_| Stop::default()).collect();
        let ask = || run_threads(&[0; 3], |transport| stops[transport.rank()].asked(transport).ok().flatten());
        assert_eq!(ask(), [None; 3]);
        stops[1].flag().store(10, Ordering::Relaxed);
        assert_eq!(ask(), [Some(10); 3]);
    }
}
