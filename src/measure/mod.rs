//! How samples are taken and what is said about them. Knows nothing of MPI.

pub mod blocks;
pub mod clock;
pub mod summary;

pub use blocks::BlockOrder;
pub use summary::{Summary, summarise};
