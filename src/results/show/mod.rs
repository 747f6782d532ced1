//! A result file for people (a text table) and for programs (JSON, CSV).

mod answer;
mod csv;
mod guidelines;
mod json;
mod number;
mod page;
mod table;
mod view;

pub use csv::csv;
pub use guidelines::{guidelines_json, guidelines_text};
pub use json::json;
pub use table::table;

#[cfg(test)]
mod samples;
