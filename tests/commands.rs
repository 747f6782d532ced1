//! Tests the output of the commands, read as a program reads it.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use std::io::Write;
use std::process::{Command, Stdio};

use gradshard::results::{Environment, Output, ResultFile};
use harness::{Place, available, repository};
use serde_json::{Value, json};

fn names(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}

fn strategies(place: &Place) -> Vec<String> {
    names(&place.gradshard().args(["strategies", "--format", "json"]).run().json())
}

#[test]
fn strategies_are_listed() {
    let place = Place::new();
    let list = place.gradshard().args(["strategies", "--format", "json"]).run().json();
    let text = place.gradshard().args(["strategies"]).run().success().to_owned();
    let names = names(&list);
    assert_eq!(text.lines().count(), names.len());
    for expected in
        ["sharded-direct", "tree-central", "tree-lambda-fl", "tree-lifl", "native-reduce-scatter", "native-reduce"]
    {
        assert!(names.iter().any(|name| name == expected), "{expected}");
    }
    for strategy in list.as_array().unwrap() {
        let family = strategy["family"].as_str().unwrap();
        assert!(["sharded", "tree", "server", "library"].contains(&family), "{strategy}");
        assert!(strategy["needs_mpi"].is_boolean() && strategy["heeds_shards"].is_boolean(), "{strategy}");
        let line = text.lines().find(|line| line.split_whitespace().nth(1) == strategy["name"].as_str()).unwrap();
        assert!(line.starts_with(family) && line.ends_with(strategy["about"].as_str().unwrap()), "{line}");
    }
}

