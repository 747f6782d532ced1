//! One comparison: its cells are made ready, run once to be verified, then timed in blocks.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::transport::{Transport, agree, gather_numbers};
use crate::engine::{EngineError, Residents, Round, Spec};
use crate::experiment::Comparison;
use crate::gradient::{Element, Source};
use crate::job::contender::{Contender, Measured, SentByRanks, make_ready, row};
use crate::job::digest::digest as digest_of;
use crate::job::disturbance::{BlockWatch, Disturbance};
use crate::job::rank_memory::{self, Watch, Watching};
use crate::job::ratios::{self, Timed};
use crate::job::room::binary;
use crate::job::settle::settle;
use crate::job::setup::terms_of;
use crate::job::start::misses_too_many;
use crate::job::timing::{self, Timing, Told};
use crate::job::{JobError, Prepared, Progress, Request, correctness, keep};
use crate::memory::Limit;
use crate::plan::memory::{Memory, RankPrediction, resident};
use crate::plan::{End, IntraNode, Layout, Lowering, Residency};
use crate::results::Running;
use crate::results::row::{BlockRow, MemoryRow, RatioRow, Sample, Status};
use crate::stats::{BlockOrder, Stopped, Stopping, StoppingRule};
use crate::sync::{Start, Synchroniser};
use crate::with_element;

/// Windows that one round may miss before a barrier begins it.
const MOST_MISSED: u32 = 5;

/// What came of a comparison; on rank 0.
#[derive(Default)]
pub struct Outcome {
    /// Its cells.
    pub cells: Vec<Measured>,
    /// How they compare.
    pub ratios: Vec<RatioRow>,
    /// What the machine did meanwhile.
    pub blocks: Vec<BlockRow>,
}

/// Measures a comparison. Collective. Rows on rank 0, nothing elsewhere.
pub fn measure(
    transport: &mut dyn Transport,
    prepared: &Prepared,
    comparison: &Comparison,
    request: &Request,
    (running, sync, cores_shared): (&Running, &mut Synchroniser, bool),
    progress: &mut dyn Progress,
) -> Result<Outcome, JobError> {
    let repeat = &prepared.experiment.repeat;
    progress.comparison(comparison.index, &comparison.to_string(), comparison.cells.len(), repeat);
    with_element!(comparison.dtype, E => {
        Session::<E>::measure(transport, prepared, comparison, request, (running, sync, cores_shared), progress)
    })
}

/// Bytes of clients' gradients that this rank keeps for `comparison`, and whether its node shares them.
pub fn resident_bytes(
    prepared: &Prepared,
    comparison: &Comparison,
    layout: &Layout,
    source: &dyn Source,
    rank: usize,
) -> Result<(u64, bool), JobError> {
    let mut shared = false;
    let mut bytes = 0;
    for cell in &comparison.cells {
        let strategy = prepared.strategy(&cell.strategy)?;
        let terms = terms_of(comparison, cell, strategy, layout.nodes());
        shared |= terms.intra_node == IntraNode::Shared && !strategy.needs_mpi();
        bytes = resident(&prepared.problem(comparison, source, 1), layout, &terms, rank);
    }
    Ok((bytes, shared))
}

/// What follows a block; what comes later goes before.
#[derive(Clone, Copy)]
enum Next {
    GoOn,
    Refresh,
    FallBack,
    Stop,
}

struct Session<'s, E: Element> {
    prepared: &'s Prepared,
    comparison: &'s Comparison,
    request: &'s Request,
    layout: Arc<Layout>,
    source: &'s dyn Source,
    residents: Residents<E>,
    watch: Watch,
    running: &'s Running,
    sync: &'s mut Synchroniser,
    disturbance: Disturbance,
}

