//! The committed schema matches the types, and the committed experiments are valid.

use std::path::Path;

use super::*;
use crate::experiment::parse::parse;
use crate::experiment::resolve::{FileFacts, Hosts, Known, resolve};
use crate::gradient::{Dtype, models};
use crate::plan::strategies;

fn generated() -> Value {
    let models: Vec<&str> = models::catalogue().iter().map(|model| model.name).collect();
    schema(&strategies::names(), &models).unwrap()
}

fn configs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

#[test]
fn the_committed_schema_is_up_to_date() {
    let file = configs().join("experiment.schema.json");
    let generated = serde_json::to_string_pretty(&generated()).unwrap() + "\n";
    let committed = std::fs::read_to_string(&file).unwrap();
    assert!(
        committed == generated,
        "{} is not what the types and the strategies yield; run gradshard schema > configs/experiment.schema.json",
        file.display()
    );
}

#[test]
fn the_schema_has_every_field_and_says_what_it_is() {
    let schema = generated();
    let fields = schema["properties"].as_object().unwrap();
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    // In the order of the message on an unknown field.
    let error = parse("{\"zzz\": 1}", Path::new("x")).unwrap_err().to_string();
    let known = error.split("known: ").nth(1).unwrap().split(", at line").next().unwrap();
    assert_eq!(names.join(", "), known);
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema.get("required"), None);
    for (name, field) in fields {
        assert!(field["description"].as_str().is_some_and(|text| text.len() > 20), "{name} has no description");
    }
    assert_eq!(schema["$defs"]["Strategy"]["enum"], json!(strategies::names()));
    assert_eq!(fields["strategies"]["anyOf"][1]["items"], json!({"$ref": "#/$defs/Strategy"}));
    assert_eq!(fields["shards"]["default"], 4);
    let repeat =
        json!({"precision": 0.02, "blocks": 640, "max_seconds": 60.0, "warmup": 2, "start": "window", "seed": 1});
    assert_eq!(fields["repeat"]["default"], repeat);
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    fn walk(value: &Value, root: &Value) -> usize {
        match value {
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| match value.as_str() {
                    Some(place) if key == "$ref" => {
                        let found = root.pointer(place.strip_prefix('#').unwrap());
                        assert!(found.is_some(), "{place} leads nowhere");
                        1
                    }
                    _ => walk(value, root),
                })
                .sum(),
            Value::Array(list) => list.iter().map(|value| walk(value, root)).sum(),
            _ => 0,
        }
    }
    let schema = generated();
    assert!(walk(&schema, &schema) > 10);
}

/// The numbers of comparisons were counted by hand from the lists in the files.
#[test]
fn every_committed_experiment_is_what_it_says() {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(configs()).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".json") || name.ends_with(".schema.json") {
            continue;
        }
        let written = parse(&std::fs::read_to_string(&file).unwrap(), &file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(written.schema.as_deref(), Some("experiment.schema.json"), "{name}");
        assert_eq!(written.name.as_deref(), name.strip_suffix(".json"));
        let catalogue =
            |name: &str| models::find(name).map(|m| (m.name.to_string(), m.elements)).map_err(|e| e.to_string());
        let known = Known {
            places: &|_, _| Ok(Hosts { clients: 1, aggregators: 1 }),
            strategies: &strategies::names(),
            knobs: &|name| strategies::find(name).unwrap().knobs(),
            algorithms: &|_| None,
            catalogue: &catalogue,
            ceilings: &[],
            files: (name == "digits.json").then_some(FileFacts { clients: 20, elements: 85_002, dtype: Dtype::F32 }),
        };
        let experiment = resolve(&written, &configs(), &known).unwrap_or_else(|error| panic!("{error}"));
        found.push((experiment.name.clone(), experiment.comparisons.len()));
    }
    found.sort();
    for (name, comparisons) in [("digits", 3), ("first-look", 2), ("resnet18", 3), ("smoke", 1)] {
        assert!(found.contains(&(name.to_string(), comparisons)), "{name} is not in {found:?}");
    }
}
