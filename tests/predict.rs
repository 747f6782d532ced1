//! Tests predictions as a user gets them, from a result file whose times a formula gives.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use gradshard::plan::{Algorithm, Closing, End, Family, Way};
use gradshard::results::row::{CellRow, Status};
use gradshard::results::{Environment, Output, ResultFile};
use harness::Place;
use serde_json::{Value, json};

/// Bandwidth of a card, bytes/s.
const CARD: f64 = 125e6;
/// Half of a round trip, seconds. Half of it is the cores' where nothing says more.
const HALF_TRIP: f64 = 40e-6;
const ELEMENTS: u64 = 1 << 20;

/// A ring of whole objects with one client and one shard on each of this many nodes.
fn ring(nodes: f64) -> f64 {
    (nodes - 1.0) * (ELEMENTS as f64 * 4.0 / nodes / CARD + HALF_TRIP)
}

fn experiment() -> Value {
    json!({
        "models": [{"name": "m", "elements": ELEMENTS}], "clients": {"per_rank": 1}, "shards": {"per_rank": 1},
        "strategies": ["sharded-ring", "native-allreduce"], "end": "scattered", "flow": "whole"
    })
}

fn limits(nodes: u64) -> Value {
    let node = |number: u64| {
        let passes = json!({"access": "add-streaming", "memory": "private", "workers": 1, "bytes": 1e9 as u64,
                            "seconds": [0.001, 0.001]});
        json!({"node": number, "ranks": 1, "cores": 1, "cache_bytes": 1 << 30, "memory_bytes_per_s": 1e12,
               "one_rank_bytes_per_s": 1e12, "read_bytes_per_s": null, "memory": [passes],
               "sums": [{"dtype": "f32", "elements_per_s": 1e13, "elements": 1e9 as u64, "seconds": [0.0001]}]})
    };
    let pair = json!({"ranks": [0, 1], "latency_s": HALF_TRIP, "latency_batches_s": [HALF_TRIP],
                      "one_way_bytes_per_s": CARD, "one_way": [CARD], "one_way_back_bytes_per_s": null,
                      "both_ways_bytes_per_s": CARD, "both_ways": [CARD]});
    let pattern = json!({"ranks_per_node": 1, "bytes_per_s": [vec![CARD; nodes as usize]]});
    json!({"nodes": (0..nodes).map(node).collect::<Vec<_>>(), "within_node": null, "between_nodes": pair,
           "wires": {"bytes_per_s": CARD, "patterns": [pattern]}, "notes": [], "seconds": 1.0})
}

/// A result file of jobs on 2, 4 and 8 nodes that take `factor` times as long as the formula says on 8.
fn result_file(place: &Place, factor: f64) {
    let mut file = ResultFile::new(experiment().to_string(), Environment::default());
    file.jobs.clear();
    for (job, nodes) in (0..).zip([2u64, 4, 8]) {
        let environment = json!({"ranks": nodes, "nodes": nodes, "limits": limits(nodes)});
        file.resumed(&Environment::of(&environment).expect("an object"));
        let seconds = ring(nodes as f64) * if nodes == 8 { factor } else { 1.0 };
        let cell = CellRow {
            job,
            strategy: "sharded-ring".into(),
            family: Family::Sharded,
            elements: ELEMENTS,
            clients: nodes,
            across: Way::Direct,
            radix: 2,
            closing: Closing::Back,
            algorithm: Algorithm::default(),
            shards: nodes,
            flow: "whole".into(),
            ranks: nodes,
            nodes,
            end: End::Scattered,
            median_s: Some(seconds),
            status: Status::Ok,
            ..CellRow::default()
        };
        file.push(cell, vec![], vec![]);
    }
    let mut output = Output::create(place.path("measured.h5"), false).expect("a new file");
    output.save(&file).expect("saved");
}

fn predicted(place: &Place, nodes: &str, more: &[&str]) -> Value {
    place.write("ring.json", experiment().to_string());
    let arguments = ["predict", "ring.json", "--from", "measured.h5", "--nodes", nodes, "--format", "json"];
    place.gradshard().args(arguments.iter().chain(more)).run().json()
}

fn near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
    assert!((found / expected - 1.0).abs() < 0.01, "{found}, not {expected}");
}

