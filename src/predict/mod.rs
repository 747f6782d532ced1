//! Prediction: the time of a round on machines that were not measured.
//!
//! A plan names every message and every sum. [`simulate()`] carries out the lowerings of all ranks as the engine does, on a
//! machine that a few [`Parameters`] describe, which come from a result file. [`held_out`](mod@held_out) compares such
//! predictions with measured cells that the parameters do not come from; [`forecast()`] attaches that error to predictions.
//!
//! The model leaves out: the time that the MPI library takes beside its overhead a message, other programs, cores that a
//! rank's own transport takes from others, and contention inside a switch.

mod actor;
mod channel;
mod ends;
pub mod fabric;
pub mod forecast;
pub mod front;
pub mod held_out;
mod neighbourhood;
pub mod parameters;
mod sharing;
pub mod simulate;
mod simulation;
mod state;
mod stream_names;
mod symmetry;
pub mod trace;
mod work;

pub use fabric::{Fabric, FabricLevel};
pub use forecast::{Forecast, Subject, Trust, forecast};
pub use front::Front;
pub use held_out::{HeldOut, Observed, fit, held_out, trust};
pub use parameters::{MachineModel, Parameters, ParametersError};
pub use simulate::{simulate, simulate_on};
pub use simulation::{Simulated, Unpredictable};
pub use trace::{Trace, trace, trace_on};

#[cfg(test)]
mod closed_form_tests;
#[cfg(test)]
mod simulate_tests;
#[cfg(test)]
mod symmetry_tests;
#[cfg(test)]
mod trace_tests;
