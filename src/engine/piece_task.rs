//! A sum formed piece by piece. It posts receives, sums all inputs of a piece in order as they arrive, and publishes
//! its progress. Its memory is a few pieces, however many inputs there are.

use std::sync::atomic::Ordering;

use crate::engine::EngineError;
use crate::engine::entry::{Entry, Located};
use crate::engine::kernels::{self, Store, SumStart, Term};
use crate::engine::reach::map_for_reading;
use crate::engine::spec::Spec;
use crate::engine::token::Token;
use crate::engine::transport::Transport;
use crate::gradient::{Element, Range};
use crate::plan::Order;
use crate::plan::lowering::{Feed, Hold, SumTask, TaskRef};

/// Number of elements summed at a time while messages are in flight; in between, MPI can make progress.
const GO: usize = 256 * 1024;
/// Size of one sum, bytes, from which it is written past the cache. Such a sum would be evicted before it is read
/// again.
const STREAMED_FROM: usize = 8 << 20;

/// One input, as the aggregator reads it.
enum PieceSource<E: Element> {
    /// A gradient in memory: the address of its element 0.
    InPlace { data: *const E, weight: E::Acc },
    /// An input that comes through slots, as number `place` of each piece's staged inputs. Without a weight it is a
    /// partial sum.
    Staged { place: u64, weight: Option<E::Acc>, produces: Option<u64> },
    /// A partial sum on this node, available as far as it has been formed.
    Growing { task: TaskRef, located: Located, start: u64, ring: Option<u64> },
}

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
    readings: Vec<PieceSource<E>>,
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
    /// Time spent generating streamed gradients, s.
    pub producing: f64,
    /// The first error of the generation. The round continues, so that no other rank waits forever.
    pub problem: Option<String>,
}

/// The memory that a task uses.
pub(super) struct PieceMemory<E: Element> {
    pub slots: *mut u8,
    pub out: *mut E,
    pub scratch: *mut E::Acc,
    pub hold: *mut E::Acc,
    pub located: Located,
}

impl<E: Element> PieceTask<E> {
    /// `resident` returns the address of a gradient's element 0. Partial sums of this node are connected later, by
    /// [`PieceTask::connect`].
    pub fn new(
        task: SumTask,
        index: usize,
        spec: &Spec<'_>,
        memory: PieceMemory<E>,
        resident: impl Fn(usize, u64) -> *const E,
    ) -> Self {
        let weight = |client: u64| E::Acc::from_f64(spec.problem.weights[client as usize]);
        let mut staged = Vec::new();
        let mut readings = Vec::with_capacity(task.feeds.len());
        for (at, feed) in task.feeds.iter().enumerate() {
            let place = staged.len() as u64;
            if feed.is_staged() {
                staged.push(at);
            }
            readings.push(match *feed {
                Feed::Resident { client, rank } => {
                    PieceSource::InPlace { data: resident(rank, client), weight: weight(client) }
                }
                Feed::Produced { client } => {
                    PieceSource::Staged { place, weight: Some(weight(client)), produces: Some(client) }
                }
                Feed::Received { client, .. } | Feed::Delivered { client, .. } => {
                    PieceSource::Staged { place, weight: client.map(weight), produces: None }
                }
                Feed::Growing { task, range, hold } => {
                    let ring = match hold {
                        Hold::Ring(pieces) => Some(pieces.max(1)),
                        _ => None,
                    };
                    PieceSource::Growing { task, located: Located::NOWHERE, start: range.start, ring }
                }
            });
        }
        let sum = match task.hold {
            Hold::Result => Destination::Result { out: memory.out, scratch: memory.scratch },
            Hold::Full => Destination::Partial { base: memory.hold, ring: None },
            Hold::Ring(pieces) => Destination::Partial { base: memory.hold, ring: Some(pieces.max(1)) },
            Hold::PassThrough => Destination::Nothing,
        };
        PieceTask {
            index,
            order: spec.terms.order,
            slots: vec![Slot::Free; task.slots as usize],
            slot_base: memory.slots,
            sum,
            located: memory.located,
            divisor: E::Acc::from_f64(task.weight),
            piece: 0,
            next: 0,
            summed: vec![false; readings.len()],
            posted: 0,
            terms: Vec::with_capacity(readings.len()),
            taken: Vec::with_capacity(readings.len()),
            producing: 0.0,
            problem: None,
            staged,
            readings,
            task,
        }
    }

    /// Locates the inputs that are partial sums of this node.
    pub fn connect(&mut self, locate: impl Fn(TaskRef) -> Located) {
        for source in &mut self.readings {
            if let PieceSource::Growing { task, located, .. } = source {
                *located = locate(*task);
            }
        }
    }

    /// Maps the gradients that this task will read in place.
    pub fn reach_gradients(&self) {
        let range = self.task.range;
        for reading in &self.readings {
            if let PieceSource::InPlace { data, .. } = *reading {
                let bytes = range.len() as usize * size_of::<E>();
                map_for_reading(data.wrapping_add(range.start as usize).cast(), bytes);
            }
        }
    }

