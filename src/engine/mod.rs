//! The engine carries out a plan: it moves pieces over a transport and sums them.

pub mod buffer;
mod cold;
mod entry;
pub mod error;
mod incoming;
pub mod kernels;
pub mod ledger;
mod library;
pub mod life;
#[cfg(feature = "mpi")]
pub mod mpi_transport;
pub mod node_clock;
mod outgoing;
mod pace;
mod piece_task;
mod reach;
#[cfg(test)]
mod ready_tests;
pub mod residents;
pub mod round;
mod round_memory;
mod round_task;
#[cfg(feature = "mpi")]
mod segments;
pub mod spec;
mod sum_input;
mod task_board;
pub mod threads;
mod token;
pub mod transport;
pub mod verify;
pub mod watchdog;

pub use buffer::{Buffer, OutOfMemory};
pub use error::EngineError;
pub use ledger::{Ledger, Purpose};
pub use residents::Residents;
pub use round::Round;
pub use spec::Spec;
pub use threads::{run_threads, start_threads};
pub use transport::{Sent, Shared, Transport, TransportError};
