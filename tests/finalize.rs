//! Tests that an MPI library that hangs in MPI_Finalize does not hang the job.

#![allow(unsafe_code)]

mod harness;

use std::ffi::c_int;
use std::time::Duration;

use gradshard::mpi::{World, launcher as started_by};
use harness::{Place, launcher};

/// Replaces the library's function in this program.
#[unsafe(no_mangle)]
extern "C" fn MPI_Finalize() -> c_int {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The program of the next test's ranks. Without a launcher it does nothing.
#[test]
#[ignore = "a rank of another test's job"]
fn rank_whose_library_never_ends() {
    if started_by().is_none() {
        return;
    }
    let world = World::init().unwrap();
    world.communicator().barrier().unwrap();
    let rank = world.communicator().rank();
    world.finish(0, Duration::from_secs(1), move || eprintln!("rank {rank} has waited enough"));
    unreachable!("MPI_Finalize has returned");
}

#[test]
fn a_library_that_never_ends_is_left_alone() {
    let place = Place::new();
    let this = std::env::current_exe().unwrap();
    let arguments = ["rank_whose_library_never_ends", "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    let finished = place.under(&launcher(), 3, this).args(arguments).limit(60).run();
    assert!(finished.seconds < 20.0, "{finished:#?}");
    assert_eq!(finished.left_behind, 0, "{finished:#?}");
    // Launchers end the other ranks once one has ended without MPI_Finalize, so at least one prints the message.
    assert!(finished.stderr.contains("has waited enough"), "{finished:#?}");
    assert!(!finished.stderr.contains("has returned"), "{finished:#?}");
}
