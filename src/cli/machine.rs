//! `gradshard machine`: describes the machine of every rank, and measures the machine's limits.

use clap::Args;
use gradshard::engine::Transport;
use gradshard::machine::describe;
use gradshard::roofline;
use serde_json::json;

use super::{Failure, ListFormat, print};

#[derive(Args)]
pub struct MachineArgs {
    /// How to print it
    #[arg(long, value_enum, default_value = "text")]
    format: ListFormat,
}

/// Collects the description of every rank, measures the limits, and prints both on rank 0.
pub fn machine(args: &MachineArgs) -> Result<(), Failure> {
    #[cfg(feature = "mpi")]
    return super::under_mpi::with_mpi(|transport| report(transport, args));
    #[cfg(not(feature = "mpi"))]
    gradshard::engine::run_threads(&[0], |transport| report(transport, args)).into_iter().collect()
}

fn report(transport: &mut dyn Transport, args: &MachineArgs) -> Result<(), Failure> {
    let machines = gradshard::job::machines(transport)?;
    let limits = roofline::probe(transport)?;
    let Some(machines) = machines else { return Ok(()) };
    match args.format {
        ListFormat::Text => print(&format!("{}\n{}", describe(&machines), roofline::describe(&limits))),
        ListFormat::Json => print(&format!("{:#}\n", json!({"machines": machines, "limits": limits}))),
    }
}