/// torchvision counts 11,689,512 parameters of ResNet-18 and 138,357,544 of VGG-16 with 1,000 classes. Here both have
/// 10 classes. Each of the 990 missing classes has 512 or 4,096 weights and a bias.
#[test]
fn models_are_listed_with_their_counts() {
    let place = Place::new();
    let list = place.gradshard().args(["models", "--format", "json"]).run().json();
    let elements = |name: &str| {
        let entry = list.as_array().unwrap().iter().find(|entry| entry["name"] == name);
        entry.unwrap_or_else(|| panic!("no {name}"))["elements"].as_u64().unwrap()
    };
    assert_eq!(elements("resnet18"), 11_689_512 - 990 * 513);
    assert_eq!(elements("vgg16"), 138_357_544 - 990 * 4097);
    let text = place.gradshard().args(["models"]).run().success().to_owned();
    assert_eq!(text.lines().count(), list.as_array().unwrap().len());
    let layers = place.gradshard().args(["models", "resnet18", "--format", "json"]).run().json();
    let length =
        |layer: &Value| layer["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).product::<u64>();
    assert_eq!(layers["layers"].as_array().unwrap().iter().map(length).sum::<u64>(), elements("resnet18"));
    let lines = place.gradshard().args(["models", "resnet18"]).run().success().lines().count();
    assert_eq!(lines, layers["layers"].as_array().unwrap().len());
}

#[test]
fn the_machine_is_described_by_every_rank() {
    let place = Place::new();
    let finished = place.mpi(3).args(["machine", "--format", "json"]).run();
    let described = finished.json();
    let text = described.to_string();
    for part in ["mpi", "hostname", "memory", "kernel"] {
        assert!(text.to_lowercase().contains(part), "{part}: {text}");
    }
    let alone = place.gradshard().args(["machine"]).run();
    assert!(!alone.success().is_empty());
    assert_eq!(described["machines"].as_array().map(Vec::len), Some(3), "{described:#}");
}

/// λ-FL with N = 20 has ⌈√20⌉ = 5 clients per leaf, 4 leaves and one root.
#[test]
fn plans_in_every_format() {
    let place = Place::new();
    let plan = |format: &str| {
        let arguments = ["plan", "--strategy", "tree-lambda-fl", "--clients", "20", "--elements", "1000", "--format"];
        place.gradshard().args(arguments).args([format]).run().success().to_owned()
    };
    let json: Value = serde_json::from_str(&plan("json")).unwrap();
    let aggregators = json["steps"].as_array().unwrap_or_else(|| panic!("{json:#}"));
    assert_eq!(aggregators.len(), 5);
    // Inputs are printed as ranges of numbers.
    let count = |ranges: &Value| {
        let ranges = ranges.as_array().unwrap().iter();
        ranges.map(|range| range[1].as_u64().unwrap() - range[0].as_u64().unwrap()).sum::<u64>()
    };
    let inputs: Vec<_> = aggregators.iter().map(|a| (count(&a["clients"]), count(&a["steps"]))).collect();
    assert_eq!(inputs, [(5, 0), (5, 0), (5, 0), (5, 0), (0, 4)]);
    assert_eq!(json["check"]["sound"], true);
    let text = plan("text");
    assert!(text.contains("tree-lambda-fl") && text.contains("sound") && text.contains("1000"), "{text}");
    let dot = plan("dot");
    assert!(dot.starts_with("digraph") && dot.trim_end().ends_with('}'), "{dot}");
    // There are 20 edges from clients to leaves, and 4 from leaves to the root.
    assert_eq!(dot.matches("->").count(), 24, "{dot}");
    let svg = plan("svg");
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
    // There are 20 clients, 4 leaves and a root, with the same 24 edges.
    assert_eq!(
        ["<circle", "class=\"partial\"", "class=\"result\"", "class=\"edge"].map(|w| svg.matches(w).count()),
        [20, 4, 1, 24]
    );
    if available("dot", Command::new("dot").arg("-V")) {
        let mut drawer = Command::new("dot").arg("-Tsvg").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        drawer.stdin.take().unwrap().write_all(dot.as_bytes()).unwrap();
        let drawn = drawer.wait_with_output().unwrap();
        assert!(drawn.status.success() && String::from_utf8_lossy(&drawn.stdout).contains("</svg>"));
    }
}

/// Counts that took minutes to plan, as every rank's memory was predicted from all steps.
#[test]
fn plans_of_a_million_say_what_they_leave_out() {
    let place = Place::new();
    for counts in [
        "sharded-radix --ranks 1048576 --clients 16 --shards 24",
        "sharded-ring --clients 1048576 --ranks 64 --shards 60",
    ] {
        let plan =
            || place.gradshard().args(["plan", "--elements", "vgg16", "--strategy"]).args(counts.split(' ')).limit(60);
        let text = plan().run();
        assert!(text.success().contains("not calculated: ranks × shards × clients"), "{text:#?}");
        let json = plan().args(["--format", "json"]).run().json();
        assert!(json["memory"].is_null() && json["check"]["sound"] == true, "{counts}");
        let drawn = plan().args(["--format", "dot"]).run();
        drawn.refused(&["at most 5000 are drawn"]);
    }
}

#[test]
fn every_strategy_has_a_plan_to_show() {
    let place = Place::new();
    for name in strategies(&place) {
        for more in
            [&["--flow", "1KiB"][..], &["--nodes", "2", "--streamed", "--dtype", "bf16", "--intra-node", "messages"]]
        {
            let arguments = ["plan", "--strategy", &name, "--elements", "1009", "--shards", "3", "--format", "json"];
            let shown = place.gradshard().args(arguments).args(more).run().json();
            assert_eq!(shown["strategy"], *name, "{shown}");
        }
    }
}

/// Names in a cell's object.
const CELL_NAMES: [&str; 29] = [
    "strategy",
    "model",
    "elements",
    "dtype",
    "clients",
    "shards",
    "flow",
    "ranks",
    "nodes",
    "roles",
    "end",
    "messages_max",
    "samples",
    "stopped",
    "looks",
    "blocks",
    "warm_up_samples",
    "drifts",
    "lag1_autocorrelation",
    "effective_samples",
    "median_s",
    "ci_low_s",
    "ci_high_s",
    "gradient_bytes_per_s",
    "ingest_bytes_per_s",
    "memory",
    "verification",
    "status",
    "reason",
];

/// Other programs rely on these names.
#[test]
fn shown_results_have_the_promised_names() {
    let place = Place::new();
    let experiment = json!({"models": 97, "clients": 5, "repeat": {"blocks": 14, "warmup": 0}});
    place.write("e.json", experiment.to_string());
    let ran = place.gradshard().args(["run", "e.json", "--threads", "2"]).run();
    let table = ran.success().to_owned();
    // Ranks that are threads leave the library's calls out, in one line.
    let left_out: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("native-")).collect();
    assert!(
        matches!(left_out[..], [line] if line.contains("left out") && line.contains("native-reduce, ")),
        "{ran:#?}"
    );
    let shown = place.gradshard().args(["show", "e.h5", "--format", "json"]).run().json();
    let cells = shown["cells"].as_array().unwrap();
    let mut ok = 0;
    for cell in cells {
        for name in CELL_NAMES {
            assert!(cell.get(name).is_some(), "{name} is not in {cell}");
        }
        match cell["status"].as_str().unwrap() {
            "ok" => {
                ok += 1;
                for name in ["differing_elements", "max_ulp", "max_relative_error_vs_exact", "reference"] {
                    assert!(!cell["verification"][name].is_null(), "{name} is not in {cell}");
                }
                let (median, samples) = (cell["median_s"].as_f64().unwrap(), cell["samples"].as_u64().unwrap());
                assert!(median > 0.0 && samples == 14, "{cell}");
                let close = |name: &str, bytes: f64| (cell[name].as_f64().unwrap() * median / bytes - 1.0).abs() < 1e-9;
                assert!(close("gradient_bytes_per_s", 388.0) && close("ingest_bytes_per_s", 5.0 * 388.0), "{cell}");
            }
            other => panic!("{other}: {cell}"),
        }
    }
    let ratios = shown["ratios"].as_array().unwrap();
    assert_eq!(ratios.len(), ok - 1, "every cell but the fastest is compared with it");
    for ratio in ratios {
        let of = |name: &str| ratio[name].as_f64().unwrap_or_else(|| panic!("{name} is not in {ratio}"));
        let median = |name: &str| {
            let cell = cells.iter().find(|cell| cell["cell"] == ratio[name]).unwrap();
            cell["median_s"].as_f64().unwrap()
        };
        assert!(
            of("ci_low") <= of("estimate") && of("estimate") <= of("ci_high") && of("p") <= of("p_holm"),
            "{ratio}"
        );
        assert!(median("baseline") <= median("cell") && of("blocks") == 14.0, "{ratio}");
        assert!(["faster", "slower", "same", "undecided"].contains(&ratio["verdict"].as_str().unwrap()), "{ratio}");
    }
    assert!(ok >= 4, "{ok} ok");
    the_other_forms_agree(&place, &table, &shown, ok);
}

