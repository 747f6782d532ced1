//! One finished range on its way back to the clients: received where it was not summed, passed on piece by piece.

use crate::engine::round::EngineError;
use crate::engine::task::RunTask;
use crate::engine::transport::Transport;
use crate::gradient::{Element, Range};
use crate::plan::Flow;
use crate::plan::distribution::Relay;

/// Pieces under way at once on each link.
const DEPTH: usize = 4;
/// Set in the tokens of relays.
pub(super) const RELAY: usize = 1 << (usize::BITS - 2);

/// A link to a rank that the range is passed on to.
struct Link {
    to: usize,
    next: u64,
    under_way: [bool; DEPTH],
}

pub(super) struct RunRelay<E> {
    relay: Relay,
    index: usize,
    tag: u64,
    /// Where the range begins on this rank: in the result, or where it is received.
    data: *mut E,
    /// The task that sums it, on its owner.
    task: Option<usize>,
    piece: u64,
    pieces: u64,
    posted: u64,
    /// Pieces received, in order.
    arrived: u64,
    early: [bool; DEPTH],
    links: Vec<Link>,
}

impl<E: Element> RunRelay<E> {
    pub fn new(relay: Relay, index: usize, tag: u64, data: *mut E, task: Option<usize>, flow: Flow) -> Self {
        let length = relay.range.len();
        let links = relay.to.iter().map(|to| Link { to: *to, next: 0, under_way: [false; DEPTH] }).collect();
        RunRelay {
            index,
            tag,
            data,
            task,
            piece: flow.piece(length),
            pieces: flow.pieces(length),
            posted: 0,
            arrived: 0,
            early: [false; DEPTH],
            links,
            relay,
        }
    }

    /// Makes ready for another round.
    pub fn reset(&mut self) {
        self.posted = 0;
        self.arrived = 0;
        self.early = [false; DEPTH];
        for link in &mut self.links {
            link.next = 0;
            link.under_way = [false; DEPTH];
        }
    }

    /// The elements and where they lie, where this rank receives them.
    pub fn received(&self) -> Option<(Range, *const E)> {
        self.relay.from.map(|_| (self.relay.range, self.data.cast_const()))
    }

    /// Messages of this range that can be under way.
    pub fn most_messages(&self) -> usize {
        DEPTH * (1 + self.links.len())
    }

    fn has_all(&self) -> bool {
        self.relay.from.is_none() || self.arrived == self.pieces
    }

    /// True when this rank has the range and has passed it on.
    pub fn is_done(&self) -> bool {
        self.has_all() && self.links.iter().all(|link| link.next == self.pieces && link.under_way == [false; DEPTH])
    }

    /// What it waits for, for a person who has to find out why nothing moves.
    pub fn waits_for(&self) -> String {
        match self.relay.from {
            Some(from) if !self.has_all() => format!("elements {} of the result from rank {from}", self.relay.range),
            _ => format!("elements {} of the result have not been taken", self.relay.range),
        }
    }

    fn piece_range(&self, index: u64) -> (usize, usize) {
        let start = index * self.piece;
        (start as usize, ((start + self.piece).min(self.relay.range.len()) - start) as usize)
    }

    /// A message is complete: `link` 0 is the incoming one.
    pub fn completed(&mut self, link: usize, slot: usize) {
        match link.checked_sub(1) {
            Some(link) => self.links[link].under_way[slot] = false,
            None => {
                self.early[slot] = true;
                while self.arrived < self.posted && self.early[(self.arrived % DEPTH as u64) as usize] {
                    self.early[(self.arrived % DEPTH as u64) as usize] = false;
                    self.arrived += 1;
                }
            }
        }
    }

    fn token(&self, link: usize, slot: usize) -> usize {
        RELAY | (self.index << 24) | (link << 8) | slot
    }

    /// Posts receives, and sends on what is there. Returns true if anything was done.
    pub fn step(&mut self, tasks: &[RunTask<E>], transport: &mut dyn Transport) -> Result<bool, EngineError> {
        let mut progress = false;
        if let Some(from) = self.relay.from {
            while self.posted < self.pieces && self.posted < self.arrived + DEPTH as u64 {
                let slot = (self.posted % DEPTH as u64) as usize;
                let (start, length) = self.piece_range(self.posted);
                let token = self.token(0, slot);
                // SAFETY: inside this rank's copy, which nobody reads before the round has ended but the sends below,
                // and those only once the piece has arrived.
                unsafe {
                    let data = self.data.add(start).cast();
                    transport.receive(token, from, self.tag, data, length * size_of::<E>())?;
                }
                self.posted += 1;
                progress = true;
            }
        }
        for link in 0..self.links.len() {
            let next = self.links[link].next;
            let slot = (next % DEPTH as u64) as usize;
            if next == self.pieces || self.links[link].under_way[slot] {
                continue;
            }
            let (start, length) = self.piece_range(next);
            let end = self.relay.range.start + (start + length) as u64;
            let there = match self.task {
                Some(task) => tasks[task].has_produced(end),
                None => next < self.arrived,
            };
            if !there {
                continue;
            }
            let token = self.token(link + 1, slot);
            // SAFETY: the piece is finished, and nobody writes it again in this round.
            unsafe {
                let data = self.data.add(start).cast_const().cast();
                transport.send(token, self.links[link].to, self.tag, data, length * size_of::<E>())?;
            }
            self.links[link].under_way[slot] = true;
            self.links[link].next += 1;
            progress = true;
        }
        Ok(progress)
    }
}

/// The relay, the link and the slot of a relay's token.
pub(super) fn relay_of(token: usize) -> (usize, usize, usize) {
    let token = token & !RELAY;
    (token >> 24, (token >> 8) & 0xffff, token & 0xff)
}
