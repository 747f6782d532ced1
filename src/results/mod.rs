//! The result file: the measurements of a job in HDF5, readable with h5py and h5dump alone.
//!
//! Reading a file and comparing medians, in seconds:
//!
//! ```
//! use gradshard::plan::End;
//! use gradshard::results::ResultFile;
//!
//! # fn main() -> Result<(), gradshard::results::ResultError> {
//! let file = ResultFile::open("tests/data/schema-4.h5")?;
//! let everywhere = file.cells.iter().filter(|cell| cell.end == End::Everywhere);
//! let fastest = everywhere.filter_map(|cell| Some((cell.timed()?, cell))).min_by(|a, b| a.0.total_cmp(&b.0));
//! let Some((seconds, cell)) = fastest else { panic!("no cell was timed") };
//! println!("{}, M = {}: {seconds} s, median of {} rounds", cell.strategy, cell.shards, cell.samples);
//! assert_eq!((cell.strategy.as_str(), cell.samples), ("tree-central", 3));
//! # Ok(())
//! # }
//! ```

pub mod advice;
pub mod clean_copy;
pub mod column;
pub mod consistency;
pub mod contents;
pub mod contest;
mod digest;
pub mod distinct;
pub mod environment;
pub mod error;
pub mod function_row;
pub mod guidelines;
pub mod host;
pub mod job_row;
mod lock;
pub mod merge;
pub mod output;
pub mod own_file;
pub mod pairs;
pub mod pooled;
pub mod read;
pub mod row;
pub mod running;
pub mod schema;
pub mod show;
pub mod write;

pub use contents::ResultFile;
pub use environment::Environment;
pub use error::ResultError;
pub use output::Output;
pub use running::Running;

#[cfg(test)]
mod column_tests;
#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod other_files_tests;
#[cfg(test)]
mod output_tests;
