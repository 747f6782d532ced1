use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn text() -> Value {
    serde_json::from_str(AWS_LAMBDA_S3).unwrap()
}

fn refused(platform: &Value) -> String {
    Platform::parse(&platform.to_string(), Path::new("p.json")).unwrap_err().to_string()
}

fn configs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

#[test]
fn every_committed_platform_is_valid_and_names_itself() {
    let mut seen = 0;
    for entry in std::fs::read_dir(configs().join("platforms")).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("platform.schema.json") {
            continue;
        }
        let platform = Platform::parse(&std::fs::read_to_string(&path).unwrap(), &path).unwrap();
        let name = match &platform {
            Platform::Functions(functions) => &functions.name,
            Platform::Nodes(nodes) => &nodes.name,
        };
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), name);
        seen += 1;
    }
    assert!(seen >= 3);
    assert_eq!(aws_lambda_s3().unwrap().name, "aws-lambda-s3");
    assert_eq!(cluster().unwrap().name, "cluster-c5");
}

/// The prices that Barrak 2026 publishes.
#[test]
fn prices_are_the_published_ones() {
    let prices = aws_lambda_s3().unwrap().prices;
    assert_eq!(prices.gib_second_usd.value.plain(), "0.0000166667");
    assert_eq!(prices.put_usd_per_1000.value.plain(), "0.005");
    assert_eq!(prices.get_usd_per_1000.value.plain(), "0.0004");
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let with = |at: &str, value: Value| {
        let mut platform = text();
        *platform.pointer_mut(at).unwrap() = value;
        refused(&platform)
    };
    let mut unknown = text();
    unknown["prices"]["egress_usd"] = json!(1);
    let message = refused(&unknown);
    assert!(message.starts_with("p.json: prices") && message.contains("\"egress_usd\""), "{message}");
    let mut missing = text();
    missing["prices"].as_object_mut().unwrap().remove("put_usd_per_1000");
    assert!(refused(&missing).contains("field \"put_usd_per_1000\" is missing"), "{}", refused(&missing));
    for (at, value, part) in [
        ("/kind", json!("cloud"), "kind"),
        ("/prices/get_usd_per_1000/value", json!("-1"), "not negative"),
        ("/prices/get_usd_per_1000/source", json!(" "), "source is empty"),
        ("/prices/get_usd_per_1000", json!("0.0004"), "an object"),
        ("/prices/get_usd_per_1000", json!(["0.0004", "AWS"]), "an object"),
        ("/limits/seconds/value", json!(0), "above 0"),
        ("/memory/limit_mib/value", json!(-5), "memory.limit_mib"),
        ("/speed/read_mib_per_s", json!(0), "speed.read_mib_per_s"),
        ("/speed/put_s", json!(-0.1), "speed.put_s"),
    ] {
        let message = with(at, value);
        assert!(message.contains(part), "{at}: {message}");
    }
    for no_object in ["[]", "", "{", "{\"kind\": \"nodes\"}"] {
        assert!(Platform::parse(no_object, Path::new("p.json")).is_err(), "{no_object}");
    }
}

/// If GRADSHARD_WRITE_SCHEMA is set, the test writes the schema instead.
#[test]
fn the_committed_platform_schema_is_up_to_date() {
    let file = configs().join("platforms/platform.schema.json");
    let generated = serde_json::to_string_pretty(&schemars::schema_for!(Platform)).unwrap() + "\n";
    if std::env::var_os("GRADSHARD_WRITE_SCHEMA").is_some() {
        std::fs::write(&file, generated).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap();
    assert!(
        committed == generated,
        "{} is not what the types yield; run GRADSHARD_WRITE_SCHEMA=1 cargo test --lib committed_platform_schema",
        file.display()
    );
    assert!(generated.contains("\"additionalProperties\": false") && generated.contains("gib_second_usd"));
}