/// Page, answer, CSV and rounds of e.h5 agree with the JSON `shown`, of which `ok` cells are ok, and with the page of the run.
fn the_other_forms_agree(place: &Place, table: &str, shown: &Value, ok: usize) {
    // After a run the answer stands last, too.
    let page = place.gradshard().args(["show", "e.h5"]).run().success().to_owned();
    let answer = place.gradshard().args(["show", "e.h5", "--answer"]).run();
    assert!([Some(0), Some(4)].contains(&answer.status.code()), "{answer:#?}");
    assert_eq!(table, format!("{page}\n{}", answer.stdout));
    assert!(page.starts_with(&answer.stdout), "{page}");
    let advice = shown["answers"][0]["advice"].as_str().unwrap();
    assert_eq!(answer.status.code() == Some(4), advice == "not-established", "{answer:#?}");
    let csv = place.gradshard().args(["show", "e.h5", "--format", "csv"]).run().success().to_owned();
    assert!(csv.lines().count() > shown["cells"].as_array().unwrap().len(), "{csv}");
    assert!(csv.lines().next().unwrap().contains("strategy,"), "{csv}");
    assert!(csv.lines().nth(1).unwrap().ends_with(&format!(",{advice}")), "{csv}");
    let rounds = place.gradshard().args(["show", "e.h5", "--samples"]).run().success().to_owned();
    // A round that missed its window is a row, too.
    let stored = ResultFile::open(place.path("e.h5")).unwrap().samples.len();
    assert!(rounds.lines().count() == 1 + stored && stored >= 14 * ok, "{stored} rounds: {rounds}");
    // No guideline compares two of these cells.
    place.gradshard().args(["show", "--guidelines", "e.h5"]).run().refused(&["e.h5", "configs/guidelines.json"]);
}

