//! Tests that ranks under MPI's launcher begin rounds together: after a barrier, and at windows on one clock and on
//! several. The job's processes run this test program with `rank_of_a_job`. Further tests check a result file's figures
//! on the starts.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![cfg(feature = "mpi")]

mod harness;

use std::time::Duration;

use gradshard::engine::Transport;
use gradshard::engine::mpi_transport::MpiTransport;
use gradshard::engine::node_clock::node_clock;
use gradshard::mpi::{World, launcher as launched};
use gradshard::results::ResultFile;
use gradshard::results::row::{BlockStart, Sample};
use gradshard::sync::{LocalClock, Start, Synchroniser};
use harness::{Place, launcher};
use serde_json::json;

const TURNS: usize = 12;
/// Difference between the simulated clocks of consecutive ranks in ns.
const APART: u64 = 5_000_000_000;

/// Runs the turns on one rank. Returns three times per turn in ns on the machine's clock: the rank's arrival, the
/// opening of its window (0 with a barrier), and its start. The rank's own clock is `ahead` ns ahead of the machine's.
fn turns(transport: &mut dyn Transport, mut sync: Synchroniser, ahead: u64) -> Vec<u64> {
    let (rank, ranks) = (transport.rank(), transport.ranks());
    let mut seen = Vec::new();
    for turn in 0..TURNS {
        // Each turn another rank is the last to arrive.
        if turn % ranks == rank {
            std::thread::sleep(Duration::from_millis(3));
        }
        let come = node_clock();
        let begun = sync.begin(transport, || ()).unwrap();
        seen.extend([come, begun.window.map_or(0, |window| window - ahead), begun.at - ahead]);
        if sync.start() == Start::Window && turn % 4 == 3 {
            sync.refresh(transport).unwrap();
        }
    }
    seen
}

/// Regroups the ranks' times: for each turn, the three times of every rank.
fn by_turn(all: &[Vec<u64>]) -> Vec<Vec<[u64; 3]>> {
    (0..TURNS).map(|turn| all.iter().map(|rank| rank[3 * turn..][..3].try_into().unwrap()).collect()).collect()
}

/// On rank 0, asserts that no rank begins before all have arrived, up to `error` ns. Returns the largest distance
/// between the windows' openings of a turn in ns.
fn check(all: Option<Vec<Vec<u64>>>, windows: bool, error: u64) -> u64 {
    let mut apart = 0;
    let Some(all) = all else { return apart };
    for turn in by_turn(&all) {
        let last = turn.iter().map(|[come, ..]| *come).max().unwrap();
        let first = turn.iter().map(|[.., began]| *began).min().unwrap();
        assert!(first + error >= last, "one began {} ns before the last had come: {turn:?}", last - first);
        assert!(turn.iter().all(|[_, window, began]| (*window > 0) == windows && began >= window), "{turn:?}");
        let openings = || turn.iter().map(|[_, window, _]| *window);
        apart = apart.max(openings().max().unwrap() - openings().min().unwrap());
    }
    apart
}

/// One rank of a job that a test below starts. It is not a test by itself.
#[test]
#[ignore = "is run by the other tests, under MPI's launcher"]
fn rank_of_a_job() {
    if launched().is_none() {
        return;
    }
    let world = World::init().unwrap();
    let mut transport = MpiTransport::new(&world).unwrap();
    let transport: &mut dyn Transport = &mut transport;
    let (rank, ranks) = (transport.rank(), transport.ranks());

    let sync = Synchroniser::new(LocalClock::of_node(), Start::Barrier, transport).unwrap();
    assert_eq!(sync.clock().clocks(), 1);
    let seen = turns(transport, sync, 0);
    check_on_first(transport, &seen, false, 0);

    let sync = Synchroniser::new(LocalClock::of_node(), Start::Window, transport).unwrap();
    assert_eq!(sync.clock().clocks(), 1);
    let seen = turns(transport, sync, 0);
    // On one clock the openings are equal.
    assert_eq!(check_on_first(transport, &seen, true, 0), 0);

    let ahead = rank as u64 * APART;
    let clock = LocalClock::new(format!("clock {rank}"), move || node_clock() + ahead);
    let sync = Synchroniser::new(clock, Start::Window, transport).unwrap();
    assert_eq!(sync.clock().clocks(), ranks);
    let seen = turns(transport, sync, ahead);
    // Between the two readings of a ping-pong, ranks that share a core may wait some ms. The clocks are 5 s apart.
    let error = 20_000_000;
    let apart = check_on_first(transport, &seen, true, error);
    assert!(apart < error, "windows opened {apart} ns apart");
    if rank == 0 {
        println!("checked on {ranks} ranks; windows on {ranks} clocks opened at most {apart} ns apart");
    }
    transport.barrier().unwrap();
}

fn check_on_first(transport: &mut dyn Transport, seen: &[u64], windows: bool, error: u64) -> u64 {
    let all = transport.gather(bytemuck::cast_slice(seen)).unwrap();
    let all = all.map(|all| all.iter().map(|of| bytemuck::pod_collect_to_vec(of)).collect::<Vec<Vec<u64>>>());
    let first = transport.rank() == 0;
    assert_eq!(all.as_ref().map(Vec::len), first.then(|| transport.ranks()));
    check(all, windows, error)
}