impl<'s, E: Element> Session<'s, E> {
    fn measure(
        transport: &mut dyn Transport,
        prepared: &'s Prepared,
        comparison: &'s Comparison,
        request: &'s Request,
        (running, sync, cores_shared): (&'s Running, &'s mut Synchroniser, bool),
        progress: &mut dyn Progress,
    ) -> Result<Outcome, JobError> {
        let source = prepared.source(comparison).map_err(|error| JobError::Input(error.to_string()))?;
        let source = source.as_dyn();
        let node_of = transport.node_of().to_vec();
        let nodes = node_of.iter().collect::<std::collections::BTreeSet<_>>().len();
        let mut contenders = Vec::with_capacity(comparison.cells.len());
        for cell in &comparison.cells {
            let strategy = prepared.strategy(&cell.strategy)?;
            contenders.push(Contender {
                cell,
                strategy,
                terms: terms_of(comparison, cell, strategy, nodes),
                problem: prepared.problem(comparison, source, cell.shards),
                plan: None,
                lowering: Lowering::default(),
                family: None,
                held: Vec::new(),
                sent: SentByRanks::default(),
                status: Status::Ok,
                reason: String::new(),
                predicted: RankPrediction::default(),
                aggregating: Vec::new(),
                heaviest: MemoryRow::default(),
                memory: Vec::new(),
                verification: None,
                digest: 0,
                kept: request.keep_result.is_none(),
                samples: Vec::new(),
            });
        }
        let (mut stopped, mut disturbance) = (None, Disturbance::default());
        match prepared.layout(comparison, &node_of) {
            Err(reason) => contenders.iter_mut().for_each(|c| c.ends(Status::Infeasible, reason.clone())),
            Ok(layout) => {
                let rank = transport.rank();
                let (_, shared) = resident_bytes(prepared, comparison, &layout, source, rank)?;
                for contender in &mut contenders {
                    make_ready(transport, contender, &layout, !request.ignore_prediction)?;
                }
                if contenders.iter().any(Contender::runs) {
                    let watching = if transport.has_own_process() { request.watch } else { Watching::Never };
                    let (watch, loaded) = Watch::over_loading(watching, || match comparison.residency {
                        Residency::Streamed => Ok(Residents::none()),
                        Residency::Resident => {
                            Residents::<E>::load(source, &contenders[0].problem, &layout, shared, transport)
                        }
                    });
                    match settle(transport, loaded)? {
                        Err(reason) => {
                            let running = contenders.iter_mut().filter(|c| c.runs());
                            running.for_each(|c| c.ends(Status::Failed, reason.clone()));
                        }
                        Ok(residents) => {
                            let disturbed = Disturbance::default();
                            let mut session = Session {
                                prepared,
                                comparison,
                                request,
                                layout,
                                source,
                                residents,
                                watch,
                                running,
                                sync,
                                disturbance: disturbed,
                            };
                            stopped = session.run(transport, &mut contenders, progress)?;
                            disturbance = session.disturbance;
                        }
                    }
                }
            }
        }
        for contender in contenders.iter().filter(|c| !c.runs()) {
            let name = contender.strategy.name();
            progress.note(&format!("{name}: {}: {}", contender.status, contender.reason));
        }
        if transport.rank() != 0 {
            return Ok(Outcome::default());
        }
        let ratios = match &stopped {
            Some(stopped) => {
                let precision = prepared.experiment.repeat.precision;
                ratios::against_the_fastest(comparison.index, &timed(&contenders), precision, stopped)
            }
            None => Vec::new(),
        };
        let place = (transport.ranks(), nodes);
        let enforced = prepared.experiment.enforce;
        let other_load = disturbance.other_load();
        let rows = contenders
            .into_iter()
            .map(|c| row(c, comparison, place, (enforced, cores_shared), (stopped.as_ref(), other_load)));
        Ok(Outcome { cells: rows.collect(), ratios, blocks: disturbance.rows })
    }

