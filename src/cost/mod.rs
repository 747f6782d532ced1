//! What a plan costs: on functions with an object store, each aggregator an invocation, each edge a PUT and a GET; on
//! nodes, by the hour. And what published measurements say about how fast that is.
//!
//! Pure: it opens no file and knows neither MPI nor result files.

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
pub use platform::Platform;
pub use sheet::{Field, Sheet};
pub use workload::{Function, Workload};
