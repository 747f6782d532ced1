//! Tests the output of `gradshard cost`. Expected values are calculated by hand from published ones.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use harness::{Place, repository};
use serde_json::Value;

fn json(arguments: &[&str]) -> Value {
    Place::new().gradshard().args(["cost"]).args(arguments).args(["--format", "json"]).run().json()
}

fn rows(tables: &Value, name: &str) -> Vec<Value> {
    tables[name]["rows"].as_array().unwrap_or_else(|| panic!("no table {name}: {tables:#}")).clone()
}

fn number(row: &Value, column: &str) -> f64 {
    row[column].as_f64().unwrap_or_else(|| panic!("no {column}: {row:#}"))
}

/// Memory follows the rule, 3 · 128.08 + 450 and 3 · 512.32 + 450 MiB. The functions' requests cost
/// 80 · 0.0004 + 4 · 0.005 and 24 · 0.0004 + 5 · 0.005 dollars for 1,000 rounds, and the clients' requests cost
/// 80 · (0.0004 + 0.005) and 20 · (0.0004 + 0.005) dollars.
#[test]
fn a_plan_is_priced() {
    let arguments = ["--model", "vgg16", "--strategy", "sharded-direct,tree-lambda-fl"];
    let tables = json(&arguments);
    let found = rows(&tables, "estimate");
    for (row, memory, requests, clients) in [(&found[0], 835.0, 0.052, 0.432), (&found[1], 1987.0, 0.0346, 0.108)] {
        assert_eq!(number(row, "memory_mib"), memory);
        assert!(
            (number(row, "requests_usd") - requests).abs() < 1e-12
                && (number(row, "clients_usd") - clients).abs() < 1e-12
        );
        let parts = number(row, "functions_usd") + requests + clients;
        assert!((number(row, "usd_per_1000_rounds") - parts).abs() < 1e-9, "{row}");
        // The functions' time times their memory costs $0.0000166667 per GB-second, here for 1,000 rounds.
        let functions = number(row, "function_s") * memory / 1024.0 * 0.0166667;
        assert!((number(row, "functions_usd") / functions - 1.0).abs() < 1e-6, "{row}");
    }
    // Prices without the clients' requests, and with a cold start of 1 s for each of four functions.
    let without = rows(&json(&[&arguments[..], &["--without-clients"]].concat()), "estimate");
    let less = number(&found[0], "usd_per_1000_rounds") - number(&without[0], "usd_per_1000_rounds");
    assert!((less - 0.432).abs() < 1e-9, "{less}");
    let cold = rows(&json(&[&arguments[..], &["--cold-start", "1"]].concat()), "estimate");
    assert!((number(&cold[0], "function_s") - number(&found[0], "function_s") - 4.0).abs() < 1e-6);
    assert!((number(&cold[1], "latency_s") - number(&found[1], "latency_s") - 2.0).abs() < 1e-6);
}

/// Ranged reads save (M − 1)·N PUTs of $0.000005 each: 3 · 20 · 0.005 = 0.3 dollars for 1,000 rounds. Memory, time and
/// the other requests stay, and a tree pays as much as before. The cheapest choice of M knows it.
#[test]
fn ranged_reads_are_priced() {
    let model = ["--model", "resnet18", "--strategy", "sharded-direct,tree-lambda-fl", "--flow", "whole,ranged"];
    let found = rows(&json(&model), "estimate");
    for column in ["memory_mib", "gets", "puts", "function_s", "latency_s", "requests_usd"] {
        assert_eq!(found[0][column], found[1][column], "{column}");
    }
    let saved = |at: usize| number(&found[at], "usd_per_1000_rounds") - number(&found[at + 1], "usd_per_1000_rounds");
    assert_eq!((&found[1]["flow"], &found[3]["flow"]), (&"ranged".into(), &"ranged".into()));
    assert!((saved(0) - 0.3).abs() < 1e-9 && saved(2).abs() < 1e-12, "{found:?}");
    let best =
        rows(&json(&["best-shards", "--model", "vgg16", "--strategy", "sharded-direct,tree-central"]), "choices");
    let cheapest = |flow: &str| {
        let usd = best.iter().filter(|row| row["flow"] == flow && row["strategy"] == "sharded-direct");
        usd.map(|row| (number(row, "usd_per_1000_rounds"), number(row, "shards")))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap()
    };
    let (whole, ranged) = (cheapest("whole"), cheapest("ranged"));
    assert!(ranged.0 <= whole.0 - (whole.1 - 1.0) * 0.1 && ranged.1 > whole.1, "{whole:?} {ranged:?}");
    // A tree reads the same objects, so it is not listed again.
    assert!(
        best.iter()
            .all(|row| row["strategy"] == "sharded-direct" || !row["flow"].as_str().unwrap().starts_with("ranged"))
    );
}

/// All formats have the same numbers, and CSV has one row per line.
#[test]
fn csv_and_text_say_what_json_says() {
    let place = Place::new();
    let arguments = ["cost", "--model", "vgg16", "--strategy", "sharded-direct", "--format", "csv"];
    let csv = place.gradshard().args(arguments).run().success().to_owned();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let at = lines[0].iter().position(|name| *name == "usd_per_1000_rounds").unwrap();
    let json = rows(&json(&["--model", "vgg16", "--strategy", "sharded-direct"]), "estimate");
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1][at].parse::<f64>().unwrap(), number(&json[0], "usd_per_1000_rounds"));
    let text = place.gradshard().args(&arguments[..5]).run().success().to_owned();
    assert!(text.contains("sharded-direct") && text.lines().count() == 4, "{text}");
    // The levels add up to the same time: there are four functions.
    let levels = rows(&self::json(&["--model", "vgg16", "--strategy", "sharded-direct", "--levels"]), "levels");
    let parts = ["mean_read_s", "mean_sum_s", "mean_write_s"].map(|part| number(&levels[0], part));
    assert!((4.0 * parts.iter().sum::<f64>() - number(&json[0], "function_s")).abs() < 1e-6, "{levels:?}");
}

