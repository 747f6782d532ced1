//! Jobs: one experiment carried out over one transport, from the experiment file to the result file.
//!
//! Every rank calls [`run`]. Rank 0 owns the output file and the progress display.

mod asked;
mod bounds;
mod carried;
mod comparison;
mod contender;
mod disturbance;
mod dry_run;
pub mod duration;
mod environment;
mod exact;
mod fingerprint;
mod group;
mod keep;
mod one_round;
mod progress;
mod rank_memory;
mod ratios;
mod room;
mod settle;
mod setup;
mod start;
mod stop;
mod timing;
mod verification;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use contender::verification_row;
pub use dry_run::dry_run;
pub use environment::machines;
pub use progress::{Progress, Quiet};
pub use rank_memory::Watching;
pub use setup::{Prepared, output_path};
pub use stop::Stop;
pub use verification::judge;

use crate::engine::life::Uninterrupted;
use crate::engine::transport::broadcast_numbers;
use crate::engine::{EngineError, Transport, TransportError};
use crate::experiment::Gradients;
use crate::experiment::size_sweep::SizeSweep;
use crate::machine::Spread;
use crate::plan::strategies::{self, Strategy};
use crate::results::row::{CellRow, Status};
use crate::results::{Environment, Output, ResultError, ResultFile, Running};
use crate::roofline::MachineLimits;
use crate::sync::Synchroniser;

/// A run of an experiment, and the options of the command line that say how.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Request {
    /// The experiment, JSON (see configs/ and configs/experiment.schema.json)
    #[arg(required_unless_present = "sizes")]
    pub experiment: Option<PathBuf>,
    /// The result file, HDF5 [default: the experiment's name with .h5]
    #[arg(long, short)]
    pub output: Option<PathBuf>,
    /// Measure on the first K of the job's nodes for each of these K, instead of the experiment's own "nodes"
    #[arg(long, value_name = "K,K", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub nodes: Option<Vec<u64>>,
    /// Gradient sizes instead of the experiment's models: 4KiB:1GiB (each 4 times the one before), 4KiB:1GiB:2, or a list
    /// such as 1MiB,43MiB. Without an experiment, the strategies are compared that `gradshard init` writes, and every rank
    /// is a client
    #[arg(long, value_name = "SIZES")]
    pub sizes: Option<SizeSweep>,
    /// Strategies instead of the experiment's
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    pub strategies: Option<Vec<String>>,
    /// Replace the result file if it exists
    #[arg(long)]
    pub force: bool,
    /// Continue the result file: cells that it holds are not measured again
    #[arg(long, conflicts_with = "force")]
    pub resume: bool,
    /// Do not measure the machine's limits first (one to two seconds, more with very large caches); shares of the limit
    /// stay empty
    #[arg(long)]
    pub no_limits: bool,
    /// Rounds in which the kernel is asked, before and after, for the ranks' memory; alternate shows what this costs
    #[arg(long, value_enum, default_value = "every", value_name = "ROUNDS")]
    pub watch: Watching,
    /// Try cells that are predicted to exceed their ceiling
    #[arg(long)]
    pub ignore_prediction: bool,
    /// Write each cell's aggregated gradient into this directory, as npy
    #[arg(long, value_name = "DIR")]
    pub keep_result: Option<PathBuf>,
    /// Tells whether the job has been asked to stop.
    #[arg(skip)]
    pub stop: Stop,
}

impl Request {
    /// Makes the request of a plain run of an experiment file.
    pub fn new(experiment: PathBuf) -> Request {
        Request { experiment: Some(experiment), ..Request::default() }
    }

    /// The experiment's file, or the name that stands for it in messages and names the result file.
    pub fn file(&self) -> &Path {
        self.experiment.as_deref().unwrap_or(Path::new("sizes"))
    }
}

