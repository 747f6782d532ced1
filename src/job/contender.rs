//! One cell during its comparison: its plan, its prediction and its final row.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::transport::{Transport, TransportError, agree, gather_records};
use crate::engine::verify::{self, Verification};
use crate::experiment::{self, Comparison};
use crate::job::bounds::Bounds;
use crate::job::carried::CarriedBytes;
use crate::job::room::{self, binary};
use crate::job::{JobContext, JobError};
use crate::plan::family::sums_flat;
use crate::plan::memory::{Memory, RankPrediction, predict_lowered};
use crate::plan::strategies::{Strategy, usual_family};
use crate::plan::{self, Family, Layout, Lowering, Order, Plan, Problem, Roles, Terms, check, family, lower};
use crate::results::row::{BlockRow, CellRow, Hosting, RankMemory, Sample, Status, VerificationRow};
use crate::stats::interference::{is_disturbed, verdict};
use crate::stats::{Autocorrelation, Stopped, WarmUp, summarise, summarise_at};

/// Advice where the buffers of a round do not fit into memory.
const ROUND_REMEDY: &str = "use more nodes, more \"shards\", or a \"flow\" in chunks such as \"1MiB\"";

/// Mechanism that enforces ceilings, as named in files.
pub const ENFORCED_BY: &str = "RLIMIT_DATA";

/// A cell's row, its samples, and the memory of each rank.
pub type Measured = (CellRow, Vec<Sample>, Vec<RankMemory>);

/// Numbers of messages in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentByRanks {
    /// Messages of the rank that sends the most.
    pub messages_max: u64,
    /// Messages of all ranks together.
    pub messages_total: u64,
    /// Bytes of messages of the rank that sends the most bytes.
    pub bytes_max: u64,
}

/// One cell during its comparison. It is equal on all ranks, except for the data collected on rank 0.
pub struct Contender<'p> {
    /// The cell in the experiment.
    pub cell: &'p experiment::Cell,
    /// The cell's strategy.
    pub strategy: &'static dyn Strategy,
    /// Flow, order and other terms.
    pub terms: Terms,
    /// The problem to aggregate.
    pub problem: Arc<Problem>,
    /// The plan; None if there is none.
    pub plan: Option<Arc<dyn Plan>>,
    /// This rank's part of the plan.
    pub lowering: Lowering,
    /// Bounds by the machine; on rank 0.
    pub bounds: Bounds,
    /// Family of the plan; None before planning.
    pub family: Option<Family>,
    /// Whether every element is summed as the flat server sums it, so that no bit may differ.
    pub sums_flat: bool,
    /// Digest of the finished ranges on each rank after the last verified round; on rank 0.
    pub held: Vec<u64>,
    /// Messages that the ranks sent in a round; on rank 0.
    pub sent: SentByRanks,
    /// Bytes that the nodes' interfaces carried; on rank 0.
    pub carried: CarriedBytes,
    /// Current status.
    pub status: Status,
    /// Reason for a status other than ok.
    pub reason: String,
    /// Predicted memory of this rank.
    pub predicted: RankPrediction,
    /// Whether each rank aggregates; on rank 0.
    pub aggregating: Vec<bool>,
    /// Predicted memory of the largest aggregator; on rank 0.
    pub heaviest: Memory,
    /// Memory of each rank; on rank 0.
    pub memory: Vec<RankMemory>,
    /// Result of the verification; on rank 0.
    pub verification: Option<Verification>,
    /// Digest of the last verified result; on rank 0.
    pub digest: u64,
    /// Whether the result has been written or need not be. All ranks must know, since writing is collective.
    pub kept: bool,
    /// All samples; on rank 0.
    pub samples: Vec<Sample>,
}

/// The numbers of ranks and nodes that measure a comparison.
#[derive(Clone, Copy, Debug)]
pub struct CellPlace {
    /// Number of ranks.
    pub ranks: usize,
    /// Number of nodes of these ranks.
    pub nodes: usize,
}

impl CellPlace {
    /// Counts the ranks and nodes of a transport.
    pub fn of(transport: &dyn Transport) -> CellPlace {
        let nodes = transport.node_of().iter().collect::<BTreeSet<_>>().len();
        CellPlace { ranks: transport.ranks(), nodes }
    }
}

