//! Tests that the whole job ends soon if a rank panics or is killed, or if the wrong launcher started the ranks.

mod harness;

use gradshard::mpi::{World, launcher as started_by};
use harness::{Place, is_installed, launcher};
use serde_json::json;

/// The program of the next test's ranks. Without a launcher it does nothing.
#[test]
#[ignore = "a rank of another test's job"]
fn rank_that_panics_or_waits() {
    if started_by().is_none() {
        return;
    }
    let world = World::init().unwrap();
    let all = world.communicator();
    all.barrier().unwrap();
    assert!(all.rank() != 1, "rank 1 gives up");
    // Without the panic this rank would wait for ever.
    all.barrier().unwrap();
}

#[test]
fn a_panic_on_one_rank_ends_the_job() {
    let place = Place::new();
    let this = std::env::current_exe().unwrap();
    let arguments = ["rank_that_panics_or_waits", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let finished = place.under(&launcher(), 4, this).args(arguments).limit(60).run();
    assert!(!finished.status.success(), "{finished:#?}");
    assert!(finished.seconds < 5.0, "{finished:#?}");
    assert_eq!(finished.left_behind, 0, "{finished:#?}");
    assert!(finished.stderr.contains("rank 1 gives up"), "{finished:#?}");
}

/// Writes an experiment that runs long enough to be interrupted.
fn long_job(place: &Place) {
    let experiment = json!({
        "models": [{"name": "first", "elements": 97}, {"name": "second", "elements": 100_003}],
        "strategies": ["sharded-direct", "tree-central"],
        "repeat": {"precision": 1e-9, "blocks": 1_000_000, "max_seconds": 1.5}
    });
    place.write("long.json", experiment.to_string());
}

#[test]
fn a_killed_rank_ends_the_job_and_costs_only_what_was_not_finished() {
    let place = Place::new();
    long_job(&place);
    let mut job = place.mpi(3).args(["run", "long.json", "--no-limits"]).limit(60).start();
    job.wait_until("the second comparison", |job| job.said().contains("[2/2]"));
    job.kill_rank(1);
    let killed = std::time::Instant::now();
    let finished = job.finish();
    assert!(!finished.status.success(), "{finished:#?}");
    assert!(killed.elapsed().as_secs_f64() < 5.0, "{finished:#?}");
    assert_eq!(finished.left_behind, 0, "{finished:#?}");
    let shown = place.gradshard().args(["show", "long.h5", "--format", "json"]).run().json();
    let models: Vec<&str> = shown["cells"].as_array().unwrap().iter().map(|c| c["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["first", "first"]);
}

#[test]
fn an_interrupted_launcher_leaves_no_rank_behind() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let place = Place::new();
        long_job(&place);
        let mut job = place.mpi(3).args(["run", "long.json", "--no-limits"]).limit(60).start();
        job.wait_until("the first comparison", |job| job.said().contains("[1/2]"));
        job.signal(signal);
        let finished = job.finish();
        // MPICH's launcher may end with 0 although the ranks end with 3; then the job has said that it was stopped.
        assert!(!finished.status.success() || finished.stderr.contains("stopped by SIG"), "{finished:#?}");
        assert!(finished.seconds < 15.0 && finished.left_behind == 0, "{finished:#?}");
    }
}

/// The other library's launcher starts separate jobs of one rank each. Without a check this would go unnoticed.
#[test]
fn the_other_librarys_launcher_is_told_apart() {
    let library = gradshard::mpi::library_version().unwrap();
    let other = if library.contains("Open MPI") { "mpiexec.mpich" } else { "mpirun.openmpi" };
    if !harness::available(other, std::process::Command::new(other).arg("--version")) {
        return;
    }
    assert!(is_installed(other));
    let place = Place::new();
    place.write("e.json", json!({"models": 97}).to_string());
    for arguments in [&["run", "e.json"][..], &["run", "e.json", "--dry-run"], &["machine"]] {
        let before = place.contents();
        let finished = place.under(other, 3, env!("CARGO_BIN_EXE_gradshard")).args(arguments).limit(60).run();
        finished.refused(&["started 3 processes", "a world of 1", "mpirun or srun"]);
        assert!(place.contents() == before);
    }
}
