//! Texts of experiments: JSON with the right fields, and values that are mostly right.

use gradshard::plan::strategies;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::arrays::{damage, damaged};

/// Any JSON value of little depth.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["whole", "1MiB", "9999999999999TiB", "-1", "all", "sharded-ring"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((prop::sample::select(vec!["per_rank", "name", "elements", "source", "path", "x"]), inner), 0..3)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

/// One value or a short list of different values, as no value may be there twice.
fn one_or_many(value: impl Strategy<Value = Value> + Clone + 'static) -> BoxedStrategy<Value> {
    let list = vec(value.clone(), 1..4).prop_map(|values| {
        let mut different: Vec<Value> = Vec::new();
        for value in values {
            if !different.contains(&value) {
                different.push(value);
            }
        }
        Value::from(different)
    });
    prop_oneof![value, list].boxed()
}

fn words(words: &[&'static str]) -> BoxedStrategy<Value> {
    one_or_many(prop::sample::select(words.to_vec()).prop_map(Value::from))
}

/// The field is there in half of the cases, and rarely has any value at all.
fn field(name: &'static str, right: BoxedStrategy<Value>) -> BoxedStrategy<Option<(&'static str, Value)>> {
    let right = right.prop_map(move |value| Some((name, value)));
    let any = any_json().prop_map(move |value| Some((name, value)));
    prop_oneof![100 => Just(None), 98 => right, 2 => any].boxed()
}

fn count(most: u64) -> BoxedStrategy<Value> {
    one_or_many(prop_oneof![20 => (1..=most).prop_map(Value::from), 1 => Just(json!({"per_rank": 2}))])
}

/// A list without repeated strategies, as an experiment must have.
fn names() -> BoxedStrategy<Value> {
    prop::sample::subsequence(strategies::names(), 1..6).prop_map(|names| json!(names)).boxed()
}

fn repeat() -> BoxedStrategy<Value> {
    let seconds = prop_oneof![0.001..100.0f64, Just(1e9)];
    (1..1000u64, seconds, 0.001..0.5f64, any::<bool>())
        .prop_map(|(blocks, max_seconds, precision, barrier)| {
            let start = if barrier { "barrier" } else { "window" };
            json!({"blocks": blocks, "max_seconds": max_seconds, "precision": precision, "start": start})
        })
        .boxed()
}

fn models() -> BoxedStrategy<Value> {
    let elements = prop_oneof![10 => 1..2_000_000u64, 1 => Just(1 << 40), 1 => any::<u64>()];
    one_or_many(prop_oneof![
        prop::sample::select(vec!["resnet18", "vgg16", "gpt2-large"]).prop_map(Value::from),
        elements.clone().prop_map(Value::from),
        ("[a-z]{1,8}", elements).prop_map(|(name, elements)| json!({"name": name, "elements": elements})),
        ("[a-z]{1,8}", 1..10_000u64).prop_map(|(name, words)| json!({"name": name, "per_aggregator": 8 * words})),
    ])
}

/// The text of an experiment.
pub fn text() -> impl Strategy<Value = String> {
    let fields = vec![
        field("name", "[a-z-]{1,12}".prop_map(Value::from).boxed()),
        field("description", any::<String>().prop_map(Value::from).boxed()),
        field("gradients", (1..9u64).prop_map(|seed| json!({"source": "synthetic", "seed": seed})).boxed()),
        field("dtype", words(&["f32", "f16", "bf16", "f64"])),
        field("nodes", one_or_many((1..=2u64).prop_map(Value::from))),
        field("nodes_per_rack", (1..9u64).prop_map(Value::from).boxed()),
        field("clients", count(200)),
        field("shards", count(64)),
        field("strategies", names()),
        field("radix", one_or_many((2..20u64).prop_map(Value::from))),
        field("closing", words(&["back", "ring", "binomial", "direct"])),
        field("flow", words(&["whole", "auto", "1MiB", "64KiB"])),
        field("intra_node", words(&["shared", "messages"])),
        field("order", words(&["client", "rotated", "arrival"])),
        field("ready", words(&["assumed", "checked", "copied"])),
        field("caches", words(&["warm", "cold"])),
        field("end", words(&["everywhere", "root", "scattered"])),
        field("ceiling", words(&["lambda-512mib", "1GiB"])),
        field("repeat", repeat()),
    ];
    (fields, models(), damage(12)).prop_map(|(fields, models, damage)| {
        let mut object = serde_json::Map::new();
        object.insert("models".into(), models);
        object.extend(fields.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)));
        let bytes = damaged(Value::Object(object).to_string().into_bytes(), &damage);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
