//! One cell on its way through its comparison: planned, predicted, and in the end a row.

use std::sync::Arc;

use crate::engine::transport::{Transport, agree, gather_numbers};
use crate::engine::verify::{self, Verification};
use crate::experiment::{self, Comparison};
use crate::job::{JobError, rank_memory, room};
use crate::measure::summarise;
use crate::plan::memory::{Memory, predict};
use crate::plan::strategies::Strategy;
use crate::plan::{Layout, Plan, Problem, Terms, check};
use crate::results::row::{CellRow, MemoryRow, RankMemory, Sample, Status, VerificationRow};

/// A cell's row, its samples, and the memory of each rank.
pub type Measured = (CellRow, Vec<Sample>, Vec<RankMemory>);

/// One cell on its way through the comparison. The same on every rank, but for what only rank 0 collects.
pub struct Contender<'p> {
    /// As the experiment has it.
    pub cell: &'p experiment::Cell,
    /// Its strategy.
    pub strategy: &'static dyn Strategy,
    /// Flow, order and the rest.
    pub terms: Terms,
    /// What is aggregated.
    pub problem: Arc<Problem>,
    /// None where there is none.
    pub plan: Option<Arc<dyn Plan>>,
    /// What has become of it so far.
    pub status: Status,
    /// Why, where it is not ok.
    pub reason: String,
    /// Memory of this rank.
    pub predicted: Memory,
    /// Of each rank; on rank 0.
    pub memory: Vec<RankMemory>,
    /// On rank 0.
    pub verification: Option<Verification>,
    /// Of the last round that was verified; on rank 0.
    pub digest: u64,
    /// The result has been kept, or is not to be. Every rank must know, as all of them take part in the writing.
    pub kept: bool,
    /// On rank 0.
    pub samples: Vec<Sample>,
}

impl Contender<'_> {
    /// It will not run, or not again.
    pub fn ends(&mut self, status: Status, reason: String) {
        self.status = status;
        self.reason = reason;
    }

    /// True as long as nothing is wrong with it.
    pub fn runs(&self) -> bool {
        self.status == Status::Ok
    }
}

/// Plans and checks a cell, predicts its memory, and says if it cannot run here. Collective.
pub fn make_ready(
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
    contender.predicted = memory;
    if let Some(all) = gather_numbers(transport, &rank_memory::purposes(memory))? {
        let predicted = all.iter().map(|numbers| rank_memory::row(numbers));
        contender.memory = predicted.map(|predicted| RankMemory { predicted, ..RankMemory::default() }).collect();
    }
    if let Err(reason) = room::ask(transport, "the round", memory.total(), 0)? {
        contender.ends(Status::Infeasible, reason);
    }
    contender.plan = Some(plan.into());
    Ok(())
}

/// The row, the samples and the memory of a cell that has been through everything.
pub fn row(contender: Contender<'_>, comparison: &Comparison, ranks: usize, nodes: usize) -> Measured {
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
        memory: contender.memory.iter().map(|rank| rank.predicted).max_by_key(MemoryRow::total).unwrap_or_default(),
        tracked: contender.memory.iter().filter_map(|rank| rank.tracked).max_by_key(MemoryRow::total),
        kernel: contender.memory.iter().filter_map(|rank| rank.kernel).max_by_key(|seen| seen.round),
        library_bytes: contender.memory.iter().filter_map(RankMemory::surplus).max().map(|bytes| bytes as f64),
        group_peak_bytes: contender.memory.iter().filter_map(|rank| rank.group_peak).max().map(|bytes| bytes as f64),
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
