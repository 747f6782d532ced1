//! Tests the cells that an experiment spans, and the exact messages for contradictory values.

use super::*;
use crate::experiment::parse::parse;
use crate::experiment::settings::StartRule;
use crate::gradient::source::FileKind;
use crate::plan::strategies::{Knobs, Sharding};
use crate::plan::{Caches, End, Form, IntraNode, Order, Ready, Residency, Roles};

mod native;

const STRATEGIES: [&str; 5] = ["sharded-direct", "tree-central", "tree-lambda-fl", "tree-lifl", "native-reduce"];

fn knobs(strategy: &str) -> Knobs {
    match strategy {
        "sharded-direct" => Knobs::SHARDED,
        "native-reduce" => Knobs { pieces: true, ..Knobs::library(Sharding::Never) },
        _ => Knobs { shards: Sharding::Never, ..Knobs::SHARDED },
    }
}

/// An MPI library that offers a choice for MPI_Reduce only.
fn algorithms(strategy: &str) -> Option<Offered> {
    let names: &[&str] = if strategy == "native-reduce" { &["linear", "in-order_binary"] } else { &[] };
    let algorithms = names.iter().map(|name| name.parse().expect(name)).collect();
    let components = ["sm", "tuned"].map(|name| name.parse().expect(name)).to_vec();
    Some(Offered { algorithms, segments: !names.is_empty(), components })
}

fn catalogue(name: &str) -> Result<(String, u64), String> {
    match name {
        "resnet18" | "ResNet-18" => Ok(("resnet18".into(), 11_689_512)),
        "vgg16" => Ok(("vgg16".into(), 138_357_544)),
        _ => Err(unknown("model", name, &["resnet18", "vgg16"])),
    }
}

fn resolved_with(
    text: &str,
    files: Option<FileFacts>,
    ceilings: &[(&str, u64)],
) -> Result<Experiment, ExperimentError> {
    let written = parse(text, Path::new("configs/x.json")).unwrap_or_else(|error| panic!("{error}"));
    let places = |nodes: Option<u64>, roles: Roles| match nodes {
        Some(nodes) if nodes > 4 => Err(format!("{nodes} nodes; there are 4")),
        // Each node has two ranks. With dedicated roles the first one only aggregates.
        nodes => {
            let ranks = 2 * nodes.unwrap_or(4);
            let aggregators = if let Roles::Dedicated(Some(asked)) = roles { asked } else { ranks };
            let clients = if roles == Roles::Colocated { ranks } else { ranks - aggregators };
            Ok(Hosts { clients, aggregators })
        }
    };
    let known = Known {
        places: &places,
        strategies: &STRATEGIES,
        knobs: &knobs,
        algorithms: &algorithms,
        catalogue: &catalogue,
        ceilings,
        files,
    };
    resolve(&written, Path::new("configs"), &known)
}

