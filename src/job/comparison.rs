//! One comparison: its cells are made ready, run once to be verified, then timed in blocks.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::node_clock::node_clock;
use crate::engine::transport::{Transport, agree, gather_numbers};
use crate::engine::verify::{self, Verification};
use crate::engine::{EngineError, Residents, Round, Spec, TransportError};
use crate::experiment::{self, Comparison};
use crate::gradient::{Element, Range, Source};
use crate::job::setup::terms_of;
use crate::job::{JobError, Prepared, Progress, Request, keep, room};
use crate::measure::clock::span;
use crate::measure::{BlockOrder, summarise};
use crate::plan::memory::{Memory, predict, resident};
use crate::plan::strategies::Strategy;
use crate::plan::{IntraNode, Layout, Phase, Plan, Problem, Residency, Terms, check};
use crate::results::row::{CellRow, MemoryRow, Sample, Status, VerificationRow};
use crate::with_element;

/// A cell's row, its samples, and the memory predicted for each rank.
pub type Measured = (CellRow, Vec<Sample>, Vec<MemoryRow>);

/// One cell on its way through the comparison. The same on every rank, but for what only rank 0 collects.
struct Contender<'p> {
    cell: &'p experiment::Cell,
    strategy: &'static dyn Strategy,
    terms: Terms,
    problem: Arc<Problem>,
    plan: Option<Arc<dyn Plan>>,
    status: Status,
    reason: String,
    /// Of each rank; on rank 0.
    memory: Vec<MemoryRow>,
    /// On rank 0.
    verification: Option<Verification>,
    /// Of the last round that was verified; on rank 0.
    digest: u64,
    /// The result has been kept, or is not to be. Every rank must know, as all of them take part in the writing.
    kept: bool,
    /// On rank 0.
    samples: Vec<Sample>,
}

impl Contender<'_> {
    fn ends(&mut self, status: Status, reason: String) {
        self.status = status;
        self.reason = reason;
    }

    fn runs(&self) -> bool {
        self.status == Status::Ok
    }
}

/// What one round told; on rank 0 of all ranks.
struct Told {
    /// From the first start to the last end.
    seconds: f64,
    rank_seconds: Vec<f64>,
    rank_producing_seconds: Vec<f64>,
}