#[test]
fn ranks_begin_together() {
    let place = Place::new();
    let program = std::env::current_exe().unwrap();
    for ranks in [1, 2, 3, 4, 5, 7, 8] {
        let job = place.under(&launcher(), ranks, &program);
        let arguments = ["rank_of_a_job", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
        let finished = job.args(arguments).limit(120).run();
        let said = finished.success();
        let line = said.lines().find(|line| line.contains("checked on")).unwrap_or_else(|| panic!("{finished:#?}"));
        assert!(line.contains(&format!("checked on {ranks} ranks")), "{line}");
        println!("{line}");
    }
}

/// Runs a small experiment and reads its file.
fn measured(place: &Place, name: &str, start: &str, threads: usize) -> ResultFile {
    let experiment = json!({
        "models": 5000, "clients": 6, "shards": 2, "strategies": ["sharded-direct", "tree-central", "tree-lambda-fl"],
        "repeat": {"blocks": 12, "precision": 1e-9, "start": start}
    });
    let (file, output) =
        (place.write(&format!("{name}.json"), experiment.to_string()), place.path(format!("{name}.h5")));
    let threads = threads.to_string();
    let arguments = ["run", file.to_str().unwrap(), "--no-limits", "--threads", &threads];
    place.gradshard().args(arguments).args(["-o".as_ref(), output.as_os_str()]).run().success();
    ResultFile::open(output).unwrap()
}

/// Checks the file's figures against its samples.
fn check_file(file: &ResultFile, start: &str) {
    assert_eq!(file.environment["start"], start);
    let (cells, blocks) = (file.cells.len() as u64, file.blocks.len() as u64);
    // The samples also contain rounds in which a rank missed the window. Every block has one of each cell beside them.
    let in_time = file.samples.iter().filter(|sample| sample.late_ranks == 0).count();
    // Once a barrier has begun a round, the rounds that windows began before count no longer.
    let went_over = file.blocks.iter().any(|block| block.start != BlockStart::Window) && start == "window";
    // A comparison that goes over from windows to barriers begins anew.
    let is_whole = if went_over { blocks >= 12 && in_time >= 36 } else { (blocks, in_time) == (12, 36) };
    assert!(cells == 3 && is_whole, "{cells} cells, {blocks} blocks, {in_time} samples in time");
    let superseded = |sample: &Sample| went_over && file.blocks[sample.block as usize].start == BlockStart::Window;
    assert!(file.samples.iter().all(|sample| !superseded(sample) || sample.superseded == 1));
    assert!(went_over || file.samples.iter().all(|sample| sample.superseded == 0));
    let mut before = 0.0;
    for (number, block) in (0..).zip(&file.blocks) {
        let of_block = || file.samples.iter().filter(|sample| sample.block == number);
        assert_eq!((block.comparison, block.block, block.rounds), (0, number, of_block().count() as u64));
        assert_eq!(block.missed_windows, of_block().filter(|sample| sample.late_ranks > 0).count() as u64);
        assert_eq!(block.involuntary_switches, of_block().map(|sample| sample.involuntary_switches).sum::<u64>());
        assert!(block.involuntary_switches_max <= block.involuntary_switches);
        // Blocks begin in order, and not before the previous one's end.
        assert!(block.began_unix_s >= before && block.seconds > 0.0, "{block:?}");
        before = block.began_unix_s;
        assert!(block.own_core_seconds > 0.0 && block.cores > 0 && block.busy_core_seconds.is_some(), "{block:?}");
        assert_eq!(block.clock_residual_s, None);
        assert!(start == "window" || block.start == BlockStart::Barrier, "{block:?}");
    }
    for sample in &file.samples {
        let began_by = file.blocks[sample.block as usize].start;
        if began_by == BlockStart::WindowThenBarrier {
            continue;
        }
        let in_window = began_by == BlockStart::Window;
        let late = sample.rank_start_seconds.iter().filter(|start| in_window && **start > 1e-6).count() as u64;
        assert_eq!(sample.late_ranks, late, "{sample:?}");
        // The sample's time is the last end, calculated from each rank's start and own time.
        let ends = sample.rank_start_seconds.iter().zip(&sample.rank_seconds).map(|(start, own)| start + own);
        let last = ends.fold(0.0, f64::max);
        assert!((sample.seconds - last).abs() < 2e-9, "{sample:?}");
        if !in_window {
            assert!(sample.rank_start_seconds.contains(&0.0), "{sample:?}");
        }
    }
    for cell in &file.cells {
        let of_cell = || file.samples.iter().filter(|sample| sample.cell == cell.cell);
        let mut valid: Vec<f64> = of_cell().filter(|s| s.is_valid()).map(|sample| sample.seconds).collect();
        assert_eq!(cell.samples, valid.len() as u64);
        assert!(cell.samples == 12 || went_over, "{cell:?}");
        assert_eq!(cell.missed_windows, of_cell().filter(|s| s.late_ranks > 0).count() as u64);
        valid.sort_by(f64::total_cmp);
        let middle = |n: usize| (valid[(n - 1) / 2] + valid[n / 2]) / 2.0;
        assert!(valid.is_empty() || (cell.median_s.unwrap() - middle(valid.len())).abs() < 1e-12);
        let disturbed = of_cell().filter(|s| s.is_valid() && s.off_core_seconds > 0.05 * s.seconds).count();
        let share = (!valid.is_empty()).then(|| disturbed as f64 / valid.len() as f64);
        assert_eq!(cell.disturbed_samples, share);
    }
}

#[test]
fn the_file_says_how_rounds_began_and_what_was_missed() {
    let place = Place::new();
    let cores = std::thread::available_parallelism().unwrap().get();
    check_file(&measured(&place, "barrier", "barrier", 2), "barrier");
    if cores >= 2 {
        check_file(&measured(&place, "window", "window", 2), "window");
    }
    // Ranks that share cores use a barrier instead of windows.
    let file = measured(&place, "shared", "window", 2 * cores + 1);
    check_file(&file, "barrier");
    assert!(file.environment["start_reason"].as_str().unwrap().contains("share cores"));
}
