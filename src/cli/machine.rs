//! `gradshard machine`: what every rank runs on.

use clap::Args;
use gradshard::engine::Transport;
use gradshard::machine::{describe, to_json};

use super::{Failure, ListFormat, print};

#[derive(Args)]
pub struct MachineArgs {
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
}

/// Prints what the ranks say, on rank 0.
pub fn machine(args: &MachineArgs) -> Result<(), Failure> {
    #[cfg(feature = "mpi")]
    return super::under_mpi::with_mpi(|transport| report(transport, args));
    #[cfg(not(feature = "mpi"))]
    gradshard::engine::run_threads(&[0], |transport| report(transport, args)).into_iter().collect()
}

fn report(transport: &mut dyn Transport, args: &MachineArgs) -> Result<(), Failure> {
    let Some(machines) = gradshard::job::machines(transport)? else { return Ok(()) };
    match args.format {
        ListFormat::Text => print(&describe(&machines)),
        ListFormat::Json => print(&format!("{}\n", to_json(&machines)?)),
    }
}
