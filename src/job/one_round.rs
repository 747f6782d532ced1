//! Runs one round of one cell: memory, timing, and the records that ranks send to rank 0.

use std::sync::Arc;

use crate::engine::transport::{Transport, gather_records};
use crate::engine::{EngineError, Residents, Round, Sent, Spec, life};
use crate::gradient::Element;
use crate::job::carried::NONE;
use crate::job::comparison::Session;
use crate::job::contender::{Contender, SentByRanks};
use crate::job::disturbance::is_first_on_node;
use crate::job::rank_memory::{self, Watched};
use crate::job::room::binary;
use crate::job::settle::settle;
use crate::job::timing::{Stopwatch, Timing, Told};
use crate::job::verification::{digest_of_all, verify_end, verify_result};
use crate::job::{JobError, keep};
use crate::machine::Carried;
use crate::memory::Limit;
use crate::plan::memory::Memory;
use crate::results::row::Status;

/// A rank's record of a round.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct RoundRecord {
    timing: Timing,
    producing_seconds: f64,
    /// Digest of the ranges that the rank has finished.
    digest: u64,
    /// The same with the ranges that it has received.
    held: u64,
    sent: Sent,
    /// Bytes that its node's interfaces have carried, or [`NONE`].
    carried: Carried,
    watched: Watched,
}

/// The records of all ranks of one round, on rank 0.
struct Gathered {
    told: Told,
    /// Digest of the whole result.
    digest: u64,
    /// Digest of the finished ranges on each rank.
    held: Vec<u64>,
}