/// Each page is as wide as it is asked to be.
#[test]
fn tables_follow_the_width() {
    let place = Place::new();
    place.write("e.json", json!({"models": 97, "clients": 5, "repeat": {"blocks": 3}}).to_string());
    place.gradshard().args(["run", "e.json", "--threads", "2", "--no-limits"]).run().success();
    let show = |arguments: &[&str]| {
        let page = place.gradshard().args(["show", "e.h5"]).args(arguments).run().success().to_owned();
        let widest = page.lines().map(|line| line.chars().count()).max().unwrap();
        (widest, page.contains("no room for"))
    };
    let (narrow, usual, wide) = (show(&["--width", "80"]), show(&[]), show(&["--width", "160"]));
    assert!(narrow.0 <= 80 && narrow.1, "{narrow:?}");
    assert!(usual.0 <= 100 && usual.1, "{usual:?}");
    assert!(wide.0 <= 160 && !wide.1, "{wide:?}");
    if available("script", Command::new("script").arg("--version")) {
        let program = env!("CARGO_BIN_EXE_gradshard");
        let line = format!("script -qec 'stty rows 40 cols 140; {program} show e.h5' /dev/null");
        let page = place.shell(&line).run().success().to_owned();
        let widest = page.lines().map(|line| line.chars().count()).max().unwrap();
        assert!((101..=140).contains(&widest), "{widest}: {page}");
    }
}

/// The schema of configs/ and a dry run accept what `init` writes.
#[test]
fn an_experiment_to_begin_with_is_valid() {
    let place = Place::new();
    let written = place.gradshard().args(["init", "my.json", "--nodes", "6", "--model", "vgg16"]).run();
    assert_eq!(written.success(), "");
    assert!(written.stderr.contains("my.json --dry-run"), "{written:#?}");
    let experiment: Value = serde_json::from_slice(&std::fs::read(place.path("my.json")).unwrap()).unwrap();
    assert_eq!(experiment["nodes"], json!([1, 2, 4, 6]));
    assert_eq!(experiment["models"], json!(["vgg16"]));
    place.gradshard().args(["init", "my.json"]).run().refused(&["my.json", "exists"]);
    place.gradshard().args(["init", "other.json", "--model", "vgg61"]).run().refused(&["vgg16"]);
    place.gradshard().args(["init", "small.json", "--model", "1000"]).run().success();
    let dry = place.gradshard().args(["run", "small.json", "--dry-run", "--threads", "2"]).run().success().to_owned();
    assert!(dry.contains("small") || dry.contains("1000 (1000 f32)"), "{dry}");
    assert!(dry.contains("time: about ") && dry.contains("--time=00:"), "{dry}");
}

#[test]
fn the_program_describes_itself() {
    let place = Place::new();
    let version = place.gradshard().args(["--version"]).run().success().to_owned();
    for part in ["gradshard 0.", "git ", "\nMPI: ", "\nHDF5: 1."] {
        assert!(version.contains(part), "{part:?}: {version}");
    }
    let man = place.gradshard().args(["man"]).run().success().to_owned();
    assert!(man.contains(".TH gradshard 1") && man.contains("Exit codes"), "{man}");
    let of_run = place.gradshard().args(["man", "run"]).run().success().to_owned();
    assert!(of_run.contains("keep\\-result") && !of_run.contains("Exit codes"), "{of_run}");
    place.gradshard().args(["man", "walk"]).run().refused(&["walk"]);
    let bash = place.gradshard().args(["completions", "bash"]).run().success().to_owned();
    assert!(bash.contains("--keep-result") && bash.contains("complete -F _gradshard"), "{bash}");
}