    /// Maps the partial sums of other tasks that this task will read in place.
    pub fn reach_sums(&self) {
        let range = self.task.range;
        for reading in &self.readings {
            if let PieceSource::Growing { located, start, ring, .. } = *reading {
                let (from, elements) = match ring {
                    Some(pieces) => (0, pieces * self.task.piece),
                    None => (range.start - start, range.len()),
                };
                let first = located.base.cast::<E::Acc>().wrapping_add(from as usize);
                map_for_reading(first.cast(), elements as usize * size_of::<E::Acc>());
            }
        }
    }

    /// Resets the state for another round.
    pub fn reset(&mut self) {
        self.piece = 0;
        self.next = 0;
        self.posted = 0;
        self.slots.fill(Slot::Free);
        self.summed.fill(false);
        self.producing = 0.0;
        self.problem = None;
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
    pub fn waits_for(&self) -> String {
        let input = match self.task.feeds.get(self.next) {
            Some(Feed::Received { client: Some(client), rank, .. }) => format!("client {client} from rank {rank}"),
            Some(Feed::Received { rank, .. }) => format!("a partial sum from rank {rank}"),
            Some(Feed::Growing { task, .. }) => format!("a partial sum of rank {}", task.rank),
            _ => "its consumer".to_owned(),
        };
        format!("step {} waits for {input}, piece {} of {}", self.task.step, self.piece, self.task.pieces)
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

    /// Returns the term of input `at` for `range`, if it is available.
    fn term(&mut self, at: usize, range: Range, spec: &Spec<'_>) -> Option<Term<E>> {
        match self.readings[at] {
            PieceSource::InPlace { data, weight } => {
                Some(Term::Weighted { data: data.wrapping_add(range.start as usize), weight })
            }
            PieceSource::Staged { place, weight, produces } => {
                let sequence = self.piece * self.staged.len() as u64 + place;
                let slot = sequence % self.slots.len() as u64;
                if sequence >= self.posted {
                    return None;
                }
                let data = self.slot_at(slot);
                if let Some(client) = produces
                    && self.slots[slot as usize] == Slot::Posted
                {
                    self.produce(client, range, data.cast(), spec);
                    self.slots[slot as usize] = Slot::Full;
                }
                if self.slots[slot as usize] != Slot::Full {
                    return None;
                }
                Some(match weight {
                    Some(weight) => Term::Weighted { data: data.cast(), weight },
                    None => Term::Partial(data.cast()),
                })
            }
            PieceSource::Growing { located, start, ring, .. } => {
                if located.produced() < range.end - start {
                    return None;
                }
                let base = located.base.cast::<E::Acc>();
                Some(Term::Partial(match ring {
                    Some(ring) => base.wrapping_add(((self.piece % ring) * self.task.piece) as usize),
                    None => base.wrapping_add((range.start - start) as usize),
                }))
            }
        }
    }

    fn produce(&mut self, client: u64, range: Range, out: *mut E, spec: &Spec<'_>) {
        let (seconds, problem) = spec.produce(client, range, out);
        self.producing += seconds;
        self.problem = self.problem.take().or(problem);
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
        let inputs = self.readings.len();
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
        for at in first..self.readings.len() {
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
        let start = if self.next == 0 { SumStart::Fresh } else { SumStart::Continue };
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
                match self.sum {
                    Destination::Partial { base, ring } => {
                        let piece = match ring {
                            Some(ring) => base.add(((self.piece % ring) * self.task.piece) as usize),
                            None => base.add(offset),
                        };
                        kernels::accumulate(start, &self.terms, piece.add(at), go, store);
                    }
                    Destination::Result { out, scratch } => {
                        let out = out.add(offset + at);
                        let acc =
                            if size_of::<E>() == size_of::<E::Acc>() { out.cast() } else { scratch.wrapping_add(at) };
                        if last {
                            kernels::accumulate_and_finish(start, acc, &self.terms, out, self.divisor, go, store);
                        } else {
                            kernels::accumulate(start, &self.terms, acc, go, Store::Cached);
                        }
                    }
                    Destination::Nothing => {}
                }
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
            match self.readings[*at] {
                PieceSource::InPlace { .. } => {}
                PieceSource::Staged { place, .. } => {
                    let sequence = self.piece * self.staged.len() as u64 + place;
                    let slots = self.slots.len() as u64;
                    self.slots[(sequence % slots) as usize] = Slot::Free;
                }
                PieceSource::Growing { located, ring, .. } => {
                    if ring.is_some() {
                        located.entry().consumed.store(self.piece + 1, Ordering::Release);
                    }
                }
            }
        }
    }

    /// Returns the input of the collective: the sum, or the single gradient that needs none.
    pub fn collective_input(&self) -> *const E::Acc {
        match (&self.sum, self.readings.first()) {
            (Destination::Partial { base, .. }, _) => base.cast_const(),
            (Destination::Nothing, Some(PieceSource::InPlace { data, .. })) => data.cast(),
            _ => std::ptr::null(),
        }
    }
}
