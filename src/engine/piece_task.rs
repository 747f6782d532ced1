//! A sum formed piece by piece. It posts receives, sums all inputs of a piece in order as they arrive, and publishes
//! its progress. Its memory is a few pieces, however many inputs there are.

use std::sync::atomic::Ordering;

use crate::engine::EngineError;
use crate::engine::entry::{Entry, Located};
use crate::engine::kernels::{self, Store, Target, Term};
use crate::engine::spec::{Production, Spec};
use crate::engine::sum_input::{SumInput, SumMemory, delivered};
use crate::engine::token::Token;
use crate::engine::transport::Transport;
use crate::engine::watchdog::awaited;
use crate::gradient::{Element, Range};
use crate::plan::lowering::{Feed, Hold, SumTask};
use crate::plan::{Order, Plan};

/// Number of elements summed at a time while messages are in flight; in between, MPI can make progress.
const GO: usize = 256 * 1024;
/// Size of one sum, bytes, from which it is written past the cache. Such a sum would be evicted before it is read
/// again.
const STREAMED_FROM: usize = 8 << 20;

#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Free,
    Posted,
    Full,
}

/// The destination of the sum.
enum Destination<E: Element> {
    /// The result, after division. `scratch` holds a sum that is wider than the result; null if not needed.
    Result { out: *mut E, scratch: *mut E::Acc },
    /// A partial sum, kept for the whole range or in a ring of pieces.
    Partial { base: *mut E::Acc, ring: Option<u64> },
    /// None, as the gradient itself is the input of the collective.
    Nothing,
}

pub(super) struct PieceTask<E: Element> {
    pub task: SumTask,
    index: usize,
    order: Order,
    pub inputs: Vec<SumInput<E>>,
    /// The inputs that come through slots.
    staged: Vec<usize>,
    slots: Vec<Slot>,
    slot_base: *mut u8,
    sum: Destination<E>,
    located: Located,
    divisor: E::Acc,
    piece: u64,
    /// Number of inputs summed into the current piece in order. With arrival order, `summed` tells which.
    next: usize,
    summed: Vec<bool>,
    posted: u64,
    terms: Vec<Term<E>>,
    taken: Vec<usize>,
    pub production: Production,
}

impl<E: Element> PieceTask<E> {
    /// `inputs` are those of `task`, in order.
    pub fn new(task: SumTask, index: usize, order: Order, memory: SumMemory<E>, inputs: Vec<SumInput<E>>) -> Self {
        let staged = (0..task.feeds.len()).filter(|at| task.feeds[*at].is_staged()).collect();
        let sum = match task.hold {
            Hold::Result => Destination::Result { out: memory.out, scratch: memory.scratch },
            Hold::Full => Destination::Partial { base: memory.hold, ring: None },
            Hold::Ring(pieces) => Destination::Partial { base: memory.hold, ring: Some(pieces.max(1)) },
            Hold::PassThrough => Destination::Nothing,
        };
        PieceTask {
            index,
            order,
            slots: vec![Slot::Free; task.slots as usize],
            slot_base: memory.slots,
            sum,
            located: memory.located,
            divisor: E::Acc::from_f64(task.weight),
            piece: 0,
            next: 0,
            summed: vec![false; inputs.len()],
            posted: 0,
            terms: Vec::with_capacity(inputs.len()),
            taken: Vec::with_capacity(inputs.len()),
            production: Production::default(),
            staged,
            inputs,
            task,
        }
    }

    /// Resets the state for another round.
    pub fn reset(&mut self) {
        self.piece = 0;
        self.next = 0;
        self.posted = 0;
        self.slots.fill(Slot::Free);
        self.summed.fill(false);
        self.production = Production::default();
        let entry = self.entry();
        entry.produced.store(0, Ordering::Relaxed);
        entry.consumed.store(0, Ordering::Relaxed);
    }

    fn entry(&self) -> &Entry {
        self.located.entry()
    }

    /// Returns true when the sum is complete.
    pub fn is_done(&self) -> bool {
        self.piece == self.task.pieces || matches!(self.sum, Destination::Nothing)
    }

    /// Records that the message for `slot` is complete.
    pub fn arrived(&mut self, slot: usize) {
        self.slots[slot] = Slot::Full;
    }

