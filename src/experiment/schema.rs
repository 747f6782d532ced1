//! The JSON schema of experiments, by which editors complete, describe and check them.

use serde_json::{Value, json};

use crate::experiment::written::WrittenExperiment;

/// Generates the schema from the types. `strategies` are the allowed names. `models` are names from the catalogue,
/// offered as examples, since an experiment may define its own.
///
/// # Errors
/// If the generated schema has an unexpected shape; names the place.
pub fn schema(strategies: &[&str], models: &[&str]) -> Result<Value, String> {
    let mut schema = schemars::schema_for!(WrittenExperiment).to_value();
    let names = json!({"enum": strategies, "description": "The name of a strategy."});
    insert(&mut schema, "/$defs", "Strategy", names)?;
    let name = json!({"$ref": "#/$defs/Strategy"});
    let list = json!({"type": "array", "items": name, "minItems": 1, "uniqueItems": true});
    insert(&mut schema, "/properties/strategies", "anyOf", json!([name, list]))?;
    insert(&mut schema, "/properties/strategies", "examples", json!([strategies]))?;
    let catalogue = json!({"type": "string", "description": "A model of the catalogue.", "examples": models});
    match schema.pointer_mut("/$defs/ModelChoice/anyOf/0") {
        Some(entry) => *entry = catalogue,
        None => return Err("the schema has no /$defs/ModelChoice/anyOf/0".into()),
    }
    fold_lines(&mut schema);
    Ok(schema)
}

/// Joins the lines of descriptions, which come from doc comments.
fn fold_lines(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "description" => *text = text.replace('\n', " "),
                    _ => fold_lines(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(fold_lines),
        _ => {}
    }
}

fn insert(schema: &mut Value, at: &str, key: &str, value: Value) -> Result<(), String> {
    let object = schema.pointer_mut(at).and_then(Value::as_object_mut);
    object.ok_or_else(|| format!("the schema has no object {at}"))?.insert(key.to_string(), value);
    Ok(())
}

#[cfg(test)]
mod tests;