/// The ways in which a job can fail.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The request or the experiment is invalid, or there is no room for it. Equal on all ranks.
    #[error("{0}")]
    Input(String),
    /// The ranks lost contact; the job must be killed from outside.
    #[error(transparent)]
    Lost(#[from] EngineError),
    /// The result file cannot be written.
    #[error("{0}")]
    Output(String),
    /// A signal stopped the job between two rounds. Finished comparisons are saved. Equal on all ranks.
    #[error("stopped by a signal")]
    Stopped {
        /// The signal's number.
        signal: i32,
        /// The result file, and the number of cells in it; on rank 0.
        saved: Option<(PathBuf, usize)>,
    },
}

impl From<TransportError> for JobError {
    fn from(error: TransportError) -> Self {
        JobError::Lost(error.into())
    }
}

/// The outcome of a job on rank 0.
#[derive(Debug)]
pub struct Finished {
    /// All measurements.
    pub results: ResultFile,
    /// Path of the result file.
    pub path: PathBuf,
}

/// Carries out the experiment. Returns the results on rank 0, None elsewhere. Collective.
pub fn run(
    transport: &mut dyn Transport,
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<Option<Finished>, JobError> {
    run_with(strategies::all(), transport, request, progress)
}

/// Like [`run`], with the caller's own strategies, which the experiment names.
pub fn run_with(
    strategies: &'static [&'static dyn Strategy],
    transport: &mut dyn Transport,
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<Option<Finished>, JobError> {
    let mut prepared = setup::prepare(transport, request, strategies)?;
    refuse_limits_on_threads(transport, request.file(), &prepared)?;
    let left_out = leave_out_calls_of_the_library(transport, request.file(), &mut prepared)?;
    room_for_gradients(transport, &prepared)?;
    let (mut output, mut results) = setup::claim_output(transport, request, &prepared)?;
    let running = Running::beside(&output.as_ref().map(|output| output.path().to_path_buf()).unwrap_or_default());
    if let Some(results) = &mut results
        && let Some(row) = died_of_ceiling(&prepared, results, &running, transport.node_of())
    {
        progress.note(&format!("cell {}: {}: {}", row.cell, row.status, row.reason));
        results.push(row, Vec::new(), Vec::new());
    }
    leave_out_what_is_done(transport, &mut prepared, results.as_ref())?;
    let nodes = transport.node_of().iter().collect::<BTreeSet<_>>().len();
    progress.begin(&duration::JobTime::of(&prepared.experiment, nodes, request.no_limits));
    if !left_out.is_empty() {
        let calls = left_out.into_iter().collect::<Vec<&str>>().join(", ");
        progress.note(&format!("left out, as they are calls of the MPI library and these ranks are threads: {calls}"));
    }
    let groups = group::groups(&prepared.experiment.comparisons);
    // With several numbers of nodes, limits are measured for each just before its cells. Otherwise they are the job's.
    let limits = match groups.as_slice() {
        [only] if !request.no_limits && only.nodes.is_none() => {
            progress.note("measuring the machine's limits");
            Some(crate::roofline::probe(transport)?)
        }
        _ => None,
    };
    let mut environment = environment::gather(transport, limits.as_ref())?;
    let cores_shared = environment.as_ref().is_some_and(|environment| environment.cores_shared);
    let asked = prepared.experiment.repeat.start;
    let (mut sync, start) = start::synchroniser(transport, asked, cores_shared)?;
    if let Some(environment) = &mut environment {
        let spread = Spread::of(transport.node_of());
        if !spread.even {
            progress.note(&format!("ranks are spread unevenly: {}", spread.text));
        }
        environment.spread_doubts.iter().for_each(|doubt| progress.note(doubt));
        environment.start = Some(start);
        let stored = Environment::of(&*environment).map_err(|error| JobError::Output(error.to_string()))?;
        match &mut results {
            Some(results) => results.resumed(&stored),
            None => results = Some(ResultFile::new(prepared.text.clone(), stored)),
        }
    }
    save(transport, &mut output, &results)?;
    if output.is_some() {
        running.clear();
    }
    let mut book = Book { output, results, running };
    let prepared = &prepared;
    let limits = limits.as_ref();
    let mut job = JobContext { prepared, request, sync: &mut sync, cores_shared, limits, book: &mut book, progress };
    for group in &groups {
        if let Err(error) = group::measure_group(transport, &mut job, group) {
            return Err(book.closed_after(error));
        }
    }
    let Book { output, results, .. } = book;
    progress.end();
    Ok(output.zip(results).map(|(output, results)| Finished { path: output.path().to_path_buf(), results }))
}

/// The state that all comparisons of a job share.
struct JobContext<'j> {
    prepared: &'j Prepared,
    request: &'j Request,
    sync: &'j mut Synchroniser,
    /// Whether some ranks must share cores; known on rank 0.
    cores_shared: bool,
    /// The machine's limits; None until they are measured.
    limits: Option<&'j MachineLimits>,
    book: &'j mut Book,
    progress: &'j mut dyn Progress,
}

