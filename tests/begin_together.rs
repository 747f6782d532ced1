//! Ranks begin rounds together, under MPI's launcher: behind the barrier, and at windows on one clock and on several.
//!
//! The job's processes are this test program itself, told to run `rank_of_a_job`.
#![cfg(feature = "mpi")]

mod harness;

use std::time::Duration;

use gradshard::engine::Transport;
use gradshard::engine::mpi_transport::MpiTransport;
use gradshard::engine::node_clock::node_clock;
use gradshard::engine::transport::gather_numbers;
use gradshard::mpi::{World, launcher as launched};
use gradshard::sync::{LocalClock, Start, Synchroniser};
use harness::{Place, launcher};

const TURNS: usize = 12;
/// Pretended clocks differ by this, ns.
const APART: u64 = 5_000_000_000;

/// When the rank had come, when its window opened (or, behind the barrier, 0) and when it began, on the machine's clock.
fn turns(transport: &mut dyn Transport, mut sync: Synchroniser, ahead: u64) -> Vec<u64> {
    let (rank, ranks) = (transport.rank(), transport.ranks());
    let mut seen = Vec::new();
    for turn in 0..TURNS {
        // Another rank is the last every time.
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

/// The turns of all ranks: for each, those of every rank.
fn by_turn(all: &[Vec<u64>]) -> Vec<Vec<[u64; 3]>> {
    (0..TURNS).map(|turn| all.iter().map(|rank| rank[3 * turn..][..3].try_into().unwrap()).collect()).collect()
}

/// On rank 0: nobody begins before everybody has come. Of the windows' openings, how far apart they were at most, ns.
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

/// Not a test of its own: one rank of a job that a test below starts.
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
    assert_eq!(sync.clock().clocks(), None);
    let seen = turns(transport, sync, 0);
    check_on_first(transport, &seen, false, 0);

    let sync = Synchroniser::new(LocalClock::of_node(), Start::Window, transport).unwrap();
    assert_eq!(sync.clock().clocks(), Some(1));
    let seen = turns(transport, sync, 0);
    // On one clock to the nanosecond.
    assert_eq!(check_on_first(transport, &seen, true, 0), 0);

    let ahead = rank as u64 * APART;
    let clock = LocalClock::new(format!("clock {rank}"), move || node_clock() + ahead);
    let sync = Synchroniser::new(clock, Start::Window, transport).unwrap();
    assert_eq!(sync.clock().clocks(), Some(ranks));
    let seen = turns(transport, sync, ahead);
    // Ranks may take turns on a core between the two readings of a ping-pong, a few ms each; clocks are 5 s apart.
    let error = 20_000_000;
    let apart = check_on_first(transport, &seen, true, error);
    assert!(apart < error, "windows opened {apart} ns apart");
    if rank == 0 {
        println!("checked on {ranks} ranks; windows on {ranks} clocks opened at most {apart} ns apart");
    }
    transport.barrier().unwrap();
}

fn check_on_first(transport: &mut dyn Transport, seen: &[u64], windows: bool, error: u64) -> u64 {
    let all = gather_numbers(transport, seen).unwrap();
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
