//! Tests jobs that are killed at random moments. The file opens and holds every finished comparison, `--resume`
//! measures only the rest, and no process is left behind.
//!
//! `GRADSHARD_KILLS` sets the number of kills (default 7), and `GRADSHARD_KILL_SEED` repeats a run.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gradshard::results::ResultFile;
use gradshard::results::row::{CellRow, Status};
use harness::{Finished, Place};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const RANKS: usize = 3;
const COMPARISONS: u64 = 6;
const CELLS: u64 = 2 * COMPARISONS;
/// Documented exit code of gradshard after a request to stop.
const STOPPED: i32 = 3;

/// Writes an experiment of six comparisons of two cells. Each comparison takes 0.05 s.
fn experiment(place: &Place) {
    let models: Vec<_> = (0..COMPARISONS).map(|m| json!({"name": format!("m{m}"), "elements": 1000 + m})).collect();
    let experiment = json!({
        "models": models,
        "clients": 3,
        "strategies": ["sharded-direct", "tree-central"],
        "repeat": {"precision": 1e-9, "blocks": 1_000_000, "max_seconds": 0.05, "warmup": 1}
    });
    place.write("e.json", experiment.to_string());
}

const RUN: [&str; 6] = ["run", "e.json", "--no-limits", "--output", "e.h5", "--resume"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kill {
    /// SIGKILL to one rank, as after a crash or by the kernel's out-of-memory killer.
    Rank,
    /// SIGKILL to the launcher.
    Launcher,
    /// SIGTERM to the launcher.
    AskLauncher,
    /// SIGTERM to one rank.
    AskRank,
    /// SIGUSR1 to one rank.
    WarnRank,
    /// SIGTERM to every rank, as Slurm sends it at a time limit.
    AskAll,
    /// SIGUSR1 to every rank, as Slurm sends it with --signal=USR1@60.
    WarnAll,
}

const KILLS: [Kill; 7] =
    [Kill::Rank, Kill::Launcher, Kill::AskLauncher, Kill::AskRank, Kill::WarnRank, Kill::AskAll, Kill::WarnAll];

impl Kill {
    /// True if ranks are asked to stop. They then end by themselves with the exit code [`STOPPED`].
    fn asks_ranks(self) -> bool {
        matches!(self, Kill::AskRank | Kill::WarnRank | Kill::AskAll | Kill::WarnAll)
    }
}

/// Numbers of the comparisons that standard error reports as finished, from 0.
fn finished(text: &str) -> BTreeSet<u64> {
    let number = |line: &str| line.trim_start().strip_prefix("finished [")?.split('/').next()?.parse::<u64>().ok();
    text.lines().filter_map(number).map(|number| number - 1).collect()
}

/// The cells of the file by number; empty without a file. Asserts that each cell is there once, is complete, and has
/// all cells of its comparison beside it.
fn cells(place: &Place, when: &str) -> BTreeMap<u64, CellRow> {
    let path = place.path("e.h5");
    if !path.exists() {
        return BTreeMap::new();
    }
    let file = ResultFile::open(&path).unwrap_or_else(|error| panic!("{when}: {error}"));
    let mut cells = BTreeMap::new();
    for cell in &file.cells {
        assert_eq!(cell.status, Status::Ok, "{when}: {cell:?}");
        let samples = file.samples.iter().filter(|s| (s.job, s.cell) == (cell.job, cell.cell)).count() as u64;
        assert!(samples > 0 && samples == cell.samples, "{when}: {samples} samples of {cell:?}");
        assert!(cells.insert(cell.cell, cell.clone()).is_none(), "{when}: cell {} twice", cell.cell);
    }
    for number in cells.keys() {
        assert!(cells.contains_key(&(number ^ 1)), "{when}: half of a comparison: {:?}", cells.keys());
    }
    cells
}

/// Runs a job and kills it `delay` after the start of comparison `begun` (from 1), or of the job if `begun` is 0. The
/// job may end before. Returns its outcome, and the seconds from the kill to its end.
fn killed(place: &Place, kill: Kill, rank: usize, begun: u64, delay: Duration) -> (Finished, f64) {
    let mut job = place.mpi(RANKS).args(RUN).limit(60).start();
    if begun > 0 {
        job.wait_until("a comparison", |job| job.said().contains(&format!("[{begun}/{COMPARISONS}]")));
    }
    std::thread::sleep(delay);
    let killed = Instant::now();
    match kill {
        Kill::Rank => job.signal_ranks(Some(rank), libc::SIGKILL),
        Kill::Launcher => job.signal(libc::SIGKILL),
        Kill::AskLauncher => job.signal(libc::SIGTERM),
        Kill::AskRank => job.signal_ranks(Some(rank), libc::SIGTERM),
        Kill::WarnRank => job.signal_ranks(Some(rank), libc::SIGUSR1),
        Kill::AskAll => job.signal_ranks(None, libc::SIGTERM),
        Kill::WarnAll => job.signal_ranks(None, libc::SIGUSR1),
    }
    let finished = job.finish();
    (finished, killed.elapsed().as_secs_f64())
}

#[test]
fn whenever_a_job_is_killed_what_was_finished_stays_and_the_rest_is_resumed() {
    let kills: usize = std::env::var("GRADSHARD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    let seed: u64 = match std::env::var("GRADSHARD_KILL_SEED").ok().and_then(|text| text.parse().ok()) {
        Some(seed) => seed,
        None => rand_seed(),
    };
    println!("GRADSHARD_KILLS={kills} GRADSHARD_KILL_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);

    let place = Place::new();
    experiment(&place);
    let begun = Instant::now();
    place.mpi(RANKS).args(RUN).run().success();
    let whole = begun.elapsed().as_secs_f64();
    // The comparisons take 0.05 s each. The rest is the start and the end of the job.
    let start = (whole - 0.05 * COMPARISONS as f64).max(0.05);
    assert_eq!(cells(&place, "undisturbed").len() as u64, CELLS);

    let mut tally: BTreeMap<(Kill, &str), usize> = BTreeMap::new();
    let mut done_before = Vec::new();
    for number in 0..kills {
        // The kinds of kills take turns.
        let kill = KILLS[number % KILLS.len()];
        let (rank, at) = (random.random_range(0..RANKS), random.random_range(0..=COMPARISONS));
        // The delay counts from a comparison's start, so kills are spread over the job on a busy machine, too.
        let delay = random.random::<f64>() * if at == 0 { start } else { 0.1 };
        let when = format!("seed {seed}, kill {number}: {kill:?} of rank {rank}, {delay:.3} s into {at}");
        let place = Place::new();
        experiment(&place);
        let (ended, seconds) = killed(&place, kill, rank, at, Duration::from_secs_f64(delay));
        assert_eq!(ended.left_behind, 0, "{when}: {ended:#?}");
        assert!(seconds < 20.0, "{when}: {ended:#?}");
        let there = cells(&place, &when);
        for comparison in finished(&ended.stderr) {
            assert!(there.contains_key(&(2 * comparison)), "{when}: comparison {comparison} is lost: {ended:#?}");
        }
        let said = ended.stderr.contains("--resume");
        if kill.asks_ranks() && said {
            assert_eq!(ended.status.code(), Some(STOPPED), "{when}: {ended:#?}");
        }
        let outcome = match (ended.status.success(), said, there.len() as u64) {
            (true, ..) => "came to its end before",
            (false, true, _) => "stopped by itself",
            (false, false, 0) if !place.path("e.h5").exists() => "ended before there was a file",
            (false, false, _) => "ended",
        };
        *tally.entry((kill, outcome)).or_default() += 1;
        done_before.push(there.len());

        let resumed = place.mpi(RANKS).args(RUN).limit(60).run();
        resumed.success();
        let after = cells(&place, &format!("{when}, resumed"));
        assert_eq!(after.len() as u64, CELLS, "{when}: {resumed:#?}");
        for (number, cell) in &there {
            assert_eq!(&after[number], cell, "{when}: measured again");
        }
        assert_eq!(finished(&resumed.stderr).len(), (CELLS as usize - there.len()) / 2, "{when}: {resumed:#?}");
        let names: Vec<String> =
            place.contents().iter().map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["e.h5", "e.json"], "{when}: left over");
    }
    for ((kill, outcome), count) in &tally {
        println!("{count:4} × {kill:?}: {outcome}");
    }
    println!("cells that were saved before: {done_before:?}");
    println!("{kills} kills in {:.0} s", begun.elapsed().as_secs_f64());
    // The test would show nothing if all kills came too early or too late.
    assert!(kills < 10 || done_before.iter().any(|done| 0 < *done && (*done as u64) < CELLS), "{done_before:?}");
}

fn rand_seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// Each signal ends the job soon, with the documented exit code, and with a message on how to continue.
#[test]
fn a_job_that_is_asked_to_stop_says_how_to_go_on() {
    for (signal, name) in [(libc::SIGTERM, "SIGTERM"), (libc::SIGUSR1, "SIGUSR1"), (libc::SIGINT, "SIGINT")] {
        let place = Place::new();
        experiment(&place);
        let mut job = place.mpi(RANKS).args(RUN).limit(60).start();
        job.wait_until("the second comparison", |job| job.said().contains("[2/6]"));
        job.signal_ranks(Some(1), signal);
        let ended = job.finish();
        assert_eq!((ended.status.code(), ended.left_behind), (Some(STOPPED), 0), "{ended:#?}");
        let messages = ended.messages();
        assert!(messages.len() == 1 && messages[0].contains(name), "{ended:#?}");
        assert!(messages[0].contains("e.h5") && messages[0].contains("--resume"), "{ended:#?}");
        let there = cells(&place, name);
        assert!(there.len() >= 2 && (there.len() as u64) < CELLS, "{there:?}");
    }
}

/// A job without MPI stops in the same way.
#[test]
fn threads_stop_too() {
    let place = Place::new();
    experiment(&place);
    let mut job = place.gradshard().args(RUN).args(["--threads", "3"]).start();
    job.wait_until("the second comparison", |job| job.said().contains("[2/6]"));
    job.signal(libc::SIGTERM);
    let ended = job.finish();
    assert_eq!(ended.status.code(), Some(STOPPED), "{ended:#?}");
    assert!(!cells(&place, "threads").is_empty());
    place.gradshard().args(RUN).args(["--threads", "3"]).run().success();
    assert_eq!(cells(&place, "threads, resumed").len() as u64, CELLS);
}
