//! Tests that h5py and h5dump, which do not know gradshard, can read a result file.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output as Finished};

mod harness;

use gradshard::memory::KernelMemory;
use gradshard::results::row::{
    BlockRow, BlockStart, CellRow, MemoryRow, RankMemory, RatioRow, Sample, Status, VerificationRow,
};
use gradshard::results::{Environment, Output, ResultFile};
use gradshard::stats::{StopReason, Verdict};
use harness::{available, python, script};
use serde_json::json;

fn verification() -> VerificationRow {
    VerificationRow {
        differing_elements: 7,
        max_ulp: 2,
        max_relative_error_vs_exact: 1e-7,
        max_backward_error: Some(3e-8),
        wrong_elements: 0,
        reference: "flat server".into(),
    }
}

/// Writes a file with the contents that tests/python/read_result.py expects.
fn write(directory: &Path) -> PathBuf {
    let environment = json!({"mpi_library": "Open MPI", "cores": 2, "load": 0.5, "shared": true, "hosts": ["a", "b"]});
    let environment = Environment::of(&environment).expect("an object");
    let mut file = ResultFile::new("{ \"name\": \"first-look\", \"note\": \"θ\" }\n".into(), environment);
    let memory = MemoryRow { resident: 4, accumulators: 3, staging: 2, result: 1 };
    let good = CellRow {
        strategy: "sharded-direct".into(),
        elements: 1_000_003,
        median_s: Some(0.125),
        memory,
        verification: Some(verification()),
        status: Status::Ok,
        stopped: Some(StopReason::Precise),
        looks: 2,
        blocks: 20,
        warm_up_samples: 3,
        lag1_autocorrelation: Some(0.5),
        effective_samples: Some(6.0),
        ..CellRow::default()
    };
    let sample = |block, place, seconds, rank_seconds, rank_producing_seconds| Sample {
        job: 0,
        cell: 0,
        block,
        place,
        seconds,
        late_ranks: block,
        superseded: 0,
        involuntary_switches: 3,
        off_core_seconds: 0.5,
        rank_start_seconds: vec![2.0; Vec::len(&rank_seconds)],
        rank_seconds,
        rank_producing_seconds,
    };
    let samples = vec![
        sample(0, 1, 0.25, vec![0.25, 0.125, 0.0625], vec![0.5, 1.0, 2.0]),
        sample(1, 0, 0.125, vec![0.125, 0.0], vec![0.0, 0.0]),
    ];
    let kernel = Some(KernelMemory { round: 7, resident: 4, baseline: 100, neighbours: 50 });
    let watched = RankMemory { predicted: memory, tracked: Some(memory), kernel, group_peak: Some(1000) };
    let predicted = MemoryRow { result: 9, ..MemoryRow::default() };
    file.push(good, samples, vec![watched, RankMemory { predicted, ..RankMemory::default() }]);
    let reason = "needs 12 GiB, “all” of it".into();
    file.push(CellRow { cell: 1, status: Status::Infeasible, reason, ..CellRow::default() }, vec![], vec![]);
    file.ratios.push(RatioRow {
        job: 0,
        comparison: 4,
        cell: 1,
        baseline: 0,
        blocks: 20,
        estimate: 1.5,
        ci_low: Some(1.25),
        ci_high: None,
        alpha: 0.0125,
        p: 0.001,
        p_holm: 0.004,
        p_same_holm: 1.0,
        margin: 0.02,
        verdict: Verdict::Slower,
        lag1_autocorrelation: None,
    });
    file.blocks.push(BlockRow {
        comparison: 4,
        block: 1,
        began_unix_s: 1.5e9,
        start: BlockStart::Window,
        rounds: 6,
        missed_windows: 1,
        busy_core_seconds: Some(0.25),
        cores: 2,
        ..BlockRow::default()
    });
    let path = directory.join("results.h5");
    Output::create(&path, false).unwrap().save(&file).unwrap();
    path
}

fn succeed(finished: Finished) -> String {
    let (out, err) = (String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr));
    assert!(finished.status.success(), "{out}{err}");
    out.into_owned()
}

/// The Python interpreter is `GRADSHARD_PYTHON`, or python3.
#[test]
fn h5py_reads_every_part() {
    let Some(mut python) = python("h5py") else { return };
    let directory = tempfile::tempdir().unwrap();
    let out = succeed(python.arg(script("read_result.py")).arg(write(directory.path())).output().unwrap());
    assert_eq!(out, "h5py reads it all\n");
}

#[test]
fn h5dump_shows_the_layout() {
    if !available("h5dump", Command::new("h5dump").arg("--version")) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path());
    let out = succeed(Command::new("h5dump").arg("-H").arg(&path).output().unwrap());
    for part in [
        "ATTRIBUTE \"schema_version\"",
        "DATASET \"experiment\"",
        "DATASET \"cells\"",
        "DATASET \"ratios\"",
        "\"median_s\";",
        "CSET H5T_CSET_UTF8;",
        "DATASET \"memory_predicted\"",
        "DATASPACE  SIMPLE { ( 2, 2, 4 ) / ( 2, 2, 4 ) }",
    ] {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
    let out = succeed(Command::new("h5dump").args(["-d", "/cells"]).arg(&path).output().unwrap());
    assert!(out.contains("\"sharded-direct\""), "{out}");
}
