//! One round on one rank: everything that a part of a plan needs is made ready, then carried out against the clock.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::engine::entry::Entry;
use crate::engine::ledger::{Entered, Ledger, Purpose};
use crate::engine::native::NativeEnd;
use crate::engine::pace::Pace;
use crate::engine::relay::{RELAY, RunRelay, relay_of};
use crate::engine::stream::{Origin, RunSend, SEND, send_of};
use crate::engine::task::{Places, RunTask};
use crate::engine::transport::{Shared, Transport, TransportError};
use crate::engine::{Buffer, OutOfMemory, Residents};
use crate::gradient::{Element, Range, Source, SourceError};
use crate::plan::distribution::Relay;
use crate::plan::part::{Cargo, Hold, Reader, Send, Task};
use crate::plan::{IntraNode, Layout, Phase, Plan, Problem, Residency, Terms, distribution};

/// How long nothing may move before a round is given up. Only a defect or a lost rank can cause it.
const STALL: Duration = Duration::from_secs(300);

/// What can go wrong while a plan is carried out.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The transport failed; the job is lost.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// No memory for the round's buffers.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// A client's gradient could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The plan needs something that this transport has not got.
    #[error("{0}")]
    Unsupported(String),
    /// Another rank could not make its part of the round ready, and has said why.
    #[error("another rank could not make its part of the round ready")]
    Elsewhere,
    /// Nothing has moved for too long.
    #[error("rank {rank}: nothing has moved for {seconds} s: {waiting}")]
    Stalled {
        /// The rank that gave up.
        rank: usize,
        /// How long it waited.
        seconds: u64,
        /// What it waited for.
        waiting: String,
    },
}

/// What is carried out.
#[derive(Clone, Copy)]
pub struct Spec<'a> {
    /// Who sums what, where. Must have passed the check.
    pub plan: &'a dyn Plan,
    /// What is aggregated.
    pub problem: &'a Problem,
    /// Who hosts what.
    pub layout: &'a Layout,
    /// Flow, order and the rest.
    pub terms: Terms,
    /// Where streamed gradients come from.
    pub source: &'a dyn Source,
}

/// The tag of a stream's messages, and that of a finished range: told apart by their last bit.
pub(super) fn send_tag(stream: u64) -> u64 {
    2 * stream
}

fn relay_tag(result: u64) -> u64 {
    2 * result + 1
}

/// Where a task's entry and its sum are.
type Located = (*const Entry, *const u8);

fn entry_of(base: *mut u8, ordinal: usize) -> *mut Entry {
    base.wrapping_add(ordinal * size_of::<Entry>()).cast()
}

/// Memory that the ranks of a node share for a round. Making and dropping it is collective.
#[derive(Default)]
struct Windows {
    /// Sums that neighbours read where they lie.
    exported: Option<Box<dyn Shared>>,
    /// The result, where the node's clients read it.
    result: Option<Box<dyn Shared>>,
}

/// A round made ready on one rank.
pub struct Round<'a, E: Element> {
    spec: Spec<'a>,
    tasks: Vec<RunTask<E>>,
    sends: Vec<RunSend<E>>,
    pace: Pace,
    relays: Vec<RunRelay<E>>,
    native: Option<NativeEnd<E>>,
    tokens: Vec<usize>,
    results: Vec<Range>,
    result: *mut E,
    producing: f64,
    /// What tasks and sends point into. Kept to the end of the round.
    _buffers: Vec<Buffer>,
    windows: Windows,
    /// What of the ledger is in shared memory.
    _entered: Vec<Entered>,
    ledger: Ledger,
}

impl<'a, E: Element> Round<'a, E> {
    /// Allocates and touches everything that the round needs. Collective.
    pub fn prepare(
        spec: Spec<'a>,
        residents: &'a Residents<E>,
        transport: &mut dyn Transport,
    ) -> Result<Self, EngineError> {
        let rank = transport.rank();
        let mut reader = Reader::new(spec.plan, spec.problem, spec.layout, spec.terms);
        let planned = reader.tasks(rank);
        let sends = reader.sends(rank);
        let relays = distribution::relays(spec.plan, spec.problem, spec.layout, &spec.terms, rank);
        let stream_tags = sends.iter().map(|send| send_tag(send.tag));
        let most_tag = stream_tags.chain(relays.iter().map(|relay| relay_tag(relay.result))).max().unwrap_or(0);
        // The greatest tag is for the messages by which ranks begin together.
        let limit = transport.most_tag() - 1;
        if transport.max(most_tag)? > limit {
            return Err(EngineError::Unsupported(format!(
                "the plan needs message tags up to {most_tag}, beyond this library's {limit}: fewer clients or shards"
            )));
        }
        let exports = planned.iter().any(|task| task.exported);
        let exports = transport.max(u64::from(exports))? > 0;
        // What fails on this rank alone must not leave the others waiting: all learn of it before any goes on. The
        // exchange is also the barrier after which every entry's offset is in place.
        // Windows outlive the exchange, as giving them back is collective too.
        let mut windows = Windows::default();
        let made = Self::make(spec, residents, (planned, sends, relays), (exports, &mut windows), &reader, transport);
        let failed = transport.max(u64::from(made.is_err()))? > 0;
        let (mut round, located) = made?;
        round.windows = windows;
        if failed {
            return Err(EngineError::Elsewhere);
        }
        round.connect(rank, &located);
        Ok(round)
    }

