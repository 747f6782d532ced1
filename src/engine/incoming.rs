//! A stream of messages to this rank. Its elements are inputs of several tasks, or finished ranges.

use std::sync::atomic::Ordering;

use crate::engine::EngineError;
use crate::engine::entry::Located;
use crate::engine::round_task::RoundTask;
use crate::engine::token::Token;
use crate::engine::transport::Transport;
use crate::gradient::{Element, Range};
use crate::plan::lowering::{InSegment, Incoming, Taker};

pub(super) struct RunIncoming<E> {
    stream: Incoming,
    index: usize,
    /// Number of the stream's elements before each segment.
    before: Vec<u64>,
    elements: u64,
    /// For each segment that is kept, its task.
    kept: Vec<Option<Located>>,
    /// The slots, or the first element if finished ranges are contiguous and received in place.
    memory: *mut u8,
    posted: u64,
    /// Number of pieces that have been delivered completely.
    delivered: u64,
    /// Number of segments of the next piece that have been delivered.
    of_piece: usize,
    full: Vec<bool>,
    element: std::marker::PhantomData<E>,
}

impl<E: Element> RunIncoming<E> {
    /// `kept` has the task of each segment that is kept; `slots` has room for the stream's slots.
    pub fn new(stream: Incoming, index: usize, kept: Vec<Option<Located>>, slots: *mut u8) -> Self {
        let mut elements = 0;
        let mut before = Vec::with_capacity(stream.segments.len());
        for segment in &stream.segments {
            before.push(elements);
            elements += segment.range.len();
        }
        let memory = match (stream.slot_bytes, kept.first()) {
            (0, Some(Some(first))) => first.base.cast_mut(),
            _ => slots,
        };
        let full = vec![false; stream.depth as usize];
        RunIncoming {
            stream,
            index,
            before,
            elements,
            kept,
            memory,
            posted: 0,
            delivered: 0,
            of_piece: 0,
            full,
            element: std::marker::PhantomData,
        }
    }

    /// Resets the state for another round.
    pub fn reset(&mut self) {
        self.posted = 0;
        self.delivered = 0;
        self.of_piece = 0;
        self.full.fill(false);
    }

    /// Returns true when everything has been delivered.
    pub fn is_done(&self) -> bool {
        self.delivered == self.stream.pieces
    }

    /// Describes the state for the error message of a stalled round.
    pub fn waits_for(&self) -> String {
        format!("piece {} of {} from rank {}", self.delivered, self.stream.pieces, self.stream.from)
    }

    /// Returns the greatest number of pending receives.
    pub fn most_messages(&self) -> usize {
        self.full.len()
    }

    /// Records that the message in `slot` is complete.
    pub fn arrived(&mut self, slot: usize) {
        self.full[slot] = true;
    }

    fn width(&self, segment: &InSegment) -> usize {
        if segment.wide { size_of::<E::Acc>() } else { size_of::<E>() }
    }

    /// Returns the segments in piece `piece` by index, each with its elements of the piece.
    fn segments_of(&self, piece: u64) -> impl Iterator<Item = (usize, Range)> {
        let from = piece * self.stream.piece;
        let to = (from + self.stream.piece).min(self.elements);
        let segments = &self.stream.segments;
        let first = self.before.partition_point(|before| *before <= from).saturating_sub(1);
        (first..segments.len()).take_while(move |at| self.before[*at] < to).filter_map(move |at| {
            let (range, before) = (segments[at].range, self.before[at]);
            let start = range.start + from.saturating_sub(before).min(range.len());
            let end = range.start + (to - before).min(range.len());
            (start < end).then_some((at, Range::new(start, end)))
        })
    }

    fn piece_at(&self, piece: u64) -> *mut u8 {
        if self.stream.slot_bytes > 0 {
            self.memory.wrapping_add(((piece % self.stream.depth) * self.stream.slot_bytes) as usize)
        } else {
            self.memory.wrapping_add((piece * self.stream.piece) as usize * size_of::<E>())
        }
    }

    /// Posts receives and delivers what has arrived, in order. Returns true if anything was done.
    pub fn step(&mut self, tasks: &mut [RoundTask<E>], transport: &mut dyn Transport) -> Result<bool, EngineError> {
        let mut progress = false;
        loop {
            while self.posted < self.stream.pieces && self.posted < self.delivered + self.stream.depth {
                let parts = self.segments_of(self.posted);
                let bytes = parts.map(|(at, range)| range.len() as usize * self.width(&self.stream.segments[at])).sum();
                let slot = (self.posted % self.stream.depth) as usize;
                let token = Token::Incoming { stream: self.index, slot }.number();
                // SAFETY: the slot's previous piece has been delivered; finished ranges are not read before they are
                // marked complete.
                unsafe {
                    transport.receive(token, self.stream.from, self.stream.tag, self.piece_at(self.posted), bytes)?;
                }
                self.posted += 1;
                progress = true;
            }
            if self.is_done() || !self.full[(self.delivered % self.stream.depth) as usize] {
                return Ok(progress);
            }
            let before = self.of_piece;
            let whole = self.deliver(tasks);
            progress |= whole || self.of_piece > before;
            if !whole {
                return Ok(progress);
            }
        }
    }

    /// Delivers the oldest piece as far as its tasks accept it. Returns true if they have taken all of it.
    fn deliver(&mut self, tasks: &mut [RoundTask<E>]) -> bool {
        let mut data = self.piece_at(self.delivered).cast_const();
        let mut number = 0;
        let mut waits = false;
        for (at, range) in self.segments_of(self.delivered) {
            let segment = &self.stream.segments[at];
            let bytes = range.len() as usize * self.width(segment);
            if number >= self.of_piece {
                let taken = match (segment.target, self.kept[at]) {
                    (Taker::Sum { task, feed }, _) => tasks[task].take(feed, range, data),
                    (Taker::Copy { .. }, Some(kept)) => {
                        let from_start = range.start - segment.range.start;
                        if self.stream.slot_bytes > 0 {
                            let to = kept.base.cast_mut().wrapping_add(from_start as usize * size_of::<E>());
                            // SAFETY: the message is complete, and the task has room for its range.
                            unsafe { std::ptr::copy_nonoverlapping(data, to, bytes) };
                        }
                        kept.entry().produced.store(from_start + range.len(), Ordering::Release);
                        true
                    }
                    (Taker::Copy { .. }, None) => true,
                };
                if !taken {
                    waits = true;
                    break;
                }
            }
            data = data.wrapping_add(bytes);
            number += 1;
        }
        if waits {
            self.of_piece = number;
            return false;
        }
        self.full[(self.delivered % self.stream.depth) as usize] = false;
        self.delivered += 1;
        self.of_piece = 0;
        true
    }
}
