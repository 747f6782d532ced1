//! Measurements of deployments on functions: JSON, what calibration fits and what tables compare with.

use std::path::Path;

use serde::Deserialize;

use crate::cost::sourced::Positive;
use crate::cost::{Case, CostError, Usd};
use crate::experiment::ExperimentError;
use crate::experiment::parse::json;
use crate::gradient::{Dtype, models};
use crate::plan::strategies;

/// The measurements of Barrak 2026; configs/measurements/barrak-2026.json.
pub const BARRAK_2026: &str = include_str!("../../configs/measurements/barrak-2026.json");

/// Published or own measurements.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurements {
    /// Where they are from.
    pub source: String,
    /// What a reader should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// N.
    pub clients: u64,
    /// Element type.
    pub dtype: Dtype,
    /// One entry a deployment: a model, a strategy, a memory size.
    pub deployments: Vec<Deployment>,
    /// Dedicated parameter servers: how long they wait.
    #[serde(default)]
    pub idle: Vec<Idle>,
}

/// What a deployment's published price counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Billed {
    /// Every function's own duration.
    Mean,
    /// Every function as the slowest of its round, reading and summing only.
    SlowestWithoutWrite,
}

/// Means over the rounds of one deployment.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Its name in tables.
    pub name: String,
    /// The strategy.
    pub strategy: String,
    /// The model, of the catalogue.
    pub model: String,
    /// M.
    pub shards: u64,
    /// False where it could not be deployed.
    #[serde(default = "yes")]
    pub feasible: bool,
    /// Memory of its functions, MiB.
    #[serde(default)]
    pub memory_mib: Option<u64>,
    /// Rounds.
    #[serde(default)]
    pub rounds: Option<u64>,
    /// From start to end of a round, seconds.
    #[serde(default)]
    pub wall_s: Option<Positive>,
    /// Standard deviation of that over the rounds, seconds.
    #[serde(default)]
    pub wall_sd_s: Option<Positive>,
    /// Price of a round without the clients' traffic, as published.
    #[serde(default)]
    pub usd_per_round: Option<Usd>,
    /// What that price counts.
    #[serde(default = "mean")]
    pub billed: Billed,
    /// Its levels.
    #[serde(default)]
    pub phases: Vec<LevelTimes>,
}

/// Which functions of a level a time is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// Their mean.
    Mean,
    /// The slowest of each round, each time on its own.
    Slowest,
}

/// Times of the functions of one level, seconds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelTimes {
    /// From 1.
    pub level: u32,
    /// Which functions the next four are of.
    pub of: Statistic,
    /// Reading.
    #[serde(default)]
    pub read_s: Option<Positive>,
    /// Summing.
    #[serde(default)]
    pub sum_s: Option<Positive>,
    /// Writing.
    #[serde(default)]
    pub write_s: Option<Positive>,
    /// The whole function.
    #[serde(default)]
    pub function_s: Option<Positive>,
    /// Reading and summing together.
    #[serde(default)]
    pub read_and_sum_s: Option<Positive>,
    /// The slowest function of a round.
    #[serde(default)]
    pub slowest_s: Option<Positive>,
    /// From the level's start to its end.
    #[serde(default)]
    pub phase_s: Option<Positive>,
}

/// A dedicated parameter server's round.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    /// Model.
    pub model: String,
    /// |θ|.
    pub elements: u64,
    /// Clients train, the server waits, seconds.
    pub train_s: Positive,
    /// The server aggregates, seconds.
    pub aggregate_s: Positive,
    /// Share of the time that it waits, percent, as published.
    pub idle_percent: f64,
}

fn yes() -> bool {
    true
}

fn mean() -> Billed {
    Billed::Mean
}

impl Measurements {
    /// Reads measurements from `text`, the contents of `file`.
    ///
    /// # Errors
    /// If they are none: names the field, what is wrong and what would be right.
    pub fn parse(text: &str, file: &Path) -> Result<Measurements, ExperimentError> {
        json(text, file)
    }

    /// Those of [`BARRAK_2026`].
    ///
    /// # Errors
    /// None while the committed file is valid, which a test shows.
    pub fn barrak_2026() -> Result<Measurements, ExperimentError> {
        Measurements::parse(BARRAK_2026, Path::new("configs/measurements/barrak-2026.json"))
    }

    /// What `deployment` aggregates.
    ///
    /// # Errors
    /// If it names a strategy or a model that does not exist.
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
