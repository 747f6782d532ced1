//! The largest gradient that a strategy aggregates under a memory limit: predicted from plans, and found by trying, one
//! fresh job a try, with the limit enforced.

mod launch;
mod probe;
mod search;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

pub use launch::JobLauncher;
pub use probe::TrialOutcome;
pub use search::Try;

use search::search;

use crate::experiment::{Cell, Comparison};
use crate::job::{JobError, Prepared};
use crate::plan::Layout;
use crate::plan::memory::predict_rank;

/// The widest gap between the largest gradient that went and the smallest that did not, as a share of the former.
pub const RESOLUTION: f64 = 0.01;
/// No gradient is longer: elements.
const MOST_ELEMENTS: u64 = 1 << 40;

/// What is searched, and how jobs are started.
#[derive(Debug)]
pub struct CeilingRequest {
    /// The experiment whose strategies, shards, flows and clients are taken; its models are replaced.
    pub experiment: PathBuf,
    /// Bytes that one aggregator may hold.
    pub limit: u64,
    /// Only these strategies; None: all of the experiment.
    pub strategies: Option<Vec<String>>,
    /// How a job is started.
    pub launcher: JobLauncher,
    /// Ranks of a job.
    pub ranks: usize,
    /// Nodes that they are on, in blocks.
    pub nodes: usize,
    /// How long one job may take.
    pub patience: Duration,
}

/// What was found for one cell.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    /// Strategy.
    pub strategy: String,
    /// M.
    pub shards: u64,
    /// Flow.
    pub flow: String,
    /// Element type.
    pub dtype: String,
    /// Bytes of an element.
    pub element_bytes: u64,
    /// N.
    pub clients: u64,
    /// The longest gradient whose aggregators are predicted to stay under the limit, elements; None where the strategy
    /// has no plan for these ranks.
    pub predicted_elements: Option<u64>,
    /// The longest gradient that went, elements; None where not even one element did.
    pub largest_elements: Option<u64>,
    /// The shortest that did not.
    pub refused_elements: Option<u64>,
    /// What became of it.
    pub refused_because: String,
    /// The longest that went over the predicted.
    pub measured_over_predicted: Option<f64>,
    /// Every try, in order.
    pub tries: Vec<Try<TrialOutcome>>,
}

/// Told of every try while the search goes on.
pub trait Watcher {
    /// A search begins: of how many, which, for what, with the predicted bytes of the gradient.
    fn begins(&mut self, at: usize, of: usize, what: &str, predicted: Option<u64>);
    /// A job has been tried with a gradient of so many bytes.
    fn tried(&mut self, bytes: u64, outcome: &TrialOutcome);
}

/// Searches every cell of the experiment.
///
/// # Errors
/// The experiment cannot be used, or takes its gradients from files; no job can be started.
pub fn find(request: &CeilingRequest, watcher: &mut dyn Watcher) -> Result<Vec<Ceiling>, JobError> {
    let written = probe::Template::read(&request.experiment, request.strategies.as_deref(), request.ranks)?;
    let node_of: Vec<usize> = (0..request.ranks).map(|rank| rank * request.nodes / request.ranks).collect();
    let prepared = Prepared::understand(&written.with_elements(1), &request.experiment, &node_of)?;
    if prepared.experiment.comparisons.iter().any(|comparison| comparison.nodes.is_some()) {
        let file = request.experiment.display();
        return Err(JobError::Input(format!(
            "{file}: nodes: a ceiling is searched on one number of nodes; leave it out"
        )));
    }
    let cells: Vec<(&Comparison, &Cell)> = prepared.experiment.cells().collect();
    let mut all = Vec::with_capacity(cells.len());
    for (at, (comparison, cell)) in cells.iter().enumerate() {
        let predicted = predicted(&prepared, comparison, cell, request)?;
        let size = comparison.dtype.size() as u64;
        watcher.begins(at, cells.len(), &cell.to_string(), predicted.map(|elements| elements * size));
        let place = tempfile::Builder::new().prefix(".gradshard-ceiling-").tempdir_in(Path::new("."));
        let place = place.map_err(|error| JobError::Output(format!("the current directory: {error}")))?;
        let mut broken = None;
        let start = predicted.unwrap_or(1 << 20);
        let found = search(start, MOST_ELEMENTS, RESOLUTION, |elements| {
            let text = written.of_cell(comparison, cell, elements, request.limit);
            match probe::run(&text, place.path(), request) {
                Ok(outcome) => {
                    watcher.tried(elements * size, &outcome);
                    Some(outcome)
                }
                Err(error) => {
                    broken = Some(error);
                    None
                }
            }
        });
        if let Some(error) = broken {
            return Err(error);
        }
        let refused = found.refused();
        all.push(Ceiling {
            strategy: cell.strategy.clone(),
            shards: cell.shards,
            flow: cell.flow.to_string(),
            dtype: comparison.dtype.name().to_owned(),
            element_bytes: size,
            clients: comparison.clients,
            predicted_elements: predicted,
            largest_elements: found.largest,
            refused_elements: refused.map(|refused| refused.size),
            refused_because: refused.map(|refused| refused.outcome.to_string()).unwrap_or_default(),
            measured_over_predicted: found.largest.zip(predicted).map(|(found, asked)| found as f64 / asked as f64),
            tries: found.tries,
        });
    }
    Ok(all)
}

/// The longest gradient whose heaviest aggregator is predicted to stay under the limit. None without a plan.
fn predicted(
    prepared: &Prepared,
    comparison: &Comparison,
    cell: &Cell,
    request: &CeilingRequest,
) -> Result<Option<u64>, JobError> {
    let node_of: Vec<usize> = (0..request.ranks).map(|rank| rank * request.nodes / request.ranks).collect();
    let Ok(layout) = Layout::new(&node_of, comparison.roles).map(std::sync::Arc::new) else { return Ok(None) };
    let strategy = prepared.strategy(&cell.strategy)?;
    let heaviest = |elements: u64| -> Option<u64> {
        let comparison = Comparison { elements, ..comparison.clone() };
        let problem = prepared.unweighted(&comparison, cell.shards);
        let plan = strategy.plan(&problem, &layout).ok()?;
        let terms = prepared.terms(&comparison, cell, strategy, layout.nodes());
        let of = |rank| predict_rank(plan.as_ref(), &problem, &layout, &terms, rank).heaviest.total();
        (0..layout.ranks()).map(of).max()
    };
    if heaviest(1).is_none() {
        return Ok(None);
    }
    let fits = |elements: u64| heaviest(elements).is_some_and(|bytes| bytes <= request.limit);
    let (mut fitting, mut beyond) = (0, MOST_ELEMENTS);
    while beyond - fitting > 1 {
        let middle = fitting + (beyond - fitting) / 2;
        if fits(middle) {
            fitting = middle;
        } else {
            beyond = middle;
        }
    }
    Ok(Some(fitting))
}
