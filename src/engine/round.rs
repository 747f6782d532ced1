//! One round on one rank: prepares everything that this rank's part of the plan needs, then carries it out while timed.

use std::sync::atomic::Ordering;

use crate::engine::cold::{ColdMemory, can_flush};
use crate::engine::entry::Located;
use crate::engine::incoming::RunIncoming;
use crate::engine::ledger::Purpose;
use crate::engine::library::LibraryCalls;
use crate::engine::outgoing::{RunOutgoing, SentFrom};
use crate::engine::pace::Pace;
use crate::engine::piece_task::PieceTask;
use crate::engine::residents::PrivateGradient;
use crate::engine::round_memory::{Areas, Stock, shared_ranges, window_bytes};
use crate::engine::round_task::RoundTask;
use crate::engine::spec::{Production, Spec};
use crate::engine::sum_input::SumInput;
use crate::engine::task_board::{TaskBoard, client_entries};
use crate::engine::token::Token;
use crate::engine::transport::Transport;
use crate::engine::watchdog::Watchdog;
use crate::engine::{Buffer, EngineError, Residents};
use crate::gradient::{Element, Range};
use crate::plan::lowering::{Hold, Incoming, Kept, Lowering, Origin, SumTask, Taker};
use crate::plan::{Caches, Ready, Residency, lower};

/// Number of waiting sums that are named.
const SAID_OF_SUMS: usize = 3;

/// A round prepared on one rank.
pub struct Round<'a, E: Element> {
    spec: Spec<'a>,
    sums: Vec<PieceTask<E>>,
    round_sums: Vec<RoundTask<E>>,
    incoming: Vec<RunIncoming<E>>,
    outgoing: Vec<RunOutgoing<E>>,
    pace: Pace,
    library: Option<LibraryCalls<E>>,
    tokens: Vec<usize>,
    /// The finished sums of this rank with their addresses.
    answers: Vec<(Range, *const E)>,
    kept: Vec<Kept>,
    /// The finished ranges that this rank receives.
    copies: Vec<(Range, Located)>,
    /// This rank's gradients that the round copies into shared memory.
    private: Vec<PrivateGradient>,
    /// Memory that is made cold before a round, if the terms ask for that.
    cold: ColdMemory,
    board: TaskBoard,
    stock: Stock,
}

impl<'a, E: Element> Round<'a, E> {
    /// Allocates and touches all memory that the round needs. Collective.
    ///
    /// # Errors
    /// If memory is lacking, here or on another rank, or the transport lacks a feature that the plan needs.
    pub fn prepare(
        spec: Spec<'a>,
        residents: &'a Residents<E>,
        transport: &mut dyn Transport,
    ) -> Result<Self, EngineError> {
        let lowering = lower(spec.plan, spec.problem, spec.layout, &spec.terms, transport.rank());
        Self::prepare_lowered(spec, lowering, residents, transport)
    }

    /// Like [`Round::prepare`], with this rank's lowering of the plan.
    pub fn prepare_lowered(
        spec: Spec<'a>,
        lowering: Lowering,
        residents: &'a Residents<E>,
        transport: &mut dyn Transport,
    ) -> Result<Self, EngineError> {
        // The greatest tag is reserved for the messages that start rounds.
        let limit = transport.most_tag() - 1;
        let most_tag = transport.max(lowering.most_tag())?;
        if most_tag > limit {
            return Err(EngineError::Unsupported(format!(
                "the plan needs message tags up to {most_tag}, beyond this library's {limit}: fewer clients or shards"
            )));
        }
        // The window comes before anything that can fail on this rank alone, since other ranks take part in it and
        // would wait forever.
        let of_clients = client_entries(&spec);
        let own_clients = of_clients[transport.rank()];
        let window_length = own_clients + window_bytes::<E>(&lowering);
        if spec.terms.caches == Caches::Cold {
            can_flush()?;
        }
        let window = match transport.max(u64::from(lowering.is_read() || own_clients > 0))? {
            0 => None,
            _ => Some(transport.share(window_length)?),
        };
        // A failure on this rank alone must not leave the others waiting, so all learn of it before any continues. This
        // exchange is also the barrier after which every entry's offset is set. The window lives beyond it, since
        // freeing the window is collective too.
        let mut board = TaskBoard::new(transport.rank(), of_clients, window);
        let made = Self::make(spec, lowering, residents, &mut board, transport);
        let failed = transport.max(u64::from(made.is_err()))? > 0;
        let mut round = made?;
        if round.spec.terms.ready == Ready::Copied {
            round.private = (0..board.clients() as u64).filter_map(|index| residents.private(index)).collect();
        }
        if round.spec.terms.caches == Caches::Cold {
            let window = board.window.iter().map(|window| (window.own().cast_const(), window_length));
            round.cold.flushed = residents.memory().into_iter().chain(window).collect();
        }
        round.board = board;
        if failed {
            return Err(EngineError::Elsewhere);
        }
        round.connect();
        Ok(round)
    }

