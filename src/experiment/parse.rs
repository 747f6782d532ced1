//! Reads an experiment's text. Errors name the file, the field, the line and the remedy.

use serde::de::{Deserialize, Deserializer};
use serde_path_to_error::{Path, Segment};

use crate::experiment::error::ExperimentError;
use crate::experiment::names::unknown;
use crate::experiment::object::object;
use crate::experiment::written::WrittenExperiment;

/// Reads `text`, the contents of `file`, without opening the file. Names that only the caller knows (models,
/// strategies, presets) are checked by [`resolve()`](crate::experiment::resolve::resolve).
pub fn parse(text: &str, file: &std::path::Path) -> Result<WrittenExperiment, ExperimentError> {
    let mut written: WrittenExperiment = json(text, file)?;
    written.file = file.to_path_buf();
    Ok(written)
}

/// Reads `text`, the contents of `file`, as a JSON object of type `T`. Errors name the position in `file` and the
/// remedy.
pub fn json<T: serde::de::DeserializeOwned>(text: &str, file: &std::path::Path) -> Result<T, ExperimentError> {
    struct Text<T>(T);
    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Text<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            object(deserializer).map(Text)
        }
    }

    // Some editors begin a file with a byte order mark, which JSON does not allow.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut json = serde_json::Deserializer::from_str(text);
    let Text(read) = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| refusal((text, file), field(error.path()), error.inner()))?;
    json.end().map_err(|error| refusal((text, file), String::new(), &error))?;
    Ok(read)
}

/// Returns the field at `path`, such as `repeat.blocks` or `shards[2]`; empty for the whole text. Segments whose name
/// could not be read are omitted, as line and column point there.
fn field(path: &Path) -> String {
    let mut field = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => field.push_str(&format!("[{index}]")),
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                let separator = if field.is_empty() { "" } else { "." };
                field.push_str(&format!("{separator}{name}"));
            }
            Segment::Unknown => {}
        }
    }
    field
}

/// The error for the field that was replaced by `end`.
const PHASE_IS_END: &str = "is now called end: write \"end\": \"everywhere\" for \"round\"; for \"aggregate\" \
                            write \"end\": \"scattered\" (sharded strategies) or \"root\" (trees)";

fn refusal((text, file): (&str, &std::path::Path), field: String, error: &serde_json::Error) -> ExperimentError {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let problem = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
    let mut problem = in_our_words(problem);
    if error.is_syntax() && is_comment(text, line, column) {
        problem += "; JSON has no comments: leave them out, or write one as \"description\"";
    }
    ExperimentError::Text { file: file.to_path_buf(), field, problem, line, column }
}

/// True if a comment of JavaScript, Python or YAML begins at this line and column, from 1.
fn is_comment(text: &str, line: usize, column: usize) -> bool {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    // The column is that of the first byte that is not JSON, or of the one before.
    let rest = (1..=2).filter_map(|back| line.get(column.checked_sub(back)?..));
    rest.map(str::trim_start).any(|rest| ["//", "/*", "#"].iter().any(|begin| rest.starts_with(begin)))
}

/// The fields of the objects within an experiment, which are often written outside of them.
const WITHIN: [(&str, &[&str]); 3] = [
    ("gradients", &["source", "seed", "path", "weights", "dataset", "residency"]),
    ("repeat", &["precision", "blocks", "max_seconds", "warmup", "start"]),
    ("native", &["algorithm", "component", "pieces"]),
];

/// Rewrites serde's messages about fields in gradshard's words. serde distinguishes them only by their text; other
/// messages are unchanged.
fn in_our_words(problem: &str) -> String {
    if let Some((name, known)) =
        problem.strip_prefix("unknown field `").and_then(|rest| rest.rsplit_once("`, expected "))
    {
        // serde lists `a` | `a` or `b` | one of `a`, `b`, `c`: take every second piece between backticks.
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        if name == "phase" && known.contains(&"end") {
            return PHASE_IS_END.into();
        }
        let within = WITHIN.iter().find(|(object, fields)| known.contains(object) && fields.contains(&name));
        match within {
            Some((object, _)) => format!("field {name:?} belongs inside {object:?}"),
            None => unknown("field", name, &known),
        }
    } else if let Some(name) = problem.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`')) {
        format!("field {name:?} is there twice")
    } else if let Some(name) = problem.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        format!("field {name:?} is missing")
    } else {
        problem.to_string()
    }
}

#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod tests;
