//! Measures one comparison: prepares its cells, runs each once for verification, then times them in blocks.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::Residents;
use crate::engine::transport::Transport;
use crate::experiment::Comparison;
use crate::gradient::{Element, Source};
use crate::job::contender::{CellPlace, Circumstances, Contender, Measured, make_ready, row};
use crate::job::disturbance::{BlockWatch, Disturbance};
use crate::job::exact;
use crate::job::fingerprint;
use crate::job::rank_memory::{Watch, Watching};
use crate::job::ratios::{self, TimedCell};
use crate::job::settle::settle;
use crate::job::start::misses_too_many;
use crate::job::{JobContext, JobError, Prepared};
use crate::plan::memory::resident;
use crate::plan::{IntraNode, Layout, Ready, Residency};
use crate::results::row::{BlockRow, RatioRow, Sample, Status};
use crate::roofline::state::{MachineState, Parts, StateProbe};
use crate::stats::{BlockOrder, Stopped, Stopping, StoppingRule};
use crate::sync::Start;
use crate::with_element;

/// Greatest part of a comparison's time that passes over the wires take, but for the first of them.
const WIRES_SHARE: f64 = 0.05;

/// Attempts at a round before barriers replace missed windows.
const MOST_MISSED: u32 = 5;

/// The rows that a comparison yields, on rank 0.
#[derive(Default)]
pub struct ComparisonRows {
    /// A row for each cell, with samples and memory.
    pub cells: Vec<Measured>,
    /// The ratio of each cell to the fastest one.
    pub ratios: Vec<RatioRow>,
    /// The load of the machine during each block.
    pub blocks: Vec<BlockRow>,
}

/// Measures a comparison. The outcome has the rows on rank 0 and is empty elsewhere. Collective.
///
/// # Errors
/// If ranks lost contact, a signal stopped the job, or a file cannot be read or written. A cell that fails becomes a
/// row with its status.
pub fn measure_comparison(
    transport: &mut dyn Transport,
    job: &mut JobContext<'_>,
    comparison: &Comparison,
) -> Result<ComparisonRows, JobError> {
    let repeat = &job.prepared.experiment.repeat;
    job.progress.comparison(&comparison.to_string(), comparison.cells.len(), repeat);
    with_element!(comparison.dtype, E => measure_as::<E>(transport, job, comparison))
}

/// The clients' gradients that a rank keeps for a comparison.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeptGradients {
    /// Bytes of the gradients.
    pub bytes: u64,
    /// Whether the ranks of the node share them.
    pub shared: bool,
    /// Bytes of a private copy, for the MPI library or for rounds that copy the gradients; 0 without one.
    pub copy: u64,
}

/// Returns the gradients that this rank keeps for `comparison`.
///
/// A collective of the MPI library takes the gradient of a rank's only client as it lies. If strategies of gradshard's
/// own make it lie in a shared window, the library gets a private copy, so that it does not pay for its neighbours. Rounds
/// that copy their gradients into the window have them in private memory too.
pub fn kept_gradients(
    prepared: &Prepared,
    comparison: &Comparison,
    layout: &Layout,
    source: &dyn Source,
    rank: usize,
) -> Result<KeptGradients, JobError> {
    let mut kept = KeptGradients::default();
    let (mut library, mut copied) = (false, false);
    for cell in &comparison.cells {
        let strategy = prepared.strategy(&cell.strategy)?;
        let terms = prepared.terms(comparison, cell, strategy, layout.nodes());
        kept.shared |= terms.intra_node == IntraNode::Shared && !strategy.needs_mpi();
        kept.bytes = resident(&prepared.problem(comparison, source, cell), layout, &terms, rank);
        library |= strategy.needs_mpi();
        copied |= terms.ready == Ready::Copied;
    }
    let clients = layout.clients_on(rank, comparison.clients);
    let passed = clients.end - clients.start == 1 && source.weights().get(clients.start as usize) == Some(&1.0);
    let takes_input = library && passed && comparison.dtype.size() == comparison.dtype.accumulator_size();
    if kept.shared && (takes_input || copied) {
        kept.copy = kept.bytes;
    }
    Ok(kept)
}

