//! The only module that calls MPI's C interface. It offers checked calls, shared windows, messages and collectives of any
//! length, and it ends the job when a rank panics.
//!
//! All `unsafe` code that MPI needs is in this module. Every return code becomes an [`MpiError`] that names the MPI
//! function and quotes the library's text.

mod collective;
mod communicator;
mod control;
mod error;
mod launcher;
mod requests;
mod version;
mod window;
mod world;

pub use collective::{Equivalence, MOST_ELEMENTS, StartedCollective};
pub use communicator::Communicator;
pub use control::{AlgorithmControl, components};
pub use error::MpiError;
pub use launcher::{LaunchedProcess, launcher};
pub use requests::Requests;
pub use version::library_version;
pub use window::SharedWindow;
pub use world::World;
