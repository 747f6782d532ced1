//! Runs comparisons on a given number of nodes: the ranks of the job's first nodes carry them out, and the others
//! sleep. As all are part of one job with one start of the MPI library, comparisons differ in the number of nodes only.

use std::collections::BTreeSet;

use crate::engine::transport::{Transport, agree, ranks_of_first_nodes};
use crate::experiment::Comparison;
use crate::job::{JobContext, JobError, Progress, Quiet, comparison, save, start};

/// Consecutive comparisons on the same nodes.
pub struct Group<'e> {
    /// Number of the job's first nodes to use; None uses all.
    pub nodes: Option<u64>,
    /// The comparisons, at least one.
    pub comparisons: &'e [Comparison],
}

/// Splits the comparisons where the number of nodes changes.
pub fn groups(comparisons: &[Comparison]) -> Vec<Group<'_>> {
    let same = comparisons.chunk_by(|one, next| one.nodes == next.nodes);
    same.map(|comparisons| Group { nodes: comparisons[0].nodes, comparisons }).collect()
}

/// Returns the ranks that measure on the first `nodes` nodes of `node_of`, in ascending order; None selects all.
pub fn members(node_of: &[usize], nodes: Option<u64>) -> Vec<usize> {
    ranks_of_first_nodes(node_of, nodes.map_or(usize::MAX, |nodes| nodes as usize))
}

/// Returns the nodes of these ranks.
pub fn node_of(node_of: &[usize], nodes: Option<u64>) -> Vec<usize> {
    members(node_of, nodes).into_iter().map(|rank| node_of[rank]).collect()
}

/// Codes of how a group ended on one rank. The greatest over all ranks decides.
const WELL: u64 = 0;
const OUTPUT: u64 = 1;
const INPUT: u64 = 2;
/// Stopped by a signal, whose number is added.
const STOPPED: u64 = 3;

/// Measures the group's comparisons. Limits that are not known yet are measured here on request. Collective over all ranks
/// of the job.
pub fn measure_group(
    transport: &mut dyn Transport,
    job: &mut JobContext<'_>,
    group: &Group<'_>,
) -> Result<(), JobError> {
    let there = transport.node_of().iter().collect::<BTreeSet<_>>().len() as u64;
    if group.nodes.is_none_or(|nodes| nodes == there) {
        return measure_here(transport, job, group);
    }
    let nodes = group.nodes.unwrap_or(there);
    let done = match transport.first_nodes(nodes as usize)? {
        Some(mut first) => {
            let mut quiet = Quiet;
            let progress: &mut dyn Progress = if first.rank() == 0 { &mut *job.progress } else { &mut quiet };
            let asked = job.prepared.experiment.repeat.start;
            let (mut sync, _) = start::synchroniser(first.as_mut(), asked, job.cores_shared)?;
            let mut job = JobContext { sync: &mut sync, limits: None, book: &mut *job.book, progress, ..*job };
            let done = measure_here(first.as_mut(), &mut job, group);
            if let Err(JobError::Lost(_)) = done {
                return done;
            }
            // A rank must not leave while others may still wait for its messages.
            first.barrier()?;
            done
        }
        None => Ok(()),
    };
    transport.rest()?;
    // Ranks that slept learn of errors as well.
    let (kind, said) = match done {
        Ok(()) => (WELL, Ok(())),
        Err(JobError::Input(said)) => (INPUT, Err(said)),
        Err(JobError::Stopped { signal, .. }) => {
            (STOPPED + u64::try_from(signal).unwrap_or_default(), Err(String::new()))
        }
        Err(error) => (OUTPUT, Err(error.to_string())),
    };
    let kind = transport.max(kind)?;
    match agree(transport, said)? {
        Ok(()) => Ok(()),
        Err(said) if kind == INPUT => Err(JobError::Input(said)),
        Err(_) if kind >= STOPPED => {
            Err(JobError::Stopped { signal: i32::try_from(kind - STOPPED).unwrap_or_default(), saved: None })
        }
        Err(said) => Err(JobError::Output(said)),
    }
}

