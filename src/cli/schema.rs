//! `gradshard schema`: prints the JSON schema of experiments, from which configs/experiment.schema.json is made, and the
//! table of fields in configs/README.md.

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use gradshard::experiment::schema;
use gradshard::gradient::models::catalogue;
use gradshard::plan::strategies;
use serde_json::Value;

use super::{Failure, print};

/// The format of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaFormat {
    /// The JSON schema, for editors
    Json,
    /// A table of the fields, for the documentation
    Markdown,
}

#[derive(Args)]
pub struct SchemaArgs {
    /// How to print it
    #[arg(long, value_enum, default_value = "json")]
    format: SchemaFormat,
}

/// Prints the schema, with the strategies and the models that this build knows.
pub fn schema(args: &SchemaArgs) -> Result<(), Failure> {
    let models: Vec<&str> = catalogue().iter().map(|model| model.name).collect();
    let schema = schema::schema(&strategies::names(), &models).map_err(|problem| Failure::Other(anyhow!(problem)))?;
    print(&match args.format {
        SchemaFormat::Json => format!("{schema:#}\n"),
        SchemaFormat::Markdown => format!("| field | meaning |\n| --- | --- |\n{}", rows("", &schema, &schema)),
    })
}

/// A row for each field of `object`, a part of `schema`, in the order in which they are written. The fields of an object
/// that a field holds follow it, with its name before theirs.
fn rows(before: &str, object: &Value, schema: &Value) -> String {
    let mut text = String::new();
    for (name, field) in object["properties"].as_object().into_iter().flatten() {
        let meaning = field["description"].as_str().unwrap_or_default().replace('|', "\\|");
        text += &format!("| `{before}{name}` | {meaning} |\n");
        let referred = field["$ref"].as_str().and_then(|path| schema.pointer(path.trim_start_matches('#')));
        if let Some(held) = referred.filter(|held| held["properties"].is_object()) {
            text += &rows(&format!("{before}{name}."), held, schema);
        }
    }
    text
}
