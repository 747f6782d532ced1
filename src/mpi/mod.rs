//! The only door to MPI's C interface: checked calls, shared windows, large counts, abort on panic.
//!
//! All `unsafe` that MPI needs is here. Every return code becomes a typed error that names the call and says what the
//! library said.

mod collective;
mod communicator;
mod error;
mod launcher;
mod requests;
mod window;
mod world;

pub use collective::{MOST_ELEMENTS, Scalar};
pub use communicator::Communicator;
pub use error::MpiError;
pub use launcher::{Launcher, launcher};
pub use requests::Requests;
pub use window::SharedWindow;
pub use world::{World, library_version};
