//! A result file in memory.

use serde_json::Value;

use super::digest::sha256;
use super::environment::Environment;
use super::function_row::FunctionRow;
use super::job_row::{JobRow, PooledRow};
use super::row::{BlockRow, CellRow, RankMemory, RatioRow, Sample};
use super::schema::SCHEMA_VERSION;

/// Everything that a result file holds. Rank 0 adds to it after every cell and saves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultFile {
    /// Version of the layout of the file that was read or will be written.
    pub schema_version: u32,
    /// The experiment file, byte for byte as it was given.
    pub experiment_json: String,
    /// SHA-256 of those bytes, lower-case hexadecimal.
    pub experiment_sha256: String,
    /// Time at which the first job began or the file was merged, RFC 3339, UTC.
    pub created: String,
    /// Version of the gradshard that measured.
    pub gradshard_version: String,
    /// The first job's environment. In a merged file, the entries that all jobs have in common.
    pub environment: Environment,
    /// One row per job; a job's number is its index.
    pub jobs: Vec<JobRow>,
    /// One row per cell, in the order in which they ended.
    pub cells: Vec<CellRow>,
    /// One row per cell that was compared with the fastest of its comparison.
    pub ratios: Vec<RatioRow>,
    /// One row per block of a comparison.
    pub blocks: Vec<BlockRow>,
    /// Ratios over several jobs; empty unless jobs were merged.
    pub pooled_ratios: Vec<PooledRow>,
    /// One row per round that functions carried out.
    pub function_rounds: Vec<FunctionRow>,
    /// One row per timed round.
    pub samples: Vec<Sample>,
    /// Memory of every rank: the first index is that of the cell in `cells`, the second is the rank. A cell's list is
    /// empty if nothing was predicted, as for a cell without a plan.
    pub memory_ranks: Vec<Vec<RankMemory>>,
}

impl ResultFile {
    /// A file without cells, for a job that begins now with this gradshard.
    pub fn new(experiment_json: String, environment: Environment) -> Self {
        let job = JobRow::new(&environment);
        ResultFile {
            schema_version: SCHEMA_VERSION,
            experiment_sha256: sha256(&experiment_json),
            experiment_json,
            created: job.created.clone(),
            gradshard_version: job.gradshard_version.clone(),
            environment,
            jobs: vec![job],
            ..ResultFile::default()
        }
    }

    /// Adds a cell of the last job, its timed rounds and the memory of each rank (in rank order; empty if nothing was
    /// predicted).
    pub fn push(&mut self, cell: CellRow, samples: Vec<Sample>, memory_ranks: Vec<RankMemory>) {
        let job = self.last_job();
        self.cells.push(CellRow { job, ..cell });
        self.samples.extend(samples.into_iter().map(|sample| Sample { job, ..sample }));
        self.memory_ranks.push(memory_ranks);
    }

    /// Adds ratios between cells of the last job.
    pub fn push_ratios(&mut self, ratios: Vec<RatioRow>) {
        let job = self.last_job();
        self.ratios.extend(ratios.into_iter().map(|ratio| RatioRow { job, ..ratio }));
    }

    /// Adds the state of the machine during blocks of the last job.
    pub fn push_blocks(&mut self, blocks: Vec<BlockRow>) {
        let job = self.last_job();
        self.blocks.extend(blocks.into_iter().map(|block| BlockRow { job, ..block }));
    }

    /// Adds a round of the last job that functions carried out, and numbers it.
    pub fn push_function_round(&mut self, row: FunctionRow) {
        let job = self.last_job();
        let round = self.function_rounds.iter().filter(|other| other.job == job).count() as u64;
        self.function_rounds.push(FunctionRow { job, round, ..row });
    }

    /// Number of the job that added cells belong to.
    fn last_job(&self) -> u64 {
        self.jobs.len().saturating_sub(1) as u64
    }

    /// True if the file was merged from the files of jobs.
    pub fn is_merged(&self) -> bool {
        self.jobs.iter().any(|job| !job.file.is_empty())
    }

    /// Adds a job that continues this file in its own environment. Everything added from now on belongs to this job.
    pub fn resumed(&mut self, environment: &Environment) {
        let job = self.jobs.len() as u64;
        self.jobs.push(JobRow { job, ..JobRow::new(environment) });
    }

    /// Stores the limits measured on the first `nodes` nodes in the last job's environment, under `limits_on_nodes` by
    /// number of nodes. The limits of the largest number of nodes are also stored under `limits`.
    pub fn limits_of(&mut self, nodes: usize, limits: Value) {
        // The first job's environment is the file's.
        if self.jobs.len() < 2 {
            self.environment.add_limits(nodes, &limits);
        }
        if let Some(job) = self.jobs.last_mut() {
            job.environment.add_limits(nodes, &limits);
        }
    }

    /// The name in the experiment; None if it has none.
    pub fn experiment_name(&self) -> Option<String> {
        let experiment: Value = serde_json::from_str(&self.experiment_json).ok()?;
        Some(experiment.get("name")?.as_str()?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_comes_from_the_experiment() {
        let named = ResultFile::new(r#"{"name": "first-look"}"#.into(), Environment::default());
        assert_eq!(named.experiment_name().as_deref(), Some("first-look"));
        assert_eq!(ResultFile::new("{}".into(), Environment::default()).experiment_name(), None);
        assert_eq!(ResultFile::new("not JSON".into(), Environment::default()).experiment_name(), None);
    }
}
