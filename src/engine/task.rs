//! One aggregator while it works: posts receives, sums what has arrived, in order, and makes its sum known.

use std::sync::atomic::Ordering;

use crate::engine::entry::Entry;
use crate::engine::kernels::{self, Start, Store, Term};
use crate::engine::reach::map_for_reading;
use crate::engine::round::{EngineError, Spec, send_tag};
use crate::engine::transport::Transport;
use crate::gradient::{Accumulator, Element, Range, source};
use crate::plan::part::{Feed, Hold, Task};
use crate::plan::{Order, Output};

/// Elements that are summed at one go while messages are under way: between goes MPI gets to move them.
const GO: usize = 256 * 1024;
/// Bytes of one sum from which on it is written past the cache: nothing reads it again before it would have been
/// evicted anyway.
const STREAMED_FROM: usize = 8 << 20;

/// One input, as the aggregator reads it.
enum Reading<E: Element> {
    /// Where it lies: element 0 of the gradient.
    InPlace { data: *const E, weight: E::Acc },
    /// Through slots: the `place`th of the staged inputs of each piece. Without a weight it is a partial sum.
    Staged { place: u64, weight: Option<E::Acc>, produces: Option<u64> },
    /// A partial sum of this node, as far as it has been produced.
    Growing { entry: *const Entry, base: *const E::Acc, start: u64, ring: Option<u64> },
}

#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Free,
    Posted,
    Full,
}

/// Where the sum goes.
enum Sum<E: Element> {
    /// To the result, divided; `scratch` where the sum is kept in the wider type meanwhile (null: summed at one go, or
    /// in the result itself).
    Result { out: *mut E, scratch: *mut E::Acc },
    /// It stays a sum, in the whole range or in a ring of pieces.
    Partial { base: *mut E::Acc, ring: Option<u64> },
    /// Nothing to do: the gradient itself enters the collective.
    Nothing,
}

pub(super) struct RunTask<E: Element> {
    pub task: Task,
    index: usize,
    order: Order,
    readings: Vec<Reading<E>>,
    staged: Vec<usize>,
    slots: Vec<Slot>,
    slot_base: *mut u8,
    sum: Sum<E>,
    entry: *const Entry,
    divisor: E::Acc,
    piece: u64,
    /// Inputs summed into the current piece, in order; for arrival order, `summed` says which.
    next: usize,
    summed: Vec<bool>,
    posted: u64,
    terms: Vec<Term<E>>,
    taken: Vec<usize>,
    /// Seconds spent producing streamed gradients.
    pub producing: f64,
    /// The first error of a producer; the round goes on, so that no other rank waits for ever.
    pub problem: Option<String>,
}

/// The token of a receive into `slot` of task `index`. Sends have the top bit set.
pub(super) fn receive_token(index: usize, slot: u64) -> usize {
    (index << 16) | slot as usize
}

/// Memory that a task uses.
pub(super) struct Places<E: Element> {
    pub slots: *mut u8,
    pub out: *mut E,
    pub scratch: *mut E::Acc,
    pub hold: *mut E::Acc,
    pub entry: *const Entry,
}

