//! Tests jobs under MPI's launcher, from the experiment file to the kept result, against the tests' own calculations.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod harness;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use harness::flat_server::{Type, assert_close, differing, flat_server, synthetic};
use harness::{Place, python, repository, script};
use serde_json::{Value, json};

/// The strategies that `gradshard strategies` lists, so that a new strategy is tested automatically.
fn strategies(place: &Place) -> Vec<String> {
    let list = place.gradshard().args(["strategies", "--format", "json"]).run().json();
    let names: Vec<String> = list.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect();
    assert!(names.len() >= 6 && names.iter().any(|name| name == "sharded-direct"), "{names:?}");
    names
}

/// Runs an experiment on `ranks` ranks, keeps the results in a directory, and returns the cells.
fn run(place: &Place, name: &str, experiment: &Value, ranks: usize) -> Vec<Value> {
    let file = place.write(&format!("{name}.json"), experiment.to_string());
    let output = place.path(format!("{name}.h5"));
    let arguments = [Path::new("run"), &file, Path::new("--output"), &output, Path::new("--keep-result")];
    let finished =
        place.mpi(ranks).args(arguments).args([place.path(name).as_path(), Path::new("--no-limits")]).limit(300).run();
    finished.success();
    let shown = place.gradshard().args([Path::new("show"), &output]).args(["--format", "json"]).run().json();
    let cells = shown["cells"].as_array().unwrap().clone();
    assert!(!cells.is_empty());
    for cell in &cells {
        assert_eq!(cell["ranks"], ranks, "{cell}");
    }
    cells
}

/// Paths of the kept results by the numbers of their cells.
struct Kept(HashMap<u64, PathBuf>);

impl Kept {
    fn open(directory: &Path) -> Kept {
        let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        Kept(files.map(|path| (cell_of(path.file_name().unwrap().to_str().unwrap()), path)).collect())
    }

    fn of(&self, cell: &Value) -> Vec<u8> {
        fs::read(&self.0[&cell["cell"].as_u64().unwrap()]).unwrap()
    }
}

/// The number of the cell in the name of a kept result.
fn cell_of(file: &str) -> u64 {
    file.strip_prefix("cell-").and_then(|name| name.split('_').next()).and_then(|n| n.parse().ok()).expect(file)
}

/// True if the cell was carried out. Every cell must be, with three exceptions. Collectives that give every rank a part
/// of the result may refuse dedicated roles. Bine trees, and MPICH's reduce-scatters for operations that do not commute,
/// may refuse numbers of ranks that are not powers of two.
fn is_carried_out(cell: &Value) -> bool {
    let reason = cell["reason"].as_str().unwrap();
    if cell["status"] == "infeasible" {
        let strategy = cell["strategy"].as_str().unwrap();
        let native = strategy.starts_with("native-");
        let refused = native && cell["roles"] == "dedicated" && reason.contains("roles must be colocated");
        let uneven = strategy == "sharded-bine" || cell["algorithm"].as_str().unwrap().contains("noncommutative");
        assert!(refused || uneven && reason.contains("a power of two of ranks"), "{cell}");
        return false;
    }
    assert_eq!((&cell["status"], reason), (&json!("ok"), ""), "{cell}");
    true
}

/// Checks a cell and its kept result against gradients and weights. `flat` is the flat server's result.
fn assert_right(cell: &Value, kept: &Kept, gradients: &[Vec<f64>], weights: &[f64], flat: &[f64]) {
    if !is_carried_out(cell) {
        return;
    }
    let of = Type::named(cell["dtype"].as_str().unwrap());
    let result = kept.of(cell);
    assert_close(&result, gradients, weights, of, &cell.to_string());
    let differing = differing(&result, flat, of);
    assert_eq!(cell["verification"]["differing_elements"], differing, "{cell}");
    assert_eq!(cell["verification"]["wrong_elements"], 0, "{cell}");
    if cell["strategy"] == "sharded-direct" && cell["order"] == "client" {
        assert_eq!(differing, 0, "{cell}");
    }
}

/// Synthetic gradients, made once for each problem.
#[derive(Default)]
struct Problems(HashMap<(u64, u64, String), Gradients>);

/// Every client's gradient, and the clients' weights.
type Gradients = (Vec<Vec<f64>>, Vec<f64>);

const SEED: u64 = 7;

