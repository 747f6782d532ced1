//! Whole rounds by processes on a directory, and faults in them. Expected results and requests are calculated here.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gradshard::results::ResultFile;
use serde_json::{Value, json};

#[allow(dead_code)]
#[path = "../../tests/harness/flat_server.rs"]
mod flat_server;

use flat_server::{Type, flat_server, synthetic};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gradshard-function");

/// A directory of a test with an experiment in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new(experiment: &Value) -> Place {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("e.json"), experiment.to_string()).unwrap();
        Place(place)
    }

    /// A platform whose requests and levels begin late, so that there is time for faults.
    fn slow_platform(self, get_s: f64, dispatch_s: f64) -> Place {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/platforms/aws-lambda-s3.json");
        let mut platform: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let speed = &mut platform["speed"];
        (speed["get_vcpu_s"], speed["put_s"], speed["dispatch_s"]) = (get_s.into(), 0.into(), dispatch_s.into());
        platform["memory"]["mib_per_vcpu"]["value"] = 1.into();
        fs::write(self.0.path().join("p.json"), platform.to_string()).unwrap();
        self
    }

    fn round(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["round", "e.json", "--store", "."]).args(arguments).current_dir(self.0.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The directory of the round that runs, with a file whose name begins with `prefix`.
    fn wait_for(&self, prefix: &str) -> PathBuf {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(20) {
            for directory in fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path()) {
                let Ok(files) = fs::read_dir(&directory) else { continue };
                let named =
                    |file: PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
                if files.filter_map(Result::ok).any(|entry| named(entry.path())) {
                    return directory;
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("no file {prefix}");
    }
}

fn rows(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// N = 5 clients of 1,003 elements, M = 4. λ-FL has ⌈√5⌉ = 3 clients a leaf: 2 leaves and a root. Pieces of 100 elements make
/// 3 of a shard (251, 251, 251, 250) and 11 of a gradient; an object of n > 1 parts takes n + 2 PUTs.
#[test]
fn every_flow_has_the_flat_servers_bits_and_the_requests_of_cost() {
    for (dtype, chunk, of) in [("f32", "400B", Type::F32), ("bf16", "200B", Type::Bf16), ("f64", "800B", Type::F64)] {
        let weights = [3.0, 1.0, 0.7, 12.0, 5.0];
        let place = Place::new(&json!({
            "models": 1003, "clients": 5, "dtype": dtype, "shards": 4, "intra_node": ["shared", "messages"],
            "gradients": {"source": "synthetic", "seed": 9, "weights": weights},
            "strategies": ["sharded-direct", "tree-lambda-fl", "tree-central", "sharded-halving", "native-reduce"]
        }));
        let flows = ["whole", "ranged", chunk, &format!("ranged:{chunk}")];
        let output = place.round(&["--keep", "--flow", &flows.join(",")]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let found: BTreeMap<(String, String), Value> = rows(&output)
            .into_iter()
            .map(|row| ((row["strategy"].as_str().unwrap().into(), row["flow"].as_str().unwrap().into()), row))
            .collect();
        assert_eq!(found.len(), rows(&output).len());
        assert_eq!(found.len(), 4 * 4, "{:?}", found.keys());
        for ((strategy, flow), row) in &found {
            assert_eq!((&row["status"], &row["killed"]), (&"ok".into(), &0.into()), "{row}");
            let pieces = flow.ends_with('B');
            let expected = match (strategy.as_str(), flow.starts_with("ranged"), pieces) {
                ("sharded-direct", false, false) => [4, 20, 4, 20, 20],
                ("sharded-direct", true, false) => [4, 20, 4, 20, 5],
                ("sharded-direct", false, true) => [4, 60, 20, 20, 20],
                ("sharded-direct", true, true) => [4, 60, 20, 20, 5],
                ("tree-lambda-fl", _, false) => [3, 5 + 2, 3, 5, 5],
                ("tree-lambda-fl", _, true) => [3, 77, 39, 5, 5],
                ("tree-central", _, false) => [1, 5, 1, 5, 5],
                ("tree-central", _, true) => [1, 55, 13, 5, 5],
                _ => continue,
            };
            let counts = ["invocations", "gets", "puts", "client_gets", "client_puts"];
            for (name, count) in counts.into_iter().zip(expected) {
                assert_eq!(row["measured"][name], count, "{strategy} {flow} {name}");
                assert_eq!(row["calculated"][name], count, "{strategy} {flow} {name}");
            }
        }
        let gradients: Vec<Vec<f64>> = (0..5).map(|client| synthetic(9, client, 1003, of)).collect();
        let expected = flat_server(&gradients, &weights, of);
        let bytes: Vec<u8> = match of {
            Type::F32 => expected.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect(),
            Type::Bf16 => expected.iter().flat_map(|value| half::bf16::from_f64(*value).to_le_bytes()).collect(),
            _ => expected.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        // The result of sharded-direct is four objects, that of tree-central one.
        let mut compared = 0;
        for entry in
            fs::read_dir(place.0.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
        {
            let results = [["sum-0-0", "sum-1-0", "sum-2-0", "sum-3-0"].as_slice(), &["sum-0-0"]];
            let files =
                |names: &[&str]| names.iter().map(|name| fs::read(entry.join(name)).ok()).collect::<Option<Vec<_>>>();
            compared += usize::from(results.into_iter().filter_map(files).any(|parts| parts.concat() == bytes));
        }
        assert!(compared >= 8, "{compared} of 8 rounds have the bits of the flat server");
    }
}

/// The rows in HDF5 are those that are printed, and a file is not replaced unasked.
#[test]
fn rows_are_kept_in_a_result_file() {
    let place = Place::new(&json!({"models": 1000, "clients": 3, "strategies": ["sharded-direct", "tree-central"]}));
    let output = place.round(&["--output", "r.h5", "--flow", "whole,ranged", "--cold-start", "0.05"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let printed = rows(&output);
    let file = ResultFile::open(place.0.path().join("r.h5")).unwrap();
    let read: Vec<Value> = file.function_rounds.iter().map(|row| serde_json::to_value(row).unwrap()).collect();
    assert_eq!(read, printed);
    let numbers: Vec<(u64, u64)> = file.function_rounds.iter().map(|row| (row.job, row.round)).collect();
    assert_eq!((numbers, file.jobs[0].transport.as_str()), (vec![(0, 0), (0, 1), (0, 2), (0, 3)], "functions"));
    for row in &printed {
        assert_eq!(
            (&row["store"], &row["kept"], &row["cold_start_s"]),
            (&"directory".into(), &"".into(), &json!(0.05))
        );
        let measured = &row["measured"];
        let functions = measured["invocations"].as_f64().unwrap();
        assert!(measured["function_s"].as_f64().unwrap() >= 0.05 * functions, "{row}");
        assert_eq!(row["verification"]["differing_elements"], 0);
    }
    let output = place.round(&["--output", "r.h5"]).output().unwrap();
    assert!(output.status.code() == Some(2) && said(&output).contains("r.h5"), "{}", said(&output));
    let again = ["--output", "r.h5", "--force", "--format", "text"];
    let shown = String::from_utf8(place.round(&again).output().unwrap().stdout).unwrap();
    assert!(shown.contains("2 rounds on functions") && shown.contains("sharded-direct"), "{shown}");
}

/// 5 clients' objects of 1 MiB are read at 40 MiB/s, and by the next platform at a billion. The
/// rows say what was asked for, what was reached, and that the second round is limited by the store.
#[test]
fn bandwidth_is_kept_to_as_far_as_the_store_gives_it() {
    let place =
        Place::new(&json!({"models": 1 << 18, "clients": 5, "strategies": ["tree-central"]})).slow_platform(9.0, 9.0);
    let mut platform: Value =
        serde_json::from_str(&fs::read_to_string(place.0.path().join("p.json")).unwrap()).unwrap();
    let mut round = |mib_per_s: f64| {
        platform["speed"]["read_mib_per_s"] = mib_per_s.into();
        fs::write(place.0.path().join("p.json"), platform.to_string()).unwrap();
        rows(&place.round(&["--platform", "p.json", "--keep-time=bandwidth"]).output().unwrap()).remove(0)
    };
    let mib = f64::from(1 << 20);
    let row = round(40.0);
    // Neither a delay of 9 s nor the share of the CPU is kept to.
    assert_eq!(
        (&row["status"], &row["kept"], &row["needed_bytes_per_s"]),
        (&"ok".into(), &"bandwidth".into(), &json!(40.0 * mib))
    );
    let reached = row["read_bytes_per_s"].as_f64().unwrap() / mib;
    assert!((36.0..=40.0).contains(&reached) && row["measured"]["latency_s"].as_f64().unwrap() < 5.0, "{row}");
    let row = round(1e9);
    assert!(row["roof_bytes_per_s"].as_f64() < row["needed_bytes_per_s"].as_f64(), "{row}");
}

/// A launcher starts every function. One that a signal kills is started again, as the launcher's code says so.
#[test]
fn a_launcher_starts_functions() {
    let place = Place::new(&json!({"models": 1000, "clients": 3, "shards": 2, "strategies": ["sharded-direct"]}));
    let launcher = place.0.path().join("launch");
    let script = "#!/bin/sh\necho x >>log\nmkdir first 2>/dev/null && exit 137\nexec \"$@\"\n";
    fs::write(&launcher, script).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&launcher).status().unwrap().success());
    let output = place.round(&["--launch", &format!("{} ", launcher.display())]).output().unwrap();
    let row = rows(&output).remove(0);
    assert_eq!((&row["status"], &row["killed"]), (&"ok".into(), &1.into()), "{row}");
    assert_eq!(fs::read_to_string(place.0.path().join("log")).unwrap().lines().count(), 3);
}

/// The processes that the threads of a process have started.
fn children(process: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().filter_map(Result::ok);
    let of_tasks = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    of_tasks.collect::<Vec<_>>().join(" ").split_whitespace().map(str::to_owned).collect()
}

/// Kills functions of a round, each a random time of up to 60 ms after the one before, until the round ends or `most` are
/// killed. Returns their number.
fn kill_functions(mut round: Child, most: i64, state: &mut u64) -> (Output, i64) {
    let mut kills = 0;
    while round.try_wait().unwrap().is_none() && kills < most {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        thread::sleep(Duration::from_millis((*state >> 33) % 60));
        if let Some(child) = children(round.id()).first() {
            let status = Command::new("kill").args(["-KILL", child]).stderr(Stdio::null()).status().unwrap();
            kills += i64::from(status.success());
        }
    }
    (round.wait_with_output().unwrap(), kills)
}

/// 50 functions are killed at random moments. Each round has the right result and the right number of requests all the same.
/// With one attempt a round fails, and names the object that is missing.
#[test]
fn killed_functions_are_started_again() {
    let strategies = ["sharded-direct", "tree-lambda-fl"];
    let experiment = json!({"models": 5000, "clients": 4, "shards": 2, "strategies": strategies});
    let place = Place::new(&experiment).slow_platform(0.01, 0.0);
    let slowly = ["--trust", "--platform", "p.json", "--keep-time", "--attempts"];
    let (mut kills, mut seen, mut state) = (0, 0, 0x9e37_79b9_u64);
    while kills < 50 {
        let round = place.round(&[&slowly[..], &["1000"]].concat()).spawn().unwrap();
        let (output, killed) = kill_functions(round, 50 - kills, &mut state);
        kills += killed;
        assert!(output.status.success(), "{} {:?}", said(&output), rows(&output));
        for row in rows(&output) {
            assert_eq!((&row["status"], &row["measured"]["gets"]), (&"ok".into(), &row["calculated"]["gets"]), "{row}");
            seen += row["killed"].as_i64().unwrap();
        }
    }
    // A function that has just ended can be killed without an effect.
    assert!(seen > kills / 2 && seen <= kills, "{seen} of {kills} kills were seen");
    let round = place.round(&[&slowly[..], &["1"]].concat()).spawn().unwrap();
    let (output, _) = kill_functions(round, 1, &mut state);
    let failed: Vec<Value> = rows(&output).into_iter().filter(|row| row["status"] != "ok").collect();
    let reason = failed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("object sum-") && reason.contains("signal 9") && failed.len() == 1, "{failed:?}");
    assert_eq!(output.status.code(), Some(1));
}

/// A round that is asked to stop starts no more functions, prints no row, and leaves no objects behind.
#[test]
fn a_stopped_round_leaves_nothing_behind() {
    let experiment = json!({"models": 5000, "clients": 4, "shards": 20, "strategies": ["sharded-direct"]});
    let place = Place::new(&experiment).slow_platform(0.1, 0.0);
    let round = place.round(&["--trust", "--platform", "p.json", "--keep-time"]).spawn().unwrap();
    place.wait_for("sum-");
    assert!(Command::new("kill").args(["-TERM", &round.id().to_string()]).status().unwrap().success());
    let output = round.wait_with_output().unwrap();
    assert_eq!((output.status.code(), rows(&output).len()), (Some(3), 0), "{}", said(&output));
    let left = fs::read_dir(place.0.path()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(left, 0);
}

/// Objects are cut off or changed after a client or a function wrote them and before they are read: 20 times. The round names
/// the object and has no result. On a busy machine an object may be read before, and the round is as right as without a fault.
#[test]
fn damaged_objects_are_named() {
    let strategies = ["tree-lambda-fl"];
    let experiment = json!({"models": 5000, "clients": 4, "strategies": strategies});
    // Two levels begin 0.1 s late each.
    let place = Place::new(&experiment).slow_platform(0.0, 0.1);
    let (mut damaged, mut late) = (0, 0);
    while damaged < 20 {
        let attempt: u64 = damaged + late;
        assert!(attempt < 100, "{late} of {attempt} faults came late");
        let round = place.round(&["--trust", "--platform", "p.json", "--keep-time"]).spawn().unwrap();
        // The last client's object, or the sum of the second leaf.
        let (last, object) = if attempt.is_multiple_of(2) { ("client-3", "client-") } else { ("sum-0-1", "sum-") };
        let directory = place.wait_for(last);
        if attempt % 2 == 1 {
            place.wait_for("sum-0-0");
        }
        let files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> =
            files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(object)).collect();
        files.sort();
        let file = &files[attempt as usize / 2 % files.len()];
        let mut bytes = fs::read(file).unwrap();
        let at = (attempt * 7919) as usize % bytes.len();
        let cut_off = attempt % 4 < 2;
        if cut_off {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (attempt % 8);
        }
        fs::write(file, bytes).unwrap();
        let output = round.wait_with_output().unwrap();
        let row = &rows(&output)[0];
        if row["status"] == "ok" {
            late += 1;
            continue;
        }
        damaged += 1;
        let reason = row["reason"].as_str().unwrap_or_default();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let is_seen = reason.contains("is cut off") || !cut_off && reason.contains("another checksum");
        assert!(reason.contains(&format!("object {name}: ")) && is_seen, "{name}: {row}");
        assert_eq!((output.status.code(), &row["measured"]), (Some(1), &Value::Null));
    }
}

/// A gradient of 16 MiB needs 16 MiB for the sum and 16 for an input. With 4 MiB of room for the runtime, 27 MiB are too few.
#[test]
fn memory_is_limited_by_the_kernel() {
    let strategies = ["tree-central"];
    let place = Place::new(&json!({"models": 4 << 20, "clients": 2, "strategies": strategies}));
    let by_data = ["--limit-by", "rlimit-data"];
    let enough = rows(&place.round(&by_data).output().unwrap()).remove(0);
    let bytes = 2 * (16 << 20);
    assert_eq!((&enough["limited_by"], &enough["limit_bytes"]), (&"RLIMIT_DATA".into(), &bytes.into()));
    assert_eq!(enough["group_peak_bytes"], Value::Null);
    let seen = enough["seen_bytes"].as_f64().unwrap() as i64;
    assert!(enough["sum_bytes"] == bytes && (bytes..bytes + (4 << 20)).contains(&seen), "{enough}");
    let output = place.round(&[&by_data[..], &["--memory", "27MiB"]].concat()).output().unwrap();
    let row = rows(&output).remove(0);
    let reason = row["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("cannot allocate 16777216 bytes") && reason.contains("RLIMIT_DATA"), "{reason}");
    assert_eq!((&row["limited_by"], &row["status"]), (&"RLIMIT_DATA".into(), &"failed".into()));
    assert_eq!(output.status.code(), Some(1));
}

/// True if this process can make a control group below the first directory here that is one for memory.
fn can_make_groups() -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let of =
        |line: &str| line.split_once(":memory:").map(|(_, path)| format!("/sys/fs/cgroup/memory{path}/test-of-groups"));
    own.lines().find_map(of).is_some_and(|path| fs::create_dir(&path).is_ok() && fs::remove_dir(&path).is_ok())
}

/// A gradient of 32 MiB needs 64 MiB. A control group has 8 MiB of room for everything else, so that with 55 MiB the kernel kills
/// the function, which is not started again. Without control groups RLIMIT_DATA is the limit.
#[test]
fn a_control_group_limits_memory_where_it_can() {
    let place = Place::new(&json!({"models": 8 << 20, "clients": 2, "strategies": ["tree-central"]}));
    let enough = rows(&place.round(&[]).output().unwrap()).remove(0);
    let row = rows(&place.round(&["--memory", "55MiB"]).output().unwrap()).remove(0);
    assert_eq!((&enough["status"], &row["status"]), (&"ok".into(), &"failed".into()), "{enough} {row}");
    let by = enough["limited_by"].as_str().unwrap();
    assert_eq!(row["limited_by"], by);
    if by == "RLIMIT_DATA" {
        assert!(!can_make_groups());
        return;
    }
    assert!(by.starts_with("cgroup-v"), "{by}");
    // The object that is written counts if the store lies in memory.
    let (peak, limit) = (enough["group_peak_bytes"].as_f64().unwrap(), enough["limit_bytes"].as_f64().unwrap());
    assert!(peak >= f64::from(64 << 20) && peak <= limit + f64::from(8 << 20), "{peak} {limit}");
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.contains("object sum-0-0: killed by the kernel") && reason.contains("66060288 bytes"), "{reason}");
}

/// Starts a function with this invocation on standard input.
fn invoke(store: &Path, invocation: &str) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["invoke", "--store"]).arg(store).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut function = command.spawn().unwrap();
    function.stdin.take().unwrap().write_all(invocation.as_bytes()).unwrap();
    function.wait_with_output().unwrap()
}

/// (1 · 2 + 3 · 4) / 2 = 7, from an object that holds other elements before. The checksums are those of Python's hashlib.
#[test]
fn an_invocation_is_plain_json() {
    let place = tempfile::tempdir().unwrap();
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    fs::write(place.path().join("a"), bytes(&[9.0, 2.0])).unwrap();
    fs::write(place.path().join("b"), bytes(&[4.0])).unwrap();
    let sums = [
        "d88c86f15bbea365d658ad95a81d45367c465f7af6f7264fb077f01747ddc77d",
        "4f4b9b7d8b86633e2824e2f439819357b0cd010ab410ea1a691b12c5f94e91e0",
        "ee0a6628f97214b7ef5d15c54388ea478862369e517aa4ef4593aea18c3ff618",
    ];
    let valid = json!({
        "object": "c", "dtype": "f32", "elements": 1, "piece": 1, "divisor": 2.0, "memory_bytes": null, "tempo": null,
        "inputs": [{"object": "a", "from": 4, "weight": 1.0, "sha256": [sums[0]]},
                   {"object": "b", "from": 0, "weight": 3.0, "sha256": [sums[1]]}],
        "checked": [{"start": 0, "end": 4}]
    });
    let output = invoke(place.path(), &valid.to_string());
    let account: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!(fs::read(place.path().join("c")).unwrap(), bytes(&[7.0]));
    assert_eq!(
        (&account["gets"], &account["puts"], &account["read_bytes"], &account["written_bytes"], &account["sha256"]),
        (&2.into(), &1.into(), &8.into(), &4.into(), &json!([sums[2]]))
    );
    fs::remove_file(place.path().join("c")).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut changed = valid.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed.to_string()
    };
    for (invocation, parts) in [
        ("{", vec!["the invocation"]),
        ("[]", vec!["the invocation", "object"]),
        (&with("/object", "../c".into()), vec!["object", "../c"]),
        (&with("/inputs/0/object", "none".into()), vec!["object none: does not exist"]),
        (&with("/inputs/0/from", 8.into()), vec!["object a: is cut off: has 8 bytes, and 12 are needed"]),
        (&with("/inputs/0/from", 0.into()), vec!["object a: bytes 0..4 have another checksum"]),
        (&with("/inputs/1/sha256", json!([sums[0]])), vec!["object b: bytes 0..4 have another checksum"]),
        (&with("/inputs/1/sha256", json!([])), vec!["inputs[1].sha256"]),
        (&with("/inputs/1/weight", json!(-1)), vec!["inputs[1].weight"]),
        (&with("/inputs", json!([])), vec!["inputs"]),
        (&with("/elements", 0.into()), vec!["elements"]),
        (&with("/elements", u64::MAX.into()), vec!["elements"]),
        (&with("/piece", 2.into()), vec!["piece"]),
        (&with("/divisor", 0.into()), vec!["divisor"]),
        (&with("/checked/0/end", 5.into()), vec!["checked"]),
        (&with("/tempo", json!({"get_s": -1})), vec!["tempo"]),
    ] {
        let output = invoke(place.path(), invocation);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{invocation} {}", said(&output));
        assert!(parts.iter().all(|part| said(&output).contains(part)), "{parts:?}: {}", said(&output));
        assert!(!place.path().join("c").exists());
    }
    assert_eq!(invoke(&place.path().join("none"), &valid.to_string()).status.code(), Some(2));
}
