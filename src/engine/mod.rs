//! The engine carries out a plan: it moves pieces over a transport and sums them.

pub mod buffer;
mod entry;
pub mod kernels;
pub mod ledger;
#[cfg(feature = "mpi")]
pub mod mpi_transport;
mod native;
pub mod node_clock;
mod pace;
mod reach;
mod relay;
pub mod residents;
pub mod round;
mod stream;
mod task;
pub mod threads;
pub mod transport;
pub mod verify;

pub use buffer::{Buffer, OutOfMemory};
pub use ledger::{Ledger, Purpose};
pub use residents::Residents;
pub use round::{EngineError, Round, Spec};
pub use threads::run_threads;
pub use transport::{Shared, Transport, TransportError};