    /// Prepares everything except access to other ranks' memory. An error concerns this rank only.
    fn make(
        spec: Spec<'a>,
        lowering: Lowering,
        residents: &'a Residents<E>,
        board: &mut TaskBoard,
        transport: &mut dyn Transport,
    ) -> Result<Self, EngineError> {
        let mut stock = Stock::new(residents.ledger().clone());
        let areas = Areas::allocate(&lowering, board, &mut stock)?;
        areas.place(&lowering, board);
        let given_back = shared_ranges::<E>(&lowering, board);
        let Lowering { sums, incoming, outgoing, copies, kept, calls, .. } = lowering;
        let finished = sums.iter().filter(|task| task.hold == Hold::Result);
        let answers = finished.map(|task| (task.range, board.own[task.number].base.cast())).collect();
        let copies = copies.iter().map(|copy| (copy.range, board.own[copy.number])).collect();
        let resident = |host: usize, client: u64| {
            let first = spec.layout.clients_on(host, spec.problem.clients()).start;
            residents.gradient(host, client - first)
        };
        let (mut piece_sums, mut round_sums) = (Vec::new(), Vec::new());
        for task in sums {
            let memory = areas.of_sum(&task, board, &mut stock)?;
            let passed = task.hold == Hold::PassThrough && !task.in_rounds;
            let inputs = SumInput::of(
                &task,
                &spec,
                |host, client| {
                    if passed { residents.library_input() } else { resident(host, client) }
                },
                |host, client| board.client(host, client - spec.layout.clients_on(host, spec.problem.clients()).start),
            );
            if task.in_rounds {
                round_sums.push(RoundTask::new(task, memory, inputs));
            } else {
                piece_sums.push(PieceTask::new(task, piece_sums.len(), spec.terms.order, memory, inputs));
            }
        }
        let incoming =
            incoming.into_iter().enumerate().map(|(index, stream)| run_incoming(stream, index, board, &mut stock));
        let incoming = incoming.collect::<Result<Vec<_>, _>>()?;
        let rank = board.rank;
        let outgoing = outgoing.into_iter().enumerate().map(|(index, stream)| {
            let slots = stock.take(stream.depth * stream.slot_bytes, Purpose::Staging)?;
            let streamed = spec.terms.residency == Residency::Streamed;
            let places = stream.segments.iter().map(|segment| match segment.origin {
                Origin::Gradient { client } if streamed => SentFrom::Produced(client),
                Origin::Gradient { client } => SentFrom::Resident(resident(rank, client)),
                Origin::Task { start, ring, .. } => SentFrom::Task(Located::NOWHERE, start, ring),
            });
            let places = places.collect();
            Ok(RunOutgoing::new(stream, index, places, slots))
        });
        let outgoing = outgoing.collect::<Result<Vec<RunOutgoing<E>>, EngineError>>()?;
        let library = match calls.is_empty() {
            true => None,
            false => Some(LibraryCalls::prepare(calls, spec.problem, &stock.ledger, transport)?),
        };
        let in_turns: Vec<usize> = (0..outgoing.len()).filter(|index| outgoing[*index].stream.in_turns).collect();
        let piece_bytes = in_turns.iter().map(|index| outgoing[*index].piece_bytes()).max().unwrap_or(0);
        let slots: u64 = piece_sums.iter().map(|sum| sum.task.slots).sum();
        let streams: usize = incoming.iter().map(RunIncoming::most_messages).sum();
        let sends: u64 = outgoing.iter().map(|run| run.stream.depth).sum();
        Ok(Round {
            spec,
            sums: piece_sums,
            round_sums,
            incoming,
            outgoing,
            pace: Pace::new(in_turns, piece_bytes),
            library,
            tokens: Vec::with_capacity(slots as usize + streams + sends as usize),
            answers,
            kept,
            copies,
            private: Vec::new(),
            cold: ColdMemory { flushed: Vec::new(), given_back },
            board: TaskBoard::new(rank, Vec::new(), None),
            stock,
        })
    }

    /// Tells every task and stream the location of the memory that it reads.
    fn connect(&mut self) {
        let board = &self.board;
        let inputs = self.sums.iter_mut().flat_map(|sum| &mut sum.inputs);
        let inputs = inputs.chain(self.round_sums.iter_mut().flat_map(|sum| &mut sum.inputs));
        inputs.for_each(|input| input.connect(|task| board.locate(task)));
        self.outgoing.iter_mut().for_each(|stream| stream.connect(|task| board.locate(task)));
    }