/// Measures on the participating ranks.
fn measure_here(transport: &mut dyn Transport, job: &mut JobContext<'_>, group: &Group<'_>) -> Result<(), JobError> {
    let own = match job.limits {
        None if !job.request.no_limits => {
            job.progress.note(&match group.nodes {
                Some(nodes) => format!("measuring the limits of the first {nodes} node(s)"),
                None => "measuring the machine's limits".to_owned(),
            });
            Some(crate::roofline::probe(transport)?)
        }
        _ => None,
    };
    if let (Some(results), Some(limits)) = (&mut job.book.results, &own) {
        let nodes = transport.node_of().iter().collect::<BTreeSet<_>>().len();
        results.limits_of(nodes, serde_json::to_value(limits).unwrap_or_default());
    }
    let limits = job.limits.or(own.as_ref());
    let (sync, book, progress) = (&mut *job.sync, &mut *job.book, &mut *job.progress);
    let job = &mut JobContext { sync, book, progress, limits, ..*job };
    for comparison in group.comparisons {
        let measured = comparison::measure_comparison(transport, job, comparison)?;
        if let Some(results) = &mut job.book.results {
            for (row, samples, memory) in measured.cells {
                results.push(row, samples, memory);
            }
            results.push_ratios(measured.ratios);
            results.push_blocks(measured.blocks);
        }
        save(transport, &mut job.book.output, &job.book.results)?;
        if job.book.output.is_some() {
            job.book.running.clear();
        }
        job.progress.finished(comparison.index);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::run_threads;
    use crate::job::{Request, run};
    use crate::results::ResultFile;

    /// Three nodes with 2, 1 and 1 ranks.
    const NODE_OF: [usize; 4] = [0, 0, 1, 2];

    fn job(experiment: serde_json::Value, nodes: Option<Vec<u64>>) -> Vec<Result<Option<ResultFile>, String>> {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("nodes.json");
        std::fs::write(&file, experiment.to_string()).expect("written");
        let request = Request { output: Some(directory.path().join("nodes.h5")), nodes, ..Request::new(file) };
        run_threads(&NODE_OF, |transport| {
            let finished = run(transport, &request, &mut Quiet).map_err(|error| error.to_string())?;
            Ok(finished.map(|finished| finished.results))
        })
    }

    fn experiment() -> serde_json::Value {
        serde_json::json!({
            "models": {"name": "weak", "per_aggregator": 400}, "nodes": [1, 3], "clients": {"per_rank": 2},
            "shards": {"per_rank": 1}, "strategies": ["sharded-ring", "tree-lambda-fl"],
            "repeat": {"start": "barrier", "blocks": 2, "warmup": 0}
        })
    }

    #[test]
    fn each_number_of_nodes_is_measured_by_its_ranks_alone() {
        let all = job(experiment(), None);
        let results = all[0].as_ref().expect("it goes well").as_ref().expect("rank 0 has them");
        assert!(all[1..].iter().all(|other| *other == Ok(None)));
        let found: Vec<(u64, u64, u64, u64)> =
            results.cells.iter().map(|row| (row.nodes, row.ranks, row.clients, row.elements)).collect();
        // 2 and 4 ranks, with 2 clients and 100 f32 each.
        assert_eq!(found, [(1, 2, 4, 200), (1, 2, 4, 200), (3, 4, 8, 400), (3, 4, 8, 400)]);
        assert!(results.cells.iter().all(|row| row.status == crate::results::row::Status::Ok), "{:?}", results.cells);
        assert!(results.samples.iter().all(|sample| sample.rank_seconds.len() == if sample.cell < 2 { 2 } else { 4 }));
        let limits = results.environment["limits_on_nodes"].as_object().expect("limits");
        assert_eq!(limits.keys().collect::<Vec<_>>(), ["1", "3"]);
        assert!(limits["1"]["wires"].is_null() && limits["3"]["node_pairs"].as_array().is_some_and(|it| it.len() == 6));
        assert_eq!(results.environment["limits"], limits["3"]);
    }

    #[test]
    fn nodes_chosen_at_the_command_line_are_what_the_file_says() {
        let all = job(experiment(), Some(vec![2]));
        let results = all[0].as_ref().expect("it goes well").as_ref().expect("rank 0 has them");
        assert_eq!(results.cells.iter().map(|row| row.ranks).collect::<Vec<_>>(), [3, 3]);
        let stored: serde_json::Value = serde_json::from_str(&results.experiment_json).expect("JSON");
        assert_eq!(stored["nodes"], serde_json::json!([2]));
    }

    #[test]
    fn more_nodes_than_there_are_are_refused_on_every_rank() {
        for refused in job(experiment(), Some(vec![1, 4])) {
            let said = refused.expect_err("4 of 3 nodes");
            assert!(said.contains("nodes[1]: 4, but the ranks of this job are on 3 node(s)"), "{said}");
        }
    }
}