fn resolved(text: &str) -> Experiment {
    resolved_with(text, None, &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn refused_with(text: &str, files: Option<FileFacts>, ceilings: &[(&str, u64)]) -> String {
    let message = resolved_with(text, files, ceilings).expect_err(text).to_string();
    message.strip_prefix("configs/x.json: ").unwrap().to_string()
}

fn refused(text: &str) -> String {
    refused_with(text, None, &[])
}

const DIGITS: FileFacts = FileFacts { clients: 20, elements: 7850, dtype: Dtype::F32 };
const FROM_FILES: &str = r#""gradients": {"source": "safetensors", "path": "data/digits"}"#;

#[test]
fn defaults_are_settled() {
    let experiment = resolved(r#"{"models": "resnet18"}"#);
    assert_eq!(experiment.name, "x");
    assert_eq!(
        experiment.repeat,
        Repeat { precision: 0.02, blocks: 640, max_seconds: 60.0, warmup: 2, start: StartRule::Window, seed: 1 }
    );
    assert!(!experiment.enforce && experiment.cells().all(|(_, cell)| cell.ceiling.is_none()));
    assert_eq!(experiment.comparisons.len(), 1);
    let comparison = &experiment.comparisons[0];
    assert_eq!((comparison.model.as_str(), comparison.elements), ("resnet18", 11_689_512));
    assert_eq!((comparison.dtype, comparison.clients, comparison.roles), (Dtype::F32, 20, Roles::Colocated));
    assert_eq!((comparison.end, comparison.residency), (End::Everywhere, Residency::Resident));
    assert_eq!(comparison.gradient_bytes(), 46_758_048);
    let cells: Vec<(&str, u64)> = comparison.cells.iter().map(|cell| (cell.strategy.as_str(), cell.shards)).collect();
    assert_eq!(
        cells,
        [("sharded-direct", 4), ("tree-central", 1), ("tree-lambda-fl", 1), ("tree-lifl", 1), ("native-reduce", 1)]
    );
    assert_eq!(comparison.to_string(), "resnet18 (11689512 f32), 20 clients, colocated, everywhere, resident");
    assert_eq!(comparison.cells[0].to_string(), "sharded-direct, M = 4, flow whole, shared, order client");
}

/// Written by hand from the description of the order in `cells`.
#[test]
fn cells_are_numbered_as_nested_loops() {
    let experiment = resolved(
        r#"{"models": [7, {"name": "odd", "elements": 11}], "clients": [1, 3], "shards": [1, 4], "flow": ["whole", 8],
            "strategies": ["native-reduce", "sharded-direct", "tree-lifl"], "end": ["everywhere", "scattered"]}"#,
    );
    let comparisons: Vec<(u64, &str, u64, u64, End)> =
        experiment.comparisons.iter().map(|c| (c.index, c.model.as_str(), c.elements, c.clients, c.end)).collect();
    use End::{Everywhere, Scattered};
    assert_eq!(
        comparisons,
        [
            (0, "7", 7, 1, Everywhere),
            (1, "7", 7, 1, Scattered),
            (2, "7", 7, 3, Everywhere),
            (3, "7", 7, 3, Scattered),
            (4, "odd", 11, 1, Everywhere),
            (5, "odd", 11, 1, Scattered),
            (6, "odd", 11, 3, Everywhere),
            (7, "odd", 11, 3, Scattered),
        ]
    );
    // native-reduce uses none of the settings: 1 cell. sharded-direct: 2 × 2. tree-lifl uses the flow only: 2.
    let chunk = FlowChoice::Chunk { bytes: 8 };
    for (at, comparison) in experiment.comparisons.iter().enumerate() {
        let cells: Vec<(u64, &str, u64, FlowChoice)> =
            comparison.cells.iter().map(|cell| (cell.index, cell.strategy.as_str(), cell.shards, cell.flow)).collect();
        let first = 7 * at as u64;
        assert_eq!(
            cells,
            [
                (first, "native-reduce", 1, FlowChoice::Whole),
                (first + 1, "sharded-direct", 1, FlowChoice::Whole),
                (first + 2, "sharded-direct", 1, chunk),
                (first + 3, "sharded-direct", 4, FlowChoice::Whole),
                (first + 4, "sharded-direct", 4, chunk),
                (first + 5, "tree-lifl", 1, FlowChoice::Whole),
                (first + 6, "tree-lifl", 1, chunk),
            ]
        );
    }
    assert_eq!(experiment.cell_count(), 56);
    let numbers: Vec<u64> = experiment.cells().map(|(_, cell)| cell.index).collect();
    assert_eq!(numbers, (0..56).collect::<Vec<u64>>());
}

#[test]
fn what_a_strategy_does_not_heed_makes_no_cells() {
    let text = |strategy: &str| {
        format!(
            r#"{{"models": 7, "shards": [2, 3], "flow": ["auto", 4], "intra_node": ["messages", "shared"],
                "order": ["arrival", "client", "rotated"], "ready": ["checked", "copied"], "strategies": "{strategy}"}}"#
        )
    };
    // Messages carry gradients wherever they lie, so `ready` counts only where they are shared.
    assert_eq!(resolved(&text("sharded-direct")).cell_count(), 2 * 2 * (1 + 2) * 3);
    let experiment = resolved(&text("native-reduce"));
    let (intra_node, order) = (IntraNode::Messages, Order::Arrival);
    let strategy = "native-reduce".into();
    let form = Form::default();
    let (flow, ready, caches) = (FlowChoice::Whole, Ready::Assumed, Caches::Warm);
    let only = Cell { index: 0, strategy, form, shards: 1, flow, intra_node, order, ready, caches, ceiling: None };
    assert_eq!(experiment.comparisons[0].cells, [only]);

    let sharded = resolved(&text("sharded-direct"));
    let last_two: Vec<String> = sharded.comparisons[0].cells[34..].iter().map(|cell| cell.to_string()).collect();
    assert_eq!(
        last_two,
        [
            "sharded-direct, M = 3, flow 4B, shared, order client, ready copied",
            "sharded-direct, M = 3, flow 4B, shared, order rotated, ready copied"
        ]
    );
}

