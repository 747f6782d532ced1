//! Tests that a run beside other programs on its cores reports the disturbance in its file and when it is shown.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use std::process::{Child, Command, Stdio};

use gradshard::results::ResultFile;
use gradshard::stats::interference::Interference;
use harness::Place;
use serde_json::json;

/// Programs that only keep cores busy. They are ended when this is dropped.
struct Burners(Vec<Child>);

impl Burners {
    fn start(count: usize) -> Self {
        let program = std::env::current_exe().unwrap();
        let burner = || {
            let mut command = Command::new(&program);
            command.args(["burn", "--exact", "--ignored"]).stdin(Stdio::null()).stdout(Stdio::null());
            command.spawn().unwrap()
        };
        Burners((0..count).map(|_| burner()).collect())
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The program of a burner. It also ends by itself.
#[test]
#[ignore = "a burner's program"]
fn burn() {
    let begun = std::time::Instant::now();
    while begun.elapsed().as_secs() < 120 {
        std::hint::spin_loop();
    }
}

#[test]
fn a_run_whose_cores_others_take_says_so() {
    let place = Place::new();
    let experiment = json!({
        "models": [{"name": "32MiB", "elements": 8 << 20}], "clients": 4, "shards": 2,
        "strategies": ["sharded-direct", "tree-central"], "repeat": {"blocks": 20, "precision": 1e-9}
    });
    let (file, output) = (place.write("disturbed.json", experiment.to_string()), place.path("disturbed.h5"));
    let cores = std::thread::available_parallelism().unwrap().get();
    let burners = Burners::start(2 * cores);
    let arguments = ["run", file.to_str().unwrap(), "--no-limits", "--threads", "2", "-o"];
    place.gradshard().args(arguments).args([output.as_os_str()]).run().success();
    drop(burners);

    let found = ResultFile::open(&output).unwrap();
    assert!(found.blocks.iter().map(|block| block.involuntary_switches).sum::<u64>() > 0);
    for cell in &found.cells {
        // On two cores, four programs run beside two ranks, so two thirds of the load are other programs'. On more
        // cores it is more.
        assert!(
            matches!(cell.interference, Some(Interference::OtherLoad | Interference::OtherLoadAndOffCore)),
            "{cell:?}"
        );
        assert!(cell.other_load.is_some_and(|share| (0.4..=1.0).contains(&share)), "{cell:?}");
    }
    let finished = place.gradshard().args(["show".as_ref(), output.as_os_str()]).run();
    let shown = finished.success().replace("\n  ", " ");
    assert!(shown.contains("! INTERFERENCE: comparison 0, 2 of 2 cells: other programs"), "{shown}");
    // So much disturbance leaves no answer.
    let answer = place.gradshard().args(["show".as_ref(), output.as_os_str(), "--answer".as_ref()]).run();
    assert_eq!(answer.status.code(), Some(4), "{answer:#?}");
    assert!(answer.stdout.contains("not established: the machine was disturbed (other programs"), "{answer:#?}");
}
