//! Tests the parsed values, and the exact messages for invalid texts.

use std::path::Path;

use super::parse;
use crate::experiment::gradients::Gradients;
use crate::experiment::knobs::{CeilingChoice, FlowChoice};
use crate::experiment::model::ModelChoice;
use crate::experiment::one_or_many::OneOrMany::{Many, One};
use crate::experiment::per_rank::Scaled::{Fixed, PerRank};
use crate::experiment::settings::{Repeat, StartRule};
use crate::experiment::weights::Weights;
use crate::experiment::written::WrittenExperiment;
use crate::gradient::Dtype;
use crate::gradient::source::FileKind;
use crate::plan::{Caches, End, IntraNode, Order, Ready, Residency, Roles};

fn read(text: &str) -> WrittenExperiment {
    parse(text, Path::new("configs/x.json")).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    parse(text, Path::new("configs/x.json")).expect_err(text).to_string()
}

/// Returns the message for `text` without the file before it and the position after it.
fn problem(text: &str) -> String {
    let message = refused(text);
    let message = message.strip_prefix("configs/x.json: ").unwrap();
    message.rsplit_once(", at line ").unwrap().0.to_string()
}

#[test]
fn an_empty_object_is_all_defaults() {
    let written = read("{}");
    assert_eq!(written.file, Path::new("configs/x.json"));
    assert_eq!((written.name, written.models, written.clients, written.dtype), (None, None, None, None));
    assert_eq!((written.strategies, written.ceiling), (None, None));
    assert_eq!(written.shards, One(Fixed(4)));
    assert_eq!(written.flow, One(FlowChoice::Whole));
    assert_eq!(written.roles, One(Roles::Colocated));
    assert_eq!(written.intra_node, One(IntraNode::Shared));
    assert_eq!(written.order, One(Order::Client));
    assert_eq!(written.end, One(End::Everywhere));
    assert_eq!(
        written.repeat,
        Repeat { precision: 0.02, blocks: 640, max_seconds: 60.0, warmup: 2, start: StartRule::Window, seed: 1 }
    );
    let (weights, residency) = (Weights::Stored, Residency::Resident);
    assert_eq!(written.gradients, Gradients::Synthetic { seed: 1, weights, residency });
}

#[test]
fn every_field_is_read() {
    let written = read(
        r#"{
        "$schema": "experiment.schema.json",
        "name": "all",
        "description": "Everything.",
        "models": ["resnet18", 97, {"name": "odd", "elements": 1000003}],
        "gradients": {"source": "synthetic", "seed": 18446744073709551615, "weights": [1, 2.5], "residency": "streamed"},
        "dtype": ["f32", "f64", "f16", "bf16"],
        "clients": 2,
        "shards": [1, 3],
        "strategies": ["a", "b"],
        "flow": ["whole", "auto", "1MiB", 4096],
        "roles": ["colocated", "dedicated", {"dedicated": 4}],
        "intra_node": ["shared", "messages"],
        "order": ["client", "rotated", "arrival"],
        "ready": ["checked", "copied"],
        "caches": "cold",
        "end": ["root", "everywhere"],
        "repeat": {"precision": 0.05, "blocks": 3, "max_seconds": 0.5, "warmup": 0, "start": "barrier", "seed": 9},
        "ceiling": ["3008MiB", "small"]
    }"#,
    );
    assert_eq!(written.schema.as_deref(), Some("experiment.schema.json"));
    assert_eq!(written.name.as_deref(), Some("all"));
    assert_eq!(written.description.as_deref(), Some("Everything."));
    let odd = ModelChoice::Own { name: "odd".into(), elements: 1_000_003 };
    assert_eq!(
        written.models,
        Some(Many(vec![ModelChoice::Catalogue("resnet18".into()), ModelChoice::Length(97), odd]))
    );
    let (weights, residency) = (Weights::Each(vec![1.0, 2.5]), Residency::Streamed);
    assert_eq!(written.gradients, Gradients::Synthetic { seed: u64::MAX, weights, residency });
    assert_eq!(written.dtype, Some(Many(vec![Dtype::F32, Dtype::F64, Dtype::F16, Dtype::Bf16])));
    assert_eq!(written.clients, Some(One(Fixed(2))));
    assert_eq!(written.shards, Many(vec![Fixed(1), Fixed(3)]));
    assert_eq!(written.strategies, Some(Many(vec!["a".into(), "b".into()])));
    let chunks = [1_048_576, 4096].map(|bytes| FlowChoice::Chunk { bytes });
    assert_eq!(written.flow, Many(vec![FlowChoice::Whole, FlowChoice::Auto, chunks[0], chunks[1]]));
    assert_eq!(written.roles, Many(vec![Roles::Colocated, Roles::Dedicated(None), Roles::Dedicated(Some(4))]));
    assert_eq!(written.intra_node, Many(vec![IntraNode::Shared, IntraNode::Messages]));
    assert_eq!(written.order, Many(vec![Order::Client, Order::Rotated, Order::Arrival]));
    assert_eq!(written.ready, Many(vec![Ready::Checked, Ready::Copied]));
    assert_eq!(written.caches, One(Caches::Cold));
    assert_eq!(written.end, Many(vec![End::Root, End::Everywhere]));
    assert_eq!(
        written.repeat,
        Repeat { precision: 0.05, blocks: 3, max_seconds: 0.5, warmup: 0, start: StartRule::Barrier, seed: 9 }
    );
    assert_eq!(
        written.ceiling,
        Some(Many(vec![CeilingChoice::Bytes(3_154_116_608), CeilingChoice::Preset("small".into())]))
    );
}

