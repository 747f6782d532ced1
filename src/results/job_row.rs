//! The rows of jobs, which are the outer unit of repetition, and of ratios that are pooled over several jobs.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::SystemTime;

use super::column::table;
use super::digest::sha256;
use super::environment::Environment;
use crate::stats::Verdict;
use crate::utc;

/// Hexadecimal digits of a job's identity: 128 bits.
const ID_DIGITS: usize = 32;

table! {
    /// A row of `/jobs`: one run of `gradshard run`, with `--resume` or without.
    JobRow {
        job: u64, "1", since 4, "number of the job, from 0";
        id: String, "text", since 4, "identity, which no other job has: 32 hexadecimal digits";
        file: String, "text", since 4, "name of the file that it was merged from; empty in the file that it wrote";
        created: String, "text", since 4, "time at which it began, RFC 3339, UTC";
        gradshard_version: String, "text", since 4, "version of the gradshard that measured";
        transport: String, "text", since 4, "the MPI library and its version, or threads";
        ranks: u64, "1", since 4, "number of MPI ranks, or of threads";
        nodes: u64, "1", since 4, "number of nodes";
        hosts: String, "text", since 4, "names of the nodes, with commas between";
        scheduler_job: String, "text", since 4, "the scheduler's number of the job; empty without one";
        environment: Environment, "text", since 4, "the job's environment, JSON";
    }
}

impl JobRow {
    /// A job that begins now in `environment`.
    pub fn new(environment: &Environment) -> JobRow {
        let created = utc::now();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        // The system seeds this for each process, so jobs that begin at the same time differ.
        let random = RandomState::new().hash_one(now);
        let salt = format!("{now} {random} {} {environment}", std::process::id());
        JobRow::described(identity(&salt), created, env!("CARGO_PKG_VERSION").to_owned(), environment)
    }

    /// The job of a file that was written before jobs had rows. Its identity is computed from the file's contents, so
    /// it is the same whenever the file is read.
    pub(super) fn of_older_file(created: &str, version: &str, environment: &Environment) -> JobRow {
        let id = identity(&format!("{created} {version} {environment}"));
        JobRow::described(id, created.to_owned(), version.to_owned(), environment)
    }

    fn described(id: String, created: String, gradshard_version: String, environment: &Environment) -> JobRow {
        JobRow {
            id,
            created,
            gradshard_version,
            transport: environment.transport().to_owned(),
            ranks: environment.ranks(),
            nodes: environment.nodes(),
            hosts: environment.hosts().join(","),
            scheduler_job: environment.scheduler_job().unwrap_or_default().to_owned(),
            environment: environment.clone(),
            ..JobRow::default()
        }
    }

    /// The job in a few words, for a message.
    pub fn summary(&self) -> String {
        let mut words = vec![format!("begun {}", self.created)];
        if !self.scheduler_job.is_empty() {
            words.push(format!("scheduler's {}", self.scheduler_job));
        }
        words.push(format!("{} ranks on {} nodes", self.ranks, self.nodes));
        words.join(", ")
    }
}

fn identity(salt: &str) -> String {
    let mut digest = sha256(salt);
    digest.truncate(ID_DIGITS);
    digest
}

table! {
    /// A row of `/pooled_ratios`: a cell compared with the fastest one, over several jobs with the same numbers of
    /// ranks and nodes. Each job gives one ratio, so the interval is valid for further jobs of the same kind.
    PooledRow {
        transport: String, "text", since 4, "the MPI library and its version, or threads, in all of the jobs";
        ranks: u64, "1", since 4, "ranks of each of the jobs";
        nodes: u64, "1", since 4, "nodes of each of the jobs";
        comparison: u64, "1", since 4, "number of the comparison";
        cell: u64, "1", since 4, "number of the cell";
        baseline: u64, "1", since 4, "number of the cell that it is compared with: the one whose medians have the least geometric mean";
        jobs: u64, "1", since 4, "jobs in which both were timed; each gives one ratio, its Hodges-Lehmann estimate";
        estimate: f64, "1", since 4, "geometric mean of the jobs' ratios, the cell's time divided by the baseline's";
        ci_low: f64, "1", since 4, "lower end of the ratio's 95 % interval over jobs (Student's t of the log ratios)";
        ci_high: f64, "1", since 4, "upper end of the ratio's 95 % interval over jobs";
        spread: f64, "1", since 4, "factor by which jobs typically differ: exp of the standard deviation of the log ratios";
        p: f64, "1", since 4, "p-value of the two being equally fast, by Student's t test, alone";
        p_holm: f64, "1", since 4, "the same for all pairs of cells of the comparison, by Holm's adjustment";
        p_same_holm: f64, "1", since 4, "p-value of the ratio lying outside the margin, for all pairs";
        margin: f64, "1", since 4, "ratios between 1 / (1 + margin) and 1 + margin count as the same";
        verdict: Verdict, "text", since 4, "claim about the cell: faster, slower, same or undecided";
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_job_is_comes_from_its_environment() {
        let host = |name: &str| json!({"environment": {"hostname": name, "launcher": {"job": {"SLURM_JOB_ID": "77"}}}});
        let machines = [host("b"), host("b"), host("a")];
        let environment = json!({"transport": "threads", "ranks": 3, "nodes": 2, "machines": machines});
        let job = JobRow::new(&Environment::of(&environment).expect("an object"));
        assert_eq!((job.transport.as_str(), job.ranks, job.nodes), ("threads", 3, 2));
        assert_eq!((job.hosts.as_str(), job.scheduler_job.as_str(), job.file.as_str()), ("b,a", "77", ""));
        assert!(job.summary().ends_with(", scheduler's 77, 3 ranks on 2 nodes"), "{}", job.summary());
        assert_eq!(JobRow::new(&Environment::default()).scheduler_job, "");
    }

    #[test]
    fn jobs_that_begin_together_differ_and_a_file_read_twice_does_not() {
        let environment = Environment::of(&json!({"ranks": 3})).expect("an object");
        let (one, other) = (JobRow::new(&environment), JobRow::new(&environment));
        assert!(one.id != other.id && one.id.len() == 32, "{} {}", one.id, other.id);
        let old = |created: &str| JobRow::of_older_file(created, "0.1.0", &environment).id;
        assert_eq!(old("2026-01-01T00:00:00Z"), old("2026-01-01T00:00:00Z"));
        assert_ne!(old("2026-01-01T00:00:00Z"), old("2026-01-01T00:00:01Z"));
    }
}