/// Facts of a comparison that are part of each cell's row.
pub struct Circumstances<'s> {
    /// Numbers of ranks and nodes.
    pub place: CellPlace,
    /// Whether the operating system enforced ceilings.
    pub enforced: bool,
    /// Whether some ranks had to share cores.
    pub cores_shared: bool,
    /// Reason for the end of the timing; None if it never began.
    pub stopped: Option<&'s Stopped>,
    /// Greatest share over nodes of a node's cores used by other processes, 0 to 1; None if the kernel does not report
    /// it.
    pub other_load: Option<f64>,
    /// The blocks of the comparison.
    pub blocks: &'s [BlockRow],
}

impl<'p> Contender<'p> {
    /// Makes a cell without a plan.
    pub fn new(
        cell: &'p experiment::Cell,
        strategy: &'static dyn Strategy,
        terms: Terms,
        problem: Arc<Problem>,
    ) -> Contender<'p> {
        Contender {
            cell,
            strategy,
            terms,
            problem,
            plan: None,
            lowering: Lowering::default(),
            bounds: Bounds::default(),
            family: None,
            sums_flat: false,
            held: Vec::new(),
            sent: SentByRanks::default(),
            carried: CarriedBytes::default(),
            status: Status::Ok,
            reason: String::new(),
            predicted: RankPrediction::default(),
            aggregating: Vec::new(),
            heaviest: Memory::default(),
            memory: Vec::new(),
            verification: None,
            digest: 0,
            kept: false,
            samples: Vec::new(),
        }
    }

    /// Ends the cell with a status and a reason.
    pub fn ends(&mut self, status: Status, reason: String) {
        self.status = status;
        self.reason = reason;
    }

    /// Returns the private memory that this rank may use for the round under an enforced ceiling, bytes: the ceiling of
    /// the largest aggregator, plus the predicted need of its other aggregators and clients, less what aggregators keep
    /// in shared windows, which RLIMIT_DATA does not count. None if nothing is enforced or the rank does not aggregate.
    pub fn ceiling_here(&self, enforce: bool) -> Option<u64> {
        let ceiling = self.cell.ceiling.filter(|_| enforce)?;
        let RankPrediction { all, aggregators, heaviest, aggregating_shared, .. } = self.predicted;
        let others = all.working() - heaviest.working();
        (aggregators > 0).then(|| (ceiling + others).saturating_sub(aggregating_shared))
    }

    /// Returns true if `verdict` is Ok on every rank. Otherwise the cell fails with the reason of the first such rank.
    /// Collective.
    pub fn agrees(
        &mut self,
        transport: &mut dyn Transport,
        verdict: Result<(), String>,
    ) -> Result<bool, TransportError> {
        let agreed = agree(transport, verdict)?;
        if let Err(reason) = &agreed {
            self.ends(Status::Failed, reason.clone());
        }
        Ok(agreed.is_ok())
    }

    /// Returns true while the cell's status is ok.
    pub fn runs(&self) -> bool {
        self.status == Status::Ok
    }
}

/// Plans and checks a cell and predicts its memory, with `copy` bytes of a private copy of a gradient. Ends the cell if it
/// cannot run here. Collective.
pub fn make_ready(
    transport: &mut dyn Transport,
    job: &JobContext<'_>,
    contender: &mut Contender<'_>,
    layout: &Arc<Layout>,
    copy: u64,
) -> Result<(), JobError> {
    let plan = match contender.strategy.plan(&contender.problem, layout) {
        Ok(plan) => plan,
        Err(infeasible) => {
            contender.ends(Status::Infeasible, infeasible.to_string());
            return Ok(());
        }
    };
    // The plan is equal on all ranks, so one rank checks it.
    let verdict = if transport.rank() == 0 {
        check(plan.as_ref(), &contender.problem, layout).map(|_| ()).map_err(|fault| format!("unsound plan: {fault}"))
    } else {
        Ok(())
    };
    if !contender.agrees(transport, verdict)? {
        return Ok(());
    }
    contender.family = Some(family(plan.as_ref(), &contender.problem, layout));
    contender.sums_flat = contender.terms.order == Order::Client && sums_flat(plan.as_ref(), &contender.problem);
    let rank = transport.rank();
    if rank == 0 {
        contender.bounds = Bounds::of(plan.as_ref(), &contender.problem, layout, &contender.terms, job.limits);
    }
    contender.lowering = lower(plan.as_ref(), &contender.problem, layout, &contender.terms, rank);
    let mut predicted = predict_lowered(&contender.lowering, &contender.problem, layout, &contender.terms, rank);
    predicted.all.resident += copy;
    contender.predicted = predicted;
    if let Some(all) = gather_records(transport, &predicted)? {
        contender.aggregating = all.iter().map(|of| of.aggregators > 0).collect();
        contender.memory = all.iter().map(|of| RankMemory { predicted: of.all, ..RankMemory::default() }).collect();
        contender.heaviest = all.iter().map(|of| of.heaviest).max_by_key(Memory::total).unwrap_or_default();
    }
    let under_ceiling = match contender.cell.ceiling {
        Some(ceiling) if transport.rank() == 0 && !job.request.ignore_prediction => fits(&contender.heaviest, ceiling),
        _ => Ok(()),
    };
    if let Err(reason) = agree(transport, under_ceiling)? {
        contender.ends(Status::Infeasible, reason);
        return Ok(());
    }
    if let Err(reason) = room::ask(transport, "the round", (predicted.all.total(), 0), ROUND_REMEDY)? {
        contender.ends(Status::Infeasible, reason);
    }
    contender.plan = Some(plan.into());
    Ok(())
}