    /// Verifies every cell in an untimed round, warms up, then times blocks until the stopping rule has enough. Why it
    /// stopped, on rank 0; None elsewhere, or if every cell has failed before.
    fn run(
        &mut self,
        transport: &mut dyn Transport,
        contenders: &mut [Contender<'_>],
        progress: &mut dyn Progress,
    ) -> Result<Option<Stopped>, JobError> {
        let repeat = &self.prepared.experiment.repeat;
        // Without warm-up the first timed round is the one that is verified.
        for _ in 0..repeat.warmup {
            for contender in contenders.iter_mut().filter(|c| c.runs()) {
                self.one_round(transport, contender)?;
            }
        }
        let mut orders = BlockOrder::new(repeat.seed, self.comparison.index, contenders.len());
        let mut stopping = Stopping::new(StoppingRule {
            alpha: ratios::ALPHA,
            target: repeat.precision,
            max_seconds: repeat.max_seconds,
            max_blocks: repeat.blocks,
        });
        if self.sync.start() == Start::Window {
            self.sync.refresh(transport)?;
        }
        let begun = Instant::now();
        for block in 0..repeat.blocks {
            if !contenders.iter().any(Contender::runs) {
                break;
            }
            self.watch.block(block);
            let mut watch = BlockWatch::begin(transport, self.comparison.index, block, self.sync);
            for (place, index) in orders.next_block().into_iter().enumerate() {
                let contender = &mut contenders[index];
                if !contender.runs() {
                    continue;
                }
                progress.cell(contender.strategy.name());
                let (cell, place) = (contender.cell.index, place as u64);
                // A block without a sample of some cell is worth nothing to its ratios, so a round whose window was missed
                // is repeated at once; the last time behind a barrier, which cannot be missed.
                for missed in 1.. {
                    let told = self.one_round(transport, contender)?;
                    let is_missed = told.as_ref().is_some_and(|told| !told.sample.is_valid());
                    if let Some(told) = told {
                        watch.add(&told);
                        contender.samples.push(Sample { cell, block, place, ..told.sample });
                    }
                    let again = self.sync.start() == Start::Window && transport.max(u64::from(is_missed))? > 0;
                    if !again || !contender.runs() {
                        break;
                    }
                    if missed == MOST_MISSED {
                        progress.note(&format!(
                            "{MOST_MISSED} windows in a row were missed: from now on a barrier begins rounds"
                        ));
                        self.sync.fall_back();
                    }
                }
            }
            watch.end(transport, self.sync, &mut self.disturbance)?;
            let spent = begun.elapsed().as_secs_f64();
            progress.block(block + 1, spent);
            // Rank 0's clock and samples decide for all.
            let stopped = match transport.rank() {
                0 => stopping.after_block(block + 1, spent, |alpha| {
                    let reached = ratios::widest(&timed(contenders), alpha);
                    progress.look(reached);
                    reached
                }),
                _ => None,
            };
            let windows = self.sync.start() == Start::Window;
            let next = match &stopped {
                Some(_) => Next::Stop,
                None if windows && misses_too_many(self.disturbance.rounds()) => Next::FallBack,
                None if self.sync.is_stale() => Next::Refresh,
                None => Next::GoOn,
            };
            // One exchange for all: what stands further up counts.
            let next = transport.max(next as u64)?;
            if next == Next::Stop as u64 {
                return Ok(stopped);
            } else if next == Next::FallBack as u64 {
                progress.note("more than half of the windows were missed: from now on a barrier begins rounds");
                self.sync.fall_back();
            } else if next == Next::Refresh as u64 {
                self.sync.refresh(transport)?;
            }
        }
        Ok(None)
    }

    /// Carries the cell out once, and looks whether everything that it allocated was given back. What all ranks told, on
    /// rank 0; None elsewhere, or if the cell has failed.
    fn one_round(
        &mut self,
        transport: &mut dyn Transport,
        contender: &mut Contender<'_>,
    ) -> Result<Option<Told>, JobError> {
        if let Some(signal) = self.request.stop.asked(transport)? {
            return Err(JobError::Stopped { signal, saved: None });
        }
        if self.prepared.experiment.enforce && transport.rank() == 0 {
            self.running.enter(contender.cell.index).map_err(|error| JobError::Output(error.to_string()))?;
        }
        let before = self.residents.ledger().current();
        let told = self.carry_out(transport, contender)?;
        let after = self.residents.ledger().current();
        let leaked = if after == before {
            Ok(())
        } else {
            Err(format!(
                "rank {}: {} bytes were held before the round and {} after it: some of its memory was not given back",
                transport.rank(),
                before.total(),
                after.total()
            ))
        };
        if let Err(reason) = agree(transport, leaked)? {
            contender.ends(Status::Failed, reason);
            return Ok(None);
        }
        Ok(told)
    }

    fn carry_out(
        &mut self,
        transport: &mut dyn Transport,
        contender: &mut Contender<'_>,
    ) -> Result<Option<Told>, JobError> {
        let Some(plan) = contender.plan.clone() else { return Ok(None) };
        let problem = Arc::clone(&contender.problem);
        let spec = Spec {
            plan: plan.as_ref(),
            problem: &problem,
            layout: &self.layout,
            terms: contender.terms,
            source: self.source,
        };
        let probe = self.watch.begin();
        let enforce = self.prepared.experiment.enforce;
        let limit = contender.ceiling_here(enforce).map(Limit::allow).transpose();
        if enforce {
            let refused = limit.as_ref().err().map(|error| format!("RLIMIT_DATA cannot enforce its ceiling: {error}"));
            if let Err(reason) = agree(transport, refused.map_or(Ok(()), Err))? {
                contender.ends(Status::Failed, reason);
                return Ok(None);
            }
        }
        let made = Round::prepare_lowered(spec, contender.lowering.clone(), &self.residents, transport);
        let out_of_memory = matches!(made, Err(EngineError::Memory(_)));
        let out_of_memory = transport.max(u64::from(out_of_memory))? > 0;
        let mut round = match settle(transport, made)? {
            Ok(round) => round,
            Err(reason) => {
                let under = match contender.cell.ceiling.filter(|_| enforce) {
                    Some(bytes) => format!(", under a ceiling of {} that RLIMIT_DATA enforces", binary(bytes)),
                    None => String::new(),
                };
                let status = if out_of_memory { Status::Infeasible } else { Status::Failed };
                contender.ends(status, format!("{reason}{under}"));
                return Ok(None);
            }
        };
        let tracked = as_predicted(transport.rank(), contender.predicted.all, round.tracked());
        if let Err(reason) = agree(transport, tracked)? {
            contender.ends(Status::Failed, reason);
            return Ok(None);
        }
        let reached = self.watch.reach(&round);
        round.reset();
        let sent = transport.sent();
        let timing = Timing::of(self.sync, transport, |transport| round.run(transport))?;
        let sent = transport.sent().since(sent);
        transport.barrier()?;
        let watched = self.watch.end(probe, &round, reached);
        // What follows looks at the result, which is no part of the round.
        drop(limit);

        let problem = round.problem().map_or(Ok(()), |problem| Err(problem.to_owned()));
        if let Err(reason) = agree(transport, problem)? {
            contender.ends(Status::Failed, reason);
            return Ok(None);
        }
        let results = round.results();
        let digest = results.iter().map(|(range, elements)| digest_of(*range, elements)).fold(0, u64::wrapping_add);
        let received = round.received();
        let received = received.iter().map(|(range, elements)| digest_of(*range, elements));
        let held = received.fold(digest, u64::wrapping_add);
        let record = [round.producing_seconds().to_bits(), digest, held, sent.messages, sent.bytes];
        let record = [timing.numbers().as_slice(), &record, &watched.numbers()].concat();
        const PRODUCING: usize = timing::NUMBERS;
        const DIGEST: usize = PRODUCING + 1;
        const HELD: usize = DIGEST + 1;
        const SENT: usize = HELD + 1;
        let numbers = gather_numbers(transport, &record)?.map(|told| {
            for (memory, numbers) in contender.memory.iter_mut().zip(&told) {
                rank_memory::add(memory, &numbers[SENT + 2..]);
            }
            let sent = |at: usize| told.iter().map(move |of| of[SENT + at]);
            contender.sent = SentByRanks {
                messages_max: sent(0).max().unwrap_or(0),
                messages_total: sent(0).sum(),
                bytes_max: sent(1).max().unwrap_or(0),
            };
            let pick = |at: usize| told.iter().map(|of| of[at]).collect::<Vec<u64>>();
            let digest = pick(DIGEST).into_iter().fold(0, u64::wrapping_add);
            let producing = pick(PRODUCING).into_iter().map(f64::from_bits).collect();
            let told = Told::new(self.sync.start(), transport.node_of(), &told, producing);
            (told, digest, pick(HELD))
        });
        // Rounds that leave every rank with what a verified round left need no second look.
        let new = numbers.as_ref().is_some_and(|(_, digest, held)| {
            contender.verification.is_none() || contender.digest != *digest || contender.held != *held
        });
        if transport.max(u64::from(new))? > 0 {
            correctness::verify(transport, contender, self.source, &results)?;
            let digest = numbers.as_ref().map_or(0, |(_, digest, _)| *digest);
            self.verify_end(transport, contender, &round, digest)?;
            if let Some((_, digest, held)) = &numbers {
                contender.digest = *digest;
                contender.held.clone_from(held);
            }
            if !contender.kept
                && contender.runs()
                && let Some(directory) = &self.request.keep_result
            {
                let name = keep::file_name(self.comparison, contender.cell);
                let kept = keep::write(transport, &directory.join(name), self.comparison.elements, &results)?;
                kept.map_err(JobError::Output)?;
                contender.kept = true;
            }
        }
        Ok(numbers.filter(|_| contender.runs()).map(|(told, ..)| told))
    }

    /// Looks whether every rank holds what the end wants there, and fails the cell if one does not. `digest` is that of the
    /// whole result, on rank 0. Collective.
    fn verify_end(
        &self,
        transport: &mut dyn Transport,
        contender: &mut Contender<'_>,
        round: &Round<'_, E>,
        digest: u64,
    ) -> Result<(), JobError> {
        let kept = round.kept();
        let elements = kept.iter().map(|(range, _)| range.len()).sum();
        let kept = kept.iter().map(|(range, elements)| digest_of(*range, elements)).fold(0, u64::wrapping_add);
        let Some(plan) = &contender.plan else { return Ok(()) };
        let holds = gather_numbers(transport, &[kept, elements])?.map_or(Ok(()), |told| {
            let wanted: Vec<_> =
                (0..told.len()).map(|rank| plan.wanted(&contender.problem, &self.layout, rank)).collect();
            if let Some(rank) = (0..told.len()).find(|rank| told[*rank][1] != wanted[*rank].len()) {
                return Err(format!(
                    "rank {rank} holds {} elements at the end, not {}",
                    told[rank][1],
                    wanted[rank].len()
                ));
            }
            let whole = |rank: &usize| wanted[*rank].len() == contender.problem.elements;
            let all = told.iter().map(|of| of[0]).fold(0, u64::wrapping_add);
            let right = match contender.problem.end {
                End::Scattered => all == digest,
                End::Root | End::Everywhere => (0..told.len()).filter(whole).all(|rank| told[rank][0] == digest),
            };
            if right { Ok(()) } else { Err("a rank does not hold the result that was aggregated".to_owned()) }
        });
        if let Err(reason) = agree(transport, holds)? {
            contender.ends(Status::Failed, reason);
        }
        Ok(())
    }
}

/// The times of the cells that nothing is wrong with.
fn timed(contenders: &[Contender<'_>]) -> Vec<Timed> {
    contenders.iter().filter(|c| c.runs()).map(|c| Timed::new(c.cell.index, &c.samples)).collect()
}

/// What was allocated must be what was predicted, to the byte.
fn as_predicted(rank: usize, predicted: Memory, tracked: Memory) -> Result<(), String> {
    if tracked == predicted {
        return Ok(());
    }
    Err(format!("rank {rank} allocated {tracked:?}, but {predicted:?} was predicted: one of them is wrong"))
}