/// A run that is quiet prints its results alone.
#[test]
fn a_quiet_run_says_nothing() {
    let place = Place::new();
    place.write("e.json", json!({"models": 97, "clients": 5, "repeat": {"blocks": 3}}).to_string());
    let ran = place.gradshard().args(["run", "e.json", "--threads", "2", "--no-limits", "--quiet"]).run();
    assert!(ran.success().contains("* "), "{ran:#?}");
    assert_eq!(ran.stderr, "");
}

/// The first line says how long the run may take, and lines say how long it still may.
#[test]
fn a_job_log_tells_the_time_of_the_whole_run() {
    let place = Place::new();
    let experiment = json!({
        "models": [4_194_304, 4_194_305], "clients": 5, "strategies": ["sharded-direct", "tree-central"],
        "repeat": {"blocks": 100_000, "max_seconds": 6, "precision": 1e-9, "warmup": 0}
    });
    place.write("e.json", experiment.to_string());
    let ran = place.gradshard().args(["run", "e.json", "--threads", "2", "--no-limits"]).run();
    ran.success();
    let lines: Vec<&str> = ran.stderr.lines().collect();
    // Each comparison has 6 s of blocks, 0.5 s of other work, 0.08 s to load 84 MB, and 0.52 s to verify each cell.
    assert_eq!(lines[0], "4 cells in 2 comparison(s), about 15 s at most (Slurm: --time=00:01:00)");
    let of_first = lines.iter().find(|line| line.starts_with("  [1/2] block ")).unwrap_or_else(|| panic!("{ran:#?}"));
    assert!(of_first.contains("; whole run: ") && of_first.ends_with(" s left at most"), "{of_first}");
    // The blocks of both end within their 6 s.
    let spent = |line: &&str| line.split(" blocks in ").nth(1)?.split(' ').next()?.parse::<f64>().ok();
    let spent: Vec<f64> = lines.iter().filter(|line| line.contains("finished [")).filter_map(spent).collect();
    assert!(spent.len() == 2 && spent.iter().all(|seconds| *seconds <= 6.2), "{spent:?}");
}

/// `gradshard strategies --format markdown` makes the table of the README.
#[test]
fn the_readme_lists_the_strategies() {
    let table = Place::new().gradshard().args(["strategies", "--format", "markdown"]).run().success().to_owned();
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains(&table), "put this into README.md:\n{table}");
}

/// `gradshard schema` makes the schema for editors, and the table of fields in the guide.
#[test]
fn the_fields_of_experiments_are_documented() {
    let place = Place::new();
    let documented = |name: &str| std::fs::read_to_string(repository().join("configs").join(name)).unwrap();
    let schema = place.gradshard().args(["schema"]).run().success().to_owned();
    assert_eq!(documented("experiment.schema.json"), schema, "gradshard schema > configs/experiment.schema.json");
    let table = place.gradshard().args(["schema", "--format", "markdown"]).run().success().to_owned();
    for field in ["`models`", "`native.pieces`", "`repeat.precision`", "`enforce`"] {
        assert!(table.contains(field), "{table}");
    }
    assert!(documented("README.md").contains(&table), "put this into configs/README.md:\n{table}");
}

