//! How samples are taken and what is said about them. Knows nothing of MPI.

pub mod alpha;
pub mod blocks;
pub mod clock;
pub mod interval;
pub mod summary;

pub use alpha::Alpha;
pub use blocks::BlockOrder;
pub use interval::Interval;
pub use summary::{Summary, summarise, summarise_at};