    /// Everything but the connections to neighbours' sums. The ranks of a node share memory here; an error is this
    /// rank's own. Beside the round: where each task's entry and sum are.
    fn make(
        spec: Spec<'a>,
        residents: &'a Residents<E>,
        (planned, sends, relays): (Vec<Task>, Vec<Send>, Vec<Relay>),
        (exports, windows): (bool, &mut Windows),
        reader: &Reader<'_>,
        transport: &mut dyn Transport,
    ) -> Result<(Self, Vec<Located>), EngineError> {
        let rank = transport.rank();
        let ledger = residents.ledger().clone();
        let mut entered = Vec::new();
        let mut buffers = Vec::new();
        let mut keep = |buffer: Buffer| -> *mut u8 {
            let start = buffer.as_ptr();
            buffers.push(buffer);
            start
        };
        let mut buffer = |bytes: u64, purpose: Purpose| -> Result<*mut u8, EngineError> {
            Ok(keep(Buffer::entered(bytes as usize, &ledger, purpose)?))
        };

        // Sums that neighbours read where they lie, behind one entry for each of this rank's aggregators.
        let entries_bytes = planned.len() * size_of::<Entry>();
        let mut exported_bytes = entries_bytes;
        for task in planned.iter().filter(|task| task.exported) {
            exported_bytes += (task.hold_bytes(&spec.terms) as usize).next_multiple_of(64);
        }
        let mut results: Vec<Range> = Vec::new();
        for task in &planned {
            if task.hold == Hold::Result {
                results.push(task.aggregator.range);
            }
        }
        if spec.plan.collective().is_some() {
            results.push(spec.plan.collective_range(rank));
        }
        let mut result_elements: u64 = results.iter().map(|range| range.len()).sum();
        if let Some(collective) = spec.plan.collective() {
            let held = spec.plan.collective_range(rank).len();
            // Some collectives need more room than the part of the result that counts.
            result_elements += collective.output_elements(spec.problem.elements, held) - held;
        }
        let received: u64 = relays.iter().filter(|relay| relay.from.is_some()).map(|relay| relay.range.len()).sum();
        let result_bytes = (result_elements + received) * size_of::<E>() as u64;
        // What the node's clients read lies in memory that they can reach.
        let clients_read = spec.terms.phase == Phase::Round && spec.terms.intra_node == IntraNode::Shared;
        // Before anything that can fail on this rank alone: its neighbours share with it, or wait for ever.
        if exports {
            windows.exported = Some(transport.share(exported_bytes)?);
        }
        if clients_read && spec.plan.collective().is_none() {
            windows.result = Some(transport.share(result_bytes as usize)?);
        }
        let entries = Buffer::zeroed(if exports { 0 } else { entries_bytes })?;
        let own = windows.exported.as_ref().map_or(entries.as_ptr(), |region| region.own());
        let result: *mut E = match &windows.result {
            Some(region) => {
                entered.push(ledger.enter(Purpose::Result, result_bytes));
                region.own().cast()
            }
            None => buffer(result_bytes, Purpose::Result)?.cast(),
        };

        let clients = spec.problem.clients();
        let resident =
            |host: usize, client: u64| residents.gradient(host, client - spec.layout.clients_on(host, clients).start);
        let mut tasks = Vec::with_capacity(planned.len());
        let mut result_at = result;
        let mut export_at = entries_bytes;
        let mut summed = Vec::new();
        let mut located = Vec::with_capacity(planned.len());
        for (ordinal, task) in planned.into_iter().enumerate() {
            let entry = entry_of(own, ordinal);
            let hold_bytes = task.hold_bytes(&spec.terms);
            let hold = if task.exported {
                let at = own.wrapping_add(export_at);
                entered.push(ledger.enter(Purpose::Accumulators, hold_bytes));
                // SAFETY: this rank's own entry, inside memory made above for all of its tasks.
                unsafe { (*entry).offset.store(export_at as u64, Ordering::Release) };
                export_at += (hold_bytes as usize).next_multiple_of(64);
                at
            } else {
                buffer(hold_bytes, Purpose::Accumulators)?
            };
            let out = result_at;
            if task.hold == Hold::Result {
                summed.push((task.aggregator.range, ordinal, out));
                result_at = result_at.wrapping_add(task.aggregator.range.len() as usize);
            }
            let places = Places {
                slots: buffer(task.slots * task.slot_bytes, Purpose::Staging)?,
                out,
                scratch: buffer(task.scratch * size_of::<E::Acc>() as u64, Purpose::Accumulators)?.cast(),
                hold: hold.cast(),
                entry,
            };
            located.push((entry.cast_const(), hold.cast_const()));
            tasks.push(RunTask::new(task, ordinal, &spec, places, resident));
        }

        let mut running_sends = Vec::with_capacity(sends.len());
        for (index, send) in sends.into_iter().enumerate() {
            let origin = match (send.cargo, spec.terms.residency) {
                (Cargo::Partial { .. }, _) => Origin::Partial,
                (Cargo::Gradient { client }, Residency::Resident) => Origin::Resident(resident(rank, client)),
                (Cargo::Gradient { .. }, Residency::Streamed) => {
                    let bytes = reader.send_buffer_bytes(&send);
                    Origin::Streamed(buffer(bytes, Purpose::Staging)?.cast())
                }
            };
            running_sends.push(RunSend::new(send, index, origin));
        }

        let mut order = Vec::new();
        for (index, send) in running_sends.iter().enumerate() {
            if send.in_turns() {
                order.push(index);
            }
        }
        let piece_bytes = order.iter().map(|index| running_sends[*index].piece_bytes()).max().unwrap_or(0);
        let pace = Pace::new(order, piece_bytes);

        let mut running_relays = Vec::with_capacity(relays.len());
        for (index, relay) in relays.into_iter().enumerate() {
            let own = summed.iter().find(|(range, _, _)| relay.from.is_none() && *range == relay.range);
            let (task, data) = match own {
                Some((_, ordinal, data)) => (Some(*ordinal), *data),
                None => {
                    let data = result_at;
                    result_at = result_at.wrapping_add(relay.range.len() as usize);
                    (None, data)
                }
            };
            let tag = relay_tag(relay.result);
            running_relays.push(RunRelay::new(relay, index, tag, data, task, spec.terms.flow));
        }

        let native = match spec.plan.collective() {
            Some(collective) => {
                let out = result_at;
                Some(NativeEnd::prepare(collective, &spec, out, &ledger, transport)?)
            }
            None => None,
        };

        let slots: u64 = tasks.iter().map(|task| task.task.slots).sum();
        let relayed: usize = running_relays.iter().map(RunRelay::most_messages).sum();
        let tokens = Vec::with_capacity(slots as usize + 2 * running_sends.len() + relayed);
        buffers.push(entries);
        let round = Round {
            spec,
            tasks,
            sends: running_sends,
            pace,
            relays: running_relays,
            native,
            tokens,
            results,
            result,
            producing: 0.0,
            _buffers: buffers,
            windows: Windows::default(),
            _entered: entered,
            ledger,
        };
        Ok((round, located))
    }

