//! Measurements of deployments on functions, read from JSON. Calibration fits them, and tables compare with them.

use std::path::Path;

use serde::Deserialize;

use crate::cost::sourced::Positive;
use crate::cost::{Case, CostError, Usd};
use crate::experiment::ExperimentError;
use crate::experiment::parse::json;
use crate::gradient::{Dtype, models};
use crate::plan::strategies;

/// The measurements of Barrak 2026: configs/measurements/barrak-2026.json.
pub const BARRAK_2026: &str = include_str!("../../configs/measurements/barrak-2026.json");

/// A set of published measurements or of one's own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurements {
    /// Source of the measurements.
    pub source: String,
    /// Notes for the reader.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Number of clients, N.
    pub clients: u64,
    /// Element type of the gradients.
    pub dtype: Dtype,
    /// The deployments: one for each model, strategy and memory size.
    pub deployments: Vec<Deployment>,
    /// The waiting times of dedicated parameter servers.
    #[serde(default)]
    pub idle: Vec<Idle>,
}

/// The durations that a deployment's published price counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Billed {
    /// The price counts every function's own duration.
    #[default]
    Mean,
    /// The price counts every function with the duration of the slowest of its round, reading and summing only.
    SlowestWithoutWrite,
}

/// Means over the rounds of one deployment.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Name of the deployment in tables.
    pub name: String,
    /// Name of the strategy.
    pub strategy: String,
    /// Name of the model in the catalogue.
    pub model: String,
    /// Number of shards, M.
    pub shards: u64,
    /// False if it could not be deployed.
    #[serde(default = "yes")]
    pub feasible: bool,
    /// Memory of its functions, MiB.
    pub memory_mib: Option<u64>,
    /// Number of rounds.
    pub rounds: Option<u64>,
    /// Duration of a round, seconds.
    pub wall_s: Option<Positive>,
    /// Standard deviation of the durations of the rounds, seconds.
    pub wall_sd_s: Option<Positive>,
    /// Published price of a round, without the clients' requests.
    pub usd_per_round: Option<Usd>,
    /// The durations that this price counts.
    #[serde(default)]
    pub billed: Billed,
    /// The times of its levels.
    #[serde(default)]
    pub phases: Vec<LevelTimes>,
}

/// The statistic of a time over the functions of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// The mean of the functions.
    Mean,
    /// The slowest function of each round; each phase has its own slowest function.
    Slowest,
}

/// Times of the functions of one level, seconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelTimes {
    /// Number of the level, from 1.
    pub level: u32,
    /// The statistic of the next four times.
    pub of: Statistic,
    /// Time for reading.
    pub read_s: Option<Positive>,
    /// Time for summing.
    pub sum_s: Option<Positive>,
    /// Time for writing.
    pub write_s: Option<Positive>,
    /// Time of the whole function.
    pub function_s: Option<Positive>,
    /// Time for reading and summing together.
    pub read_and_sum_s: Option<Positive>,
    /// Time of the slowest function of a round.
    pub slowest_s: Option<Positive>,
    /// Duration of the level.
    pub phase_s: Option<Positive>,
}

/// A round of a dedicated parameter server.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    /// Name of the model.
    pub model: String,
    /// Number of elements of the gradient, |θ|.
    pub elements: u64,
    /// Time for which the clients train and the server waits, seconds.
    pub train_s: Positive,
    /// Time for which the server aggregates, seconds.
    pub aggregate_s: Positive,
    /// Published share of the waiting time, percent.
    pub idle_percent: f64,
}

fn yes() -> bool {
    true
}

impl Measurements {
    /// Reads measurements from `text`, the contents of `file`.
    ///
    /// # Errors
    /// [`ExperimentError`] if the text is not valid. It names the field, the error and the remedy.
    pub fn parse(text: &str, file: &Path) -> Result<Measurements, ExperimentError> {
        json(text, file)
    }

    /// Reads [`BARRAK_2026`].
    ///
    /// # Errors
    /// None as long as the committed file is valid, which a test checks.
    pub fn barrak_2026() -> Result<Measurements, ExperimentError> {
        Measurements::parse(BARRAK_2026, Path::new("configs/measurements/barrak-2026.json"))
    }

    /// Returns the case that `deployment` measures.
    ///
    /// # Errors
    /// [`CostError`] if it names an unknown strategy or model.
    pub fn case(&self, deployment: &Deployment) -> Result<Case, CostError> {
        let strategy = strategies::find(&deployment.strategy).ok_or_else(|| CostError::Strategy {
            deployment: deployment.name.clone(),
            strategy: deployment.strategy.clone(),
            known: strategies::names().join(", "),
        })?;
        let model = models::find(&deployment.model)
            .map_err(|error| CostError::Model { deployment: deployment.name.clone(), problem: error.to_string() })?;
        let case = Case::new(strategy, model.elements, self.clients, deployment.shards.max(1));
        Ok(Case { dtype: self.dtype, ..case })
    }
}