/// Returns an error message if an aggregator's predicted memory exceeds the ceiling.
fn fits(aggregator: &Memory, ceiling: u64) -> Result<(), String> {
    let needs = aggregator.total();
    if needs <= ceiling {
        return Ok(());
    }
    let Memory { accumulators, staging, result, .. } = *aggregator;
    Err(format!(
        "an aggregator needs {} ({} for sums in progress, {} for pieces in flight, {} for its result), {} more than its \
         ceiling of {}",
        binary(needs),
        binary(accumulators),
        binary(staging),
        binary(result),
        binary(needs - ceiling),
        binary(ceiling)
    ))
}

/// Makes a row with the cell's identity but no measurements.
pub fn identity(
    comparison: &Comparison,
    cell: &experiment::Cell,
    strategy: &dyn Strategy,
    terms: &Terms,
    place: CellPlace,
) -> CellRow {
    let flow = match (cell.flow, terms.flow) {
        (experiment::FlowChoice::Auto, plan::Flow::Chunk { elements }) => {
            format!("auto ({})", experiment::Size(elements * comparison.dtype.size() as u64))
        }
        (written, _) => written.to_string(),
    };
    CellRow {
        cell: cell.index,
        comparison: comparison.index,
        strategy: strategy.name().to_owned(),
        family: usual_family(strategy).unwrap_or_default(),
        model: comparison.model.clone(),
        elements: comparison.elements,
        dtype: comparison.dtype,
        clients: comparison.clients,
        across: cell.form.across,
        radix: cell.form.radix,
        closing: cell.form.closing,
        algorithm: cell.form.algorithm,
        component: cell.form.component,
        shards: cell.shards,
        flow,
        ranks: place.ranks as u64,
        nodes: place.nodes as u64,
        roles: if comparison.roles == Roles::Colocated { Hosting::Colocated } else { Hosting::Dedicated },
        intra_node: terms.intra_node,
        order: terms.order,
        ready: terms.ready,
        caches: terms.caches,
        end: comparison.end,
        residency: comparison.residency,
        ceiling_bytes: cell.ceiling.map(|bytes| bytes as f64),
        ..CellRow::default()
    }
}

