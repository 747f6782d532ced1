//! One trial: a job with one cell, one round and the limit enforced.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::CeilingRequest;
use crate::experiment::{Cell, Comparison, FlowChoice};
use crate::job::JobError;
use crate::results::ResultFile;
use crate::results::row::Status;

/// The outcome of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, strum::Display)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "detail")]
pub enum TrialOutcome {
    /// The gradient was aggregated and the result verified.
    #[strum(to_string = "ok")]
    Ok,
    /// The job wrote a result, but its cell failed: the reason.
    #[strum(to_string = "refused: {0}")]
    Refused(String),
    /// The job wrote no result: its exit status and last message.
    #[strum(to_string = "died: {0}")]
    Died(String),
    /// The job exceeded its time limit.
    #[strum(to_string = "hung: {0}")]
    Hung(String),
}

impl TrialOutcome {
    /// Returns true if the trial passed.
    pub fn went(&self) -> bool {
        *self == TrialOutcome::Ok
    }
}

/// An experiment whose cells are tried one at a time.
pub struct Template {
    experiment: Value,
}

impl Template {
    /// Reads the experiment at `path`, restricted to `strategies` if given. If it names no roles, all ranks but one are
    /// dedicated aggregators, so that clients' gradients do not count.
    pub fn read(path: &Path, strategies: Option<&[String]>, ranks: usize) -> Result<Template, JobError> {
        let wrong = |problem: String| JobError::Input(format!("{}: {problem}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut experiment: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let Some(fields) = experiment.as_object_mut() else { return Err(wrong("is no JSON object".to_owned())) };
        let source = fields.get("gradients").and_then(|gradients| gradients.get("source")).and_then(Value::as_str);
        if source.is_some_and(|source| source != "synthetic") {
            let problem = "gradients.source: files have one size; write \"synthetic\" to search for the largest";
            return Err(wrong(problem.to_owned()));
        }
        if let Some(strategies) = strategies {
            fields.insert("strategies".to_owned(), json!(strategies));
        }
        for given in ["ceiling", "enforce", "repeat"] {
            fields.remove(given);
        }
        fields.entry("roles").or_insert_with(|| json!({"dedicated": ranks.saturating_sub(1).max(1)}));
        let gradients = fields.entry("gradients").or_insert_with(|| json!({"source": "synthetic"}));
        if let Some(gradients) = gradients.as_object_mut() {
            gradients.insert("residency".to_owned(), json!("streamed"));
        }
        Ok(Template { experiment })
    }

    /// Returns the experiment with a gradient of this length as its only model.
    pub fn with_elements(&self, elements: u64) -> String {
        let mut experiment = self.experiment.clone();
        experiment["models"] = json!([{"name": "probe", "elements": elements}]);
        experiment.to_string()
    }

    /// Returns the experiment reduced to one cell and one gradient length, under an enforced ceiling of `limit` bytes.
    pub fn of_cell(&self, comparison: &Comparison, cell: &Cell, elements: u64, limit: u64) -> String {
        let mut experiment = self.experiment.clone();
        // Only calls of the library heed it, and they have no automatic pieces.
        let pieces = if cell.flow == FlowChoice::Auto { FlowChoice::Whole } else { cell.flow };
        let fields = [
            ("name", json!("probe")),
            ("models", json!([{"name": "probe", "elements": elements}])),
            ("dtype", json!(comparison.dtype.name())),
            ("clients", json!(comparison.clients)),
            ("roles", json!(comparison.roles)),
            ("end", json!(comparison.end.to_string())),
            ("strategies", json!([cell.strategy])),
            ("radix", json!(cell.form.radix)),
            ("across", json!(cell.form.across)),
            ("closing", json!(cell.form.closing)),
            ("native", json!({"algorithm": cell.form.algorithm, "component": cell.form.component, "pieces": pieces})),
            ("shards", json!(cell.shards)),
            ("flow", json!(cell.flow)),
            ("intra_node", json!(cell.intra_node.to_string())),
            ("order", json!(cell.order.to_string())),
            ("ready", json!(cell.ready.to_string())),
            ("caches", json!(cell.caches.to_string())),
            ("ceiling", json!(limit)),
            ("enforce", json!(true)),
            ("repeat", json!({"blocks": 1, "warmup": 0})),
        ];
        for (name, value) in fields {
            experiment[name] = value;
        }
        experiment.to_string()
    }
}

/// Runs a job of one cell with its files in the directory `place`.
///
/// # Errors
/// If the job cannot be started or rejects the experiment.
pub fn run(experiment: &str, place: &Path, request: &CeilingRequest) -> Result<TrialOutcome, JobError> {
    let broken = |what: &str, error: &dyn fmt::Display| JobError::Output(format!("{what}: {error}"));
    let (file, output, said) = (place.join("probe.json"), place.join("probe.h5"), place.join("said"));
    fs::write(&file, experiment).map_err(|error| broken("probe.json", &error))?;
    // Remove the result of an earlier trial.
    let _ = fs::remove_file(&output);
    let program = std::env::current_exe().map_err(|error| broken("gradshard", &error))?;
    let words = ["run", "--force", "--no-limits", "--ignore-prediction", "--output"];
    let mut arguments: Vec<PathBuf> = words.into_iter().map(PathBuf::from).collect();
    arguments.extend([output.clone(), file]);
    let ended = request.launcher.run_within(request.patience, &program, &arguments, &said);
    let ended = ended.map_err(|error| JobError::Input(format!("{}: {error}", request.launcher.text())))?;
    let last_words = || {
        let text = fs::read_to_string(&said).unwrap_or_default();
        let ours = text.lines().rev().find(|line| line.starts_with("gradshard: "));
        ours.or(text.lines().rev().find(|line| !line.trim().is_empty())).unwrap_or("nothing was said").to_owned()
    };
    let Some(status) = ended else {
        return Ok(TrialOutcome::Hung(format!("no end after {} s", request.patience.as_secs_f64())));
    };
    // Exit codes 126 and 127 of shells and timeout(1): the command cannot be run, or was not found.
    if matches!(status.code(), Some(126 | 127)) && !output.exists() {
        return Err(JobError::Input(format!("{}: {}", request.launcher.text(), last_words())));
    }
    if status.code() == Some(2) {
        return Err(JobError::Input(last_words()));
    }
    let row = ResultFile::open(&output).ok().and_then(|results| results.cells.into_iter().next());
    Ok(match row {
        Some(row) if status.success() && row.status == Status::Ok => TrialOutcome::Ok,
        Some(row) => TrialOutcome::Refused(row.reason),
        None => TrialOutcome::Died(format!("{status}; {}", last_words())),
    })
}
