//! The result file: what a job measured, in HDF5, readable with h5py and h5dump alone.

pub mod column;
pub mod contents;
pub mod contest;
mod digest;
pub mod error;
pub mod guidelines;
pub mod job_row;
mod lock;
pub mod merge;
pub mod output;
pub mod pooled;
pub mod read;
pub mod row;
pub mod running;
pub mod schema;
pub mod show;
pub mod write;

pub use contents::ResultFile;
pub use error::ResultError;
pub use output::Output;
pub use running::Running;

#[cfg(test)]
mod column_tests;
#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod output_tests;
