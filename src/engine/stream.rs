//! One stream of messages from this rank: pieces of a gradient or of a partial sum, two under way at a time.

use crate::engine::round::{EngineError, Spec, send_tag};
use crate::engine::task::{RunTask, produce};
use crate::engine::transport::Transport;
use crate::gradient::{Element, Range};
use crate::plan::part::{Cargo, Send};

/// Pieces under way at once where the data lies still.
const DEPTH: usize = 2;
/// Set in the tokens of sends.
pub(super) const SEND: usize = 1 << (usize::BITS - 1);

/// Where the pieces come from.
pub(super) enum Origin<E> {
    /// Element 0 of a resident gradient.
    Resident(*const E),
    /// Produced into this buffer, one at a time.
    Streamed(*mut E),
    /// The sum of one of this rank's tasks.
    Partial,
}

pub(super) struct RunSend<E> {
    send: Send,
    index: usize,
    origin: Origin<E>,
    next: u64,
    under_way: [Option<u64>; DEPTH],
    pub producing: f64,
    pub problem: Option<String>,
}

impl<E: Element> RunSend<E> {
    pub fn new(send: Send, index: usize, origin: Origin<E>) -> Self {
        RunSend { send, index, origin, next: 0, under_way: [None; DEPTH], producing: 0.0, problem: None }
    }

    /// Makes ready for another round.
    pub fn reset(&mut self) {
        self.next = 0;
        self.under_way = [None; DEPTH];
        self.producing = 0.0;
        self.problem = None;
    }

    /// True when every piece is under way or has left.
    pub fn is_over(&self) -> bool {
        self.next == self.send.pieces
    }

    /// True if it takes turns with others.
    pub fn in_turns(&self) -> bool {
        self.send.in_turns
    }

    /// Bytes of a piece.
    pub fn piece_bytes(&self) -> u64 {
        self.send.piece * size_of::<E::Acc>() as u64
    }

    /// True when every piece has left.
    pub fn is_done(&self) -> bool {
        self.next == self.send.pieces && self.under_way == [None; DEPTH]
    }

    /// What it waits for, for a person who has to find out why nothing moves.
    pub fn waits_for(&self) -> String {
        format!("piece {} of {} for rank {} has not been taken", self.next, self.send.pieces, self.send.to)
    }

    fn depth(&self) -> usize {
        if matches!(self.origin, Origin::Streamed(_)) { 1 } else { DEPTH }
    }

    /// The message in `slot` has left.
    pub fn left(&mut self, slot: usize, tasks: &[RunTask<E>]) {
        self.under_way[slot] = None;
        if let Cargo::Partial { ordinal } = self.send.cargo {
            let oldest = self.under_way.iter().flatten().min().copied();
            tasks[ordinal].sent_up_to(oldest.unwrap_or(self.next));
        }
    }

    /// Sends the next piece if it is there. Returns true if it was.
    pub fn step(
        &mut self,
        spec: &Spec<'_>,
        tasks: &[RunTask<E>],
        transport: &mut dyn Transport,
    ) -> Result<bool, EngineError> {
        let slot = (self.next % self.depth() as u64) as usize;
        if self.next == self.send.pieces || self.under_way[slot].is_some() {
            return Ok(false);
        }
        let start = self.send.range.start + self.next * self.send.piece;
        let range = Range::new(start, (start + self.send.piece).min(self.send.range.end));
        let (data, size): (*const u8, usize) = match (&self.origin, self.send.cargo) {
            (Origin::Resident(gradient), _) => (gradient.wrapping_add(range.start as usize).cast(), size_of::<E>()),
            (Origin::Streamed(buffer), Cargo::Gradient { client }) => {
                let buffer = *buffer;
                let (seconds, problem) = produce(spec, client, range, buffer);
                self.producing += seconds;
                self.problem = self.problem.take().or(problem);
                (buffer.cast_const().cast(), size_of::<E>())
            }
            (_, Cargo::Partial { ordinal }) => {
                let task = &tasks[ordinal];
                if !task.has_produced(range.end) {
                    return Ok(false);
                }
                (task.partial_at(self.next, range), size_of::<E::Acc>())
            }
            (Origin::Partial, Cargo::Gradient { .. }) => return Ok(false),
        };
        let token = SEND | (self.index << 8) | slot;
        // SAFETY: the piece stays as it is until it has left: gradients do not change, a buffer is refilled and a
        // ring's piece overwritten only after `left`.
        unsafe { transport.send(token, self.send.to, send_tag(self.send.tag), data, range.len() as usize * size)? };
        self.under_way[slot] = Some(self.next);
        self.next += 1;
        Ok(true)
    }
}

/// The stream and the slot of a send's token.
pub(super) fn send_of(token: usize) -> (usize, usize) {
    ((token & !SEND) >> 8, token & 0xff)
}
