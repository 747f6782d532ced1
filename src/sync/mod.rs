//! Lets ranks begin a round together: after a barrier of our own, or at an agreed time.
//!
//! Messages here are three numbers between two ranks over any transport. The arithmetic on clock readings is in
//! [`stats::clock_model`](crate::stats::clock_model).

mod dissemination;
#[allow(unsafe_code)]
mod exchange;
mod global_clock;
mod local_clock;
mod start;

pub use global_clock::GlobalClock;
pub use local_clock::LocalClock;
pub use start::{Begun, Start, Synchroniser};
