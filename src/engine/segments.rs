//! Long messages between nodes, cut into segments of which a few are under way at a time.
//!
//! MPI libraries over TCP send everything for one peer down one connection, in order. A rendezvous therefore cannot be
//! answered while a long message is going out: the answer waits behind it, and two ranks that exchange long messages take
//! turns instead of sending and receiving at once. Segments that need no rendezvous keep both directions busy.

use crate::engine::transport::TransportError;
use crate::mpi::{Communicator, Requests};

/// Bytes of a segment: with its envelope below 64 KiB, up to which Open MPI's and MPICH's TCP send without asking first.
pub const SEGMENT: usize = 60 << 10;
/// Segments of a message under way at once; 960 KiB keep a wire of 1 Gbit/s busy for 8 ms.
const SENT_AT_ONCE: usize = 16;
/// Receives that are posted ahead: more than can arrive, so that segments find their receive waiting.
const POSTED_AHEAD: usize = 2 * SENT_AT_ONCE;
/// Set in the tokens of segments; the engine's own tokens have at most one of these bits.
const OWN: usize = 0b11 << (usize::BITS - 2);

/// A message that is sent or received in segments.
struct Transfer {
    /// The engine's token.
    token: usize,
    sends: bool,
    peer: usize,
    tag: u64,
    data: *mut u8,
    bytes: usize,
    /// Bytes for which a segment has been posted.
    posted: usize,
    under_way: usize,
}

/// Messages that are cut into segments.
#[derive(Default)]
pub struct Segments {
    /// By number, which their segments' tokens hold. None: the number is free.
    transfers: Vec<Option<Transfer>>,
    /// Numbers of those with segments left to post, in the order in which they came.
    waiting: Vec<usize>,
}

impl Segments {
    /// True if messages wait for their segments to be posted.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a message must go in segments: a long one, or one that would overtake the segments of another.
    pub fn takes(&self, sends: bool, peer: usize, tag: u64, bytes: usize) -> bool {
        bytes > SEGMENT || (bytes > 0 && self.is_behind(sends, peer, tag, self.waiting.len()))
    }

    /// True if one of the first `before` waiting messages goes the same way with the same tag.
    fn is_behind(&self, sends: bool, peer: usize, tag: u64, before: usize) -> bool {
        self.waiting[..before]
            .iter()
            .filter_map(|number| self.transfers[*number].as_ref())
            .any(|transfer| (transfer.sends, transfer.peer, transfer.tag) == (sends, peer, tag))
    }

    /// Takes a message over.
    ///
    /// # Safety
    /// As for [`Requests::send`] and [`Requests::receive`], until `token` is yielded.
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

    /// Posts the segments for which there is room.
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
                // SAFETY: a part of the message's own bytes, which stay as they are until its token is yielded.
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

    /// Replaces the tokens of segments, from place `from` on, by those of messages that are complete.
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
