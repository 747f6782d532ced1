//! Shows a result file to people (a text table) and programs (JSON, CSV).

mod answer;
mod columns;
mod csv;
mod functions;
mod guidelines;
mod json;
mod json_lines;
pub mod number;
pub mod page;
mod pauses;
pub mod scaling;
mod side_by_side;
mod table;
mod view;
mod warnings;

pub use answer::{advice_of, answers, sentences};
pub use csv::{csv, samples_csv};
pub use guidelines::{guidelines_json, guidelines_text};
pub use json::json;
pub use json_lines::json_lines;
pub use number::{about, about_mebibytes};
pub use page::{WIDTH, printable};
pub use side_by_side::side_by_side;
pub use table::table;

#[cfg(test)]
#[path = "samples_tests.rs"]
mod samples;
