//! Small result files for the tests of text, JSON and CSV.

use serde_json::json;

use crate::plan::Family;
use crate::results::pooled::pooled_ratios;
use crate::results::row::{CellRow, MemoryRow, RankMemory, RatioRow, Sample, Status, VerificationRow};
use crate::results::{Environment, ResultFile};
use crate::roofline::share::Bottleneck;
use crate::stats::{StopReason, Verdict};

fn cell(cell: u64, strategy: &str, family: Family, shards: u64) -> CellRow {
    CellRow {
        cell,
        strategy: strategy.into(),
        family,
        model: "odd".into(),
        elements: 1_000_003,
        clients: 20,
        shards,
        flow: "1MiB".into(),
        ranks: 4,
        nodes: 2,
        samples: 10,
        status: Status::Ok,
        ..CellRow::default()
    }
}

fn timed(mut row: CellRow, median: f64, interval: Option<(f64, f64)>) -> CellRow {
    row.median_s = Some(median);
    row.ci_low_s = interval.map(|(low, _)| low);
    row.ci_high_s = interval.map(|(_, high)| high);
    row.gradient_bytes_per_s = Some(4_000_012.0 / median);
    row.ingest_bytes_per_s = Some(20.0 * 4_000_012.0 / median);
    row
}

fn verified(differing_elements: u64, max_ulp: u64, max_relative_error_vs_exact: f64) -> Option<VerificationRow> {
    let reference = "flat server".to_owned();
    Some(VerificationRow {
        differing_elements,
        max_ulp,
        max_relative_error_vs_exact,
        max_backward_error: Some(3e-8),
        wrong_elements: 0,
        reference,
    })
}

/// A file of jobs that timed `sharded-direct` and `tree-central` in 20 blocks with these seconds, each on its number of
/// nodes, with ratios over jobs. The ratios of each job have the verdict that the tree is slower.
pub fn jobs(seconds: &[[f64; 2]], nodes: &[u64]) -> ResultFile {
    let mut file = ResultFile::new(r#"{"name": "jobs"}"#.into(), Environment::default());
    for (job, (of_job, nodes)) in seconds.iter().zip(nodes).enumerate() {
        if job > 0 {
            file.resumed(&Environment::default());
        }
        file.jobs[job].file = format!("job-{job}.h5");
        for (number, (family, seconds)) in (0..).zip([Family::Sharded, Family::Tree].into_iter().zip(of_job)) {
            let strategy = if family == Family::Tree { "tree-central" } else { "sharded-direct" };
            let row = CellRow { ranks: 2 * nodes, nodes: *nodes, ..cell(number, strategy, family, 4) };
            let sample = |block| Sample { cell: number, block, seconds: *seconds, ..Sample::default() };
            file.push(timed(row, *seconds, None), (0..20).map(sample).collect(), vec![]);
        }
        let estimate = of_job[1] / of_job[0];
        file.push_ratios(vec![RatioRow {
            cell: 1,
            blocks: 20,
            estimate,
            ci_low: Some(estimate / 1.01),
            ci_high: Some(estimate * 1.01),
            verdict: Verdict::Slower,
            ..RatioRow::default()
        }]);
    }
    file.pooled_ratios = pooled_ratios(&file);
    file
}

/// A file of one job with two cells that are ok, one that is infeasible, and one that failed.
pub fn file() -> ResultFile {
    let environment = json!({
        "mpi_library": "Open MPI 4.1.4\nsecond line",
        "ranks_per_node": 2,
        "cores_shared": true,
        "hosts": ["a", "b"],
    });
    let mut file =
        ResultFile::new(r#"{"name": "first-look"}"#.into(), Environment::of(&environment).expect("an object"));

    let mut direct = timed(cell(0, "sharded-direct", Family::Sharded, 4), 0.012345, Some((0.0121, 0.0126)));
    direct.memory = MemoryRow { resident: 2 << 20, accumulators: 1 << 20, staging: 1 << 19, result: 0 };
    direct.aggregator = MemoryRow { resident: 0, ..direct.memory };
    direct.aggregating_bytes = 3 << 19;
    direct.verification = verified(0, 0, 1e-7);
    direct.stopped = Some(StopReason::Precise);
    (direct.looks, direct.blocks, direct.warm_up_samples) = (1, 10, 2);
    (direct.lag1_autocorrelation, direct.effective_samples) = (Some(0.25), Some(6.0));
    direct.share_of_limit = Some(0.5);
    direct.limit_bytes = 84_000_252;
    direct.limit_part = Some(Bottleneck::Memory);
    direct.limit_seconds = Some(0.006_172_5);
    let sample = |block| Sample {
        block,
        seconds: 0.0125,
        rank_seconds: vec![0.012, 0.0125, 0.011, 0.01],
        rank_producing_seconds: vec![0.0; 4],
        rank_start_seconds: vec![0.0; 4],
        ..Sample::default()
    };
    let ranks = vec![RankMemory { predicted: direct.memory, ..RankMemory::default() }; 4];
    file.push(direct, vec![sample(0), sample(1)], ranks);

    let mut tree = timed(cell(1, "tree-lambda-fl", Family::Tree, 1), 0.95, None);
    tree.memory = MemoryRow { result: 1 << 19, ..MemoryRow::default() };
    tree.verification = verified(7, 2, 2e-7);
    file.push(tree, vec![], vec![]);

    let mut infeasible = cell(2, "native-reduce-scatter-block", Family::Library, 16);
    infeasible.flow = "whole".into();
    infeasible.samples = 0;
    infeasible.status = Status::Infeasible;
    infeasible.reason = "needs 12 GiB, the ceiling is 1 GiB".into();
    file.push(infeasible, vec![], vec![]);

    let mut wrong = timed(cell(3, "tree-binomial", Family::Tree, 1), 1e-5, None);
    wrong.verification = verified(1_000_003, 4_278_190_080, f64::INFINITY);
    if let Some(found) = &mut wrong.verification {
        found.wrong_elements = 3;
    }
    wrong.status = Status::Failed;
    wrong.reason = "the result\nis wrong".into();
    file.push(wrong, vec![], vec![]);
    file
}
