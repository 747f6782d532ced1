//! A job: one experiment carried out over one transport, from the file that a person wrote to the file of results.
//!
//! Every rank calls [`run`]; rank 0 owns the output and whatever is printed.

mod comparison;
mod contender;
mod digest;
mod dry_run;
mod environment;
mod keep;
mod progress;
mod rank_memory;
mod room;
mod setup;
mod share;

use std::path::PathBuf;

pub use dry_run::dry_run;
pub use environment::machines;
pub use progress::{Progress, Quiet};
pub use setup::Prepared;

use crate::engine::{EngineError, Transport, TransportError};
use crate::plan::strategies::{self, Strategy};
use crate::results::{Output, ResultFile};

/// What a person asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The experiment file.
    pub experiment: PathBuf,
    /// The result file; None: the experiment's name with `.h5`, in the current directory.
    pub output: Option<PathBuf>,
    /// Replace the result file if it exists.
    pub force: bool,
    /// Where each cell's aggregated gradient is written as npy.
    pub keep_result: Option<PathBuf>,
}

/// How a job can end badly.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// What was asked for is wrong; nothing has run and nothing was written. The same on every rank.
    #[error("{0}")]
    Input(String),
    /// The ranks have lost each other; the job must be ended from outside.
    #[error(transparent)]
    Lost(#[from] EngineError),
    /// The result file cannot be written.
    #[error("{0}")]
    Output(String),
}

impl From<TransportError> for JobError {
    fn from(error: TransportError) -> Self {
        JobError::Lost(error.into())
    }
}

/// What rank 0 has in the end.
#[derive(Debug)]
pub struct Finished {
    /// Everything that was measured.
    pub results: ResultFile,
    /// Where it is stored.
    pub path: PathBuf,
}

/// Carries the experiment out. Collective. Yields the results on rank 0, None elsewhere.
pub fn run(
    transport: &mut dyn Transport,
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<Option<Finished>, JobError> {
    run_with(strategies::all(), transport, request, progress)
}

/// As [`run`], with strategies of the caller's own: the experiment's names are theirs.
pub fn run_with(
    strategies: &'static [&'static dyn Strategy],
    transport: &mut dyn Transport,
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<Option<Finished>, JobError> {
    let prepared = setup::prepare(transport, request, strategies)?;
    room_for_gradients(transport, &prepared)?;
    let mut output = setup::claim_output(transport, request, &prepared)?;
    progress.note("measuring the machine's limits");
    let limits = crate::limits::measure(transport)?;
    let environment = environment::gather(transport, &limits)?;
    let mut results = environment.map(|environment| ResultFile::new(prepared.text.clone(), environment));
    save(transport, &mut output, &results)?;
    progress.begin(prepared.experiment.comparisons.len(), prepared.experiment.cell_count());
    let node_of = transport.node_of().to_vec();
    for comparison in &prepared.experiment.comparisons {
        let measured = comparison::measure(transport, &prepared, comparison, request, progress)?;
        if let Some(results) = &mut results {
            for (mut row, samples, memory) in measured {
                share::fill(&mut row, &prepared, comparison, &node_of, &limits)?;
                results.push(row, samples, memory);
            }
        }
        save(transport, &mut output, &results)?;
    }
    progress.end();
    Ok(output.zip(results).map(|(output, results)| Finished { path: output.path().to_path_buf(), results }))
}

/// Rank 0 saves; all ranks learn whether it could.
fn save(
    transport: &mut dyn Transport,
    output: &mut Option<Output>,
    results: &Option<ResultFile>,
) -> Result<(), JobError> {
    let saved = match (output, results) {
        (Some(output), Some(results)) => output.save(results).map_err(|error| error.to_string()),
        _ => Ok(()),
    };
    crate::engine::transport::agree(transport, saved)?.map_err(JobError::Output)
}

/// Refuses the job if the gradients of some comparison do not fit into some node's memory.
fn room_for_gradients(transport: &mut dyn Transport, prepared: &Prepared) -> Result<(), JobError> {
    let node_of = transport.node_of().to_vec();
    for comparison in &prepared.experiment.comparisons {
        // Where roles do not fit the ranks there is nothing to load; its cells become infeasible rows.
        let Ok(layout) = prepared.layout(comparison, &node_of) else { continue };
        let source = prepared.source(comparison).map_err(|error| JobError::Input(error.to_string()))?;
        let rank = transport.rank();
        let (bytes, shared) = comparison::resident_bytes(prepared, comparison, &layout, source.as_dyn(), rank)?;
        room::ask(transport, &comparison.to_string(), bytes, if shared { bytes } else { 0 })?
            .map_err(JobError::Input)?;
    }
    Ok(())
}
