//! A result file in memory.

use serde_json::Value;

use super::digest::sha256;
use super::job_row::{JobRow, PooledRow};
use super::row::{BlockRow, CellRow, RankMemory, RatioRow, Sample};
use super::schema::SCHEMA_VERSION;

/// Everything a result file holds. Rank 0 has one, adds to it after every cell and saves it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultFile {
    /// Version of the layout: of the file that was read, or that will be written.
    pub schema_version: u32,
    /// The experiment file, byte for byte as it was given.
    pub experiment_json: String,
    /// SHA-256 of those bytes, lower-case hexadecimal.
    pub experiment_sha256: String,
    /// When the first job began, or the file was merged, RFC 3339, UTC.
    pub created: String,
    /// The gradshard that measured.
    pub gradshard_version: String,
    /// A JSON object: what was found out about the machine, the MPI library and the build by the first job; of several
    /// jobs that were merged, what all of them say.
    pub environment: Value,
    /// One row a job, each numbered by its place.
    pub jobs: Vec<JobRow>,
    /// One row a cell, in the order in which they ended.
    pub cells: Vec<CellRow>,
    /// One row a cell that was compared with the fastest of its comparison.
    pub ratios: Vec<RatioRow>,
    /// One row a block of a comparison.
    pub blocks: Vec<BlockRow>,
    /// Ratios over several jobs; empty unless jobs were merged.
    pub pooled_ratios: Vec<PooledRow>,
    /// One row a timed round.
    pub samples: Vec<Sample>,
    /// Memory of every rank: the first index is the place in `cells`, the second the rank. Empty where nothing was
    /// predicted, as for a cell that has no plan.
    pub memory_ranks: Vec<Vec<RankMemory>>,
}

impl ResultFile {
    /// A file without cells, of a job that begins now with this gradshard. `environment` is a JSON object.
    pub fn new(experiment_json: String, environment: Value) -> Self {
        let job = JobRow::new(&environment);
        ResultFile {
            schema_version: SCHEMA_VERSION,
            experiment_sha256: sha256(&experiment_json),
            experiment_json,
            created: job.created.clone(),
            gradshard_version: job.gradshard_version.clone(),
            environment,
            jobs: vec![job],
            cells: Vec::new(),
            ratios: Vec::new(),
            blocks: Vec::new(),
            pooled_ratios: Vec::new(),
            samples: Vec::new(),
            memory_ranks: Vec::new(),
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

    /// Adds how cells of the last job compare.
    pub fn push_ratios(&mut self, ratios: Vec<RatioRow>) {
        let job = self.last_job();
        self.ratios.extend(ratios.into_iter().map(|ratio| RatioRow { job, ..ratio }));
    }

    /// Adds what the machine did during blocks of the last job.
    pub fn push_blocks(&mut self, blocks: Vec<BlockRow>) {
        let job = self.last_job();
        self.blocks.extend(blocks.into_iter().map(|block| BlockRow { job, ..block }));
    }

    /// Number of the job that cells are added of.
    fn last_job(&self) -> u64 {
        self.jobs.len().saturating_sub(1) as u64
    }

    /// True if the file was merged from those of several jobs.
    pub fn is_merged(&self) -> bool {
        self.jobs.iter().any(|job| !job.file.is_empty())
    }

    /// Notes that another job goes on with this file, in an environment of its own: what is added from here on is its.
    pub fn resumed(&mut self, environment: &Value) {
        let job = self.jobs.len() as u64;
        self.jobs.push(JobRow { job, ..JobRow::new(environment) });
    }

    /// Notes the limits that were measured on the first `nodes` nodes, in the environment of the job that measured them:
    /// entry `limits_on_nodes`, by number of nodes. Those of the most nodes are its `limits` too.
    pub fn limits_of(&mut self, nodes: usize, limits: Value) {
        // The first job's environment is the file's.
        if self.jobs.len() < 2 {
            note_limits(&mut self.environment, nodes, &limits);
        }
        if let Some(job) = self.jobs.last_mut() {
            note_limits(&mut job.environment, nodes, &limits);
        }
    }

    /// The experiment's own name; None where the experiment has none.
    pub fn experiment_name(&self) -> Option<String> {
        let experiment: Value = serde_json::from_str(&self.experiment_json).ok()?;
        Some(experiment.get("name")?.as_str()?.to_owned())
    }
}

/// Notes limits in the environment of one job.
fn note_limits(environment: &mut Value, nodes: usize, limits: &Value) {
    let Some(environment) = environment.as_object_mut() else { return };
    let known = environment.entry("limits_on_nodes").or_insert_with(|| Value::Object(Default::default()));
    let Some(known) = known.as_object_mut() else { return };
    let most = known.keys().all(|other| other.parse::<usize>().is_ok_and(|other| other <= nodes));
    known.insert(nodes.to_string(), limits.clone());
    if most {
        environment.insert("limits".to_owned(), limits.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_comes_from_the_experiment() {
        let named = ResultFile::new(r#"{"name": "first-look"}"#.into(), Value::Null);
        assert_eq!(named.experiment_name().as_deref(), Some("first-look"));
        assert_eq!(ResultFile::new("{}".into(), Value::Null).experiment_name(), None);
        assert_eq!(ResultFile::new("not JSON".into(), Value::Null).experiment_name(), None);
    }
}