#[test]
fn a_dry_run_shows_cells_and_memory_and_writes_nothing() {
    let place = Place::new();
    let experiment = json!({"models": [{"name": "mine", "elements": 1_048_576}], "clients": 4, "shards": [1, 4]});
    place.write("e.json", experiment.to_string());
    let before = place.contents();
    for start in [place.mpi(3), place.gradshard()] {
        let finished = start.args(["run", "e.json", "--dry-run"]).run();
        let text = finished.success();
        for name in strategies(&place) {
            assert!(text.contains(&format!("  {name}, ")), "{name}: {text}");
        }
        // Four gradients of 4 MiB are resident.
        assert!(text.contains("mine (1048576 f32), 4 clients") && text.contains("total: "), "{text}");
        assert!(text.contains("MiB on the busiest rank"), "{text}");
    }
    assert!(place.contents() == before);
    // A dry run claims no output, so one that exists is no obstacle.
    place.write("e.h5", "an earlier result");
    place.gradshard().args(["run", "e.json", "--dry-run"]).run().success();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gradshard"))
        .args(["plan", "--strategy", "sharded-direct", "--elements", "100000", "--shards", "9000", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let finished = child.wait_with_output().unwrap();
    assert!(finished.status.success() && finished.stderr.is_empty(), "{finished:?}");
}

/// A sweep over sizes needs no file. The file that it leaves says what was measured, and agrees with itself.
#[test]
fn sizes_are_swept_without_an_experiment() {
    let place = Place::new();
    let sweep = ["run", "--sizes", "4KiB:100KiB", "--strategies", "sharded-direct,tree-two", "--threads", "2"];
    place.gradshard().args(sweep).args(["--no-limits", "--quiet"]).run().success();
    let shown = place.gradshard().args(["show", "--experiment", "sizes.h5"]).run().json();
    let sizes = [("4KiB", 1024), ("16KiB", 4096), ("64KiB", 16384)];
    assert_eq!(shown["models"], json!(sizes.map(|(name, elements)| json!({"name": name, "elements": elements}))));
    let lines = place.gradshard().args(["show", "--format", "jsonl", "sizes.h5"]).run().success().to_owned();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let medians: Vec<&Value> = lines.iter().filter(|line| line["figure"] == "median_s").collect();
    // Three sizes, three ends, two strategies.
    assert_eq!(medians.len(), 18);
    let cells = place.gradshard().args(["show", "--format", "json", "sizes.h5"]).run().json()["cells"].clone();
    for (line, cell) in medians.iter().zip(cells.as_array().unwrap()) {
        assert_eq!((&line["value"], &line["model"], &line["end"]), (&cell["median_s"], &cell["model"], &cell["end"]));
    }
    let said = place.gradshard().args(["verify", "sizes.h5"]).run().success().to_owned();
    assert!(said.contains("medians follow from the rounds (18 of 18)") && !said.contains("WRONG"), "{said}");
    let mut file = ResultFile::open(place.path("sizes.h5")).unwrap();
    file.cells[2].median_s = Some(1.0);
    let mut output = Output::create(place.path("changed.h5"), false).unwrap();
    output.save(&file).unwrap();
    drop(output);
    let finished = place.gradshard().args(["verify", "changed.h5"]).run();
    assert_eq!(finished.status.code(), Some(1));
    let cell = format!("cell {} ({}): the file says", file.cells[2].cell, file.cells[2].strategy);
    assert!(finished.stdout.contains("(17 of 18)") && finished.stdout.contains(&cell), "{}", finished.stdout);
    let mut output = Output::create(place.path("empty.h5"), false).unwrap();
    output.save(&ResultFile::new("{}".into(), Environment::default())).unwrap();
    drop(output);
    place.gradshard().args(["show", "--answer", "empty.h5"]).run().refused(&["empty.h5: it holds no cells"]);
    let neither = place.gradshard().args(["run", "--threads", "2"]).run();
    assert!(neither.status.code() == Some(2) && neither.stderr.contains("<EXPERIMENT>"), "{neither:#?}");
}

/// The program beside this one is started with the arguments as they are; without one the message says how to make it.
#[test]
fn functions_are_left_to_their_program() {
    let place = tempfile::tempdir().unwrap();
    let own = place.path().join("gradshard");
    std::fs::copy(env!("CARGO_BIN_EXE_gradshard"), &own).unwrap();
    let arguments = ["functions", "e.json", "--launch", "srun -n 1", "--help"];
    let start = || Command::new(&own).args(arguments).env("PATH", "/nowhere").output().unwrap();
    let missing = start();
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(missing.status.code() == Some(2) && said.contains("cargo build --release -p gradshard-function"), "{said}");
    let other = place.path().join("gradshard-function");
    std::fs::write(&other, "#!/bin/sh\nprintf '%s|' \"$@\"\nexit 5\n").unwrap();
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let started = start();
    let words = String::from_utf8_lossy(&started.stdout).into_owned();
    assert_eq!(
        (started.status.code(), words.as_str()),
        (Some(5), "round|--format|text|e.json|--launch|srun -n 1|--help|")
    );
}