#[test]
fn what_the_formula_gives_is_predicted_and_far_ahead_it_is_called_so() {
    let place = Place::new();
    result_file(&place, 1.0);
    let tables = predicted(&place, "16,128", &[]);
    let held = &rows(&tables["held-out"])[0];
    near(&held["measured s"], ring(8.0));
    near(&held["predicted s"], ring(8.0));
    // Racks that are asked for do not change cells that were measured without racks.
    let racks = predicted(&place, "16", &["--fabric", r#"{"nodes_per_rack": 4, "taper": 16}"#]);
    near(&rows(&racks["held-out"])[0]["predicted s"], ring(8.0));
    // A quarter of a card's bandwidth for the shard that leaves a rack in each of 15 rounds.
    near(&rows(&racks["forecast"])[0]["seconds"], 15.0 * (ELEMENTS as f64 * 4.0 / 16.0 / (CARD / 4.0) + HALF_TRIP));
    assert_eq!(held["above 10 %"], json!(false));
    let forecasts = rows(&tables["forecast"]);
    let of = |strategy: &str, nodes: u64| {
        forecasts.iter().find(|row| row["strategy"] == strategy && row["nodes"] == nodes).expect("a row")
    };
    near(&of("sharded-ring", 16)["seconds"], ring(16.0));
    near(&of("sharded-ring", 128)["seconds"], ring(128.0));
    assert_eq!(of("sharded-ring", 16)["remark"], "");
    assert_eq!(of("sharded-ring", 128)["remark"], "extrapolation to 16 times the measured nodes");
    // The only strategy that is predicted is ahead of all.
    let map = rows(&tables["map"]);
    assert_eq!(map.len(), 2);
    assert_eq!((&map[1]["nodes"], &map[1]["ahead"]), (&json!(128), &json!("sharded-ring")));
    near(&map[1]["seconds"], ring(128.0));
    assert_eq!((&map[0]["extrapolation"], &map[1]["extrapolation"]), (&json!(false), &json!(true)));
    let native = of("native-allreduce", 16);
    assert!(native["seconds"].is_null(), "{native}");
    assert!(native["remark"].as_str().unwrap().contains("the plan of its algorithm is not known"), "{native}");
    // 16 nodes at 3.06 dollars an hour, a thousand times.
    let platform = harness::repository().join("configs/platforms/cluster-c5.json");
    let price = |tables: &Value| rows(&tables["forecast"])[0]["usd_per_1000_rounds"].clone();
    assert!(price(&predicted(&place, "16", &[])).is_null());
    let priced = predicted(&place, "16", &["--platform", &platform.to_string_lossy()]);
    near(&price(&priced), 1000.0 * 16.0 * 3.06 / 3600.0 * ring(16.0));
    // A card of twice the bandwidth.
    let faster = predicted(&place, "16", &["--wire", "250000000"]);
    let seconds = &rows(&faster["forecast"])[0]["seconds"];
    near(seconds, 15.0 * (ELEMENTS as f64 * 4.0 / 16.0 / (2.0 * CARD) + HALF_TRIP));
}

/// A machine that takes longer than the model is told, and makes the interval wide.
#[test]
fn a_miss_is_shown_and_widens_the_interval() {
    let place = Place::new();
    result_file(&place, 1.5);
    let tables = predicted(&place, "16,32", &[]);
    let held = &rows(&tables["held-out"])[0];
    assert_eq!((&held["error"], &held["above 10 %"]), (&json!("-33.3 %"), &json!(true)));
    let forecasts = rows(&tables["forecast"]);
    for (row, widening) in [(&forecasts[0], 1.5), (&forecasts[2], 1.5 * 1.5)] {
        let seconds = row["seconds"].as_f64().expect("a prediction");
        near(&row["high"], seconds * widening);
        near(&row["low"], seconds / widening);
        assert_eq!(row["remark"], "doubtful: above 10 %");
    }
}

#[test]
fn files_that_say_nothing_of_wires_are_refused() {
    let place = Place::new();
    place.write("ring.json", experiment().to_string());
    let old = harness::repository().join("tests/data/schema-4.h5");
    let arguments = ["predict", "ring.json", "--nodes", "4", "--from"].map(str::to_owned);
    let arguments = arguments.into_iter().chain([old.to_string_lossy().into_owned()]);
    place.gradshard().args(arguments).run().refused(&["schema-4.h5"]);
    let fabric =
        ["predict", "ring.json", "--nodes", "4", "--from", "x.h5", "--fabric", r#"{"nodes_per_rack": 0, "taper": 1}"#];
    place.gradshard().args(fabric).run().refused(&["--fabric: fabric[0].nodes_per_rack: 0"]);
}

/// The rows of a table in JSON.
fn rows(table: &Value) -> Vec<Value> {
    table["rows"].as_array().unwrap_or_else(|| panic!("{table} has no rows")).clone()
}