    /// Tells every task where the sums of its node that it reads lie.
    fn connect(&mut self, rank: usize, located: &[Located]) {
        let exported = &self.windows.exported;
        for task in &mut self.tasks {
            task.connect(|host, ordinal| {
                if host == rank {
                    return located[ordinal];
                }
                let base = exported.as_ref().map_or(std::ptr::null_mut(), |region| region.of(host));
                let entry = entry_of(base, ordinal);
                // SAFETY: the neighbour's window holds an entry for each of its aggregators, written before the
                // ranks met in `prepare`.
                let offset = unsafe { (*entry).offset.load(Ordering::Acquire) };
                (entry.cast_const(), base.wrapping_add(offset as usize).cast_const())
            });
        }
    }

    /// Makes ready to run once more. A barrier must follow before any rank runs.
    pub fn reset(&mut self) {
        for task in &mut self.tasks {
            task.reset();
        }
        for send in &mut self.sends {
            send.reset();
        }
        self.pace.reset();
        for relay in &mut self.relays {
            relay.reset();
        }
        self.producing = 0.0;
        self.tokens.clear();
    }

    /// Carries out this rank's part. Returns when its aggregators hold their sums and its messages have left.
    pub fn run(&mut self, transport: &mut dyn Transport) -> Result<(), EngineError> {
        let mut idle_since: Option<Instant> = None;
        let mut idle_turns = 0u32;
        loop {
            let mut progress = false;
            for send in self.sends.iter_mut().filter(|send| !send.in_turns()) {
                progress |= send.step(&self.spec, &self.tasks, transport)?;
            }
            while let Some(turn) = self.pace.next(|stream| self.sends[stream].is_over()) {
                if !self.sends[turn].step(&self.spec, &self.tasks, transport)? {
                    break;
                }
                self.pace.sent();
                progress = true;
            }
            for task in &mut self.tasks {
                progress |= task.step(&self.spec, transport, &mut self.tokens)?;
            }
            for relay in &mut self.relays {
                progress |= relay.step(&self.tasks, transport)?;
            }
            if transport.under_way() > 0 || !self.tokens.is_empty() {
                transport.completed(&mut self.tokens)?;
                progress |= !self.tokens.is_empty();
                self.deliver();
            }
            if progress {
                idle_since = None;
                continue;
            }
            if self.is_done() {
                break;
            }
            transport.idle();
            idle_turns = idle_turns.wrapping_add(1);
            if idle_turns.is_multiple_of(1024) {
                self.watch(&mut idle_since, transport.rank())?;
            }
        }
        if let Some(native) = &mut self.native {
            let input = self.tasks.iter().find(|task| task.is_collective()).map(RunTask::collective_input);
            native.run(input.unwrap_or(std::ptr::null()), transport)?;
        }
        let producing: f64 = self.tasks.iter().map(|t| t.producing).chain(self.sends.iter().map(|s| s.producing)).sum();
        self.producing = producing;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.tasks.iter().all(RunTask::is_done)
            && self.sends.iter().all(RunSend::is_done)
            && self.relays.iter().all(RunRelay::is_done)
    }