impl Problems {
    fn of(&mut self, cell: &Value, weights: &[f64]) -> &(Vec<Vec<f64>>, Vec<f64>) {
        let (elements, clients) = (cell["elements"].as_u64().unwrap(), cell["clients"].as_u64().unwrap());
        let dtype = cell["dtype"].as_str().unwrap().to_owned();
        let of = Type::named(&dtype);
        self.0.entry((elements, clients, dtype)).or_insert_with(|| {
            let gradients: Vec<Vec<f64>> = (0..clients).map(|k| synthetic(SEED, k, elements, of)).collect();
            let flat = flat_server(&gradients, weights, of);
            (gradients, flat)
        })
    }
}

/// True under MPICH, whose ranks keep a core busy while they wait. With more ranks than cores, creating shared memory
/// takes tens of milliseconds, and thousands of cells take too long.
fn waits_on_the_core(place: &Place) -> bool {
    let machine = place.mpi(1).args(["machine", "--format", "json"]).run().json();
    machine["machines"][0]["mpi_library"].as_str().unwrap().contains("MPICH")
}

/// Runs one job with every strategy on awkward problems, with one element type and one end. With MPICH on more than 2
/// ranks it has one number of clients and no long gradient.
fn sweep(ranks: usize, residency: &str, (dtype, end): (&str, &str), problems: &mut Problems) {
    // 0.3 is not a binary fraction, so products are rounded.
    const WEIGHT: f64 = 0.3;
    let place = Place::new();
    let names = strategies(&place);
    let roles = if ranks == 1 { json!(["colocated"]) } else { json!(["colocated", "dedicated"]) };
    let thin = ranks > 2 && waits_on_the_core(&place);
    let clients: &[u64] = if thin { &[5] } else { &[1, 5, 20] };
    let models: &[u64] = if thin { &[1, 97] } else { &[1, 97, 1009] };
    // Some jobs have fewer shards than ranks, others more.
    let shards = if ranks.is_multiple_of(2) { 3 } else { 16 };
    let experiment = json!({
        "models": models,
        "gradients": {"source": "synthetic", "seed": SEED, "weights": WEIGHT, "residency": residency},
        "dtype": dtype,
        "end": end,
        "clients": clients,
        "shards": shards,
        "strategies": names,
        "flow": ["whole", "64B"],
        "roles": roles,
        "intra_node": ["shared", "messages"],
        "repeat": {"blocks": 1, "warmup": 0, "max_seconds": 1}
    });
    let cells = run(&place, "sweep", &experiment, ranks);
    for name in &names {
        let of_strategy = cells.iter().filter(|cell| cell["strategy"] == **name).count();
        // There are the models, the numbers of clients, and one or two roles.
        let comparisons = models.len() * clients.len() * if ranks == 1 { 1 } else { 2 };
        assert!(of_strategy >= comparisons && of_strategy % comparisons == 0, "{name}: {of_strategy} cells");
    }
    let kept = Kept::open(&place.path("sweep"));
    for cell in &cells {
        let weights = vec![WEIGHT; cell["clients"].as_u64().unwrap() as usize];
        let (gradients, flat) = problems.of(cell, &weights);
        assert_right(cell, &kept, gradients, &weights, flat);
    }
}

/// Pairs of element type and end. Jobs use them in turn, as all pairs with each number of ranks would take too long.
const TERMS: [(&str, &str); 7] = [
    ("bf16", "everywhere"),
    ("f32", "everywhere"),
    ("f64", "scattered"),
    ("f16", "root"),
    ("bf16", "everywhere"),
    ("f32", "scattered"),
    ("f64", "root"),
];

#[test]
fn every_strategy_on_every_rank_count_with_resident_gradients() {
    let mut problems = Problems::default();
    for (at, ranks) in [1, 2, 3, 4, 5, 7, 8].into_iter().enumerate() {
        sweep(ranks, "resident", TERMS[at], &mut problems);
    }
}

#[test]
fn every_strategy_with_streamed_gradients() {
    let mut problems = Problems::default();
    for (at, ranks) in [2, 5, 7].into_iter().enumerate() {
        sweep(ranks, "streamed", TERMS[at + 1], &mut problems);
    }
}