/// Measures a comparison. Collective. Rows on rank 0, nothing elsewhere.
pub fn measure(
    transport: &mut dyn Transport,
    prepared: &Prepared,
    comparison: &Comparison,
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<Vec<Measured>, JobError> {
    let blocks = prepared.experiment.repeat.blocks;
    progress.comparison(comparison.index, &comparison.to_string(), comparison.cells.len(), blocks);
    with_element!(comparison.dtype, E => {
        Session::<E>::measure(transport, prepared, comparison, request, progress)
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

struct Session<'s, E: Element> {
    prepared: &'s Prepared,
    comparison: &'s Comparison,
    request: &'s Request,
    layout: Arc<Layout>,
    source: &'s dyn Source,
    residents: Residents<E>,
}

impl<'s, E: Element> Session<'s, E> {
    fn measure(
        transport: &mut dyn Transport,
        prepared: &'s Prepared,
        comparison: &'s Comparison,
        request: &'s Request,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Measured>, JobError> {
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
                status: Status::Ok,
                reason: String::new(),
                memory: Vec::new(),
                verification: None,
                digest: 0,
                kept: request.keep_result.is_none(),
                samples: Vec::new(),
            });
        }
        match prepared.layout(comparison, &node_of) {
            Err(reason) => contenders.iter_mut().for_each(|c| c.ends(Status::Infeasible, reason.clone())),
            Ok(layout) => {
                let rank = transport.rank();
                let (_, shared) = resident_bytes(prepared, comparison, &layout, source, rank)?;
                for contender in &mut contenders {
                    make_ready(transport, contender, &layout)?;
                }
                if contenders.iter().any(Contender::runs) {
                    let loaded = match comparison.residency {
                        Residency::Streamed => Ok(Residents::none()),
                        Residency::Resident => {
                            Residents::<E>::load(source, &contenders[0].problem, &layout, shared, transport)
                        }
                    };
                    match settle(transport, loaded)? {
                        Err(reason) => {
                            let running = contenders.iter_mut().filter(|c| c.runs());
                            running.for_each(|c| c.ends(Status::Failed, reason.clone()));
                        }
                        Ok(residents) => {
                            let session = Session { prepared, comparison, request, layout, source, residents };
                            session.run(transport, &mut contenders, progress)?;
                        }
                    }
                }
            }
        }
        for contender in contenders.iter().filter(|c| !c.runs()) {
            let name = contender.strategy.name();
            progress.note(&format!("{name}: {}: {}", contender.status.name(), contender.reason));
        }
        if transport.rank() != 0 {
            return Ok(Vec::new());
        }
        let ranks = transport.ranks();
        Ok(contenders.into_iter().map(|contender| row(contender, comparison, ranks, nodes)).collect())
    }

    /// Verifies every cell in an untimed round, warms up, then times blocks.
    fn run(
        &self,
        transport: &mut dyn Transport,
        contenders: &mut [Contender<'_>],
        progress: &mut dyn Progress,
    ) -> Result<(), JobError> {
        let repeat = &self.prepared.experiment.repeat;
        // Without warm-up the first timed round is the one that is verified.
        for _ in 0..repeat.warmup {
            for contender in contenders.iter_mut().filter(|c| c.runs()) {
                self.one_round(transport, contender)?;
            }
        }
        let mut orders = BlockOrder::new(repeat.seed, self.comparison.index, contenders.len());
        let begun = Instant::now();
        for block in 0..repeat.blocks {
            for (place, index) in orders.next_block().into_iter().enumerate() {
                let contender = &mut contenders[index];
                if !contender.runs() {
                    continue;
                }
                let Some(told) = self.one_round(transport, contender)? else { continue };
                contender.samples.push(Sample {
                    cell: contender.cell.index,
                    block,
                    place: place as u64,
                    seconds: told.seconds,
                    rank_seconds: told.rank_seconds,
                    rank_producing_seconds: told.rank_producing_seconds,
                });
            }
            let spent = begun.elapsed().as_secs_f64();
            progress.block(block + 1, spent);
            // Rank 0's clock decides for all.
            let stop = transport.rank() == 0 && spent >= repeat.max_seconds;
            if transport.max(u64::from(stop))? > 0 {
                break;
            }
        }
        Ok(())
    }

    /// Carries the cell out once. What all ranks told, on rank 0; None elsewhere, or if the cell has failed.
    fn one_round(
        &self,
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
        let made = Round::prepare(spec, &self.residents, transport);
        let out_of_memory = matches!(made, Err(EngineError::Memory(_)));
        let out_of_memory = transport.max(u64::from(out_of_memory))? > 0;
        let mut round = match settle(transport, made)? {
            Ok(round) => round,
            Err(reason) => {
                contender.ends(if out_of_memory { Status::Infeasible } else { Status::Failed }, reason);
                return Ok(None);
            }
        };
        round.reset();
        transport.barrier()?;
        let start = node_clock();
        round.run(transport)?;
        let end = node_clock();
        transport.barrier()?;

        let problem = round.problem().map_or(Ok(()), |problem| Err(problem.to_owned()));
        if let Err(reason) = agree(transport, problem)? {
            contender.ends(Status::Failed, reason);
            return Ok(None);
        }
        let results = round.results();
        let digest = results.iter().map(|(range, elements)| digest(*range, elements)).fold(0, u64::wrapping_add);
        let held = self.held(contender, &round, digest);
        let record = [start, end, round.producing_seconds().to_bits(), digest, held];
        let numbers = gather_numbers(transport, &record)?.map(|told| {
            let pick = |at: usize| told.iter().map(|of| of[at]).collect::<Vec<u64>>();
            let (starts, ends) = (pick(0), pick(1));
            let own = starts.iter().zip(&ends).map(|(start, end)| end.saturating_sub(*start) as f64 * 1e-9);
            let digest = pick(3).into_iter().fold(0, u64::wrapping_add);
            let told = Told {
                seconds: span(transport.node_of(), &starts, &ends),
                rank_seconds: own.collect(),
                rank_producing_seconds: pick(2).into_iter().map(f64::from_bits).collect(),
            };
            (told, digest, pick(4))
        });
        if contender.terms.phase == Phase::Round {
            let spread = numbers.as_ref().map_or(Ok(()), |(_, digest, held)| self.all_hold(contender, *digest, held));
            if let Err(reason) = agree(transport, spread)? {
                contender.ends(Status::Failed, reason);
                return Ok(None);
            }
        }
        // Rounds whose result is that of a verified round need no second look.
        let new = numbers
            .as_ref()
            .is_some_and(|(_, digest, _)| contender.verification.is_none() || contender.digest != *digest);
        if transport.max(u64::from(new))? > 0 {
            self.verify(transport, contender, &results)?;
            if let Some((_, digest, _)) = &numbers {
                contender.digest = *digest;
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

    /// Digest of what this rank's clients can read of the result after the second phase.
    fn held(&self, contender: &Contender<'_>, round: &Round<'_, E>, own: u64) -> u64 {
        let received = round.received();
        let received = received.iter().map(|(range, elements)| digest(*range, elements)).fold(0, u64::wrapping_add);
        // After a collective of the library every rank has a copy of its own.
        if contender.strategy.needs_mpi() { received } else { own.wrapping_add(received) }
    }

    /// After the second phase the clients of every node (or rank, where nothing is shared) hold the whole result.
    fn all_hold(&self, contender: &Contender<'_>, digest: u64, held: &[u64]) -> Result<(), String> {
        let by_node = contender.terms.intra_node == IntraNode::Shared && !contender.strategy.needs_mpi();
        let clients = contender.problem.clients();
        for rank in (0..held.len()).filter(|rank| !self.layout.clients_on(*rank, clients).is_empty()) {
            let group: &[usize] = if by_node { self.layout.ranks_on_node(self.layout.node_of(rank)) } else { &[rank] };
            let sum = group.iter().map(|rank| held[*rank]).fold(0, u64::wrapping_add);
            if sum != digest {
                return Err(format!("the clients of rank {rank} do not hold the result that was aggregated"));
            }
        }
        Ok(())
    }

    /// Compares all ranks' results with the reference; a wrong element fails the cell.
    fn verify(
        &self,
        transport: &mut dyn Transport,
        contender: &mut Contender<'_>,
        results: &[(Range, &[E])],
    ) -> Result<(), JobError> {
        let found = verify::verify::<E>(&contender.problem, self.source, results);
        let found = match settle(transport, found.map_err(EngineError::Source))? {
            Ok(found) => found,
            Err(reason) => {
                contender.ends(Status::Failed, format!("cannot be verified: {reason}"));
                return Ok(());
            }
        };
        let all = gather_numbers(transport, &found.to_numbers())?;
        let elements = self.comparison.elements;
        let mut verdict = Ok(());
        if let Some(all) = all {
            let of_all = all
                .iter()
                .filter_map(|numbers| Verification::from_numbers(numbers))
                .fold(Verification::default(), Verification::merge);
            verdict = judge(&of_all, elements);
            let before = contender.verification.take().unwrap_or_default();
            contender.verification = Some(Verification { elements, ..of_all.merge(before) });
        }
        if let Err(reason) = agree(transport, verdict)? {
            contender.ends(Status::Failed, reason);
        }
        Ok(())
    }
}

/// Turns one rank's failure into every rank's: Err with the first reason. A lost transport stays an error.
fn settle<T>(transport: &mut dyn Transport, mine: Result<T, EngineError>) -> Result<Result<T, String>, JobError> {
    let verdict = match &mine {
        Ok(_) => Ok(()),
        Err(EngineError::Elsewhere) => Ok(()),
        Err(EngineError::Transport(error)) if is_lost(error) => {
            return mine.map(Ok).map_err(JobError::Lost);
        }
        Err(error) => Err(error.to_string()),
    };
    Ok(match (agree(transport, verdict)?, mine) {
        (Ok(()), Ok(value)) => Ok(value),
        (Err(reason), _) => Err(reason),
        (Ok(()), Err(error)) => Err(error.to_string()),
    })
}

/// True if ranks can no longer talk. Shared memory that does not suffice is found before anybody waits.
fn is_lost(error: &TransportError) -> bool {
    match error {
        TransportError::Memory(_) => false,
        #[cfg(feature = "mpi")]
        TransportError::Mpi(crate::mpi::MpiError::SharedMemory { .. }) => false,
        _ => true,
    }
}

fn judge(found: &Verification, elements: u64) -> Result<(), String> {
    if found.elements != elements {
        return Err(format!("the result has {} elements, not {elements}", found.elements));
    }
    match found.first_wrong {
        None => Ok(()),
        Some(first) => Err(format!(
            "{} of {elements} elements are wrong, beyond what any order of summation can cause; the first is element {first}",
            found.wrong
        )),
    }
}

/// A number that tells results apart: the same for the same elements at the same places, however ranges are cut.
/// Multiplication by odd constants and a fold, summed, so that ranks' digests add up.
fn digest<E: Element>(range: Range, elements: &[E]) -> u64 {
    let mut sum = 0u64;
    for (at, element) in (range.start..).zip(elements) {
        let bits = match E::DTYPE.size() {
            8 => bytemuck::cast::<f64, u64>(element.to_f64()),
            _ => u64::from(bytemuck::cast::<f32, u32>(element.to_f64() as f32)),
        };
        let mixed = (bits ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        sum = sum.wrapping_add(mixed ^ (mixed >> 32));
    }
    sum
}

/// Plans and checks a cell, predicts its memory, and says if it cannot run here. Collective.
fn make_ready(
    transport: &mut dyn Transport,
    contender: &mut Contender<'_>,
    layout: &Arc<Layout>,
) -> Result<(), JobError> {
    if contender.strategy.needs_mpi() && transport.collectives().is_none() {
        let reason = "it is the MPI library's own collective, which threads cannot carry out: run under mpirun or srun";
        contender.ends(Status::Infeasible, reason.to_owned());
        return Ok(());
    }
    let plan = match contender.strategy.plan(&contender.problem, layout) {
        Ok(plan) => plan,
        Err(infeasible) => {
            contender.ends(Status::Infeasible, infeasible.to_string());
            return Ok(());
        }
    };
    // The plan is the same everywhere; one rank's look at the whole of it will do.
    let verdict = if transport.rank() == 0 {
        check(plan.as_ref(), &contender.problem, layout).map(|_| ()).map_err(|fault| format!("unsound plan: {fault}"))
    } else {
        Ok(())
    };
    if let Err(reason) = agree(transport, verdict)? {
        contender.ends(Status::Failed, reason);
        return Ok(());
    }
    let rank = transport.rank();
    let memory = predict(plan.as_ref(), &contender.problem, layout, &contender.terms, rank);
    let MemoryRow { resident, accumulators, staging, result } = as_row(memory);
    if let Some(all) = gather_numbers(transport, &[resident, accumulators, staging, result])? {
        let row = |of: Vec<u64>| MemoryRow { resident: of[0], accumulators: of[1], staging: of[2], result: of[3] };
        contender.memory = all.into_iter().map(row).collect();
    }
    if let Err(reason) = room::ask(transport, "the round", memory.total(), 0)? {
        contender.ends(Status::Infeasible, reason);
    }
    contender.plan = Some(plan.into());
    Ok(())
}

/// The prediction as a row.
fn as_row(memory: Memory) -> MemoryRow {
    let Memory { resident, accumulators, staging, result } = memory;
    MemoryRow { resident, accumulators, staging, result }
}

fn row(contender: Contender<'_>, comparison: &Comparison, ranks: usize, nodes: usize) -> Measured {
    let seconds: Vec<f64> = contender.samples.iter().map(|sample| sample.seconds).collect();
    let summary = summarise(&seconds).filter(|_| contender.status == Status::Ok);
    let median = summary.map(|summary| summary.median);
    let interval = summary.and_then(|summary| summary.interval);
    let gradient = comparison.gradient_bytes() as f64;
    let per_second = |bytes: f64| median.filter(|median| *median > 0.0).map(|median| bytes / median);
    let flow = match (contender.cell.flow, contender.terms.flow) {
        (experiment::Flow::Auto, crate::plan::Flow::Chunk { elements }) => {
            format!("auto ({})", experiment::Size(elements * comparison.dtype.size() as u64))
        }
        (written, _) => written.to_string(),
    };
    let cell = CellRow {
        cell: contender.cell.index,
        comparison: comparison.index,
        strategy: contender.strategy.name().to_owned(),
        family: contender.strategy.family().name().to_owned(),
        model: comparison.model.clone(),
        elements: comparison.elements,
        dtype: comparison.dtype.name().to_owned(),
        clients: comparison.clients,
        shards: contender.cell.shards,
        flow,
        ranks: ranks as u64,
        nodes: nodes as u64,
        roles: comparison.roles.name().to_owned(),
        intra_node: contender.terms.intra_node.name().to_owned(),
        order: contender.terms.order.name().to_owned(),
        phase: comparison.phase.to_string(),
        residency: comparison.residency.name().to_owned(),
        samples: contender.samples.len() as u64,
        median_s: median,
        ci_low_s: interval.map(|(low, _)| low),
        ci_high_s: interval.map(|(_, high)| high),
        gradient_bytes_per_s: per_second(gradient),
        ingest_bytes_per_s: per_second(gradient * comparison.clients as f64),
        memory: contender.memory.iter().copied().max_by_key(MemoryRow::total).unwrap_or_default(),
        verification: contender.verification.map(|found| VerificationRow {
            differing_elements: found.differing,
            max_ulp: found.max_ulp,
            max_relative_error_vs_exact: found.max_relative_error,
            wrong_elements: found.wrong,
            reference: verify::REFERENCE.to_owned(),
        }),
        status: contender.status,
        reason: contender.reason,
        // The share of the machine's limit, which whoever has measured that fills in.
        ..CellRow::default()
    };
    (cell, contender.samples, contender.memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_add_up_over_cuts_and_see_every_place() {
        let elements = [1.0f32, -2.0, 3.5, 0.0, 9.0];
        let whole = digest(Range::new(10, 15), &elements);
        let cut = digest(Range::new(10, 12), &elements[..2]).wrapping_add(digest(Range::new(12, 15), &elements[2..]));
        assert_eq!(whole, cut);
        let swapped = [1.0f32, 3.5, -2.0, 0.0, 9.0];
        assert_ne!(whole, digest(Range::new(10, 15), &swapped));
    }
}
