//! Rules that tell an MPI library which algorithm to use where, made from measured ratios.
//!
//! A sweep over the library's algorithms (`"native": {"algorithm": "all"}`) times the library's default and its other
//! algorithms in the same blocks. [`known`] turns the files of such sweeps into findings, [`Rules`] says for each message
//! size which algorithm is known to be faster, and [`open_mpi`] and [`mpich`] write that in the libraries' own formats. A
//! size at which nothing is known is left to the library's default.

mod collective;
mod communicator_shape;
mod error;
mod finding;
pub mod mpich;
pub mod open_mpi;
mod rules;
mod text;
mod verified;

pub use collective::Collective;
pub use communicator_shape::CommunicatorShape;
pub use error::TuneError;
pub use finding::{Candidate, Finding, known};
pub use rules::{RuleStep, Rules};
pub use text::{findings_json, findings_text, verified_text};
pub use verified::{Effect, Verified, verified};
