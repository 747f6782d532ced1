//! Tests that bad input ends every rank within seconds, with exit code 2 and one message that names the problem and the
//! remedy. Nothing is printed, overwritten or left behind. This holds under MPI and on threads.

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness::{Place, Start, repository};
use serde_json::{Value, json};

/// An experiment that runs.
fn good() -> Value {
    json!({
        "models": 97,
        "gradients": {"source": "synthetic", "seed": 1},
        "clients": 5,
        "strategies": ["sharded-direct", "tree-central"],
        "repeat": {"blocks": 1, "warmup": 0}
    })
}

/// A good experiment in which `field` has another value.
fn with(field: &str, value: Value) -> Value {
    let mut experiment = good();
    experiment[field] = value;
    experiment
}

fn from_files(source: &str, path: &str) -> Value {
    json!({"gradients": {"source": source, "path": path}, "strategies": ["sharded-direct"]})
}

fn on_threads(place: &Place) -> (&'static str, Start) {
    ("on threads", place.gradshard().args(["run", "--threads", "3"]))
}

/// `gradshard run` with several ranks, under MPI and on threads.
fn both(place: &Place) -> [(&'static str, Start); 2] {
    [("under MPI", place.mpi(3).args(["run"])), on_threads(place)]
}

/// Asserts that a run with `arguments` refuses them with a message that has all of `parts`, and leaves the directory
/// unchanged. Only a job that hangs reaches the time limit.
fn refuses(place: &Place, arguments: &[&str], parts: &[&str]) {
    both(place).into_iter().for_each(|way| refuses_in(place, way, arguments, parts));
}

fn refuses_in(place: &Place, (way, start): (&str, Start), arguments: &[&str], parts: &[&str]) {
    let before = place.contents();
    let finished = start.args(arguments).limit(60).run();
    println!("{way}: {:?}", finished.messages());
    finished.refused(parts);
    assert!(place.contents() == before, "{way}: {arguments:?} changed {:?}", place.path(""));
}

/// Asserts that a run refuses the experiment with a message that has all of `parts`, under MPI and on threads.
fn refuses_everywhere(experiment: &Value, parts: &[&str]) {
    let place = Place::new();
    place.write("e.json", experiment.to_string());
    refuses(&place, &["e.json"], &[&["e.json"], parts].concat());
}

/// The same on threads only. Each test has a case under MPI too; its further cases differ in the message, which does not
/// depend on how ranks are started.
fn refuses_experiment(experiment: &Value, parts: &[&str]) {
    let place = Place::new();
    place.write("e.json", experiment.to_string());
    refuses_in(&place, on_threads(&place), &["e.json"], &[&["e.json"], parts].concat());
}

#[test]
fn a_good_experiment_runs() {
    let place = Place::new();
    place.write("e.json", good().to_string());
    for (_, start) in both(&place) {
        start.args(["e.json", "--force"]).run().success();
    }
}

#[test]
fn no_experiment_there() {
    refuses(&Place::new(), &["missing.json"], &["missing.json", "No such file"]);
    // A directory is not an experiment file.
    let place = Place::new();
    place.write("directory/file", "");
    refuses(&place, &["directory"], &["directory"]);
}

#[test]
fn text_that_is_no_json() {
    let place = Place::new();
    place.write("e.json", "{\"models\": [97,}");
    refuses(&place, &["e.json"], &["e.json", "line 1 column"]);
    place.write("e.json", "");
    refuses(&place, &["e.json"], &["e.json", "line 1"]);
    place.write("e.json", b"\xff\xfe{}");
    refuses(&place, &["e.json"], &["e.json"]);
    place.write("e.json", "{\"models\": 97 // mine\n}");
    refuses(&place, &["e.json"], &["no comments", "description"]);
}

#[test]
fn an_unknown_field() {
    // The advice where gradients do not fit names this field.
    refuses_everywhere(&with("residency", json!("streamed")), &["residency", "inside \"gradients\""]);
    refuses_experiment(&with("max_seconds", json!(1)), &["max_seconds", "inside \"repeat\""]);
    refuses_experiment(&with("sharts", json!(4)), &["sharts", "shards"]);
    refuses_experiment(&with("repeat", json!({"block": 1})), &["repeat", "block", "blocks"]);
}

#[test]
fn a_wrong_value() {
    refuses_everywhere(&with("clients", json!(0)), &["clients", "from 1"]);
    refuses_experiment(&with("shards", json!([4, 0])), &["shards[1]", "from 1"]);
    refuses_experiment(&with("models", json!([0])), &["models[0]", "from 1"]);
    refuses_experiment(&with("models", json!(["resnet81"])), &["models[0]", "resnet18"]);
    refuses_experiment(&with("models", json!(["11M"])), &["models[0]", "in digits: 11000000"]);
    refuses_experiment(&with("flow", json!("0B")), &["flow"]);
    refuses_experiment(&with("dtype", json!("f8")), &["dtype", "f16"]);
}

#[test]
fn an_unknown_strategy() {
    refuses_everywhere(
        &with("strategies", json!(["sharded-direct", "tree-centrall"])),
        &["strategies[1]", "tree-central"],
    );
    refuses_experiment(&with("strategies", json!("ring")), &["did you mean \"sharded-ring\"?"]);
    refuses_experiment(&with("strategies", json!("fedavg")), &["did you mean \"tree-central\"?"]);
}

#[test]
fn weights_that_are_none() {
    for weight in [json!(0), json!(-1), json!(1e-60), json!("NaN")] {
        let weights = json!([1, 2, 3, 4, weight]);
        let gradients = json!({"source": "synthetic", "weights": weights});
        refuses_experiment(&with("gradients", gradients), &["gradients.weights", "above 0"]);
    }
    // JSON has no NaN.
    let place = Place::new();
    place.write("e.json", r#"{"models": 97, "gradients": {"source": "synthetic", "weights": NaN}}"#);
    refuses(&place, &["e.json"], &["e.json", "gradients.weights", "line 1 column"]);
    let few = json!({"source": "synthetic", "weights": [1, 2]});
    refuses_experiment(&with("gradients", few), &["gradients.weights", "5"]);
}

/// A safetensors file with one f32 tensor and the metadata entry `num_samples`.
fn safetensors(elements: usize, samples: &str) -> Vec<u8> {
    let header = format!(
        r#"{{"__metadata__":{{"num_samples":"{samples}"}},"w":{{"dtype":"F32","shape":[{elements}],"data_offsets":[0,{}]}}}}"#,
        4 * elements
    );
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend((0..elements).flat_map(|i| (i as f32).to_le_bytes()));
    file
}

#[test]
fn weights_in_files_that_are_none() {
    for samples in ["nan", "NaN", "0", "-3", "inf", "many", ""] {
        let place = Place::new();
        place.write("in/a.safetensors", safetensors(10, "7"));
        place.write("in/b.safetensors", safetensors(10, samples));
        place.write("e.json", from_files("safetensors", "in").to_string());
        // Most cases run only on threads, to save time.
        let before = place.contents();
        place.gradshard().args(["run", "--threads", "3", "e.json"]).run().refused(&["e.json", "gradients", "weight"]);
        assert!(place.contents() == before);
    }
    let place = Place::new();
    place.write("in/a.safetensors", safetensors(10, "nan"));
    place.write("e.json", from_files("safetensors", "in").to_string());
    refuses(&place, &["e.json"], &["e.json", "gradients", "a.safetensors", "nan", "above zero"]);
}

#[test]
fn no_gradients_there() {
    for (source, path, parts) in [
        ("safetensors", "nowhere", ["nowhere", "name a file"]),
        ("safetensors", "in/*.safetensors", ["in/*.safetensors", "no file matches"]),
        ("npy", "in/a.npy", ["in/a.npy", "name a file"]),
        ("hdf5", "in/a.h5", ["in/a.h5", "name a file"]),
        ("npy", "in/a.npz", ["in/a.npz", "gradshard.convert"]),
        ("safetensors", "in/a.pt", ["in/a.pt", "gradshard.convert"]),
    ] {
        refuses_experiment(&from_files(source, path), &[&["gradients"], &parts[..]].concat());
    }
    let place = Place::new();
    place.write("in/readme.txt", "");
    place.write("e.json", from_files("safetensors", "in").to_string());
    refuses(&place, &["e.json"], &["e.json", "gradients", "no file ending in .safetensors"]);
}

#[test]
fn a_truncated_file_of_gradients() {
    let whole = safetensors(10, "7");
    // The file is cut off in the length, in the header, and in the numbers.
    for length in [0, 5, 20, whole.len() - 1] {
        let place = Place::new();
        place.write("in/a.safetensors", &whole);
        place.write("in/b.safetensors", &whole[..length]);
        place.write("e.json", from_files("safetensors", "in").to_string());
        refuses(&place, &["e.json"], &["e.json", "gradients", "b.safetensors"]);
    }
}

#[test]
fn clients_of_different_lengths() {
    let place = Place::new();
    place.write("in/a.safetensors", safetensors(10, "7"));
    place.write("in/b.safetensors", safetensors(11, "7"));
    place.write("e.json", from_files("safetensors", "in").to_string());
    refuses(&place, &["e.json"], &["e.json", "gradients", "b.safetensors", "11", "10"]);
}

#[test]
fn files_that_say_otherwise() {
    let place = Place::new();
    place.write("in/a.safetensors", safetensors(10, "7"));
    let mut experiment = from_files("safetensors", "in");
    experiment["clients"] = json!(20);
    place.write("e.json", experiment.to_string());
    refuses(&place, &["e.json"], &["e.json", "clients", "hold 1 clients"]);
}

#[test]
fn an_output_that_cannot_be_written() {
    let place = Place::new();
    place.write("e.json", good().to_string());
    refuses(&place, &["e.json", "--output", "no/such/directory/r.h5"], &["r.h5", "no directory", "--output"]);
    refuses(&place, &["e.json", "--output", "/proc/r.h5"], &["/proc/r.h5", "--output"]);
    place.write("taken/file", "");
    refuses(&place, &["e.json", "--output", "taken", "--force"], &["taken", "a directory", "--output"]);
    refuses(&place, &["e.json", "--output", "r.h5", "--keep-result", "e.json"], &["--keep-result", "e.json"]);
    // Permission bits do not stop root.
    let locked = place.path("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(locked.join("probe"), "").is_err() {
        refuses(&place, &["e.json", "--output", "locked/r.h5"], &["locked", "--output"]);
    } else {
        fs::remove_file(locked.join("probe")).unwrap();
    }
}

#[test]
fn an_output_that_exists() {
    let place = Place::new();
    place.write("e.json", good().to_string());
    place.write("r.h5", "an earlier result, perhaps");
    refuses(&place, &["e.json", "--output", "r.h5"], &["r.h5", "exists", "--force"]);
    for (_, start) in both(&place) {
        place.write("r.h5", "an earlier result, perhaps");
        start.args(["e.json", "--output", "r.h5", "--force"]).run().success();
        assert!(fs::read(place.path("r.h5")).unwrap().starts_with(b"\x89HDF\r\n"));
    }
}

#[test]
fn a_model_larger_than_memory() {
    // 80 TB and 4 TB are more than the memory of any node.
    for (elements, clients) in [(1_000_000_000_000u64, 20), (50_000_000_000, 20)] {
        let mut experiment = with("models", json!([{"name": "huge", "elements": elements}]));
        experiment["clients"] = json!(clients);
        let place = Place::new();
        place.write("e.json", experiment.to_string());
        refuses(&place, &["e.json"], &["huge", "memory", "streamed"]);
    }
    // These bytes exceed the largest file offset.
    let mut experiment = with("models", json!([1u64 << 53]));
    experiment["clients"] = json!(300);
    refuses_experiment(&experiment, &["models[0]", "2^63"]);
}

/// One gradient fits, but N of them do not. With streamed gradients, the sums alone do not fit.
#[test]
fn gradients_larger_than_memory() {
    let gibibytes = |place: &Path| {
        let text = fs::read_to_string(place).unwrap();
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
        total.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / (1 << 20)
    };
    let memory = gibibytes(Path::new("/proc/meminfo")).max(1);
    // A gradient of f32 takes a quarter of the memory, and there are five.
    let mut experiment = with("models", json!([{"name": "large", "elements": memory * (1 << 28) / 4}]));
    let place = Place::new();
    place.write("e.json", experiment.to_string());
    refuses(&place, &["e.json"], &["large", "GiB", "memory", "streamed"]);
    // One gradient takes 200 GB, or more on a larger machine.
    let elements = (memory * (1 << 28)).max(50_000_000_000);
    experiment["models"] = json!([{"name": "huge", "elements": elements}]);
    experiment["clients"] = json!(1);
    place.write("e.json", experiment.to_string());
    refuses(&place, &["e.json"], &["huge", "GiB", "memory"]);
    experiment["gradients"]["residency"] = json!("streamed");
    place.write("streamed.json", experiment.to_string());
    for (_, start) in both(&place) {
        // Nothing is loaded, so every cell reports that its sums do not fit.
        let ended = start.args(["streamed.json", "--force"]).limit(60).run();
        assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
        assert!(ended.messages().iter().any(|said| said.contains("no cell was carried out")), "{ended:#?}");
        let shown = place.gradshard().args(["show", "streamed.h5", "--format", "json"]).run().json();
        for cell in shown["cells"].as_array().unwrap() {
            assert_eq!(cell["status"], "infeasible", "{cell}");
            assert!(cell["reason"].as_str().unwrap().contains("memory"), "{cell}");
        }
    }
}

#[test]
fn threads_under_a_launcher() {
    let place = Place::new();
    place.write("e.json", good().to_string());
    let before = place.contents();
    place.mpi(3).args(["run", "e.json", "--threads", "2"]).run().refused(&["--threads", "3"]);
    assert!(place.contents() == before);
}

#[test]
fn a_wrong_command_line() {
    let place = Place::new();
    for arguments in
        [&["run"][..], &["run", "e.json", "--treads", "2"], &["launch"], &["run", "e.json", "--threads", "0"]]
    {
        let finished = place.gradshard().args(arguments).run();
        assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
        assert!(finished.stderr.contains("Usage") || finished.stderr.contains("--threads"), "{finished:?}");
    }
    place.write("e.json", good().to_string());
    for (arguments, parts) in [
        (&["plan", "--strategy", "tree-centrall", "--elements", "10"][..], &["--strategy", "tree-central"][..]),
        (&["plan", "--strategy", "ring", "--elements", "10"], &["--strategy", "did you mean \"sharded-ring\"?"]),
        (&["plan", "--strategy", "fedavg", "--elements", "10"], &["did you mean \"tree-central\"?"]),
        (&["run", "e.json", "-n", "4"], &["mpirun -n 4 gradshard run", "--threads 4"]),
        (&["run", "e.json", "--launch", "no-such-mpirun -n 2"], &["no-such-mpirun", "PATH", "--threads"]),
        (&["plan", "--strategy", "tree-central", "--elements", "resnet81"], &["resnet18"]),
        (&["plan", "--strategy", "tree-central", "--elements", "10", "--clients", "0"], &["--clients", "at least 1"]),
        (&["plan", "--strategy", "sharded-direct", "--elements", "10", "--shards", "0"], &["--shards", "at least 1"]),
        (&["plan", "--strategy", "tree-central", "--elements", "10", "--ranks", "0"], &["--ranks", "at least 1"]),
        (&["plan", "--strategy", "tree-central", "--elements", "10", "--flow", "1MB2"], &["--flow"]),
        (&["plan", "--strategy", "tree-central", "--elements", "10", "--dedicated", "4"], &["4 of 4"]),
        (
            &["plan", "--strategy", "tree-kary", "--elements", "18446744073709551615", "--traffic"],
            &["--elements", "2^62"],
        ),
        (&["models", "resnet81"], &["resnet18"]),
        (&["show", "missing.h5"], &["missing.h5"]),
    ] {
        place.gradshard().args(arguments).run().refused(parts);
    }
    // Numbers that no memory could hold are refused before anything is made of them.
    let plan = ["plan", "--strategy", "sharded-ring", "--elements", "10"];
    for number in ["1048577", "18446744073709551615", "18446744073709551616"] {
        for option in ["--clients", "--ranks", "--shards", "--nodes"] {
            let finished = place.gradshard().args(plan).args([option, number]).run();
            assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(2), ""), "{finished:?}");
            assert!(finished.stderr.contains(option) && finished.seconds < 5.0, "{finished:?}");
        }
    }
    place.gradshard().args(plan).args(["--clients", "100", "--shards", "1000000"]).run().refused(&["67108864"]);
    for arguments in [
        &["cost", "crossover", "--clients", "1000000"][..],
        &["cost", "crossover", "--shards", "1000000"],
        &["cost", "best-shards", "--model", "vgg16", "--clients", "1000000"],
        &["cost", "--clients", "1000000", "--shards", "1000000"],
    ] {
        place.gradshard().args(arguments).run().refused(&["--clients, --shards", "50331648"]);
    }
    // Cargo.toml is not a result file.
    let manifest = repository().join("Cargo.toml");
    place.gradshard().args([Path::new("show"), &manifest]).run().refused(&["Cargo.toml"]);
}

#[test]
fn more_threads_than_there_is_room_for() {
    let place = Place::new();
    place.write("e.json", good().to_string());
    let before = place.contents();
    let line = format!("ulimit -v 1500000; exec {} run e.json --threads 1024", env!("CARGO_BIN_EXE_gradshard"));
    place.shell(&line).run().refused(&["--threads 1024", "no room"]);
    assert!(place.contents() == before);
}

/// A launcher ends all ranks when one of them ends with an error. Therefore no rank may end before the message is
/// printed.
#[test]
fn the_message_is_never_lost() {
    let place = Place::new();
    for _ in 0..20 {
        place.mpi(3).args(["run", "missing.json"]).run().refused(&["missing.json"]);
    }
}
