//! Tests that SIGINT and SIGTERM end what does not move, that it is said who waits for whom, and that a rank that stood still
//! is told in the table.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use std::time::{Duration, Instant};

use harness::Place;
use serde_json::json;

/// Documented exit code of gradshard after a request to stop.
const STOPPED: i32 = 3;

/// Tens of thousands of cells with tens of thousands of clients each: planning takes far longer than any test.
#[test]
fn planning_on_threads_ends_within_seconds() {
    for (signal, name) in [(libc::SIGTERM, "SIGTERM"), (libc::SIGINT, "SIGINT")] {
        let place = Place::new();
        let experiment = json!({
            "models": 1_000_000_000u64, "clients": (60_000..60_100).collect::<Vec<u64>>(),
            "shards": (1..=64).collect::<Vec<u64>>(), "flow": ["whole", "1MiB", "2MiB", "4MiB"],
            "strategies": ["sharded-direct", "tree-lambda-fl", "sharded-ring"],
            "gradients": {"source": "synthetic", "residency": "streamed"}
        });
        place.write("e.json", experiment.to_string());
        let job = place.gradshard().args(["run", "e.json", "--threads", "2", "--dry-run"]).limit(60).start();
        std::thread::sleep(Duration::from_millis(700));
        job.signal(signal);
        let asked = Instant::now();
        let ended = job.finish();
        let seconds = asked.elapsed().as_secs_f64();
        assert_eq!(ended.status.code(), Some(STOPPED), "{ended:#?}");
        assert!((1.5..5.0).contains(&seconds), "{seconds} s: {ended:#?}");
        assert!(ended.stderr.contains(&format!("stopped by {name}: nothing moved for 2 s")), "{ended:#?}");
        assert_eq!(ended.stdout, "", "{ended:#?}");
    }
}

/// An experiment whose two ranks wait for each other in every round.
fn ring(place: &Place, elements: u64, seconds: f64) {
    let experiment = json!({
        "models": elements, "clients": 8, "strategies": ["sharded-ring"], "intra_node": "messages", "end": "scattered",
        "repeat": {"precision": 1e-9, "blocks": 1_000_000, "max_seconds": seconds, "warmup": 1}
    });
    place.write("e.json", experiment.to_string());
}

/// A rank may also be stopped where the other waits in a collective of the MPI library, which nobody can look into; so there are
/// several attempts to see the wait of a round.
#[test]
fn a_round_that_does_not_move_ends_and_says_who_waits_for_whom() {
    const ATTEMPTS: usize = 4;
    let mut said = Vec::new();
    for _ in 0..ATTEMPTS {
        let place = Place::new();
        ring(&place, 2_000_003, 60.0);
        let mut job = place.mpi(2).args(["run", "e.json", "--no-limits"]).limit(60).start();
        job.wait_until("the comparison", |job| job.said().contains("[1/1]"));
        std::thread::sleep(Duration::from_millis(500));
        job.signal_ranks(Some(1), libc::SIGSTOP);
        std::thread::sleep(Duration::from_millis(1500));
        job.signal_ranks(Some(0), libc::SIGTERM);
        let asked = Instant::now();
        job.wait_until("the end", |job| job.said().contains("nothing moved for 2 s") || asked.elapsed().as_secs() > 8);
        let seconds = asked.elapsed().as_secs_f64();
        let ended = job.finish();
        assert!(seconds < 5.0 && ended.stderr.contains("stopped by SIGTERM: nothing moved"), "{seconds} s: {ended:#?}");
        assert_eq!((ended.status.code(), ended.left_behind), (Some(STOPPED), 0), "{ended:#?}");
        said.push(ended.stderr.clone());
        // In a round, a step of rank 0 waits for a step or a client of rank 1; before it, rank 0 waits for rank 1 to come.
        let waits = ["(rank 0: step ", "(rank 0: piece ", "(rank 0: waits for rank 1"];
        if waits.iter().any(|wait| ended.stderr.contains(wait)) && ended.stderr.contains("rank 1") {
            return;
        }
    }
    panic!("nobody said who waits: {said:#?}");
}

#[test]
fn a_rank_that_stood_still_is_told_in_the_table() {
    let place = Place::new();
    ring(&place, 20_003, 4.0);
    let mut job = place.mpi(2).args(["run", "e.json", "--no-limits"]).limit(60).start();
    job.wait_until("the comparison", |job| job.said().contains("[1/1]"));
    std::thread::sleep(Duration::from_millis(1000));
    job.signal_ranks(Some(1), libc::SIGSTOP);
    std::thread::sleep(Duration::from_secs(5));
    job.signal_ranks(Some(1), libc::SIGCONT);
    let table = job.finish();
    assert!(table.success().contains("! PAUSE: 1 block(s) took far longer than others"), "{table:#?}");
}