#[test]
fn pieces_are_the_flow_of_calls_of_the_library() {
    let text = |native: &str| {
        format!(
            r#"{{"models": 64, "flow": ["auto", 8], "native": {native},
                "strategies": ["native-reduce", "tree-lifl"]}}"#
        )
    };
    let flows = |native: &str| -> Vec<(String, String)> {
        let experiment = resolved(&text(native));
        experiment.comparisons[0].cells.iter().map(|cell| (cell.strategy.clone(), cell.flow.to_string())).collect()
    };
    let own = |strategy: &str, flow: &str| (strategy.to_owned(), flow.to_owned());
    assert_eq!(
        flows(r#"{"pieces": ["whole", 16]}"#),
        [own("native-reduce", "whole"), own("native-reduce", "16B"), own("tree-lifl", "auto"), own("tree-lifl", "8B")]
    );
    assert_eq!(flows("{}")[0], own("native-reduce", "whole"));
    for (pieces, problem) in [("\"auto\"", "native.pieces"), ("[6]", "native.pieces[0]")] {
        let error = refused(&text(&format!(r#"{{"pieces": {pieces}}}"#)));
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn roles_and_dtype_make_comparisons() {
    let experiment = resolved(
        r#"{"models": 7, "strategies": "tree-lifl", "dtype": ["f64", "bf16"], "roles": ["colocated", {"dedicated": 3}]}"#,
    );
    let shown: Vec<String> = experiment.comparisons.iter().map(|comparison| comparison.to_string()).collect();
    assert_eq!(
        shown,
        [
            "7 (7 f64), 20 clients, colocated, everywhere, resident",
            "7 (7 f64), 20 clients, dedicated (3 aggregate), everywhere, resident",
            "7 (7 bf16), 20 clients, colocated, everywhere, resident",
            "7 (7 bf16), 20 clients, dedicated (3 aggregate), everywhere, resident",
        ]
    );
}

#[test]
fn files_say_how_many_and_how_long() {
    let read = |text: &str| resolved_with(text, Some(DIGITS), &[]).unwrap_or_else(|error| panic!("{error}"));
    let experiment = read(&format!("{{{FROM_FILES}}}"));
    let comparison = &experiment.comparisons[0];
    assert_eq!((comparison.model.as_str(), comparison.elements, comparison.clients), ("digits", 7850, 20));
    assert_eq!(comparison.dtype, Dtype::F32);
    let Gradients::Files { format: FileKind::Safetensors, path, .. } = &experiment.gradients else { panic!() };
    assert_eq!(path, Path::new("configs/data/digits"));
    let half = FileFacts { dtype: Dtype::F16, ..DIGITS };
    let text = format!("{{{FROM_FILES}}}");
    assert_eq!(resolved_with(&text, Some(half), &[]).unwrap().comparisons[0].dtype, Dtype::F16);

    assert_eq!(read(&format!("{{{FROM_FILES}, \"clients\": 20}}")).comparisons[0].clients, 20);
    assert_eq!(read(&format!("{{{FROM_FILES}, \"dtype\": [\"f64\", \"f32\"]}}")).comparisons.len(), 2);
    let glob = r#"{"name": "g", "gradients": {"source": "npy", "path": "/data/*.npy", "residency": "streamed"}}"#;
    let experiment = read(glob);
    assert_eq!(
        (experiment.comparisons[0].model.as_str(), experiment.comparisons[0].residency),
        ("g", Residency::Streamed)
    );
    let Gradients::Files { path, .. } = &experiment.gradients else { panic!() };
    assert_eq!(path, Path::new("/data/*.npy"));

    let refused = |fields: &str| refused_with(&format!("{{{FROM_FILES}{fields}}}"), Some(DIGITS), &[]);
    assert_eq!(refused(r#", "clients": 5"#), "clients: 5, but the files hold 20 clients; leave clients out");
    assert_eq!(refused(r#", "clients": [20, 21]"#), "clients[1]: 21, but the files hold 20 clients; leave clients out");
    assert_eq!(
        refused(r#", "models": ["resnet18"]"#),
        "models[0]: the gradients come from files, which hold 7850 elements a client; leave models out"
    );
    let three = r#"{"gradients": {"source": "npy", "path": "a", "weights": [1, 2, 3]}}"#;
    assert_eq!(
        refused_with(three, Some(DIGITS), &[]),
        "gradients.weights: 3 weights for 20 clients; write 20, or one number for all"
    );
    assert_eq!(refused_with(&text, None, &[]), "gradients.path: data/digits has not been read");
    assert_eq!(
        refused_with(&text, Some(FileFacts { elements: 0, ..DIGITS }), &[]),
        "gradients.path: data/digits holds 20 clients with 0 elements each; at least one of each is needed"
    );
}

#[test]
fn weights_are_as_many_as_clients() {
    let text = |fields: &str| {
        format!(r#"{{"models": 7, "gradients": {{"source": "synthetic", "weights": [1, 2, 3]}}{fields}}}"#)
    };
    let experiment = resolved(&text(""));
    assert_eq!(experiment.comparisons[0].clients, 3);
    assert_eq!(experiment.gradients.weights().of(3), Some(vec![1.0, 2.0, 3.0]));
    assert_eq!(experiment.gradients.weights().of(2), None);
    assert_eq!(Weights::All(2.0).of(2), Some(vec![2.0, 2.0]));
    assert_eq!(Weights::Key("n".into()).of(2), None);
    assert_eq!(resolved(&text(r#", "clients": [3]"#)).comparisons[0].clients, 3);
    assert_eq!(
        refused(&text(r#", "clients": [3, 5]"#)),
        "gradients.weights: 3 weights for 5 clients; write 5, or one number for all"
    );
}

#[test]
fn names_are_looked_up() {
    assert_eq!(
        refused(r#"{"models": 7, "strategies": ["tree-lifl", "tree-central", "tree-lambda"]}"#),
        "strategies[2]: unknown strategy \"tree-lambda\"; did you mean \"tree-lambda-fl\"? known: sharded-direct, \
         tree-central, tree-lambda-fl, tree-lifl, native-reduce"
    );
    assert_eq!(
        refused(r#"{"models": 7, "strategies": "tree-lifI"}"#).split('?').next(),
        Some("strategies: unknown strategy \"tree-lifI\"; did you mean \"tree-lifl\"")
    );
    assert_eq!(
        refused(r#"{"models": ["vgg16", "resnet81"]}"#),
        "models[1]: unknown model \"resnet81\"; did you mean \"resnet18\"? known: resnet18, vgg16"
    );
    assert_eq!(
        refused(r#"{"models": ["vgg16", "resnet18", "ResNet-18"]}"#),
        "models[2]: named \"resnet18\", the same as entry [1]; a list must not hold a value twice"
    );
    assert_eq!(
        refused(r#"{"models": [{"name": "7", "elements": 8}, 7]}"#),
        "models[1]: named \"7\", the same as entry [0]; a list must not hold a value twice"
    );
    assert_eq!(
        refused("{}"),
        "models: missing; write for example \"models\": [\"resnet18\"] or \"models\": [{\"name\": \"mine\", \
         \"elements\": 1000003}], or take gradients from files"
    );
}

#[test]
fn ceilings_are_sizes_or_presets() {
    let text = r#"{"models": 7, "ceiling": ["1GiB", "smal"]}"#;
    assert_eq!(refused(text), "ceiling[1]: \"smal\" is no size; write one such as \"3008MiB\"");
    assert_eq!(
        refused_with(text, None, &[("small", 1), ("large", 2)]),
        "ceiling[1]: unknown preset \"smal\"; did you mean \"small\"? known: small, large, or a size such as \"3008MiB\""
    );
    let experiment = resolved_with(text, None, &[("smal", 77)]).unwrap();
    let ceilings: Vec<Option<u64>> = experiment.cells().map(|(_, cell)| cell.ceiling).take(2).collect();
    assert_eq!(ceilings, [Some(1 << 30), Some(77)]);
    let one_size = refused_with(text, None, &[("smal", 1 << 30)]);
    assert_eq!(one_size, "ceiling[1]: 1073741824 bytes, the same as entry [0]; a list must not hold a value twice");
}

#[test]
fn a_ceiling_is_enforced_where_there_is_one() {
    assert!(resolved(r#"{"models": 7, "ceiling": "1GiB", "enforce": true}"#).enforce);
    assert!(refused(r#"{"models": 7, "enforce": true}"#).starts_with("enforce: there is no ceiling to enforce"));
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    assert_eq!(
        refused(r#"{"models": 7, "flow": ["whole", 6]}"#),
        "flow[1]: 6B is not a whole number of f32 elements; write a multiple of 4 bytes"
    );
    assert_eq!(resolved(r#"{"models": 7, "flow": 6, "dtype": "f16"}"#).comparisons.len(), 1);
    assert_eq!(
        refused(r#"{"models": 7, "flow": "12B", "dtype": ["f32", "f64"]}"#),
        "flow: 12B is not a whole number of f64 elements; write a multiple of 8 bytes"
    );
    // 2⁵³ × 4 bytes × 256 clients = 2⁶³ bytes.
    assert_eq!(
        refused(r#"{"models": [1, 9007199254740992], "clients": 256}"#),
        "models[1]: 9007199254740992 f32 elements of 256 clients are 2^63 bytes or more"
    );
    assert_eq!(resolved(r#"{"models": 9007199254740992, "clients": 255}"#).comparisons.len(), 1);

    // 400 models × 251 numbers of clients × 1 cell = 100,400 cells; with 250 it is 100,000.
    let span = |clients: u64| {
        let list = |to: u64| (1..=to).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        format!(r#"{{"models": [{}], "clients": [{}], "strategies": "native-reduce"}}"#, list(400), list(clients))
    };
    assert_eq!(refused(&span(251)), "the lists span more than 100000 cells; write fewer or shorter ones");
    assert_eq!(resolved(&span(250)).cell_count(), 100_000);
}

#[test]
fn without_a_name_the_file_gives_it() {
    let places = |_, _| Ok(Hosts { clients: 1, aggregators: 1 });
    let known = Known {
        places: &places,
        strategies: &STRATEGIES,
        knobs: &knobs,
        algorithms: &algorithms,
        catalogue: &catalogue,
        ceilings: &[],
        files: None,
    };
    let named = |text: &str, file: &str| {
        resolve(&parse(text, Path::new(file)).unwrap(), Path::new(""), &known).map(|experiment| experiment.name)
    };
    assert_eq!(named(r#"{"models": 7}"#, "a/b.c.json").unwrap(), "b.c");
    assert_eq!(named(r#"{"models": 7, "name": "other"}"#, "a/b.json").unwrap(), "other");
    let error = named(r#"{"models": 7}"#, ".json").unwrap_err().to_string();
    assert!(error.starts_with(".json: name: missing, and the file's own name is \".json\" does not fit"), "{error}");
}

/// Two ranks on each node and at most four nodes; see `resolved_with`.
#[test]
fn what_follows_the_ranks() {
    let experiment = resolved(
        r#"{"models": {"name": "weak", "per_aggregator": "1KiB"}, "nodes": [1, 4], "clients": {"per_rank": 3},
            "shards": [2, {"per_rank": 1}], "strategies": "sharded-direct"}"#,
    );
    let found: Vec<(Option<u64>, u64, u64, Vec<u64>)> = experiment
        .comparisons
        .iter()
        .map(|c| (c.nodes, c.elements, c.clients, c.cells.iter().map(|cell| cell.shards).collect()))
        .collect();
    // 256 f32 for each of 2 and 8 ranks. If two entries of shards coincide, both are measured, so that cell numbers do
    // not depend on the ranks.
    assert_eq!(found, [(Some(1), 512, 6, vec![2, 2]), (Some(4), 2048, 24, vec![2, 8])]);
    assert!(experiment.comparisons[0].to_string().starts_with("1 node: weak (512 f32), 6 clients"));
    let numbers: Vec<u64> = experiment.cells().map(|(_, cell)| cell.index).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
    let dedicated = resolved(
        r#"{"models": {"name": "weak", "per_aggregator": 8}, "clients": {"per_rank": 3}, "roles": {"dedicated": 2},
            "strategies": "tree-lifl"}"#,
    );
    // All 8 ranks: 2 aggregate, 6 host clients.
    assert_eq!((dedicated.comparisons[0].elements, dedicated.comparisons[0].clients), (4, 18));
}

#[test]
fn what_cannot_follow_the_ranks_is_refused() {
    assert_eq!(refused(r#"{"models": 7, "nodes": [2, 8]}"#), "nodes[1]: 8 nodes; there are 4");
    assert_eq!(
        refused(r#"{"models": {"name": "weak", "per_aggregator": 6}, "strategies": "tree-lifl"}"#),
        "models: per_aggregator 6B is no whole number of f32 elements; write a multiple of 4 bytes"
    );
    assert_eq!(
        refused(r#"{"models": 7, "clients": {"per_rank": 1048576}}"#),
        "clients[0]: 1048576 a rank are more than 1048576 on 8 ranks"
    );
    assert_eq!(
        refused(r#"{"models": 7, "clients": 100, "shards": [4, 1000000]}"#),
        "shards[1]: 1000000 shards with 100 inputs each are more than 67108864 inputs"
    );
    let weights = r#""gradients": {"source": "synthetic", "weights": [1, 2, 3]}"#;
    assert_eq!(
        refused(&format!(r#"{{"models": 7, {weights}, "clients": {{"per_rank": 1}}}}"#)),
        "gradients.weights: 3 weights for 8 clients; write 8, or one number for all"
    );
}