/// The result file in progress, on rank 0; both options are None elsewhere.
struct Book {
    output: Option<Output>,
    results: Option<ResultFile>,
    running: Running,
}

impl Book {
    /// Closes the book after an error. The error of a stopped job is completed with what was saved.
    fn closed_after(self, error: JobError) -> JobError {
        let JobError::Stopped { signal, .. } = error else { return error };
        // The interrupted cell did not die of its ceiling.
        if self.output.is_some() {
            self.running.clear();
        }
        let cells = self.results.map_or(0, |results| results.cells.len());
        JobError::Stopped { signal, saved: self.output.map(|output| (output.path().to_path_buf(), cells)) }
    }
}

/// Returns the row of the cell during which the previous job died under an enforced ceiling; None if it did not.
fn died_of_ceiling(prepared: &Prepared, results: &ResultFile, running: &Running, node_of: &[usize]) -> Option<CellRow> {
    let cell = running.left().filter(|_| prepared.experiment.enforce)?;
    if results.cells.iter().any(|row| row.cell == cell) {
        return None;
    }
    let (comparison, cell) = prepared.experiment.cells().find(|(_, other)| other.index == cell)?;
    let reason = format!(
        "a process died, or lost the others, while this cell ran under a ceiling of {} that RLIMIT_DATA enforces",
        room::binary(cell.ceiling?)
    );
    let strategy = prepared.strategy(&cell.strategy).ok()?;
    let node_of = group::node_of(node_of, comparison.nodes);
    let nodes = node_of.iter().collect::<BTreeSet<_>>().len();
    let terms = prepared.terms(comparison, cell, strategy, nodes);
    let place = contender::CellPlace { ranks: node_of.len(), nodes };
    let row = contender::identity(comparison, cell, strategy, &terms, place);
    Some(CellRow { status: Status::Infeasible, reason, enforced_by: contender::ENFORCED_BY.to_owned(), ..row })
}

/// Removes the cells that the result file already has. Collective.
fn leave_out_what_is_done(
    transport: &mut dyn Transport,
    prepared: &mut Prepared,
    results: Option<&ResultFile>,
) -> Result<(), JobError> {
    let done: Vec<u64> = results.map(|results| results.cells.iter().map(|row| row.cell).collect()).unwrap_or_default();
    let done: BTreeSet<u64> = broadcast_numbers(transport, &done)?.into_iter().collect();
    if done.is_empty() {
        return Ok(());
    }
    for comparison in &mut prepared.experiment.comparisons {
        comparison.cells.retain(|cell| !done.contains(&cell.index));
    }
    prepared.experiment.comparisons.retain(|comparison| !comparison.cells.is_empty());
    Ok(())
}

/// Refuses to enforce ceilings on ranks that are threads. The limit applies to a process, so that they would change each
/// other's.
fn refuse_limits_on_threads(transport: &dyn Transport, path: &Path, prepared: &Prepared) -> Result<(), JobError> {
    if !prepared.experiment.enforce || transport.has_own_process() {
        return Ok(());
    }
    Err(JobError::Input(format!(
        "{}: enforce: a limit is enforced on processes, but these ranks are threads of one; run under mpirun or srun, or \
         leave enforce out",
        path.display()
    )))
}

