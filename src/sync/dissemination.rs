//! A dissemination barrier of our own, so that it is the same with every MPI library, message size and layout. A
//! library's barrier changes its algorithm with the number of ranks and thereby distorts measurements over ranks.

use super::exchange::Exchange;
use crate::engine::transport::{Transport, TransportError};

/// Returns the greatest of all ranks' values once every rank has called it. Collective.
///
/// In step k a rank sends the greatest value it knows to the rank 2ᵏ after it and receives from the rank 2ᵏ before it.
/// After ⌈log₂ P⌉ steps it has heard from every rank, directly or not (Hensgen, Finkel and Manber, Two algorithms for
/// barrier synchronization, Int. J. Parallel Programming 17, 1988). P need not be a power of two, as a maximum may
/// include a value twice.
pub(super) fn meet(exchange: &mut Exchange, transport: &mut dyn Transport, value: u64) -> Result<u64, TransportError> {
    let (rank, ranks) = (transport.rank(), transport.ranks());
    let mut greatest = value;
    let mut distance = 1;
    while distance < ranks {
        let (to, from) = ((rank + distance) % ranks, (rank + ranks - distance) % ranks);
        let [theirs, ..] = exchange.swap(transport, Some(to), Some(from), [greatest, 0, 0])?;
        greatest = greatest.max(theirs);
        distance *= 2;
    }
    Ok(greatest)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::engine::run_threads;

    #[test]
    fn nobody_leaves_before_the_last_has_come_and_all_know_the_greatest() {
        for ranks in [1, 2, 3, 4, 5, 7, 8, 13] {
            let arrived = AtomicUsize::new(0);
            run_threads(&vec![0; ranks], |transport| {
                let mut exchange = Exchange::new();
                let rank = transport.rank();
                for turn in 0..50 {
                    // Each turn another rank arrives last.
                    if turn % ranks == rank {
                        std::thread::sleep(std::time::Duration::from_micros(200));
                    }
                    arrived.fetch_add(1, Ordering::SeqCst);
                    let value = ((rank * 7 + turn) % ranks + turn) as u64;
                    let greatest = meet(&mut exchange, transport, value).expect("all ranks are there");
                    assert!(arrived.load(Ordering::SeqCst) >= (turn + 1) * ranks, "{ranks} ranks, turn {turn}");
                    let right = (0..ranks).map(|r| ((r * 7 + turn) % ranks + turn) as u64).max();
                    assert_eq!(Some(greatest), right);
                }
            });
        }
    }

    #[test]
    fn a_rank_that_has_gone_is_an_error_and_no_hang() {
        let met = run_threads(&[0; 3], |transport| match transport.rank() {
            1 => Ok(0),
            _ => meet(&mut Exchange::new(), transport, 0),
        });
        assert!(met[0].is_err() && met[2].is_err(), "{met:?}");
    }
}