/// With so many clients of bf16 every cell also runs on gradients whose sums are exact.
#[test]
fn many_clients_are_verified_exactly() {
    let place = Place::new();
    for weights in [json!(1.0), json!(0.3)] {
        let experiment = json!({
            "models": [97],
            "gradients": {"source": "synthetic", "seed": SEED, "weights": weights},
            "dtype": "bf16",
            "clients": 200,
            "shards": 4,
            "flow": ["64B"],
            "repeat": {"blocks": 1, "warmup": 0, "max_seconds": 1}
        });
        let cells = run(&place, &format!("many-{weights}"), &experiment, 2);
        assert!(cells.iter().all(|cell| cell["status"] == "ok"), "{cells:?}");
        assert!(cells.len() >= 19, "{}", cells.len());
    }
}

/// Tests the choices of plans that one node has. The virtual cluster has the others.
#[test]
fn every_radix_and_closing() {
    let place = Place::new();
    let experiment = json!({
        "models": [97],
        "gradients": {"source": "synthetic", "seed": SEED},
        "clients": 5,
        "shards": 8,
        "strategies": ["sharded-ring", "sharded-radix", "tree-chain", "tree-two"],
        "radix": [2, 3, 8],
        "closing": ["back", "direct", "ring", "circulant", "binomial", "two-tree", "scatter-allgather"],
        "flow": ["64B"],
        "intra_node": ["messages"],
        "end": ["root", "everywhere"],
        "repeat": {"blocks": 1, "warmup": 0, "max_seconds": 1}
    });
    let weights = vec![1.0; 5];
    let gradients: Vec<Vec<f64>> = (0..5).map(|k| synthetic(SEED, k, 97, Type::F32)).collect();
    let flat = flat_server(&gradients, &weights, Type::F32);
    for ranks in [3, 4] {
        let name = format!("forms-{ranks}");
        let cells = run(&place, &name, &experiment, ranks);
        // Four forms of the two sharded strategies: with 3 closings at the root, 6 everywhere. Two trees: 1 and 7.
        assert_eq!(cells.len(), 4 * (3 + 6) + 2 * (1 + 7));
        let kept = Kept::open(&place.path(&name));
        for cell in &cells {
            assert_right(cell, &kept, &gradients, &weights, &flat);
        }
    }
}

/// Tests different weights, every order of summation, a number of dedicated ranks, and several blocks.
#[test]
fn every_order_with_weights_of_their_own() {
    let place = Place::new();
    let flows: &[&str] = if waits_on_the_core(&place) { &["100B"] } else { &["whole", "auto", "100B"] };
    let weights = [120.0, 7.0, 33.25, 1.0, 64.0];
    let experiment = json!({
        "models": 1009,
        "gradients": {"source": "synthetic", "seed": SEED, "weights": weights},
        "shards": 3,
        "flow": flows,
        "roles": ["colocated", {"dedicated": 1}],
        "order": ["client", "rotated", "arrival"],
        "end": ["scattered", "everywhere"],
        "repeat": {"blocks": 9, "warmup": 1, "max_seconds": 60}
    });
    let cells = run(&place, "orders", &experiment, 3);
    let gradients: Vec<Vec<f64>> = (0..5).map(|k| synthetic(SEED, k, 1009, Type::F32)).collect();
    let flat = flat_server(&gradients, &weights, Type::F32);
    let kept = Kept::open(&place.path("orders"));
    for cell in cells.iter().filter(|cell| is_carried_out(cell)) {
        assert_eq!(cell["samples"], 9);
        let (low, middle, high) = (&cell["ci_low_s"], &cell["median_s"], &cell["ci_high_s"]);
        // Nine samples that resemble each other have no interval.
        let none = low.is_null() && high.is_null();
        assert!(none || (low.as_f64() <= middle.as_f64() && middle.as_f64() <= high.as_f64()), "{cell}");
        if cell["order"] == "arrival" {
            // In arrival order each round sums differently. The cell covers all rounds, the kept result one of them.
            assert_close(&kept.of(cell), &gradients, &weights, Type::F32, &cell.to_string());
        } else {
            assert_right(cell, &kept, &gradients, &weights, &flat);
        }
    }
}

/// Beside strategies that share gradients within a node, a collective of the library reads private copies, which count as
/// resident memory. Every cell compares what was allocated with what was predicted.
#[test]
fn the_library_reads_private_copies() {
    let place = Place::new();
    let resident = |strategies: &[&str]| -> Vec<f64> {
        let experiment = json!({
            "models": 1009, "clients": 3, "strategies": strategies, "flow": "whole", "repeat": {"blocks": 2}
        });
        let cells = run(&place, &strategies.len().to_string(), &experiment, 3);
        let carried_out = cells.iter().filter(|cell| is_carried_out(cell));
        carried_out.map(|cell| cell["memory"]["predicted"]["resident"].as_f64().unwrap()).collect()
    };
    // 1,009 elements of 4 bytes, in whole cache lines: 4,096 bytes; twice where there is a copy.
    assert_eq!(resident(&["native-reduce"]), [4096.0]);
    assert_eq!(resident(&["sharded-direct", "native-reduce", "native-allreduce"]), [8192.0; 3]);
}