    /// Describes what the task waits for, for the error message of a stalled round.
    pub fn waits_for(&self, plan: &dyn Plan) -> String {
        let input = match self.order {
            Order::Arrival => self.summed.iter().position(|summed| !summed).unwrap_or(self.task.feeds.len()),
            _ => self.next,
        };
        format!("{}, piece {} of {}", awaited(plan, &self.task, input), self.piece, self.task.pieces)
    }

    fn slot_at(&self, slot: u64) -> *mut u8 {
        self.slot_base.wrapping_add((slot * self.task.slot_bytes) as usize)
    }

    /// Returns the size of a staged input's piece, bytes.
    fn staged_bytes(feed: &Feed, range: Range) -> usize {
        let size = if feed.is_wide() { size_of::<E::Acc>() } else { size_of::<E>() };
        range.len() as usize * size
    }

    /// Posts the receives for which there are free slots.
    fn post(&mut self, transport: &mut dyn Transport) -> Result<(), EngineError> {
        let inputs = self.staged.len() as u64;
        if inputs == 0 || self.slots.is_empty() {
            return Ok(());
        }
        while self.posted < inputs * self.task.pieces {
            let slot = self.posted % self.slots.len() as u64;
            if self.slots[slot as usize] != Slot::Free {
                break;
            }
            let range = self.task.piece_range(self.posted / inputs);
            let feed = self.task.feeds[self.staged[(self.posted % inputs) as usize]];
            if let Feed::Received { rank, tag, .. } = feed {
                let bytes = Self::staged_bytes(&feed, range);
                let token = Token::Sum { task: self.index, slot: slot as usize }.number();
                // SAFETY: the slot is free, so no one uses it until the message is complete.
                unsafe { transport.receive(token, rank, tag, self.slot_at(slot), bytes)? };
            }
            self.slots[slot as usize] = Slot::Posted;
            self.posted += 1;
        }
        Ok(())
    }

    /// Returns the number of an input, by its place among the staged ones, in the order in which slots are used.
    fn sequence(&self, place: usize) -> u64 {
        self.piece * self.staged.len() as u64 + place as u64
    }

    /// Returns the term of input `at` for `range`, if it is available.
    fn term(&mut self, at: usize, range: Range, spec: &Spec<'_>) -> Option<Term<E>> {
        let (weight, produces) = match self.inputs[at] {
            SumInput::InPlace { .. } if !self.inputs[at].is_there() => return None,
            SumInput::InPlace { data, weight, .. } => {
                return Some(Term::Weighted { data: data.wrapping_add(range.start as usize), weight });
            }
            SumInput::Growing { located, start, .. } if located.produced() < range.end - start => return None,
            SumInput::Growing { located, start, ring, .. } => {
                let from = ring.map_or(range.start - start, |ring| (self.piece % ring) * self.task.piece);
                return Some(Term::Partial(located.base.cast::<E::Acc>().wrapping_add(from as usize)));
            }
            SumInput::Produced { client, weight } => (Some(weight), Some(client)),
            SumInput::Delivered { weight } => (weight, None),
        };
        let sequence = self.sequence(self.staged.binary_search(&at).ok()?);
        if sequence >= self.posted {
            return None;
        }
        let slot = sequence % self.slots.len() as u64;
        let (data, slot) = (self.slot_at(slot), slot as usize);
        if let Some(client) = produces
            && self.slots[slot] == Slot::Posted
        {
            self.production.add(spec, client, range, data.cast::<E>());
            self.slots[slot] = Slot::Full;
        }
        (self.slots[slot] == Slot::Full).then(|| delivered(data, weight))
    }