    /// Resets the round for another run. A barrier must follow before any rank runs.
    pub fn reset(&mut self) {
        self.sums.iter_mut().for_each(PieceTask::reset);
        self.round_sums.iter_mut().for_each(RoundTask::reset);
        self.incoming.iter_mut().for_each(RunIncoming::reset);
        self.outgoing.iter_mut().for_each(RunOutgoing::reset);
        for (_, located) in &self.copies {
            located.entry().produced.store(0, Ordering::Relaxed);
        }
        self.board.own_clients().for_each(|client| client.set_ready(false));
        self.pace.reset();
        self.tokens.clear();
        if self.spec.terms.caches == Caches::Cold {
            self.cool();
        }
    }

    /// Makes memory as a round finds it that has not run before: pages of buffers, sums and finished ranges are not there, and
    /// gradients are in no cache.
    fn cool(&self) {
        self.stock
            .buffers
            .iter()
            .chain(self.library.iter().flat_map(LibraryCalls::buffers))
            .for_each(Buffer::give_back);
        // SAFETY: memory of the residents and of the window, which both outlive the round. A barrier follows before any rank
        // accesses the window again, and a round needs nothing of its earlier sums and ranges.
        unsafe { self.cold.cool() };
    }

    /// Carries out this rank's part. Returns when its tasks are done and its messages are sent.
    ///
    /// # Errors
    /// If the transport fails or there is no progress for 300 s.
    pub fn run(&mut self, transport: &mut dyn Transport) -> Result<(), EngineError> {
        let mut private = self.private.iter();
        for client in self.board.own_clients() {
            if let Some(gradient) = private.next() {
                // SAFETY: the residents outlive the round. The other ranks read the place after the flag is set.
                unsafe { gradient.copy() };
            }
            client.set_ready(true);
        }
        let mut watchdog = Watchdog::new(transport.rank());
        loop {
            let progress = self.step(transport)?;
            if progress {
                watchdog.moved();
                continue;
            }
            if self.is_done() {
                break;
            }
            transport.idle();
            watchdog.idle(|| self.waits_for())?;
        }
        if let Some(library) = &mut self.library {
            let input = self.sums.first().map_or(std::ptr::null(), PieceTask::collective_input);
            library.run(input, transport)?;
        }
        Ok(())
    }

    /// Does everything that is possible without waiting. Returns true if there was anything.
    fn step(&mut self, transport: &mut dyn Transport) -> Result<bool, EngineError> {
        let mut progress = false;
        // In rounds a level leaves before the next begins: levels that shared a wire would all arrive late.
        let in_rounds = self.spec.plan.in_rounds();
        let mut first_open = None;
        for stream in self.outgoing.iter_mut().filter(|run| !run.stream.in_turns && !run.is_over()) {
            if in_rounds && *first_open.get_or_insert(stream.stream.turn) < stream.stream.turn {
                break;
            }
            progress |= stream.step(&self.spec, transport)?;
        }
        while let Some(turn) = self.pace.next(|stream| self.outgoing[stream].is_over()) {
            if !self.outgoing[turn].step(&self.spec, transport)? {
                break;
            }
            self.pace.sent();
            progress = true;
        }
        for sum in &mut self.sums {
            progress |= sum.step(&self.spec, transport, &mut self.tokens)?;
        }
        // One stretch at a time, so that messages leave in between.
        progress |= self.round_sums.iter_mut().any(|sum| sum.step(&self.spec));
        for stream in &mut self.incoming {
            progress |= stream.step(&mut self.round_sums, transport)?;
        }
        if transport.under_way() > 0 || !self.tokens.is_empty() {
            transport.completed(&mut self.tokens)?;
            progress |= !self.tokens.is_empty();
            self.deliver();
        }
        Ok(progress)
    }

    fn is_done(&self) -> bool {
        self.sums.iter().all(PieceTask::is_done)
            && self.round_sums.iter().all(RoundTask::is_done)
            && self.incoming.iter().all(RunIncoming::is_done)
            && self.outgoing.iter().all(RunOutgoing::is_done)
    }

    fn deliver(&mut self) {
        for token in self.tokens.drain(..) {
            match Token::of(token) {
                Token::Sum { task, slot } => self.sums[task].arrived(slot),
                Token::Incoming { stream, slot } => self.incoming[stream].arrived(slot),
                Token::Outgoing { stream, slot } => {
                    self.outgoing[stream].left(slot);
                    if self.outgoing[stream].stream.in_turns {
                        self.pace.taken();
                    }
                }
            }
        }
    }