/// Flags of clients, and copies out of private memory, change no bit of a result.
#[test]
fn gradients_may_be_checked_or_copied() {
    let place = Place::new();
    let experiment = json!({
        "models": [97],
        "gradients": {"source": "synthetic", "seed": SEED},
        "clients": 5,
        "shards": 3,
        "strategies": ["sharded-direct", "sharded-circulant", "tree-two", "native-reduce"],
        "ready": ["assumed", "checked", "copied"],
        "flow": ["64B"],
        "repeat": {"blocks": 2, "warmup": 0}
    });
    let gradients: Vec<Vec<f64>> = (0..5).map(|k| synthetic(SEED, k, 97, Type::F32)).collect();
    let flat = flat_server(&gradients, &[1.0; 5], Type::F32);
    let cells = run(&place, "ready", &experiment, 3);
    assert_eq!(cells.len(), 3 * 3 + 1);
    let kept = Kept::open(&place.path("ready"));
    cells.iter().for_each(|cell| assert_right(cell, &kept, &gradients, &[1.0; 5], &flat));
    let of = |ready: &str| cells.iter().filter(|cell| cell["ready"] == ready).count();
    assert_eq!([of("assumed"), of("checked"), of("copied")], [4, 3, 3]);
}

/// Every algorithm of the library gives the right result, and one that it has not is refused before anything runs.
#[test]
fn every_algorithm_of_the_library() {
    let place = Place::new();
    let mut experiment = json!({
        "models": [97],
        "gradients": {"source": "synthetic", "seed": SEED},
        "clients": 5,
        "shards": 3,
        "strategies": ["sharded-direct", "native-reduce", "native-reduce-scatter", "native-allreduce"],
        "native": {"algorithm": "all"},
        "end": ["scattered", "root"],
        "repeat": {"blocks": 1, "warmup": 0, "max_seconds": 1}
    });
    let gradients: Vec<Vec<f64>> = (0..5).map(|k| synthetic(SEED, k, 97, Type::F32)).collect();
    let flat = flat_server(&gradients, &[1.0; 5], Type::F32);
    let cells = run(&place, "algorithms", &experiment, 3);
    let kept = Kept::open(&place.path("algorithms"));
    cells.iter().for_each(|cell| assert_right(cell, &kept, &gradients, &[1.0; 5], &flat));
    let of = |strategy: &str| -> Vec<&str> {
        let cells = cells.iter().filter(|cell| cell["strategy"] == strategy && cell["end"] == "root");
        cells.map(|cell| cell["algorithm"].as_str().unwrap()).collect()
    };
    assert_eq!(of("sharded-direct"), ["default"]);
    let reduce = of("native-reduce");
    assert_eq!(reduce[0], "default");
    // Both libraries reduce along a binomial tree; the other algorithms have names of their own.
    assert!(reduce.contains(&"binomial") && reduce.len() >= 4, "{reduce:?}");
    assert!(of("native-reduce-scatter").contains(&"recursive_halving"));
    assert!(of("native-allreduce").contains(&"recursive_doubling"));

    experiment["native"] = json!({"algorithm": ["default", "quickest"]});
    let file = place.write("unknown.json", experiment.to_string());
    place.mpi(3).args([Path::new("run"), &file]).run().refused(&[
        "unknown.json: native.algorithm[1]: this MPI library has no algorithm \"quickest\": native-reduce has",
        "binomial",
    ]);
}

