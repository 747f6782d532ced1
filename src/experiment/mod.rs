//! Experiments: JSON as written, read with precise errors ([`parse`]), then resolved and validated ([`resolve()`]) into
//! the cells to measure.
//!
//! This module opens no files; the caller passes in what it needs of the catalogue, the files and the strategies.

mod algorithms;
pub mod cells;
pub mod error;
pub mod gradients;
pub mod knobs;
pub mod model;
pub mod names;
pub mod numbers;
pub(crate) mod object;
pub mod one_or_many;
pub mod parse;
pub mod per_rank;
pub mod readable;
pub mod resolve;
pub mod schema;
pub mod settings;
pub mod size;
pub mod size_sweep;
pub mod starter;
pub mod weights;
pub mod written;

pub use cells::{Cell, Comparison};
pub use error::ExperimentError;
pub use gradients::Gradients;
pub use knobs::{CeilingChoice, FlowChoice};
pub use parse::parse;
pub use per_rank::Scaled;
pub use resolve::{Experiment, FileFacts, Hosts, Known, resolve};
pub use settings::{Repeat, StartRule};
pub use size::Size;
pub use weights::Weights;
pub use written::WrittenExperiment;