    /// Says what this rank waits for: the first things of each kind.
    fn waits_for(&self) -> String {
        let plan = self.spec.plan;
        let sums = self.sums.iter().filter(|sum| !sum.is_done()).map(|sum| sum.waits_for(plan));
        let round_sums = self.round_sums.iter().filter(|sum| !sum.is_done()).map(|sum| sum.waits_for(plan));
        let incoming = self.incoming.iter().filter(|run| !run.is_done()).map(RunIncoming::waits_for);
        let outgoing = self.outgoing.iter().filter(|run| !run.is_done()).map(RunOutgoing::waits_for);
        let all = sums.chain(round_sums).take(SAID_OF_SUMS).chain(incoming.take(1)).chain(outgoing.take(1));
        all.collect::<Vec<String>>().join("; ")
    }

    /// Returns the finished sums of this rank. Over all ranks they are the result, each element once.
    pub fn results(&self) -> Vec<(Range, &[E])> {
        let library = self.library.as_ref().and_then(LibraryCalls::answers);
        self.answers.iter().copied().chain(library).map(|answer| self.slice(answer)).collect()
    }

    /// Returns the finished ranges that this rank has received from others.
    pub fn received(&self) -> Vec<(Range, &[E])> {
        let copies = self.copies.iter().map(|(range, located)| (*range, located.base.cast::<E>()));
        copies.map(|copy| self.slice(copy)).collect()
    }

    /// Returns the elements that the end of the round requires on this rank. They are in its own memory or in that of
    /// another rank of its node.
    pub fn kept(&self) -> Vec<(Range, &[E])> {
        let own = self.kept.iter().map(|kept| {
            let base = self.board.locate(kept.task).base.cast::<E>();
            (kept.range, base.wrapping_add((kept.range.start - kept.start) as usize))
        });
        let wanted = self.spec.plan.wanted(self.spec.problem, self.spec.layout, self.board.rank);
        let library = self.library.as_ref().and_then(LibraryCalls::kept).map(|(range, data)| {
            let within = range.intersect(wanted);
            (within, data.wrapping_add((within.start - range.start) as usize))
        });
        own.chain(library).map(|kept| self.slice(kept)).collect()
    }

    fn slice(&self, (range, data): (Range, *const E)) -> (Range, &[E]) {
        if range.is_empty() {
            return (range, &[]);
        }
        // SAFETY: the memory of a finished range is initialised, any bits are valid elements, and no one writes it
        // between rounds.
        (range, unsafe { std::slice::from_raw_parts(data, range.len() as usize) })
    }

    /// Returns the time that this rank spent generating streamed gradients in the last run, s.
    pub fn producing_seconds(&self) -> f64 {
        self.productions().map(|production| production.seconds).sum()
    }

    /// Returns the first error of generating a streamed gradient, if there was any.
    pub fn problem(&self) -> Option<&str> {
        self.productions().find_map(|production| production.problem.as_deref())
    }

    fn productions(&self) -> impl Iterator<Item = &Production> {
        let sums = self.sums.iter().map(|sum| &sum.production);
        let sums = sums.chain(self.round_sums.iter().map(|sum| &sum.production));
        sums.chain(self.outgoing.iter().map(|stream| &stream.production))
    }

    /// Returns every input of every sum, with the sum.
    fn inputs(&self) -> impl Iterator<Item = (&SumTask, &SumInput<E>)> {
        let sums = self.sums.iter().map(|sum| (&sum.task, &sum.inputs));
        let sums = sums.chain(self.round_sums.iter().map(|sum| (&sum.task, &sum.inputs)));
        sums.flat_map(|(task, inputs)| inputs.iter().map(move |input| (task, input)))
    }

    /// Returns the bytes that this rank has allocated, by purpose, including its clients' gradients.
    pub fn tracked(&self) -> crate::plan::memory::Memory {
        self.stock.ledger.current()
    }

    /// Maps other ranks' gradients that this rank will read. The round then has no page faults, and the kernel counts
    /// those pages before it.
    pub fn reach_gradients(&self) {
        self.inputs().for_each(|(task, input)| input.reach_gradient(task));
    }

    /// Maps other ranks' sums that this rank will read.
    pub fn reach_sums(&self) {
        self.inputs().for_each(|(task, input)| input.reach_sum(task));
    }
}

fn run_incoming<E: Element>(
    stream: Incoming,
    index: usize,
    board: &TaskBoard,
    stock: &mut Stock,
) -> Result<RunIncoming<E>, EngineError> {
    let slots = stock.take(stream.depth * stream.slot_bytes, Purpose::Staging)?;
    let kept = stream.segments.iter().map(|segment| match segment.target {
        Taker::Copy { number } => Some(board.own[number]),
        Taker::Sum { .. } => None,
    });
    let kept = kept.collect();
    Ok(RunIncoming::new(stream, index, kept, slots))
}
