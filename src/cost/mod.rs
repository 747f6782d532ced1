//! The cost of a plan. On functions with an object store each aggregator is an invocation, and each edge is a PUT and a
//! GET. Nodes are paid by the hour. Published measurements calibrate the speed of functions.
//!
//! All functions here are pure: they open no file and know neither MPI nor result files.

pub mod best_shards;
pub mod calibrate;
pub mod case;
pub mod crossover;
pub mod error;
pub mod estimate;
pub mod functions;
pub mod idle;
pub mod least_squares;
pub mod measurements;
pub mod money;
pub mod nodes;
pub mod object_flow;
pub mod platform;
pub mod sheet;
pub mod slowest;
pub mod sourced;
pub mod workload;

pub use calibrate::{Calibration, calibrate};
pub use case::Case;
pub use error::CostError;
pub use estimate::{Asked, Estimate, estimate};
pub use functions::{Functions, Speed};
pub use measurements::Measurements;
pub use money::Usd;
pub use nodes::Nodes;
pub use object_flow::ObjectFlow;
pub use platform::Platform;
pub use sheet::{Field, Sheet};
pub use workload::{Function, Workload};
