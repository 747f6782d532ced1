//! Tests that damaged HDF5 files end with exit code 2 and a message, although the HDF5 library crashes on them, and that `--trust`
//! skips the check.
//!
//! tests/data/damaged has result files with flipped bytes on which HDF5 1.10.8 crashes.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use harness::{Place, repository};
use hdf5::File;
use serde_json::json;

/// The files in tests/data/damaged that begin with `kind`.
fn damaged(kind: &str) -> Vec<PathBuf> {
    let directory = repository().join("tests/data/damaged");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(kind)).collect();
    files.sort();
    assert!(!files.is_empty(), "{kind}");
    files
}

/// A dataset of 17 numbers whose source is itself.
fn self_referring(place: &Place) {
    let file = File::create(place.path("g.h5")).unwrap();
    file.new_dataset::<f32>().shape(17).virtual_map("g.h5", "update", 17, .., 17, ..).create("update").unwrap();
}

fn experiment(place: &Place) {
    let experiment = json!({
        "gradients": {"source": "hdf5", "path": "g.h5"}, "strategies": ["tree-central"],
        "repeat": {"blocks": 1, "warmup": 0}
    });
    place.write("e.json", experiment.to_string());
}

#[test]
fn result_files_that_crash_the_library_are_refused() {
    for path in damaged("results") {
        let place = Place::new();
        fs::copy(&path, place.path("r.h5")).unwrap();
        for arguments in [&["show", "r.h5"][..], &["merge", "m.h5", "r.h5"], &["cost", "r.h5"]] {
            let refused = place.gradshard().args(arguments).run();
            println!("{}: {:?}", path.display(), refused.messages());
            refused.refused(&["r.h5"]);
        }
        // The same file as the output of a run that is resumed.
        place.write("e.json", json!({"models": 97}).to_string());
        let resume = ["run", "e.json", "--threads", "2", "--output", "r.h5", "--resume"];
        place.gradshard().args(resume).run().refused(&["r.h5"]);
        assert!(fs::read(&path).unwrap() == fs::read(place.path("r.h5")).unwrap());
    }
}

#[test]
fn a_virtual_dataset_of_itself_is_refused() {
    let place = Place::new();
    self_referring(&place);
    experiment(&place);
    for start in [place.gradshard().args(["run", "e.json", "--threads", "2"]), place.mpi(2).args(["run", "e.json"])] {
        let refused = start.limit(60).run();
        println!("{:?}", refused.messages());
        refused.refused(&["e.json", "gradients", "g.h5", "is damaged", "--trust"]);
    }
}

/// `--trust` skips the check, so that the library crashes in gradshard itself.
#[test]
fn a_trusted_file_is_read_at_once() {
    let place = Place::new();
    self_referring(&place);
    experiment(&place);
    let crashed = place.gradshard().args(["run", "e.json", "--threads", "2", "--trust"]).run();
    assert!(crashed.status.signal().is_some(), "{crashed:#?}");
}

/// The process that reads a file first takes no part in the job, and a good file passes.
#[test]
fn good_files_pass_under_mpi() {
    let place = Place::new();
    {
        let file = File::create(place.path("g.h5")).unwrap();
        let numbers = ndarray::Array2::<f32>::from_shape_fn((3, 1000), |(client, element)| (client * element) as f32);
        file.new_dataset_builder().with_data(&numbers).chunk((1, 100)).deflate(6).create("updates").unwrap();
    }
    experiment(&place);
    place.mpi(2).args(["run", "e.json", "--output", "r.h5"]).limit(60).run().success();
    place.mpi(2).args(["run", "e.json", "--output", "r.h5", "--resume"]).limit(60).run().success();
    let shown = place.gradshard().args(["show", "r.h5", "--format", "json"]).run().json();
    assert_eq!(shown["cells"].as_array().unwrap().len(), 1);
}

/// gradshard reads a copy that its child makes, in today's layout, of a file in an older one too.
#[test]
fn a_copy_has_everything() {
    let place = Place::new();
    fs::copy(repository().join("tests/data/schema-4.h5"), place.path("old.h5")).unwrap();
    let experiment = json!({
        "models": 97, "clients": 3, "shards": [1, 200], "strategies": ["sharded-direct", "tree-two"],
        "repeat": {"blocks": 8}
    });
    place.write("new.json", experiment.to_string());
    place.gradshard().args(["run", "new.json", "--threads", "3", "--no-limits", "--quiet"]).run().success();
    for file in ["old.h5", "new.h5"] {
        for format in [&["--format", "json"][..], &["--samples"], &["--experiment"]] {
            let shown = |more: &[&str]| {
                place.gradshard().args(["show", file]).args(format).args(more).run().success().to_owned()
            };
            assert_eq!(shown(&[]), shown(&["--trust"]), "{file} {format:?}");
        }
    }
}
