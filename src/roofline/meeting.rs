//! Meetings of all ranks at which waiting ranks sleep. A rank that waits in a collective polls, which on a node with
//! fewer cores than ranks takes time from the ranks that are being measured.

use std::time::Duration;

use super::places::RankMap;
use crate::engine::transport::{Transport, TransportError};

/// Tag of the probe's messages. No other messages are under way during the probe.
pub const TAG: u64 = 1;

/// Sleep of a waiting rank between two series of looks.
const NAP: Duration = Duration::from_micros(200);
/// Number of looks between two naps. Open MPI looks for TCP messages only at every eighth look, and a message takes
/// more than one.
const LOOKS_AWAKE: u32 = 32;
/// Number of looks after which a waiting rank that stays awake yields its core once.
const LOOKS: u32 = 32;

/// Waits until every message has completed, and sleeps meanwhile.
fn sleep_until_done(transport: &mut dyn Transport) -> Result<(), TransportError> {
    let mut tokens = Vec::new();
    while transport.under_way() > 0 {
        for _ in 0..LOOKS_AWAKE {
            transport.completed(&mut tokens)?;
        }
        if tokens.is_empty() {
            std::thread::sleep(NAP);
        }
        tokens.clear();
    }
    Ok(())
}

/// Waits, without sleeping, for the next messages to complete, and appends their tokens to `tokens`.
pub fn watch(transport: &mut dyn Transport, tokens: &mut Vec<usize>) -> Result<(), TransportError> {
    let mut looks = 0u32;
    while tokens.is_empty() && transport.under_way() > 0 {
        transport.completed(tokens)?;
        looks = looks.wrapping_add(1);
        if tokens.is_empty() && looks.is_multiple_of(LOOKS) {
            transport.idle();
        }
    }
    Ok(())
}

/// Waits until every rank has called it. Returns the greatest of the ranks' values, which are collected within nodes,
/// then between the nodes' leaders, and sent back. Collective.
pub fn meet(transport: &mut dyn Transport, places: &RankMap, value: u64) -> Result<u64, TransportError> {
    let leader = places.leader();
    if !places.leads() {
        to(transport, &[leader], value)?;
        return Ok(from(transport, &[leader])?.unwrap_or(value));
    }
    let members = &places.node().ranks[1..];
    let mut greatest = from(transport, members)?.map_or(value, |theirs| theirs.max(value));
    let leaders: Vec<usize> = places.nodes[1..].iter().map(|node| node.ranks[0]).collect();
    let first = places.nodes[0].ranks[0];
    if places.rank == first {
        greatest = from(transport, &leaders)?.map_or(greatest, |theirs| theirs.max(greatest));
        to(transport, &leaders, greatest)?;
    } else {
        to(transport, &[first], greatest)?;
        greatest = from(transport, &[first])?.unwrap_or(greatest);
    }
    to(transport, members, greatest)?;
    Ok(greatest)
}

fn to(transport: &mut dyn Transport, ranks: &[usize], value: u64) -> Result<(), TransportError> {
    for (token, rank) in ranks.iter().enumerate() {
        // SAFETY: `value` lives until all messages have completed, at the end of this function.
        unsafe { transport.send(token, *rank, TAG, (&raw const value).cast(), size_of::<u64>())? };
    }
    sleep_until_done(transport)
}

/// Receives a value from each of `ranks` and returns the greatest; None if there are no ranks.
fn from(transport: &mut dyn Transport, ranks: &[usize]) -> Result<Option<u64>, TransportError> {
    let mut values = vec![0u64; ranks.len()];
    let start = values.as_mut_ptr();
    for (token, rank) in ranks.iter().enumerate() {
        // SAFETY: each message has its own place in `values`, which nobody uses until all messages have completed.
        unsafe { transport.receive(token, *rank, TAG, start.add(token).cast(), size_of::<u64>())? };
    }
    sleep_until_done(transport)?;
    Ok(values.into_iter().max())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run_threads;

    #[test]
    fn everybody_learns_the_greatest_value() {
        for node_of in [&[0][..], &[0, 0], &[0, 1], &[5, 5, 2, 2, 2, 9], &[0, 1, 0, 1, 0]] {
            for highest in 0..node_of.len() {
                let all = run_threads(node_of, |transport| {
                    let places = RankMap::of(transport.rank(), transport.node_of(), &[]);
                    let own = if transport.rank() == highest { 77 } else { transport.rank() as u64 };
                    let greatest = meet(transport, &places, own).expect("threads do not fail");
                    // A rank that ends early looks lost to ranks that still wait for their messages to leave.
                    transport.barrier().expect("threads do not fail");
                    greatest
                });
                assert!(all.iter().all(|value| *value == 77), "{node_of:?}, {highest}: {all:?}");
            }
        }
    }
}