/// Removes the cells that are calls of the MPI library, if the ranks are threads, which cannot carry them out. Returns their
/// strategies. Cells keep their numbers, so that a job under a launcher can measure them with `--resume`.
///
/// # Errors
/// There is nothing else to measure.
fn leave_out_calls_of_the_library(
    transport: &mut dyn Transport,
    path: &Path,
    prepared: &mut Prepared,
) -> Result<BTreeSet<&'static str>, JobError> {
    let mut left_out = BTreeSet::new();
    if transport.collectives().is_some() {
        return Ok(left_out);
    }
    for (_, cell) in prepared.experiment.cells() {
        let strategy = prepared.strategy(&cell.strategy)?;
        left_out.extend(strategy.needs_mpi().then(|| strategy.name()));
    }
    let comparisons = &mut prepared.experiment.comparisons;
    comparisons.iter_mut().for_each(|of| of.cells.retain(|cell| !left_out.contains(cell.strategy.as_str())));
    comparisons.retain(|comparison| !comparison.cells.is_empty());
    if comparisons.is_empty() {
        return Err(JobError::Input(format!(
            "{}: strategies: all are calls of the MPI library, which ranks that are threads cannot carry out: run under \
             mpirun or srun, or add strategies of gradshard's own",
            path.display()
        )));
    }
    Ok(left_out)
}

/// Saves on rank 0; all ranks learn whether it succeeded.
fn save(
    transport: &mut dyn Transport,
    output: &mut Option<Output>,
    results: &Option<ResultFile>,
) -> Result<(), JobError> {
    let _whole = Uninterrupted::begin();
    let saved = match (output, results) {
        (Some(output), Some(results)) => output.save(results).map_err(|error| not_saved(&error, output, results)),
        _ => Ok(()),
    };
    crate::engine::transport::agree(transport, saved)?.map_err(JobError::Output)
}

/// Returns the message for a failed save. Unsaved measurements are written to a rescue file if possible.
fn not_saved(error: &ResultError, output: &Output, results: &ResultFile) -> String {
    let path = output.path().display();
    let again = "free space or raise the quota there, and go on with --resume (in the place of --force)";
    if results.cells.is_empty() {
        return format!("{error}; {again}");
    }
    match output.rescue(results) {
        Ok(kept) => format!(
            "{error}; all that was measured is kept in {}: put it in the place of {path} first, {again}",
            kept.display()
        ),
        Err(why) => format!("{error}; {again}; what was measured since could not be kept in {why}"),
    }
}

/// Rejects the job if the gradients of some comparison do not fit into some node's memory.
fn room_for_gradients(transport: &mut dyn Transport, prepared: &Prepared) -> Result<(), JobError> {
    let all = transport.node_of().to_vec();
    for comparison in &prepared.experiment.comparisons {
        let members = group::members(&all, comparison.nodes);
        let node_of: Vec<usize> = members.iter().map(|rank| all[*rank]).collect();
        // If roles do not suit the ranks there is nothing to load; the cells become infeasible rows.
        let Ok(layout) = prepared.layout(comparison, &node_of) else { continue };
        let source = prepared.source(comparison).map_err(|error| JobError::Input(error.to_string()))?;
        let kept = match members.binary_search(&transport.rank()) {
            Ok(rank) => comparison::kept_gradients(prepared, comparison, &layout, source.as_ref(), rank)?,
            Err(_) => comparison::KeptGradients::default(),
        };
        let shared = if kept.shared { kept.bytes } else { 0 };
        let remedy = match &prepared.experiment.gradients {
            Gradients::Synthetic { .. } => {
                "use more nodes, fewer clients, or \"gradients\": {\"source\": \"synthetic\", \"residency\": \"streamed\"}"
            }
            Gradients::Files { .. } => "use more nodes, or add \"residency\": \"streamed\" inside \"gradients\"",
        };
        let wanted = (kept.bytes + kept.copy, shared);
        room::ask(transport, &comparison.to_string(), wanted, remedy)?.map_err(JobError::Input)?;
    }
    Ok(())
}
