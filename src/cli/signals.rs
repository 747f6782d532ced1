//! Handles signals that ask a job to stop, and SIGXFSZ, which should be a write error instead.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gradshard::job::Stop;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;

/// Signals that ask the job to stop, and their names. Slurm sends SIGTERM at the time limit, or earlier the signal
/// that `--signal` names, such as SIGUSR1.
const ASKING: [(i32, &str); 3] = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGUSR1, "SIGUSR1")];

/// Installs the handlers: from now on these signals are noted, and do not end the process at once.
///
/// # Errors
/// The system refuses a handler.
pub fn watch() -> io::Result<Stop> {
    let stop = Stop::default();
    // A second Ctrl-C ends the process without waiting for the round.
    let asked = Arc::new(AtomicBool::new(false));
    flag::register_conditional_default(SIGINT, Arc::clone(&asked))?;
    flag::register(SIGINT, asked)?;
    for (signal, _) in ASKING {
        flag::register_usize(signal, stop.flag(), signal.unsigned_abs() as usize)?;
    }
    // With a handler, a file that exceeds its size limit is a write error, which a save reports.
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(stop)
}

/// Name of a signal, for messages.
pub fn name(signal: i32) -> String {
    let known = ASKING.iter().find(|(number, _)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}