/// Cells are feasible or not as published. The ratio with the clients' requests is
/// (10.167 + 0.108) / (3.383 + 0.432) = 2.7. The sweep is the published one.
#[test]
fn the_published_tables_stand_beside_ours() {
    let tables = json(&["tables"]);
    let found = rows(&tables, "architectures");
    assert_eq!(found.len(), 12);
    let feasible: Vec<bool> = found.iter().map(|row| row["feasible"].as_bool().unwrap()).collect();
    let (all, sharding_alone) = ([true; 6], [true, false, false, true, false, false]);
    assert_eq!(feasible, [all, sharding_alone].concat());
    for row in found.iter().filter(|row| !row["their_usd"].is_null()) {
        assert!(number(row, "error_percent").abs() < 20.0 && number(row, "usd_error_percent").abs() < 20.0, "{row}");
    }
    let why = found[0]["why_different"].as_str().unwrap();
    assert!(why.contains("2 copies"), "{why}");
    let ratios = rows(&tables, "ratios");
    let vgg16 = ratios.iter().find(|row| row["model"] == "vgg16" && row["counted"] == "with clients").unwrap();
    assert!((number(vgg16, "their_ratio") - 10.275_382 / 3.815_063).abs() < 1e-4, "{vgg16}");
    assert!((number(vgg16, "ratio") - 2.7).abs() < 0.2, "{vgg16}");
    assert_eq!(rows(&tables, "sweep").len(), 3);
    assert_eq!(rows(&tables, "idle").len(), 4);
}

/// A small experiment on threads, at $36 per node-hour, which is one cent per second. The server is idle for 9.5 s.
#[test]
fn what_was_measured_is_priced() {
    let place = Place::new();
    // Rounds begin after a barrier. On a busy machine ranks may miss windows, so that nothing is timed.
    let repeat = r#"{"blocks": 10, "start": "barrier"}"#;
    let experiment =
        format!(r#"{{"models": 1000, "clients": 4, "strategies": ["sharded-direct"], "repeat": {repeat}}}"#);
    place.write("e.json", experiment);
    place.gradshard().args(["run", "--threads", "2", "--no-limits", "e.json"]).run().success();
    let platform = std::fs::read_to_string(repository().join("configs/platforms/cluster-c5.json")).unwrap();
    let mut platform: Value = serde_json::from_str(&platform).unwrap();
    platform["prices"]["node_hour_usd"]["value"] = "36".into();
    place.write("p.json", platform.to_string());
    let arguments = ["cost", "e.h5", "--platform", "p.json", "--train-seconds", "9.5", "--format", "json"];
    let tables = place.gradshard().args(arguments).run().json();
    let row = &rows(&tables, "measured")[0];
    let median = number(row, "median_s");
    // Equal up to a nanosecond.
    assert!((number(row, "usd_per_1000_rounds") - median * 0.01 * 1000.0).abs() < 1.1e-8, "{row}");
    assert!((number(row, "idle_usd") - 95.0).abs() < 1e-9, "{row}");
    assert!((number(row, "idle_percent") - 950.0 / (9.5 + median)).abs() < 1e-6, "{row}");
}

#[test]
fn what_cannot_be_priced_is_refused() {
    let place = Place::new();
    place.write("p.json", r#"{"kind": "functions", "nam": "mine"}"#);
    place.write("m.json", r#"{"source": "me", "clients": 20, "dtype": "f32", "deployments": []}"#);
    place.write("list.json", "[]");
    for (arguments, parts) in [
        (&["--model", "vgg"][..], &["--model", "vgg16"][..]),
        (&["--model", "0"], &["--model", "at least 1"]),
        (&["--strategy", "sharded"], &["unknown strategy", "sharded-direct"]),
        (&["--strategy", "native-reduce", "--model", "vgg16"], &["native-reduce", "MPI_Reduce", "no price"]),
        (&["--nodes", "21", "--model", "vgg16"], &["--nodes", "20 ranks"]),
        (&["--platform", "p.json"], &["p.json", "nam", "name"]),
        (&["--platform", "none.json"], &["none.json"]),
        (&["--platform", "list.json"], &["list.json", "object"]),
        (&["calibrate", "m.json"], &["0 deployments"]),
        (&["calibrate", "p.json"], &["p.json", "kind", "source"]),
        (&["tables", "--format", "csv"], &["--table", "architectures, ratios, sweep, idle"]),
        (&["tables", "--table", "prices"], &["prices", "architectures"]),
        (&["none.h5"], &["none.h5"]),
    ] {
        place.gradshard().args(["cost"]).args(arguments).run().refused(parts);
    }
    // Errors of the command line parser have another form.
    for (arguments, part) in [
        (&["--clients", "0"][..], "write a whole number from 1"),
        (&["--flow", "0MiB"], "write whole, ranged, a size such as 64MiB"),
        (&["--throughput", "0"], "write a number above 0"),
        (&["--cold-start=-1"], "write 0 or a number above it"),
        (&["p.json", "--model", "vgg16"], "cannot be used with '--model"),
        (&["--train-seconds", "3"], "<RESULT>"),
    ] {
        let finished = place.gradshard().args(["cost"]).args(arguments).run();
        assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(finished.stderr.contains(part), "{part:?} is not in {}", finished.stderr);
    }
}
