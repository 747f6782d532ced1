//! Divides long messages between nodes into segments, a few of which are in flight at a time.
//!
//! MPI libraries over TCP send all data for a peer over one connection, in order. The answer of a rendezvous therefore
//! waits behind a long outgoing message, and two ranks that exchange such messages take turns. Segments below the
//! rendezvous threshold keep both directions busy.

use crate::engine::transport::TransportError;
use crate::mpi::{Communicator, Requests};

/// Size of a segment, bytes. With its envelope it is below 64 KiB, up to which the TCP transports of Open MPI and MPICH
/// send eagerly.
pub const SEGMENT: usize = 60 << 10;
/// Greatest number of a message's segments in flight; 960 KiB keep a link of 1 Gbit/s busy for 8 ms.
const SENT_AT_ONCE: usize = 16;
/// Receives posted ahead: more than can arrive, so that segments find a posted receive.
const POSTED_AHEAD: usize = 2 * SENT_AT_ONCE;
/// Bits that mark tokens of segments. The engine's own tokens have at most one of them set.
const OWN: usize = 0b11 << (usize::BITS - 2);

/// A message that is sent or received in segments.
struct Transfer {
    /// The engine's token for the message.
    token: usize,
    sends: bool,
    peer: usize,
    tag: u64,
    data: *mut u8,
    bytes: usize,
    /// Number of bytes for which segments have been posted.
    posted: usize,
    under_way: usize,
}

/// The messages that are sent or received in segments.
#[derive(Default)]
pub struct Segments {
    /// Transfers by number, which is part of their segments' tokens. None marks a free number.
    transfers: Vec<Option<Transfer>>,
    /// Numbers of transfers with segments to post, in order of arrival.
    waiting: Vec<usize>,
}

impl Segments {
    /// Returns true if messages have segments to post.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns whether a message must go in segments: if it is long, or would overtake the segments of another.
    pub fn takes(&self, sends: bool, peer: usize, tag: u64, bytes: usize) -> bool {
        bytes > SEGMENT || (bytes > 0 && self.is_behind(sends, peer, tag, self.waiting.len()))
    }

    /// Returns true if one of the first `before` waiting messages has the same direction, peer and tag.
    fn is_behind(&self, sends: bool, peer: usize, tag: u64, before: usize) -> bool {
        self.waiting[..before]
            .iter()
            .filter_map(|number| self.transfers[*number].as_ref())
            .any(|transfer| (transfer.sends, transfer.peer, transfer.tag) == (sends, peer, tag))
    }

    /// Accepts a message.
    ///
    /// # Safety
    /// As for [`Requests::send`] and [`Requests::receive`], until `token` is returned.
    pub unsafe fn add(&mut self, token: usize, (sends, peer, tag): (bool, usize, u64), data: *mut u8, bytes: usize) {
        let transfer = Transfer { token, sends, peer, tag, data, bytes, posted: 0, under_way: 0 };
        let number = match self.transfers.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                self.transfers.push(None);
                self.transfers.len() - 1
            }
        };
        self.transfers[number] = Some(transfer);
        self.waiting.push(number);
    }

    /// Posts as many segments as allowed.
    pub fn post(&mut self, comm: &Communicator, requests: &mut Requests) -> Result<(), TransportError> {
        let mut at = 0;
        while at < self.waiting.len() {
            let number = self.waiting[at];
            let Some(transfer) = &self.transfers[number] else { break };
            if self.is_behind(transfer.sends, transfer.peer, transfer.tag, at) {
                at += 1;
                continue;
            }
            let Some(transfer) = &mut self.transfers[number] else { break };
            let most = if transfer.sends { SENT_AT_ONCE } else { POSTED_AHEAD };
            while transfer.under_way < most && !transfer.is_posted() {
                let (data, length) = (transfer.data.wrapping_add(transfer.posted), transfer.next_length());
                let (peer, tag) = (transfer.peer, transfer.tag);
                // SAFETY: part of the message's own bytes, which stay unchanged until its token is returned.
                unsafe {
                    if transfer.sends {
                        requests.send(comm, OWN | number, peer, tag, data, length)?;
                    } else {
                        requests.receive(comm, OWN | number, peer, tag, data, length)?;
                    }
                }
                transfer.posted += length;
                transfer.under_way += 1;
            }
            if transfer.is_posted() {
                self.waiting.remove(at);
            } else {
                at += 1;
            }
        }
        Ok(())
    }

    /// Replaces the tokens of segments, from index `from` on, by those of messages that are complete.
    pub fn collect(&mut self, tokens: &mut Vec<usize>, from: usize) {
        let mut kept = from;
        for at in from..tokens.len() {
            let token = tokens[at];
            let mut yields = Some(token);
            if token & OWN == OWN {
                let slot = &mut self.transfers[token & !OWN];
                yields = None;
                if let Some(transfer) = slot {
                    transfer.under_way -= 1;
                    if transfer.under_way == 0 && transfer.is_posted() {
                        yields = Some(transfer.token);
                        *slot = None;
                    }
                }
            }
            if let Some(token) = yields {
                tokens[kept] = token;
                kept += 1;
            }
        }
        tokens.truncate(kept);
    }
}

impl Transfer {
    fn is_posted(&self) -> bool {
        self.posted == self.bytes
    }

    fn next_length(&self) -> usize {
        (self.bytes - self.posted).min(SEGMENT)
    }
}
