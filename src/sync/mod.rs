//! How ranks begin a round together: behind a barrier of our own, or at a moment agreed upon beforehand.
//!
//! Messages here are two or three numbers between two ranks, over whatever connects them. What is made of clocks'
//! readings is in [`measure::clock_model`](crate::stats::clock_model).

mod dissemination;
#[allow(unsafe_code)]
mod exchange;
mod global_clock;
mod local_clock;
mod start;

pub use global_clock::GlobalClock;
pub use local_clock::LocalClock;
pub use start::{Begun, Start, Synchroniser};