/// Every component of the library gives the right result and is named in its cell, and a different one shows: MPI_Allreduce
/// takes memory in Open MPI's tuned and none in basic. One that the library has not is refused before anything runs.
#[test]
fn every_component_of_the_library() {
    let place = Place::new();
    let mut experiment = json!({
        "models": [1 << 20],
        "gradients": {"source": "synthetic", "seed": SEED},
        "clients": 2,
        "end": "root",
        "strategies": ["sharded-direct", "native-reduce-scatter", "native-reduce", "native-allreduce"],
        "native": {"component": "all"},
        "repeat": {"blocks": 1, "warmup": 0, "max_seconds": 1}
    });
    let cells = run(&place, "components", &experiment, 2);
    cells.iter().for_each(|cell| assert_eq!(cell["status"], "ok", "{cell}"));
    let of = |component: &str, strategy: &str| {
        cells.iter().find(|cell| cell["component"] == component && cell["strategy"] == strategy)
    };
    assert!(of("default", "sharded-direct").unwrap()["fingerprint"].is_null());
    let has_components = place.gradshard().args(["--version"]).run().success().contains("MPI: Open MPI v");
    assert_eq!((of("tuned", "native-reduce").is_some(), of("tuned", "sharded-direct")), (has_components, None));
    if has_components {
        let basic = of("basic", "native-allreduce").unwrap();
        assert!(basic["memory"]["library_bytes"].is_null() || basic["fingerprint"] == "memory", "{basic}");
        assert_eq!(of("sm", "native-reduce-scatter").unwrap()["fingerprint"], "none");
    }
    experiment["native"] = json!({"component": ["default", "quickest"]});
    let file = place.write("unknown.json", experiment.to_string());
    place.mpi(2).args([Path::new("run"), &file]).run().refused(&[
        "unknown.json: native.component[1]: this MPI library has no component \"quickest\" for collectives: it has",
        if has_components { "libnbc, sm, tuned" } else { "none that can be chosen" },
    ]);
}

/// The library gets the gradient in pieces: shorter than the ranks are many, prime, as long as the gradient, longer. The
/// bits do not depend on it where the order of summation does not, the packed pieces are predicted, and only they.
#[test]
fn calls_of_the_library_in_pieces() {
    let place = Place::new();
    let strategies = ["native-reduce-scatter", "native-ireduce-scatter", "native-reduce", "native-allreduce"];
    for (elements, shards) in [(1u64, 1u64), (1, 3), (97, 3), (97, 1)] {
        let experiment = json!({
            "models": [elements],
            "gradients": {"source": "synthetic", "seed": SEED},
            "clients": 5,
            "shards": shards,
            "strategies": strategies,
            "native": {"pieces": ["whole", "8B", "52B", "388B", "1MiB"]},
            "end": ["scattered", "everywhere"],
            "repeat": {"blocks": 1, "warmup": 0}
        });
        let gradients: Vec<Vec<f64>> = (0..5).map(|k| synthetic(SEED, k, elements, Type::F32)).collect();
        let flat = flat_server(&gradients, &[1.0; 5], Type::F32);
        let name = format!("pieces-{elements}-{shards}");
        let cells = run(&place, &name, &experiment, 3);
        assert_eq!(cells.len(), 2 * 4 * 5);
        let kept = Kept::open(&place.path(&name));
        cells.iter().for_each(|cell| assert_right(cell, &kept, &gradients, &[1.0; 5], &flat));
        for cell in cells.iter().filter(|cell| cell["end"] == "scattered" && elements == 97 && shards == 3) {
            // Three ranges of 33, 32 and 32 elements: pieces of 2 and of 13 elements hold 1 and 4 of each.
            let packed = match (cell["strategy"].as_str().unwrap(), cell["flow"].as_str().unwrap()) {
                ("native-reduce-scatter", "8B") => 3 * 4,
                ("native-reduce-scatter", "52B") => 3 * 4 * 4,
                ("native-ireduce-scatter", "8B") => 2 * 3 * 4,
                ("native-ireduce-scatter", "52B") => 2 * 3 * 4 * 4,
                _ => 0,
            };
            assert_eq!(cell["memory"]["predicted"]["staging"], json!(packed), "{cell}");
        }
    }
}

/// Roles that are impossible with these ranks give rows with a reason, and the rest of the job continues.
#[test]
fn one_rank_cannot_have_dedicated_roles() {
    let place = Place::new();
    let experiment = json!({"models": 97, "roles": ["dedicated", "colocated"], "repeat": {"blocks": 1}});
    let file = place.write("roles.json", experiment.to_string());
    place.mpi(1).args([Path::new("run"), &file]).run().success();
    let shown = place.gradshard().args(["show", "roles.h5", "--format", "json"]).run().json();
    for cell in shown["cells"].as_array().unwrap() {
        let expected = if cell["roles"] == "dedicated" { "infeasible" } else { "ok" };
        assert_eq!(cell["status"], expected, "{cell}");
        assert_eq!(cell["reason"] == "", expected == "ok", "{cell}");
    }
}

