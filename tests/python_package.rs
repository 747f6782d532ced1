//! Tests the Python package of analysis/python: result files as tables, and updates written as gradshard reads them.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::process::Command;

mod harness;

use harness::{Finished, Place, python, repository, script};

fn package(place: &Place, python: &Command, arguments: &[&str]) -> Finished {
    let package = script("package.py");
    let arguments: Vec<&str> = [package.to_str().unwrap()].iter().chain(arguments).copied().collect();
    let place = place.within(python.get_program().to_str().unwrap(), &arguments);
    place
        .env("PYTHONPATH", repository().join("analysis/python").to_str().unwrap())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("GRADSHARD", env!("CARGO_BIN_EXE_gradshard"))
        .run()
}

#[test]
fn a_result_file_is_tables() {
    let Some(python) = python("h5py, pandas") else { return };
    let place = Place::new();
    // The last cell needs more memory than the ceiling.
    place.write(
        "made.json",
        r#"{"models": 1000, "clients": 4, "strategies": ["sharded-direct", "tree-two", "tree-central"], "shards": 4,
            "ceiling": "3kB", "end": "scattered", "repeat": {"blocks": 10}}"#,
    );
    place.gradshard().args(["run", "made.json", "--threads", "2", "--no-limits", "--quiet"]).run().success();
    package(&place, &python, &["read", "made.h5"]).success();
}

#[test]
fn archives_become_gradients() {
    let Some(python) = python("safetensors.numpy") else { return };
    package(&Place::new(), &python, &["convert"]).success();
}

/// Flower is heavy, so it is not required in CI. jobs/prepare.sh installs it where it can.
#[test]
fn updates_of_flower_become_gradients() {
    let Some(python) = python("safetensors.numpy") else { return };
    let import = ["-c", "import flwr.server.strategy, flwr.serverapp.strategy"];
    if !Command::new(python.get_program()).args(import).output().is_ok_and(|finished| finished.status.success()) {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "SKIPPED: flwr is not in {:?}", python.get_program());
        return;
    }
    package(&Place::new(), &python, &["flower"]).success();
}
