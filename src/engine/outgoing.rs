//! A stream of messages from this rank with pieces of gradients, of partial sums or of finished ranges.

use std::sync::atomic::Ordering;

use crate::engine::EngineError;
use crate::engine::entry::Located;
use crate::engine::spec::{Production, Spec};
use crate::engine::token::Token;
use crate::engine::transport::Transport;
use crate::gradient::{Element, Range};
use crate::plan::lowering::{Origin, Outgoing, TaskRef};

/// The origin of consecutive elements of a stream.
#[derive(Clone, Copy)]
pub(super) enum SentFrom<E> {
    /// A resident gradient: the address of its element 0.
    Resident(*const E),
    /// A client whose gradient is generated while the clock runs.
    Produced(u64),
    /// A task: its location, the first element that it holds, and the number of pieces of its ring.
    Task(Located, u64, Option<u64>),
}

/// Consecutive elements of a stream from one place.
struct Run<E> {
    place: SentFrom<E>,
    range: Range,
    /// Size of an element, bytes.
    width: usize,
    /// Number of the stream's elements before the run.
    before: u64,
}

pub(super) struct RunOutgoing<E> {
    pub stream: Outgoing,
    index: usize,
    runs: Vec<Run<E>>,
    elements: u64,
    slots: *mut u8,
    next: u64,
    /// The pieces in flight, by slot.
    under_way: Vec<Option<u64>>,
    pub production: Production,
}

impl<E: Element> RunOutgoing<E> {
    /// `places` has the origin of each segment; `slots` has room for the stream's slots.
    pub fn new(stream: Outgoing, index: usize, places: Vec<SentFrom<E>>, slots: *mut u8) -> Self {
        let mut elements = 0;
        let mut runs = Vec::with_capacity(places.len());
        for (segment, place) in stream.segments.iter().zip(places) {
            let width = if segment.wide { size_of::<E::Acc>() } else { size_of::<E>() };
            runs.push(Run { place, range: segment.range, width, before: elements });
            elements += segment.range.len();
        }
        let under_way = vec![None; stream.depth as usize];
        RunOutgoing { stream, index, runs, elements, slots, next: 0, under_way, production: Production::default() }
    }

    /// Locates the tasks whose elements the stream sends.
    pub fn connect(&mut self, locate: impl Fn(TaskRef) -> Located) {
        for (run, segment) in self.runs.iter_mut().zip(&self.stream.segments) {
            if let (SentFrom::Task(located, ..), Origin::Task { task, .. }) = (&mut run.place, segment.origin) {
                *located = locate(task);
            }
        }
    }

    /// Resets the state for another round.
    pub fn reset(&mut self) {
        self.next = 0;
        self.under_way.fill(None);
        self.production = Production::default();
    }

    /// Returns true when every piece is in flight or sent.
    pub fn is_over(&self) -> bool {
        self.next == self.stream.pieces
    }

    /// Returns true when every piece is sent.
    pub fn is_done(&self) -> bool {
        self.is_over() && self.under_way.iter().all(Option::is_none)
    }

    /// Returns the greatest size of a piece, bytes.
    pub fn piece_bytes(&self) -> u64 {
        self.stream.piece * size_of::<E::Acc>() as u64
    }

    /// Describes the state for the error message of a stalled round.
    pub fn waits_for(&self) -> String {
        format!("piece {} of {} for rank {} has not been taken", self.next, self.stream.pieces, self.stream.to)
    }

    /// Records that the message in `slot` has been sent.
    pub fn left(&mut self, slot: usize) {
        self.under_way[slot] = None;
        if let [Run { place: SentFrom::Task(located, _, Some(_)), .. }] = self.runs[..] {
            let oldest = self.under_way.iter().flatten().min().copied();
            located.entry().consumed.store(oldest.unwrap_or(self.next), Ordering::Release);
        }
    }

    /// Returns the runs in the next piece, each with its elements of the piece.
    fn next_runs(&self) -> impl Iterator<Item = (&Run<E>, Range)> {
        let from = self.next * self.stream.piece;
        let to = (from + self.stream.piece).min(self.elements);
        let first = self.runs.partition_point(|run| run.before + run.range.len() <= from);
        self.runs[first..].iter().take_while(move |run| run.before < to).map(move |run| {
            let start = run.range.start + from.saturating_sub(run.before);
            let end = run.range.start + (to - run.before).min(run.range.len());
            (run, Range::new(start, end))
        })
    }

    fn is_there(&self) -> bool {
        self.next_runs().all(|(run, range)| match run.place {
            SentFrom::Task(located, start, _) => located.produced() >= range.end - start,
            SentFrom::Resident(_) | SentFrom::Produced(_) => true,
        })
    }

    /// Returns the address of elements that exist in memory.
    fn address(&self, run: &Run<E>, range: Range) -> *const u8 {
        match run.place {
            SentFrom::Resident(gradient) => gradient.wrapping_add(range.start as usize).cast(),
            SentFrom::Task(located, start, None) => {
                located.base.wrapping_add((range.start - start) as usize * run.width)
            }
            SentFrom::Task(located, _, Some(ring)) => {
                located.base.wrapping_add(((self.next % ring) * self.stream.piece) as usize * run.width)
            }
            SentFrom::Produced(_) => std::ptr::null(),
        }
    }

    /// Packs or generates the next piece into `slot`. Returns its size, bytes.
    fn fill(&mut self, slot: *mut u8, spec: &Spec<'_>) -> usize {
        let mut at = slot;
        let mut production = std::mem::take(&mut self.production);
        for (run, range) in self.next_runs() {
            let bytes = range.len() as usize * run.width;
            match run.place {
                SentFrom::Produced(client) => production.add(spec, client, range, at.cast::<E>()),
                // SAFETY: the elements are complete; the slot is free and has room for a piece.
                _ => unsafe { std::ptr::copy_nonoverlapping(self.address(run, range), at, bytes) },
            }
            at = at.wrapping_add(bytes);
        }
        self.production = production;
        at.addr() - slot.addr()
    }

    /// Sends the next piece if it is available. Returns true if it was.
    pub fn step(&mut self, spec: &Spec<'_>, transport: &mut dyn Transport) -> Result<bool, EngineError> {
        if self.is_over() {
            return Ok(false);
        }
        let slot = (self.next % self.stream.depth) as usize;
        if self.under_way[slot].is_some() || !self.is_there() {
            return Ok(false);
        }
        let (data, bytes) = if self.stream.slot_bytes > 0 {
            let memory = self.slots.wrapping_add(slot * self.stream.slot_bytes as usize);
            let bytes = self.fill(memory, spec);
            (memory.cast_const(), bytes)
        } else {
            let mut runs = self.next_runs();
            let first = runs.next().map(|(run, range)| (self.address(run, range), range.len() as usize * run.width));
            let (data, bytes) = first.unwrap_or((std::ptr::null(), 0));
            (data, runs.fold(bytes, |bytes, (run, range)| bytes + range.len() as usize * run.width))
        };
        let token = Token::Outgoing { stream: self.index, slot }.number();
        // SAFETY: the piece does not change until it is sent: gradients are constant, and a slot is refilled or a
        // ring's piece overwritten only after `left`.
        unsafe { transport.send(token, self.stream.to, self.stream.tag, data, bytes)? };
        self.under_way[slot] = Some(self.next);
        self.next += 1;
        Ok(true)
    }
}