    /// Sums the available inputs. Returns true if anything was done.
    pub fn step(
        &mut self,
        spec: &Spec<'_>,
        transport: &mut dyn Transport,
        tokens: &mut Vec<usize>,
    ) -> Result<bool, EngineError> {
        if self.is_done() {
            return Ok(false);
        }
        self.post(transport)?;
        if let Destination::Partial { ring: Some(ring), .. } = self.sum
            && self.next == 0
            && self.piece >= ring
            && self.entry().consumed.load(Ordering::Acquire) < self.piece + 1 - ring
        {
            return Ok(false);
        }
        let range = self.task.piece_range(self.piece);
        self.collect_terms(range, spec);
        let inputs = self.inputs.len();
        if self.taken.is_empty() && inputs > 0 {
            return Ok(false);
        }
        let last = self.next + self.taken.len() == inputs;
        self.add(range, last, transport, tokens)?;
        self.release();
        self.next += self.taken.len();
        if last {
            self.piece += 1;
            self.next = 0;
            self.summed.fill(false);
            self.entry().produced.store(range.end - self.task.range.start, Ordering::Release);
        }
        self.post(transport)?;
        Ok(true)
    }

    fn collect_terms(&mut self, range: Range, spec: &Spec<'_>) {
        self.terms.clear();
        self.taken.clear();
        let first = if self.order == Order::Arrival { 0 } else { self.next };
        for at in first..self.inputs.len() {
            if self.summed[at] {
                continue;
            }
            match self.term(at, range, spec) {
                Some(term) => {
                    self.terms.push(term);
                    self.taken.push(at);
                }
                None if self.order == Order::Arrival => {}
                None => break,
            }
        }
    }

    /// Adds the collected terms to the current piece, and divides after the last one.
    fn add(
        &mut self,
        range: Range,
        last: bool,
        transport: &mut dyn Transport,
        tokens: &mut Vec<usize>,
    ) -> Result<(), EngineError> {
        let length = range.len() as usize;
        let offset = (range.start - self.task.range.start) as usize;
        // Past the cache: a large output written in one pass, either a result or a sum that is only read when complete.
        let elements = if self.task.hold == Hold::Result { self.task.range.len() as usize } else { length };
        let large = elements * size_of::<E::Acc>() >= STREAMED_FROM;
        let store = if large && last && self.next == 0 { Store::Streaming } else { Store::Cached };
        let mut at = 0;
        while at < length {
            let busy = transport.under_way() > 0;
            let go = if busy { GO.min(length - at) } else { length - at };
            // SAFETY: every term has `length` elements from its pointer on, and the sum has room for the piece. Inputs
            // were complete when they were collected, and no one else writes the sum.
            unsafe {
                let (acc, target) = match self.sum {
                    Destination::Partial { base, ring } => {
                        let piece = ring.map_or(offset, |ring| ((self.piece % ring) * self.task.piece) as usize);
                        let acc = base.add(piece + at);
                        (acc, Target::Partial(acc))
                    }
                    Destination::Result { out, scratch } => {
                        let out = out.add(offset + at);
                        let acc =
                            if size_of::<E>() == size_of::<E::Acc>() { out.cast() } else { scratch.wrapping_add(at) };
                        let finished = Target::Finished { out, divisor: self.divisor };
                        (acc, if last { finished } else { Target::Partial(acc) })
                    }
                    Destination::Nothing => return Ok(()),
                };
                kernels::form((self.next > 0).then_some(acc.cast_const()), &self.terms, target, go, store);
                for term in &mut self.terms {
                    *term = match *term {
                        Term::Weighted { data, weight } => Term::Weighted { data: data.add(go), weight },
                        Term::Partial(data) => Term::Partial(data.add(go)),
                    };
                }
            }
            at += go;
            if busy {
                transport.completed(tokens)?;
            }
        }
        Ok(())
    }

    /// Releases the slots and ring pieces of the inputs that have been summed.
    fn release(&mut self) {
        for at in &self.taken {
            self.summed[*at] = true;
            if let SumInput::Growing { located, ring: Some(_), .. } = self.inputs[*at] {
                located.entry().consumed.store(self.piece + 1, Ordering::Release);
            }
            if let Ok(place) = self.staged.binary_search(at) {
                let slot = self.sequence(place) % self.slots.len() as u64;
                self.slots[slot as usize] = Slot::Free;
            }
        }
    }

    /// Returns the input of the collective: the sum, or the single gradient that needs none.
    pub fn collective_input(&self) -> *const E::Acc {
        match (&self.sum, self.inputs.first()) {
            (Destination::Partial { base, .. }, _) => base.cast_const(),
            (Destination::Nothing, Some(SumInput::InPlace { data, .. })) => data.cast(),
            _ => std::ptr::null(),
        }
    }
}