#[test]
fn gradients_from_files_are_read() {
    let gradients = |text: &str| read(&format!("{{\"gradients\": {text}}}")).gradients;
    let files = |format, weights, dataset: Option<&str>| Gradients::Files {
        format,
        path: "data/*.x".into(),
        weights,
        dataset: dataset.map(str::to_string),
        residency: Residency::Resident,
    };
    let key = Weights::Key("num_samples".into());
    for (text, expected) in [
        (
            r#"{"source": "safetensors", "path": "data/*.x", "weights": {"key": "num_samples"}}"#,
            files(FileKind::Safetensors, key, None),
        ),
        (
            r#"{"path": "data/*.x", "source": "hdf5", "dataset": "update", "weights": 3}"#,
            files(FileKind::Hdf5, Weights::All(3.0), Some("update")),
        ),
        (r#"{"source": "npy", "path": "data/*.x"}"#, files(FileKind::Npy, Weights::Stored, None)),
    ] {
        assert_eq!(gradients(text), expected);
    }
}

#[test]
fn errors_have_their_file_field_and_place() {
    assert_eq!(
        refused("{\n  \"repeat\": {\n    \"warmup\": 1,\n    \"blocks\": 0\n  }\n}"),
        "configs/x.json: repeat.blocks: invalid value: integer `0`, expected a whole number from 1 to 1048576, \
         at line 4 column 15"
    );
    assert_eq!(refused("{\n"), "configs/x.json: EOF while parsing an object, at line 2 column 0");
    assert_eq!(refused(""), "configs/x.json: EOF while parsing a value, at line 1 column 0");
    assert_eq!(refused("{} {}"), "configs/x.json: trailing characters, at line 1 column 4");
    assert_eq!(refused("[1]"), "configs/x.json: invalid type: sequence, expected an object { … }, at line 1 column 1");
    assert!(
        refused("{\"shards\": [1,\n 2\n 3]}").starts_with("configs/x.json: shards: expected `,` or `]`, at line 3")
    );
    assert_eq!(read(r#"{"shards": [4, {"per_rank": 2}]}"#).shards, Many(vec![Fixed(4), PerRank(2)]));
    assert_eq!(read("\u{feff}{\"clients\": 3}").clients, Some(One(Fixed(3))), "a byte order mark is no error");
}

#[test]
fn unknown_and_double_fields_are_refused() {
    assert_eq!(
        problem(r#"{"strategy": "a"}"#),
        "strategy: unknown field \"strategy\"; did you mean \"strategies\"? known: $schema, name, description, models, \
         gradients, dtype, nodes, nodes_per_rack, clients, shards, strategies, radix, across, closing, native, flow, roles, intra_node, order, ready, caches, end, repeat, ceiling, enforce"
    );
    assert_eq!(
        problem(r#"{"repeat": {"block": 3}}"#),
        "repeat.block: unknown field \"block\"; did you mean \"blocks\"? known: precision, blocks, max_seconds, warmup, start, seed"
    );
    assert_eq!(
        problem(r#"{"models": [7, {"name": "m", "elemnts": 3}]}"#),
        "models[1].elemnts: unknown field \"elemnts\"; did you mean \"elements\"? known: name, elements, per_aggregator"
    );
    assert_eq!(
        problem(r#"{"gradients": {"source": "synthetic", "sed": 3}}"#),
        "gradients.sed: unknown field \"sed\"; did you mean \"seed\"? known: source, seed, path, weights, dataset, residency"
    );
    assert_eq!(
        problem(r#"{"gradients": {"source": "hdf5", "path": "a", "weights": {"kye": "n"}}}"#),
        "gradients.weights.kye: unknown field \"kye\"; did you mean \"key\"? known: key"
    );
    assert_eq!(problem(r#"{"zzzzzz": 1}"#).split("; ").next(), Some("zzzzzz: unknown field \"zzzzzz\""));
    assert_eq!(problem(r#"{"file": "x"}"#).split("; ").next(), Some("file: unknown field \"file\""));
    assert_eq!(problem(r#"{"shards": 1, "shards": 2}"#), "field \"shards\" is there twice");
    assert_eq!(problem(r#"{"repeat": {"seed": 1, "seed": 1}}"#), "repeat: field \"seed\" is there twice");
    assert_eq!(
        problem(r#"{"roles": {"dedicated": 1, "dedicated": 1}}"#),
        "roles: write {\"dedicated\": ranks that only aggregate} with nothing else in it"
    );
    assert_eq!(
        problem(r#"{"models": {"name": "a", "elements": 1, "elements": 2}}"#),
        "models: field \"elements\" is there twice"
    );
    assert_eq!(problem(r#"{"models": {"name": "a"}}"#), "models: field \"elements\" is missing");
    assert_eq!(problem(r#"{"gradients": {"seed": 1}}"#), "gradients: field \"source\" is missing");
}

#[test]
fn counts_are_whole_and_above_zero() {
    let count = "expected a whole number from 1 to 1048576";
    for (text, expected) in [
        (r#"{"clients": 0}"#, format!("clients: invalid value: integer `0`, {count}")),
        (r#"{"shards": [1, 0]}"#, format!("shards[1]: invalid value: integer `0`, {count}")),
        (r#"{"shards": -4}"#, format!("shards: invalid value: integer `-4`, {count}")),
        (r#"{"clients": [20, 2.5]}"#, format!("clients[1]: invalid type: floating point `2.5`, {count}")),
        (r#"{"clients": "20"}"#, format!("clients: invalid type: string \"20\", {count}")),
        (r#"{"clients": null}"#, format!("clients: invalid type: null, {count}")),
        (r#"{"clients": true}"#, format!("clients: invalid type: boolean `true`, {count}")),
        (r#"{"clients": [[20]]}"#, format!("clients[0]: invalid type: sequence, {count}")),
        (
            r#"{"clients": {"n": 1}}"#,
            "clients: write a number, or {\"per_rank\": number} with nothing else in it".to_string(),
        ),
        (r#"{"shards": [{"per_rank": 0}]}"#, format!("shards[0].per_rank: invalid value: integer `0`, {count}")),
        (r#"{"nodes": 0}"#, format!("nodes: invalid value: integer `0`, {count}")),
        (r#"{"clients": 4294967296}"#, format!("clients: invalid value: integer `4294967296`, {count}")),
        (r#"{"repeat": {"blocks": 1e3}}"#, format!("repeat.blocks: invalid type: floating point `1000.0`, {count}")),
        (r#"{"roles": {"dedicated": 0}}"#, format!("roles.dedicated: invalid value: integer `0`, {count}")),
        (
            r#"{"repeat": {"warmup": -1}}"#,
            "repeat.warmup: invalid value: integer `-1`, expected a whole number from 0 to 1048576".into(),
        ),
        (
            r#"{"repeat": {"precision": 2}}"#,
            "repeat.precision: invalid value: integer `2`, expected a precision: a part above 0 and up to 1, as 0.02 for 2 %"
                .into(),
        ),
        (
            r#"{"repeat": {"seed": -1}}"#,
            "repeat.seed: invalid value: integer `-1`, expected a whole number from 0 to 18446744073709551615".into(),
        ),
        (r#"{"repeat": [10]}"#, "repeat: invalid type: sequence, expected an object { … }".into()),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn elements_are_whole_and_countable() {
    let range = "expected a whole number from 1 to 9007199254740992";
    for (text, expected) in [
        ("0", format!("models: invalid value: integer `0`, {range}")),
        ("-7", format!("models: invalid value: integer `-7`, {range}")),
        ("[9007199254740993]", format!("models[0]: invalid value: integer `9007199254740993`, {range}")),
        (r#"{"name": "m", "elements": -1}"#, format!("models.elements: invalid value: integer `-1`, {range}")),
        (
            r#"["a", {"name": "m", "elements": 1.5}]"#,
            format!("models[1].elements: invalid type: floating point `1.5`, {range}"),
        ),
        (
            r#"{"name": "m", "elements": 18446744073709551616}"#,
            format!("models.elements: invalid type: floating point `1.8446744073709552e+19`, {range}"),
        ),
        (r#"{"name": "m", "elements": "7"}"#, format!("models.elements: invalid type: string \"7\", {range}")),
        (
            "1.5",
            "models: invalid type: floating point `1.5`, expected a model: a name of the catalogue, a number of \
             elements, or {\"name\": …, \"elements\": …}"
                .into(),
        ),
        (
            r#"{"name": "a/b", "elements": 1}"#,
            "models.name: \"a/b\" does not fit into a file name; write up to 100 bytes without / \\ : and control \
             characters, and no . at the start"
                .into(),
        ),
        (r#"{"name": "", "elements": 1}"#, "models.name: an empty name".into()),
    ] {
        assert_eq!(problem(&format!("{{\"models\": {text}}}")), expected);
    }
    assert_eq!(read(r#"{"models": 9007199254740992}"#).models, Some(One(ModelChoice::Length(1 << 53))));
}

#[test]
fn weights_are_above_zero() {
    let weight = "expected a weight: a number above 0 that single precision can hold";
    for (text, expected) in [
        ("0", format!("gradients.weights: invalid value: integer `0`, {weight}")),
        ("-1", format!("gradients.weights: invalid value: integer `-1`, {weight}")),
        ("-0.5", format!("gradients.weights: invalid value: floating point `-0.5`, {weight}")),
        ("[3, 0.0]", format!("gradients.weights[1]: invalid value: floating point `0.0`, {weight}")),
        ("1e39", format!("gradients.weights: invalid value: floating point `1e+39`, {weight}")),
        ("1e-39", format!("gradients.weights: invalid value: floating point `1e-39`, {weight}")),
        ("[]", "gradients.weights: an empty list; write one weight a client".into()),
        ("[1, \"2\"]", format!("gradients.weights[1]: invalid type: string \"2\", {weight}")),
        (
            "\"num_samples\"",
            "gradients.weights: invalid type: string \"num_samples\", expected weights: a number above 0 for all \
             clients, a list of one a client, or {\"key\": a metadata key}"
                .into(),
        ),
        (
            r#"{"key": ""}"#,
            "gradients.weights: an empty key; write a metadata key such as {\"key\": \"num_samples\"}".into(),
        ),
        ("1e999", "gradients.weights: number out of range".into()),
        ("NaN", "gradients.weights: expected value".into()),
    ] {
        let text = format!("{{\"gradients\": {{\"source\": \"synthetic\", \"weights\": {text}}}}}");
        assert_eq!(problem(&text), expected);
    }
}

/// Without serde_json's feature float_roundtrip the first two would be read as 9.999999999999999e-31 and
/// 80.51234567890123.
#[test]
fn weights_are_read_to_the_last_bit() {
    for (text, bits) in [
        ("1e-30", 0x39B4_484B_FEEB_C2A0u64),
        ("80.512345678901234", 0x4054_20CA_4587_C82D),
        ("0.1", 0x3FB9_9999_9999_999A),
    ] {
        let text = format!("{{\"gradients\": {{\"source\": \"synthetic\", \"weights\": {text}}}}}");
        assert_eq!(read(&text).gradients.weights(), &Weights::All(f64::from_bits(bits)));
    }
}

#[test]
fn fields_of_another_source_are_refused() {
    for (text, expected) in [
        (r#""synthetic", "path": "a""#, "source \"synthetic\" has no \"path\"; it takes seed, weights, residency"),
        (
            r#""synthetic", "dataset": "a""#,
            "source \"synthetic\" has no \"dataset\"; it takes seed, weights, residency",
        ),
        (
            r#""synthetic", "weights": {"key": "n"}"#,
            "source \"synthetic\" has no metadata to take weights from; write a number or a list",
        ),
        (
            r#""hdf5", "path": "a", "seed": 1"#,
            "source \"hdf5\" has no \"seed\"; it takes path, dataset, weights, residency",
        ),
        (
            r#""npy", "path": "a", "dataset": "b""#,
            "source \"npy\" has no \"dataset\"; it takes path, weights, residency",
        ),
        (
            r#""safetensors", "path": "a", "dataset": "b""#,
            "source \"safetensors\" has no \"dataset\"; it takes path, weights, residency",
        ),
        (
            r#""npy", "path": "a", "weights": {"key": "n"}"#,
            "source \"npy\" has no metadata to take weights from; write a number or a list",
        ),
        (
            r#""safetensors""#,
            "source \"safetensors\" needs \"path\": a file, a directory or a glob, relative to the experiment file",
        ),
        (
            r#""hdf5", "path": """#,
            "source \"hdf5\" needs \"path\": a file, a directory or a glob, relative to the experiment file",
        ),
    ] {
        let text = format!("{{\"gradients\": {{\"source\": {text}}}}}");
        assert_eq!(problem(&text), format!("gradients: {expected}"));
    }
    assert_eq!(
        problem(r#"{"gradients": {"source": "sythetic"}}"#),
        "gradients.source: unknown source \"sythetic\"; did you mean \"synthetic\"? known: synthetic, safetensors, hdf5, npy"
    );
    assert_eq!(
        problem(r#"{"gradients": {"source": "synthetic", "residency": "stream"}}"#),
        "gradients.residency: unknown residency \"stream\"; did you mean \"streamed\"? known: resident, streamed"
    );
    assert_eq!(
        problem(r#"{"gradients": "synthetic"}"#),
        "gradients: invalid type: string \"synthetic\", expected gradients: an object such as {\"source\": \
         \"synthetic\", \"seed\": 1}"
    );
}

#[test]
fn words_that_nothing_knows_are_refused() {
    for (text, expected) in [
        (r#"{"dtype": ["f32", "float32"]}"#, "dtype[1]: unknown dtype \"float32\"; known: f32, f64, f16, bf16"),
        (r#"{"dtype": "f23"}"#, "dtype: unknown dtype \"f23\"; did you mean \"f32\"? known: f32, f64, f16, bf16"),
        (
            r#"{"dtype": 32}"#,
            "dtype: invalid type: integer `32`, expected a dtype: \"f32\", \"f64\", \"f16\", \"bf16\"",
        ),
        (
            r#"{"end": "root-rank"}"#,
            "end: unknown end \"root-rank\"; did you mean \"root\"? known: scattered, root, everywhere",
        ),
        (
            r#"{"phase": "round"}"#,
            "phase: is now called end: write \"end\": \"everywhere\" for \"round\"; for \"aggregate\" write \
             \"end\": \"scattered\" (sharded strategies) or \"root\" (trees)",
        ),
        (
            r#"{"order": ["client", "rotate"]}"#,
            "order[1]: unknown order \"rotate\"; did you mean \"rotated\"? known: client, rotated, arrival",
        ),
        (
            r#"{"intra_node": "message"}"#,
            "intra_node: unknown intra_node \"message\"; did you mean \"messages\"? known: shared, messages",
        ),
        (
            r#"{"roles": ["colocate"]}"#,
            "roles[0]: unknown roles \"colocate\"; did you mean \"colocated\"? write \"colocated\", \"dedicated\" or \
             {\"dedicated\": ranks}",
        ),
        (
            r#"{"roles": {"dedicate": 3}}"#,
            "roles: write {\"dedicated\": ranks that only aggregate} with nothing else in it",
        ),
        (
            r#"{"flow": ["whole", "hole"]}"#,
            "flow[1]: unknown flow \"hole\"; did you mean \"whole\"? write \"whole\", \"auto\" or a chunk size such as \
             \"1MiB\"",
        ),
        (
            r#"{"flow": "1Mib"}"#,
            "flow: \"1Mib\": unknown unit \"Mib\"; known: B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB \
             (powers of 1000)",
        ),
        (r#"{"flow": 0}"#, "flow: a size of 0 bytes; write one above 0"),
        (r#"{"flow": "0MiB"}"#, "flow: a size of 0 bytes; write one above 0"),
        (
            r#"{"flow": -1}"#,
            "flow: invalid type: integer `-1`, expected a flow: \"whole\", \"auto\" or a chunk size such as \"1MiB\"",
        ),
        (r#"{"flow": "-1MiB"}"#, "flow: \"-1MiB\" is no size; write bytes, or a number with a unit such as \"1MiB\""),
        (r#"{"ceiling": 0}"#, "ceiling: a size of 0 bytes; write one above 0"),
        (r#"{"strategies": [3]}"#, "strategies[0]: invalid type: integer `3`, expected the name of a strategy"),
        (r#"{"name": 3}"#, "name: invalid type: integer `3`, expected a name"),
        (r#"{"name": " "}"#, "name: an empty name"),
        (r#"{"$schema": 3}"#, "$schema: invalid type: integer `3`, expected a string"),
        (r#"{"description": null}"#, "description: invalid type: null, expected a string"),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn time_is_above_zero() {
    let seconds = "expected a number of seconds above 0 and up to 1000000000";
    for (text, found) in [
        ("0", "integer `0`"),
        ("-1", "integer `-1`"),
        ("0.0", "floating point `0.0`"),
        ("1e10", "floating point `10000000000.0`"),
    ] {
        let text = format!("{{\"repeat\": {{\"max_seconds\": {text}}}}}");
        assert_eq!(problem(&text), format!("repeat.max_seconds: invalid value: {found}, {seconds}"));
    }
}

#[test]
fn lists_are_neither_empty_nor_repetitive() {
    for field in [
        "models",
        "dtype",
        "clients",
        "shards",
        "strategies",
        "flow",
        "roles",
        "intra_node",
        "order",
        "ready",
        "caches",
        "end",
        "ceiling",
    ] {
        assert_eq!(
            problem(&format!("{{\"{field}\": []}}")),
            format!("{field}: an empty list; write at least one value, or leave the field out")
        );
    }
    for (text, place) in [
        (r#"{"models": ["a", 7, 7]}"#, "models[2]: the same as entry [1]"),
        (r#"{"dtype": ["f32", "f32"]}"#, "dtype[1]: the same as entry [0]"),
        (r#"{"clients": [5, 3, 5]}"#, "clients[2]: the same as entry [0]"),
        (r#"{"shards": [4, 4]}"#, "shards[1]: the same as entry [0]"),
        (r#"{"strategies": ["b", "a", "a"]}"#, "strategies[2]: the same as entry [1]"),
        (r#"{"flow": ["1MiB", "whole", 1048576]}"#, "flow[2]: the same as entry [0]"),
        (r#"{"roles": [{"dedicated": 2}, {"dedicated": 2}]}"#, "roles[1]: the same as entry [0]"),
        (r#"{"end": ["root", "root"]}"#, "end[1]: the same as entry [0]"),
        (r#"{"ceiling": ["1GiB", "1024MiB"]}"#, "ceiling[1]: the same as entry [0]"),
    ] {
        assert_eq!(problem(text), format!("{place}; a list must not hold a value twice"));
    }
}

#[test]
fn values_are_shown_as_they_are_written() {
    let shown: Vec<String> = [FlowChoice::Whole, FlowChoice::Auto, FlowChoice::Chunk { bytes: 1 << 20 }]
        .iter()
        .map(|flow| flow.to_string())
        .collect();
    assert_eq!(shown, ["whole", "auto", "1MiB"]);
    assert_eq!(
        [Order::Client, Order::Rotated, Order::Arrival].map(|order| order.to_string()),
        ["client", "rotated", "arrival"]
    );
    assert_eq!([IntraNode::Shared, IntraNode::Messages].map(|way| way.to_string()), ["shared", "messages"]);
    assert_eq!(format!("{:>6}|{:<11}|", End::Root, End::Everywhere), "  root|everywhere |");
    assert_eq!([Residency::Resident, Residency::Streamed].map(|held| held.to_string()), ["resident", "streamed"]);
}