impl<E: Element> RunTask<E> {
    /// `resident` yields where a client's gradient begins; inputs that are partial sums of this node are connected
    /// later, by [`RunTask::connect`].
    pub fn new(
        task: Task,
        index: usize,
        spec: &Spec<'_>,
        places: Places<E>,
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
                    Reading::InPlace { data: resident(rank, client), weight: weight(client) }
                }
                Feed::Produced { client } => {
                    Reading::Staged { place, weight: Some(weight(client)), produces: Some(client) }
                }
                Feed::Gradient { client, .. } => {
                    Reading::Staged { place, weight: Some(weight(client)), produces: None }
                }
                Feed::Partial { .. } => Reading::Staged { place, weight: None, produces: None },
                Feed::Shared { range, .. } => {
                    Reading::Growing { entry: std::ptr::null(), base: std::ptr::null(), start: range.start, ring: None }
                }
            });
        }
        let sum = match task.hold {
            Hold::Result => Sum::Result { out: places.out, scratch: places.scratch },
            Hold::Full => Sum::Partial { base: places.hold, ring: None },
            Hold::Ring(pieces) => Sum::Partial { base: places.hold, ring: Some(pieces.max(1)) },
            Hold::PassThrough => Sum::Nothing,
        };
        RunTask {
            index,
            order: spec.terms.order,
            slots: vec![Slot::Free; task.slots as usize],
            slot_base: places.slots,
            sum,
            entry: places.entry,
            divisor: E::Acc::from_f64(task.aggregator.weight),
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

    /// Tells the inputs that are partial sums of this node where to read: `locate` yields the entry and the start of
    /// the sum of the aggregator with this ordinal on this rank.
    pub fn connect(&mut self, locate: impl Fn(usize, usize) -> (*const Entry, *const u8)) {
        for (feed, reading) in self.task.feeds.iter().zip(&mut self.readings) {
            if let (Feed::Shared { rank, ordinal, hold, .. }, Reading::Growing { entry, base, ring, .. }) =
                (feed, reading)
            {
                let (at, sum) = locate(*rank, *ordinal);
                *entry = at;
                *base = sum.cast();
                *ring = match hold {
                    Hold::Ring(pieces) => Some((*pieces).max(1)),
                    _ => None,
                };
            }
        }
    }

    /// Maps the gradients that this task will read where they lie.
    pub fn reach_gradients(&self) {
        let range = self.task.aggregator.range;
        for reading in &self.readings {
            if let Reading::InPlace { data, .. } = *reading {
                let bytes = range.len() as usize * size_of::<E>();
                map_for_reading(data.wrapping_add(range.start as usize).cast(), bytes);
            }
        }
    }

    /// Maps the sums of others that this task will read where they grow.
    pub fn reach_sums(&self) {
        let range = self.task.aggregator.range;
        for reading in &self.readings {
            if let Reading::Growing { base, start, ring, .. } = *reading {
                let (from, elements) = match ring {
                    Some(pieces) => (0, pieces * self.task.piece),
                    None => (range.start - start, range.len()),
                };
                map_for_reading(base.wrapping_add(from as usize).cast(), elements as usize * size_of::<E::Acc>());
            }
        }
    }

    /// Makes ready for another round.
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
        // SAFETY: entries live in memory of the round, which outlives its tasks.
        unsafe { &*self.entry }
    }

    /// True when the sum is complete.
    pub fn is_done(&self) -> bool {
        self.piece == self.task.pieces || matches!(self.sum, Sum::Nothing)
    }

    /// A message for `slot` is complete.
    pub fn arrived(&mut self, slot: usize) {
        self.slots[slot] = Slot::Full;
    }

    /// What it waits for, for a person who has to find out why nothing moves.
    pub fn waits_for(&self) -> String {
        let id = self.task.aggregator.id;
        let input = match self.task.feeds.get(self.next) {
            Some(Feed::Gradient { client, rank, .. }) => format!("client {client} from rank {rank}"),
            Some(Feed::Partial { aggregator, rank, .. } | Feed::Shared { aggregator, rank, .. }) => {
                format!("aggregator {aggregator} on rank {rank}")
            }
            _ => "its consumer".to_owned(),
        };
        format!("aggregator {id} waits for {input}, piece {} of {}", self.piece, self.task.pieces)
    }

    fn slot_at(&self, slot: u64) -> *mut u8 {
        self.slot_base.wrapping_add((slot * self.task.slot_bytes) as usize)
    }

    /// Bytes of a staged input's piece.
    fn staged_bytes(feed: &Feed, range: Range) -> usize {
        let size = if matches!(feed, Feed::Partial { .. }) { size_of::<E::Acc>() } else { size_of::<E>() };
        range.len() as usize * size
    }

    /// Posts the receives for which there are slots.
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
            if let Feed::Gradient { rank, tag, .. } | Feed::Partial { rank, tag, .. } = feed {
                let bytes = Self::staged_bytes(&feed, range);
                let token = receive_token(self.index, slot);
                // SAFETY: the slot is free, so nobody uses it until the message is complete.
                unsafe { transport.receive(token, rank, send_tag(tag), self.slot_at(slot), bytes)? };
            }
            self.slots[slot as usize] = Slot::Posted;
            self.posted += 1;
        }
        Ok(())
    }

    /// The term of input `at` for `range`, if it is there.
    fn term(&mut self, at: usize, range: Range, spec: &Spec<'_>) -> Option<Term<E>> {
        match self.readings[at] {
            Reading::InPlace { data, weight } => {
                Some(Term::Weighted { data: data.wrapping_add(range.start as usize), weight })
            }
            Reading::Staged { place, weight, produces } => {
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
            Reading::Growing { entry, base, start, ring } => {
                // SAFETY: connected to an entry that lives as long as the round.
                let produced = unsafe { (*entry).produced.load(Ordering::Acquire) };
                if produced < range.end - start {
                    return None;
                }
                Some(Term::Partial(match ring {
                    Some(ring) => base.wrapping_add(((self.piece % ring) * self.task.piece) as usize),
                    None => base.wrapping_add((range.start - start) as usize),
                }))
            }
        }
    }

    fn produce(&mut self, client: u64, range: Range, out: *mut E, spec: &Spec<'_>) {
        let (seconds, problem) = produce(spec, client, range, out);
        self.producing += seconds;
        self.problem = self.problem.take().or(problem);
    }

    /// Sums what is there. Returns true if anything was done.
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
        if let Sum::Partial { ring: Some(ring), .. } = self.sum
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
            self.entry().produced.store(range.end - self.task.aggregator.range.start, Ordering::Release);
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

    /// Adds the collected terms to the current piece, and divides after the last.
    fn add(
        &mut self,
        range: Range,
        last: bool,
        transport: &mut dyn Transport,
        tokens: &mut Vec<usize>,
    ) -> Result<(), EngineError> {
        let length = range.len() as usize;
        let start = if self.next == 0 { Start::Fresh } else { Start::Continue };
        let offset = (range.start - self.task.aggregator.range.start) as usize;
        // Past the cache: a result in its only pass, of whatever pieces, and a sum that nobody takes before all of it is
        // there.
        let elements = if self.task.hold == Hold::Result { self.task.aggregator.range.len() as usize } else { length };
        let large = elements * size_of::<E::Acc>() >= STREAMED_FROM;
        let store = if large && last && self.next == 0 { Store::Streaming } else { Store::Cached };
        let mut at = 0;
        while at < length {
            let busy = transport.under_way() > 0;
            let go = if busy { GO.min(length - at) } else { length - at };
            // SAFETY: every term has `length` elements from its pointer on, and the sum has room for the piece; inputs
            // were complete when they were collected, and nobody else writes the sum.
            unsafe {
                match self.sum {
                    Sum::Partial { base, ring } => {
                        let piece = match ring {
                            Some(ring) => base.add(((self.piece % ring) * self.task.piece) as usize),
                            None => base.add(offset),
                        };
                        kernels::accumulate(start, &self.terms, piece.add(at), go, store);
                    }
                    Sum::Result { out, scratch } => {
                        let out = out.add(offset + at);
                        let acc =
                            if size_of::<E>() == size_of::<E::Acc>() { out.cast() } else { scratch.wrapping_add(at) };
                        if last {
                            kernels::accumulate_and_finish(start, acc, &self.terms, out, self.divisor, go, store);
                        } else {
                            kernels::accumulate(start, &self.terms, acc, go, Store::Cached);
                        }
                    }
                    Sum::Nothing => {}
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

    /// Gives back the slots and pieces of the inputs that have been summed.
    fn release(&mut self) {
        for at in &self.taken {
            self.summed[*at] = true;
            match self.readings[*at] {
                Reading::InPlace { .. } => {}
                Reading::Staged { place, .. } => {
                    let sequence = self.piece * self.staged.len() as u64 + place;
                    let slots = self.slots.len() as u64;
                    self.slots[(sequence % slots) as usize] = Slot::Free;
                }
                Reading::Growing { entry, ring, .. } => {
                    if ring.is_some() {
                        // SAFETY: as in `term`.
                        unsafe { (*entry).consumed.store(self.piece + 1, Ordering::Release) };
                    }
                }
            }
        }
    }

    /// Where the elements of `range` of the partial sum lie once produced, for sending: `piece` is their number.
    pub fn partial_at(&self, piece: u64, range: Range) -> *const u8 {
        match self.sum {
            Sum::Partial { base, ring: Some(ring) } => {
                base.wrapping_add(((piece % ring) * self.task.piece) as usize).cast_const().cast()
            }
            Sum::Partial { base, ring: None } => {
                base.wrapping_add((range.start - self.task.aggregator.range.start) as usize).cast_const().cast()
            }
            Sum::Result { .. } | Sum::Nothing => std::ptr::null(),
        }
    }

    /// True if elements up to `end` of the partial sum are complete.
    pub fn has_produced(&self, end: u64) -> bool {
        self.entry().produced.load(Ordering::Relaxed) >= end - self.task.aggregator.range.start
    }

    /// The consumer elsewhere has taken every piece before `piece`.
    pub fn sent_up_to(&self, piece: u64) {
        self.entry().consumed.store(piece, Ordering::Relaxed);
    }

    /// True if the sum enters a collective.
    pub fn is_collective(&self) -> bool {
        self.task.aggregator.output == Output::Collective
    }

    /// What enters the collective: the sum, or the one gradient that needs none.
    pub fn collective_input(&self) -> *const E::Acc {
        match (&self.sum, self.readings.first()) {
            (Sum::Partial { base, .. }, _) => base.cast_const(),
            (Sum::Nothing, Some(Reading::InPlace { data, .. })) => data.cast(),
            _ => std::ptr::null(),
        }
    }
}

/// Produces elements of a streamed gradient; yields the seconds that it took and, where it failed, why. The elements
/// are then not a number, so that no sum that they enter can pass for a result.
pub(super) fn produce<E: Element>(spec: &Spec<'_>, client: u64, range: Range, out: *mut E) -> (f64, Option<String>) {
    let begun = std::time::Instant::now();
    // SAFETY: the caller's buffer has room for a piece, and is used by nobody else.
    let out = unsafe { std::slice::from_raw_parts_mut(out, range.len() as usize) };
    let problem = source::read(spec.source, client as usize, range, out).err().map(|error| {
        out.fill(E::from_f64(f64::NAN));
        error.to_string()
    });
    (begun.elapsed().as_secs_f64(), problem)
}