/// Gradients and weights of the clients in configs/data/digits, read with the safetensors crate.
fn digits() -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut files: Vec<_> =
        fs::read_dir(repository().join("configs/data/digits")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let weight: f64 = metadata.metadata().as_ref().unwrap()["num_samples"].parse().unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names = tensors.names();
        names.sort();
        let of = |name: &&str| {
            let tensor = tensors.tensor(name).unwrap();
            assert_eq!(tensor.dtype(), safetensors::Dtype::F32);
            let numbers = tensor.data().chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())));
            numbers.collect::<Vec<f64>>()
        };
        (names.iter().flat_map(of).collect::<Vec<f64>>(), weight)
    };
    files.iter().map(read).unzip()
}

fn digits_experiment(names: &[String]) -> Value {
    json!({
        "gradients": {
            "source": "safetensors",
            "path": repository().join("configs/data/digits"),
            "weights": {"key": "num_samples"}
        },
        "shards": [1, 3, 16],
        "strategies": names,
        "flow": ["whole", "64KiB"],
        "roles": ["colocated", "dedicated"],
        "repeat": {"blocks": 1, "warmup": 0}
    })
}

#[test]
fn real_updates_equal_a_calculation_here() {
    let place = Place::new();
    let (gradients, weights) = digits();
    assert_eq!(gradients.len(), 20);
    assert!(weights.windows(2).any(|two| two[0] != two[1]), "{weights:?}");
    let flat = flat_server(&gradients, &weights, Type::F32);
    let cells = run(&place, "digits", &digits_experiment(&strategies(&place)), 4);
    let kept = Kept::open(&place.path("digits"));
    for cell in &cells {
        assert_right(cell, &kept, &gradients, &weights, &flat);
    }
}

/// numpy reads the safetensors files itself and calculates the expected result.
#[test]
fn real_updates_equal_what_numpy_calculates() {
    let Some(mut python) = python("numpy, safetensors.numpy") else { return };
    let place = Place::new();
    let names = strategies(&place);
    let mut experiment = digits_experiment(&names);
    experiment["roles"] = json!("colocated");
    let cells = run(&place, "digits", &experiment, 5);
    let arguments = [script("flat_server.py"), repository().join("configs/data/digits"), place.path("digits")];
    let output = python.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: HashMap<String, u64> = serde_json::from_slice(&output.stdout).unwrap();
    let differing: HashMap<u64, u64> = found.iter().map(|(file, differing)| (cell_of(file), *differing)).collect();
    let carried_out: Vec<_> = cells.iter().filter(|cell| is_carried_out(cell)).collect();
    assert_eq!(differing.len(), carried_out.len());
    for cell in carried_out {
        let differing = differing[&cell["cell"].as_u64().unwrap()];
        assert_eq!(cell["verification"]["differing_elements"], differing, "{cell}");
        if cell["strategy"] == "sharded-direct" {
            assert_eq!(differing, 0, "{cell}");
        }
    }
}

/// The comparison with the expected result finds a wrong last bit, a missing client, and a short file.
#[test]
fn the_comparison_can_fail() {
    let gradients: Vec<Vec<f64>> = (0..3).map(|k| synthetic(SEED, k, 10, Type::F32)).collect();
    let weights = [1.0, 2.0, 3.0];
    let flat = flat_server(&gradients, &weights, Type::F32);
    let npy = |values: &[f64]| {
        let mut bytes = b"\x93NUMPY\x01\x00\x00\x00".to_vec();
        values.iter().for_each(|value| bytes.extend((*value as f32).to_le_bytes()));
        bytes
    };
    assert_eq!(differing(&npy(&flat), &flat, Type::F32), 0);
    let mut one_bit = npy(&flat);
    one_bit[10 + 4 * 6] ^= 1;
    assert_eq!(differing(&one_bit, &flat, Type::F32), 1);
    assert_close(&npy(&flat), &gradients, &weights, Type::F32, "the flat server itself");
    let without_the_last = flat_server(&gradients[..2], &weights[..2], Type::F32);
    for wrong in [npy(&without_the_last), npy(&flat[..9])] {
        let caught = std::panic::catch_unwind(|| assert_close(&wrong, &gradients, &weights, Type::F32, "wrong"));
        assert!(caught.is_err());
    }
}
