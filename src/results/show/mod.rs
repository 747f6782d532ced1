//! Shows a result file to people (a text table) and programs (JSON, CSV).

mod answer;
mod csv;
mod guidelines;
mod json;
pub mod number;
pub mod page;
mod pauses;
pub mod scaling;
mod table;
mod view;
mod warnings;

pub use answer::sentences;
pub use csv::csv;
pub use guidelines::{guidelines_json, guidelines_text};
pub use json::json;
pub use number::{about, about_mebibytes};
pub use page::printable;
pub use table::table;

#[cfg(test)]
#[path = "samples_tests.rs"]
mod samples;
