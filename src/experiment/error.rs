//! What can be wrong with an experiment file.

use std::path::PathBuf;

/// Why an experiment is refused: the file, the field in it, what is wrong and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    /// The text is no JSON, or a value cannot be what its field is.
    #[error("{}: {}{problem}, at line {line} column {column}", file.display(), prefix(field))]
    Text {
        /// The experiment file.
        file: PathBuf,
        /// The field, as `repeat.blocks` or `shards[2]`; empty for the whole text.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Values that do not go together, or a name that nothing has.
    #[error("{}: {}{problem}", file.display(), prefix(field))]
    Meaning {
        /// The experiment file.
        file: PathBuf,
        /// The field, as `strategies[2]`; empty for the whole experiment.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

fn prefix(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}: ") }
}
