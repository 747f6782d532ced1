//! Tests that the file says why each comparison stopped, and under which conditions it was measured.

mod harness;

use std::fs;
use std::process::Command;

use harness::{Place, repository};
use serde_json::{Value, json};

/// Runs one comparison with the settings `repeat`. Returns the file as JSON.
fn run(place: &Place, name: &str, repeat: Value) -> Value {
    let experiment = json!({
        "models": [{"name": "m", "elements": 1009}],
        "clients": 3,
        "strategies": ["sharded-direct", "tree-central"],
        "repeat": repeat
    });
    place.write(&format!("{name}.json"), format!("{experiment}\n"));
    let output = format!("{name}.h5");
    let file = format!("{name}.json");
    let run =
        place.mpi(3).args(["run", &file, "--no-limits", "--output", &output]).env("UCX_GRADSHARD_TEST", "a setting");
    run.run().success();
    place.gradshard().args(["show", &output, "--format", "json"]).run().json()
}

#[test]
fn a_comparison_stops_for_the_reason_that_the_file_names() {
    let place = Place::new();
    // A relative precision of 1 is reached soon, 1e-9 never.
    let precise = run(&place, "precise", json!({"precision": 1.0, "blocks": 5120, "max_seconds": 60}));
    let budget = run(&place, "budget", json!({"precision": 1e-9, "blocks": 1_000_000, "max_seconds": 0.3}));
    let blocks = run(&place, "blocks", json!({"precision": 1e-9, "blocks": 7, "max_seconds": 60}));
    for (shown, reason) in [(&precise, "precise"), (&budget, "budget"), (&blocks, "blocks")] {
        let cells = shown["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 2);
        for cell in cells {
            assert_eq!((&cell["stopped"], &cell["samples"]), (&json!(reason), &cell["blocks"]), "{cell}");
        }
    }
    let ratio = |shown: &Value, name: &str| shown["ratios"][0][name].as_f64().unwrap();
    // Looks are at 10, 20, 40 … blocks, and each spends half of the remaining significance level of 5 %.
    let (ran, looks) =
        (precise["cells"][0]["blocks"].as_u64().unwrap(), precise["cells"][0]["looks"].as_u64().unwrap());
    assert_eq!(ran, 10 << (looks - 1));
    assert!((ratio(&precise, "alpha") - 0.05 * 0.5f64.powi(looks as i32)).abs() < 1e-12, "{precise}");
    assert!((ratio(&precise, "ci_high") / ratio(&precise, "ci_low")).sqrt() - 1.0 <= 1.0, "{precise}");
    // No block begins after the time is up, but at least one block runs.
    let spent = budget["cells"].as_array().unwrap().iter().map(|c| c["median_s"].as_f64().unwrap()).sum::<f64>();
    let ran = budget["cells"][0]["blocks"].as_u64().unwrap();
    assert!((1..1_000_000).contains(&ran) && spent * (ran as f64) < 3.0, "{ran} blocks of {spent} s");
    assert_eq!(blocks["cells"][0]["blocks"], 7);
}

/// Every recorded condition is compared with the system's own figure.
#[test]
fn what_a_run_was_made_under_can_be_read_again() {
    let place = Place::new();
    let shown = run(&place, "e", json!({"blocks": 2}));
    let text = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let environment = &shown["environment"];
    assert_eq!(shown["jobs"][0]["environment"], *environment);
    let (command, launched_by) =
        (environment["command"].as_str().unwrap(), environment["launched_by"].as_str().unwrap());
    assert_eq!(command, "gradshard run e.json --no-limits --output e.h5");
    assert!(launched_by.ends_with(" -n 3") && launched_by.starts_with("mpi"), "{launched_by}");
    assert!(
        ["plain", "avx2", "avx512"].iter().any(|name| environment["kernels"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains(name))
    );
    let machines = environment["machines"].as_array().unwrap();
    assert_eq!(machines.len(), 3);
    for machine in machines {
        let of = &machine["environment"];
        assert_eq!(of["hostname"].as_str().map(str::to_owned), text("/proc/sys/kernel/hostname"));
        assert_eq!(of["kernel"], format!("Linux {}", text("/proc/sys/kernel/osrelease").unwrap()));
        let clock = text("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        assert_eq!(of["clock_source"].as_str().map(str::to_owned), clock);
        let governor = text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        assert_eq!(of["governors"].is_null(), governor.is_none(), "{of}");
        assert_eq!(of["launcher"]["settings"]["UCX_GRADSHARD_TEST"], "a setting");
        let build = &of["build"];
        assert_eq!(build["profile"], if cfg!(debug_assertions) { "debug" } else { "release" });
        assert_eq!(build["target_features"].as_str().unwrap().contains("avx2"), cfg!(target_feature = "avx2"));
        assert!(build["rustflags"].is_string() && build["rustc"].as_str().unwrap().starts_with("rustc 1."));
        for part in ["topology", "binding", "memory"] {
            assert!(machine[part].is_object(), "{part}: {machine}");
        }
    }
    let git = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(repository()).output();
    // The source may be an archive without a git repository.
    if let Some(revision) = git.ok().filter(|git| git.status.success()) {
        let found = machines[0]["environment"]["build"]["git_revision"].as_str().unwrap();
        assert_eq!(found, String::from_utf8_lossy(&revision.stdout).trim());
    }
    // The file holds the experiment byte for byte, with its hash.
    let bytes = fs::read(place.path("e.json")).unwrap();
    let file = gradshard::results::ResultFile::open(place.path("e.h5")).unwrap();
    assert_eq!(file.experiment_json.as_bytes(), bytes);
    let sum = Command::new("sha256sum").arg(place.path("e.json")).output().unwrap();
    assert!(String::from_utf8_lossy(&sum.stdout).starts_with(shown["experiment_sha256"].as_str().unwrap()));
}