/// Returns the row, samples and memory of a finished cell.
///
/// The median's interval has the level of the last look, so that over all looks together it misses with probability 5
/// %.
pub fn row(contender: Contender<'_>, comparison: &Comparison, circumstances: &Circumstances<'_>) -> Measured {
    let Circumstances { place, enforced, cores_shared, stopped, other_load, blocks } = *circumstances;
    let stopped = stopped.filter(|_| contender.status == Status::Ok);
    let valid: Vec<&Sample> = contender.samples.iter().filter(|sample| sample.is_valid()).collect();
    let seconds: Vec<f64> = valid.iter().map(|sample| sample.seconds).collect();
    let disturbed = valid.iter().filter(|sample| is_disturbed(sample.seconds, sample.off_core_seconds)).count();
    let disturbed = (!valid.is_empty()).then(|| disturbed as f64 / valid.len() as f64);
    let missed = contender.samples.iter().filter(|sample| sample.late_ranks > 0).count();
    let producing_share = producing_share(&valid);
    let aggregating = || {
        contender.memory.iter().zip(&contender.aggregating).filter(|(_, aggregates)| **aggregates).map(|(rank, _)| rank)
    };
    let summary = stopped.and_then(|stopped| summarise_at(&seconds, stopped.look.alpha));
    let logs: Vec<f64> = seconds.iter().map(|seconds| seconds.ln()).collect();
    let correlation = Autocorrelation::of(&logs);
    let warm_up = WarmUp::detect(&seconds);
    let median = summary.map(|summary| summary.median);
    let interval = summary.and_then(|summary| summary.interval);
    let gradient = comparison.gradient_bytes() as f64;
    let per_second = |bytes: f64| median.filter(|median| *median > 0.0).map(|median| bytes / median);
    let strategy = contender.strategy;
    let mut cell = CellRow {
        samples: seconds.len() as u64,
        missed_windows: missed as u64,
        disturbed_samples: disturbed,
        other_load,
        interference: disturbed.and_then(|_| verdict(other_load, disturbed, cores_shared)),
        stopped: stopped.map(|stopped| stopped.reason),
        looks: stopped.map_or(0, |stopped| u64::from(stopped.look.number)),
        blocks: stopped.map_or(0, |stopped| stopped.look.blocks),
        warm_up_samples: warm_up.map_or(0, |found| found.samples as u64),
        drifts: warm_up.is_some_and(|found| !found.settled),
        lag1_autocorrelation: correlation.map(|found| found.lag1),
        effective_samples: correlation.map(|found| found.effective_samples),
        median_s: median,
        ci_low_s: interval.map(|(low, _)| low),
        ci_high_s: interval.map(|(_, high)| high),
        gradient_bytes_per_s: per_second(gradient),
        ingest_bytes_per_s: per_second(gradient * comparison.clients as f64),
        memory: contender.memory.iter().map(|rank| rank.predicted).max_by_key(Memory::total).unwrap_or_default(),
        tracked: contender.memory.iter().filter_map(|rank| rank.tracked).max_by_key(Memory::total),
        aggregator: contender.heaviest,
        aggregating_bytes: aggregating()
            .map(|rank| rank.predicted.total() - rank.predicted.resident)
            .max()
            .unwrap_or(0),
        kernel: aggregating().filter_map(|rank| rank.kernel).max_by_key(|seen| seen.round),
        library_bytes: aggregating().filter_map(RankMemory::surplus).max().map(|bytes| bytes as f64),
        enforced_by: if enforced { ENFORCED_BY.to_owned() } else { String::new() },
        producing_share,
        group_peak_bytes: contender.memory.iter().filter_map(|rank| rank.group_peak).max().map(|bytes| bytes as f64),
        verification: contender.verification.map(verification_row),
        family: contender.family.or_else(|| usual_family(strategy)).unwrap_or_default(),
        messages_max: contender.sent.messages_max,
        messages_total: contender.sent.messages_total,
        message_bytes_max: contender.sent.bytes_max,
        wire_bytes_seen: contender.carried.busiest(),
        status: contender.status,
        reason: contender.reason,
        ..identity(comparison, contender.cell, strategy, &contender.terms, place)
    };
    contender.bounds.fill(&mut cell, &contender.samples, blocks);
    (cell, contender.samples, contender.memory)
}

/// Returns the median over rounds of the share of time that the slowest producer spent generating streamed gradients;
/// None if nothing was generated.
fn producing_share(samples: &[&Sample]) -> Option<f64> {
    let share = |sample: &&Sample| {
        let longest = sample.rank_producing_seconds.iter().copied().fold(0.0, f64::max);
        if sample.seconds > 0.0 { longest / sample.seconds } else { 0.0 }
    };
    let shares: Vec<f64> = samples.iter().map(share).collect();
    summarise(&shares).map(|summary| summary.median).filter(|share| *share > 0.0)
}

/// Returns the row of a comparison with the flat server.
pub fn verification_row(found: Verification) -> VerificationRow {
    VerificationRow {
        differing_elements: found.differing,
        max_ulp: found.max_ulp,
        max_relative_error_vs_exact: found.max_relative_error,
        max_backward_error: Some(found.max_backward_error),
        wrong_elements: found.wrong,
        reference: verify::REFERENCE.to_owned(),
    }
}
