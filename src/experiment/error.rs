//! Errors of experiment files.

use std::path::PathBuf;

/// The reason why an experiment is rejected: the file, the field, the fault and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    /// The text is not JSON, or a value does not suit its field.
    #[error("{}: {}{problem}, at line {line} column {column}", file.display(), prefix(field))]
    Text {
        /// The experiment file.
        file: PathBuf,
        /// The field, such as `repeat.blocks` or `shards[2]`; empty for the whole text.
        field: String,
        /// The fault and its remedy.
        problem: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Values contradict each other, or a name is unknown.
    #[error("{}: {}{problem}", file.display(), prefix(field))]
    Meaning {
        /// The experiment file.
        file: PathBuf,
        /// The field, such as `strategies[2]`; empty for the whole experiment.
        field: String,
        /// The fault and its remedy.
        problem: String,
    },
}

fn prefix(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}: ") }
}
