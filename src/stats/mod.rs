//! Statistics of samples: the order of blocks, estimates with intervals, tests, stopping rules, and clock arithmetic.
//! Pure functions that know nothing of MPI.

pub mod alpha;
pub mod autocorrelation;
pub mod blocks;
pub mod clock;
pub mod clock_model;
pub mod crossover;
pub mod hodges_lehmann;
pub mod holm;
pub mod interference;
pub mod interval;
pub mod jobs;
#[cfg(test)]
mod known_answer_tests;
pub mod log_ratios;
pub mod signed_rank;
pub mod stopping;
pub mod summary;
pub mod tails;
pub mod two_samples;
pub mod two_speeds;
pub mod verdict;
pub mod warm_up;

pub use alpha::Alpha;
pub use autocorrelation::Autocorrelation;
pub use blocks::BlockOrder;
pub use crossover::{Crossover, CrossoverError, SizedRatio, crossovers};
pub use interval::Interval;
pub use jobs::{PooledRatio, pool};
pub use log_ratios::{LogRatios, PairingError, Ratio};
pub use signed_rank::least_blocks;
pub use stopping::{Look, StopReason, Stopped, Stopping, StoppingRule};
pub use summary::{Summary, summarise, summarise_at};
pub use tails::Tails;
pub use two_samples::{TwoSampleRatio, between_jobs, one_against_jobs, unpaired};
pub use two_speeds::TwoSpeeds;
pub use verdict::{Evidence, Judgement, Verdict, judge};
pub use warm_up::WarmUp;