impl<E: Element> Session<'_, '_, E> {
    /// Runs the cell once and checks that all its memory was freed. Returns all ranks' times on rank 0; None elsewhere
    /// or if the cell has failed. Collective.
    pub(super) fn one_round(
        &mut self,
        transport: &mut dyn Transport,
        contender: &mut Contender<'_>,
    ) -> Result<Option<Told>, JobError> {
        life::beat();
        if let Some(signal) = self.job.request.stop.asked(transport)? {
            return Err(JobError::Stopped { signal, saved: None });
        }
        if self.job.prepared.experiment.enforce && transport.rank() == 0 {
            let entered = self.job.book.running.enter(contender.cell.index);
            entered.map_err(|error| JobError::Output(error.to_string()))?;
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
        Ok(if contender.agrees(transport, leaked)? { told } else { None })
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
        let enforce = self.job.prepared.experiment.enforce;
        let limit = contender.ceiling_here(enforce).map(Limit::allow).transpose();
        if enforce {
            let refused = limit.as_ref().err().map(|error| format!("RLIMIT_DATA cannot enforce its ceiling: {error}"));
            if !contender.agrees(transport, refused.map_or(Ok(()), Err))? {
                return Ok(None);
            }
        }
        let Some(mut round) = allocate(transport, contender, spec, &self.residents, enforce)? else {
            return Ok(None);
        };
        let reached = self.watch.reach(&round);
        round.reset();
        let carried = carried_by_node(transport);
        let sent = transport.sent();
        let stopwatch = Stopwatch::begin(self.job.sync, transport)?;
        round.run(transport)?;
        let timing = stopwatch.end(self.job.sync);
        let sent = transport.sent().since(sent);
        transport.barrier()?;
        // All that was sent has arrived, on every rank.
        let carried = carried.zip(carried_by_node(transport)).map_or(NONE, |(before, after)| after.since(before));
        let watched = self.watch.end(probe, &round, reached);
        // The limit applies to the round alone, as the checks below need memory of their own.
        drop(limit);

        let problem = round.problem().map_or(Ok(()), |problem| Err(problem.to_owned()));
        if !contender.agrees(transport, problem)? {
            return Ok(None);
        }
        let digest = digest_of_all(&round.results());
        let held = digest.wrapping_add(digest_of_all(&round.received()));
        let producing_seconds = round.producing_seconds();
        let record = RoundRecord { timing, producing_seconds, digest, held, sent, carried, watched };
        let gathered = self.gather(transport, contender, &record)?;
        self.verify_if_new(transport, contender, &round, gathered.as_ref())?;
        Ok(gathered.filter(|_| contender.runs()).map(|gathered| gathered.told))
    }

    /// Gathers each rank's record on rank 0, which stores memory and messages in the cell. Collective.
    fn gather(
        &self,
        transport: &mut dyn Transport,
        contender: &mut Contender<'_>,
        record: &RoundRecord,
    ) -> Result<Option<Gathered>, JobError> {
        let Some(all) = gather_records(transport, record)? else { return Ok(None) };
        for (memory, of) in contender.memory.iter_mut().zip(&all) {
            rank_memory::add(memory, &of.watched);
        }
        contender.sent = SentByRanks {
            messages_max: all.iter().map(|of| of.sent.messages).max().unwrap_or(0),
            messages_total: all.iter().map(|of| of.sent.messages).sum(),
            bytes_max: all.iter().map(|of| of.sent.bytes).max().unwrap_or(0),
        };
        contender.carried.add(transport.node_of(), all.iter().map(|of| of.carried));
        let timings: Vec<Timing> = all.iter().map(|of| of.timing).collect();
        let producing = all.iter().map(|of| of.producing_seconds).collect();
        Ok(Some(Gathered {
            told: Told::new(self.job.sync.start(), &timings, producing),
            digest: all.iter().map(|of| of.digest).fold(0, u64::wrapping_add),
            held: all.iter().map(|of| of.held).collect(),
        }))
    }

    /// Verifies the result, and writes it if the request asks for that, unless every rank holds the same as after the
    /// last verified round. Collective.
    fn verify_if_new(
        &self,
        transport: &mut dyn Transport,
        contender: &mut Contender<'_>,
        round: &Round<'_, E>,
        gathered: Option<&Gathered>,
    ) -> Result<(), JobError> {
        let new = gathered.is_some_and(|now| {
            contender.verification.is_none() || contender.digest != now.digest || contender.held != now.held
        });
        if transport.max(u64::from(new))? == 0 {
            return Ok(());
        }
        let results = round.results();
        verify_result(transport, contender, self.source, &results)?;
        verify_end(transport, contender, &self.layout, round, gathered.map_or(0, |now| now.digest))?;
        if let Some(now) = gathered {
            contender.digest = now.digest;
            contender.held.clone_from(&now.held);
        }
        if !contender.kept
            && contender.runs()
            && let Some(directory) = &self.job.request.keep_result
        {
            let name = keep::file_name(self.comparison, contender.cell);
            let kept = keep::write(transport, &directory.join(name), self.comparison.elements, &results)?;
            kept.map_err(JobError::Output)?;
            contender.kept = true;
        }
        Ok(())
    }
}

/// The bytes that this node's interfaces have carried so far, on the node's first rank of a job on several nodes.
fn carried_by_node(transport: &dyn Transport) -> Option<Carried> {
    let several = transport.node_of().iter().any(|node| *node != transport.node_of()[0]);
    if several && is_first_on_node(transport) { Carried::now() } else { None }
}

/// Allocates the round's memory and compares its size with the prediction. None if the cell has ended. Collective.
fn allocate<'r, E: Element>(
    transport: &mut dyn Transport,
    contender: &mut Contender<'_>,
    spec: Spec<'r>,
    residents: &'r Residents<E>,
    enforce: bool,
) -> Result<Option<Round<'r, E>>, JobError> {
    let made = Round::prepare_lowered(spec, contender.lowering.clone(), residents, transport);
    let out_of_memory = matches!(made, Err(EngineError::Memory(_)));
    let out_of_memory = transport.max(u64::from(out_of_memory))? > 0;
    let round = match settle(transport, made)? {
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
    Ok(contender.agrees(transport, tracked)?.then_some(round))
}

/// Returns an error if the allocated bytes differ from the predicted ones.
fn as_predicted(rank: usize, predicted: Memory, tracked: Memory) -> Result<(), String> {
    if tracked == predicted {
        return Ok(());
    }
    Err(format!("rank {rank} allocated {tracked:?}, but {predicted:?} was predicted: one of them is wrong"))
}