    fn deliver(&mut self) {
        for token in self.tokens.drain(..) {
            if token & SEND != 0 {
                let (index, slot) = send_of(token);
                let send = &mut self.sends[index];
                send.left(slot, &self.tasks);
                if send.in_turns() {
                    self.pace.taken();
                }
            } else if token & RELAY != 0 {
                let (index, link, slot) = relay_of(token);
                self.relays[index].completed(link, slot);
            } else {
                self.tasks[token >> 16].arrived(token & 0xffff);
            }
        }
    }

    fn watch(&self, idle_since: &mut Option<Instant>, rank: usize) -> Result<(), EngineError> {
        let since = idle_since.get_or_insert_with(Instant::now);
        if since.elapsed() < STALL {
            return Ok(());
        }
        let tasks = self.tasks.iter().filter(|task| !task.is_done()).map(RunTask::waits_for);
        let sends = self.sends.iter().filter(|send| !send.is_done()).map(RunSend::waits_for);
        let relays = self.relays.iter().filter(|relay| !relay.is_done()).map(RunRelay::waits_for);
        let waiting = tasks.chain(sends).chain(relays).next().unwrap_or_default();
        Err(EngineError::Stalled { rank, seconds: STALL.as_secs(), waiting })
    }

    /// The finished ranges that this rank holds, with their elements.
    pub fn results(&self) -> Vec<(Range, &[E])> {
        let mut at = 0;
        let mut all = Vec::with_capacity(self.results.len());
        for range in &self.results {
            let length = range.len() as usize;
            // SAFETY: the memory was made for the sum of these lengths, of elements of any bits.
            let elements = unsafe { std::slice::from_raw_parts(self.result.add(at), length) };
            all.push((*range, elements));
            at += length;
        }
        all
    }

    /// What this rank has received in the second phase: ranges that others have summed.
    pub fn received(&self) -> Vec<(Range, &[E])> {
        let relayed = self.relays.iter().filter_map(RunRelay::received);
        let native = self.native.as_ref().and_then(NativeEnd::spread);
        // SAFETY: each range has its own part of the result's memory, or of the collective's.
        let slice = |(range, data): (Range, *const E)| {
            (range, unsafe { std::slice::from_raw_parts(data, range.len() as usize) })
        };
        relayed.chain(native).map(slice).collect()
    }

    /// Seconds of the last run that this rank spent producing streamed gradients.
    pub fn producing_seconds(&self) -> f64 {
        self.producing
    }

    /// Why a streamed gradient could not be produced, if one could not.
    pub fn problem(&self) -> Option<&str> {
        let tasks = self.tasks.iter().filter_map(|task| task.problem.as_deref());
        tasks.chain(self.sends.iter().filter_map(|send| send.problem.as_deref())).next()
    }

    /// Bytes that this rank has allocated, by purpose, the gradients of its clients among them.
    pub fn tracked(&self) -> crate::plan::memory::Memory {
        self.ledger.current()
    }

    /// Maps the neighbours' gradients that this rank will read, so that no page fault falls into the round, and the
    /// kernel counts those pages before the round and not in it.
    pub fn reach_gradients(&self) {
        self.tasks.iter().for_each(RunTask::reach_gradients);
    }

    /// The same for neighbours' sums.
    pub fn reach_sums(&self) {
        self.tasks.iter().for_each(RunTask::reach_sums);
    }
}
