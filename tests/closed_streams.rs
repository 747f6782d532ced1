//! Tests that a job outlives the readers of its standard output and standard error: its results are saved.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use gradshard::results::ResultFile;
use harness::Place;
use serde_json::json;

/// A job of four cells in its place, which writes progress to standard error.
fn job(place: &Place) -> Command {
    let experiment = json!({
        "models": [97, 1009], "clients": 5, "strategies": ["sharded-direct", "tree-central"],
        "repeat": {"blocks": 3, "warmup": 0}
    });
    let file = place.write("e.json", experiment.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradshard"));
    command.arg("run").arg(file).args(["--threads", "2", "--no-limits", "-o"]).arg(place.path("e.h5"));
    command
}

fn cells(place: &Place) -> usize {
    ResultFile::open(place.path("e.h5")).unwrap().cells.len()
}

#[test]
fn errors_of_standard_error_cost_no_measurement() {
    let place = Place::new();
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let finished = job(&place).stderr(full()).output().unwrap();
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(cells(&place), 4);
    // A message about an error is lost, but not its exit code.
    let refused = job(&place).stderr(full()).output().unwrap();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0), "the file exists: {refused:?}");
}

#[test]
fn readers_that_close_their_end_cost_no_measurement() {
    let place = Place::new();
    let mut child = job(&place).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(cells(&place), 4);
}

/// A disk that is full is no closed reader: the table was asked for and could not be written.
#[test]
fn standard_output_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let finished = job(&place).stdout(full).output().unwrap();
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(String::from_utf8_lossy(&finished.stderr).contains("standard output"), "{finished:?}");
    assert_eq!(cells(&place), 4);
}