/// The action after a block. Ranks agree on the greatest of their values, so the variants are ordered by precedence.
#[derive(Clone, Copy)]
enum Next {
    GoOn,
    Refresh,
    FallBack,
    Stop,
}

/// A comparison whose gradients are loaded, so that rounds can begin.
pub(super) struct Session<'s, 'j, E: Element> {
    pub(super) job: &'s mut JobContext<'j>,
    pub(super) comparison: &'s Comparison,
    pub(super) layout: Arc<Layout>,
    pub(super) source: &'s dyn Source,
    pub(super) residents: Residents<E>,
    pub(super) watch: Watch,
    disturbance: Disturbance,
    /// Measures the state of the machine once a block; None if no cell has a limit that could be compared with it.
    state: Option<StateProbe>,
    /// Start of the first block.
    begun: Instant,
}

/// Like [`measure_comparison`], for gradients of element type `E`.
fn measure_as<E: Element>(
    transport: &mut dyn Transport,
    job: &mut JobContext<'_>,
    comparison: &Comparison,
) -> Result<ComparisonRows, JobError> {
    let prepared = job.prepared;
    let source = prepared.source(comparison).map_err(|error| JobError::Input(error.to_string()))?;
    let source = source.as_ref();
    let place = CellPlace::of(transport);
    let keep = job.request.keep_result.is_some();
    let contenders = comparison.cells.iter().map(|cell| {
        let strategy = prepared.strategy(&cell.strategy)?;
        let problem = prepared.problem(comparison, source, cell);
        let terms = prepared.terms(comparison, cell, strategy, place.nodes);
        Ok(Contender { kept: !keep, ..Contender::new(cell, strategy, terms, problem) })
    });
    let mut contenders = contenders.collect::<Result<Vec<_>, JobError>>()?;
    let mut disturbance = Disturbance::default();
    let mut stopped = None;
    if let Some(mut session) = prepare_session::<E>(transport, job, comparison, source, &mut contenders)? {
        stopped = session.run(transport, &mut contenders)?;
        disturbance = session.disturbance;
    }
    for contender in contenders.iter().filter(|c| !c.runs()) {
        let name = contender.strategy.name();
        job.progress.note(&format!("{name}: {}: {}", contender.status, contender.reason));
    }
    if transport.rank() != 0 {
        return Ok(ComparisonRows::default());
    }
    let precision = prepared.experiment.repeat.precision;
    let ratios = stopped
        .as_ref()
        .map(|stopped| ratios::against_the_fastest(comparison.index, &timed(&contenders), precision, stopped));
    let circumstances = Circumstances {
        place,
        enforced: prepared.experiment.enforce,
        cores_shared: job.cores_shared,
        stopped: stopped.as_ref(),
        other_load: disturbance.other_load(),
        blocks: &disturbance.rows,
    };
    let mut cells: Vec<Measured> = contenders.into_iter().map(|c| row(c, comparison, &circumstances)).collect();
    fingerprint::fill(&mut cells, stopped.as_ref().map_or(ratios::ALPHA, |stopped| stopped.look.alpha));
    Ok(ComparisonRows { cells, ratios: ratios.unwrap_or_default(), blocks: disturbance.rows })
}

/// Plans the cells and loads the gradients. None if no cell can run, in which case each has its status and reason.
/// Collective.
fn prepare_session<'s, 'j, E: Element>(
    transport: &mut dyn Transport,
    job: &'s mut JobContext<'j>,
    comparison: &'s Comparison,
    source: &'s dyn Source,
    contenders: &mut [Contender<'_>],
) -> Result<Option<Session<'s, 'j, E>>, JobError> {
    let layout = match job.prepared.layout(comparison, transport.node_of()) {
        Ok(layout) => layout,
        Err(reason) => {
            contenders.iter_mut().for_each(|c| c.ends(Status::Infeasible, reason.clone()));
            return Ok(None);
        }
    };
    let kept = kept_gradients(job.prepared, comparison, &layout, source, transport.rank())?;
    for contender in contenders.iter_mut() {
        make_ready(transport, job, contender, &layout, kept.copy)?;
    }
    if !contenders.iter().any(Contender::runs) {
        return Ok(None);
    }
    // Under an enforced ceiling the round has no memory to spare for gradients of its own.
    if exact::is_needed::<E>(comparison.clients) && !job.prepared.experiment.enforce {
        exact::verify_exactly::<E>(transport, comparison, &layout, kept.shared, contenders)?;
    }
    let watching = if transport.has_own_process() { job.request.watch } else { Watching::Never };
    let (watch, loaded) = Watch::over_loading(watching, || match comparison.residency {
        Residency::Streamed => Ok(Residents::none()),
        Residency::Resident => {
            let loaded = Residents::<E>::load(source, &contenders[0].problem, &layout, kept.shared, transport);
            if kept.copy > 0 { loaded?.with_private_copy() } else { loaded }
        }
    });
    match settle(transport, loaded)? {
        Ok(residents) => {
            let disturbance = Disturbance::default();
            let state = state_probe(transport, job, contenders)?;
            let begun = Instant::now();
            Ok(Some(Session { job, comparison, layout, source, residents, watch, disturbance, state, begun }))
        }
        Err(reason) => {
            contenders.iter_mut().filter(|c| c.runs()).for_each(|c| c.ends(Status::Failed, reason.clone()));
            Ok(None)
        }
    }
}

/// Returns the probe of the parts that limit some cell. None if there are none, or if ceilings are enforced, which leave no
/// memory for its arrays. Collective.
fn state_probe(
    transport: &mut dyn Transport,
    job: &mut JobContext<'_>,
    contenders: &[Contender<'_>],
) -> Result<Option<StateProbe>, JobError> {
    let Some(limits) = job.limits.filter(|_| !job.prepared.experiment.enforce) else { return Ok(None) };
    let of_cells = contenders.iter().filter(|c| c.runs()).map(|c| c.bounds.parts().to_bits());
    let parts = transport.max(of_cells.fold(0, |all, bits| all | bits))?;
    if parts == 0 {
        return Ok(None);
    }
    let probe = StateProbe::new(transport, limits, Parts::from_bits(parts))?;
    probe.notes.iter().for_each(|note| job.progress.note(note));
    Ok(Some(probe))
}

impl<E: Element> Session<'_, '_, E> {
    /// Verifies every cell in an untimed round, warms up, then times blocks until the stopping rule is satisfied.
    /// Returns the reason for stopping on rank 0; None elsewhere or if all cells failed. Collective.
    fn run(
        &mut self,
        transport: &mut dyn Transport,
        contenders: &mut [Contender<'_>],
    ) -> Result<Option<Stopped>, JobError> {
        let repeat = &self.job.prepared.experiment.repeat;
        // Without warm-up the first timed round is verified.
        for _ in 0..repeat.warmup {
            for contender in contenders.iter_mut().filter(|c| c.runs()) {
                self.job.progress.warm_up(contender.strategy.name());
                self.one_round(transport, contender)?;
            }
        }
        // The state of the machine is measured at a random place of each block, like a cell.
        let places = contenders.len() + usize::from(self.state.is_some());
        let mut orders = BlockOrder::new(repeat.seed, self.comparison.index, places);
        let rule = StoppingRule {
            alpha: ratios::ALPHA,
            target: repeat.precision,
            max_seconds: repeat.max_seconds,
            max_blocks: repeat.blocks,
        };
        let mut stopping = Stopping::new(rule);
        self.job.sync.refresh(transport)?;
        self.begun = Instant::now();
        let (mut block, mut counted) = (0, 0);
        while counted < repeat.blocks && contenders.iter().any(Contender::runs) {
            let start = self.job.sync.start();
            self.time_block(transport, contenders, block, orders.next_block())?;
            block += 1;
            counted += 1;
            let spent = self.begun.elapsed().as_secs_f64();
            self.job.progress.block(counted, spent);
            // Rank 0's clock and samples decide for all ranks. Samples of two kinds decide nothing.
            let stopped = match transport.rank() {
                0 if self.job.sync.start() == start => stopping.after_block(counted, spent, |alpha| {
                    let reached = ratios::widest(&timed(contenders), alpha);
                    self.job.progress.look(reached);
                    reached
                }),
                _ => None,
            };
            if !self.goes_on(transport, stopped.is_some())? {
                return Ok(stopped);
            }
            // If barriers took over, the comparison begins anew.
            if self.job.sync.start() != start {
                supersede(contenders);
                stopping = Stopping::new(rule);
                (counted, self.begun) = (0, Instant::now());
            }
        }
        Ok(None)
    }

    /// Times one round of each cell. `order` has indices into `contenders`; the index after them is the state of the
    /// machine. Collective.
    fn time_block(
        &mut self,
        transport: &mut dyn Transport,
        contenders: &mut [Contender<'_>],
        block: u64,
        order: Vec<usize>,
    ) -> Result<(), JobError> {
        self.watch.block(block);
        let mut watch = BlockWatch::begin(transport, self.comparison.index, block, self.job.sync);
        for (place, index) in order.into_iter().enumerate() {
            if index == contenders.len() {
                watch.set_state(self.machine_state(transport)?);
                continue;
            }
            if !contenders[index].runs() {
                continue;
            }
            self.job.progress.cell(contenders[index].strategy.name());
            let (cell, place) = (contenders[index].cell.index, place as u64);
            // A block without a sample of some cell does not contribute to its ratios. So a round with a missed window
            // is repeated at once, and in the end behind a barrier, which cannot be missed.
            for missed in 1.. {
                let contender = &mut contenders[index];
                let told = self.one_round(transport, contender)?;
                let is_missed = told.as_ref().is_some_and(|told| !told.sample.is_valid());
                if let Some(told) = told {
                    watch.add(&told);
                    contender.samples.push(Sample { cell, block, place, ..told.sample });
                }
                let again = self.job.sync.start() == Start::Window && transport.max(u64::from(is_missed))? > 0;
                if !again || !contender.runs() {
                    break;
                }
                if missed == MOST_MISSED {
                    self.job.progress.note(&format!(
                        "{MOST_MISSED} windows in a row were missed: from now on a barrier begins rounds"
                    ));
                    self.job.sync.fall_back();
                }
            }
        }
        Ok(watch.end(transport, self.job.sync, &mut self.disturbance)?)
    }

    /// Measures the state of the machine, with the wires if they have not had their share of the time. Collective.
    fn machine_state(&mut self, transport: &mut dyn Transport) -> Result<MachineState, JobError> {
        let Some(probe) = &mut self.state else { return Ok(MachineState::default()) };
        let due = transport.rank() == 0 && probe.seconds_on_wires <= WIRES_SHARE * self.begun.elapsed().as_secs_f64();
        let wires = probe.has_wires() && transport.max(u64::from(due))? > 0;
        Ok(probe.measure(transport, wires)?)
    }

    /// Returns true if another block follows. Refreshes the clocks or switches from windows to barriers if needed.
    /// `enough` counts on rank 0: its stopping rule ends the comparison. Collective.
    fn goes_on(&mut self, transport: &mut dyn Transport, enough: bool) -> Result<bool, JobError> {
        let windows = self.job.sync.start() == Start::Window;
        let next = if enough {
            Next::Stop
        } else if windows && misses_too_many(self.disturbance.rounds()) {
            Next::FallBack
        } else if self.job.sync.is_stale() {
            Next::Refresh
        } else {
            Next::GoOn
        };
        // A single reduction decides; the greatest value counts.
        let next = transport.max(next as u64)?;
        if next == Next::FallBack as u64 {
            self.job.progress.note("more than half of the windows were missed: from now on a barrier begins rounds");
            self.job.sync.fall_back();
        } else if next == Next::Refresh as u64 {
            self.job.sync.refresh(transport)?;
        }
        Ok(next != Next::Stop as u64)
    }
}

/// Lets the samples so far count no longer. They were begun by windows; a round behind a barrier holds the time between the
/// ranks' starts, so that the two must not be pooled.
fn supersede(contenders: &mut [Contender<'_>]) {
    let samples = contenders.iter_mut().flat_map(|contender| &mut contender.samples);
    samples.for_each(|sample| sample.superseded = 1);
}

/// Returns the times of the cells that have not failed.
fn timed(contenders: &[Contender<'_>]) -> Vec<TimedCell> {
    contenders.iter().filter(|c| c.runs()).map(|c| TimedCell::new(c.cell.index, &c.samples)).collect()
}
