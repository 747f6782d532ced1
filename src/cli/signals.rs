//! Signals that ask a job to stop, and those that would end it where an error is better.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gradshard::job::Stop;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;

/// Each asks for the same: Slurm sends SIGTERM at the time limit, or before it what `--signal` names, such as SIGUSR1.
const ASKING: [(i32, &str); 3] = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGUSR1, "SIGUSR1")];

/// From here on these signals are noted instead of ending the process at once.
///
/// # Errors
/// The system refuses a handler.
pub fn watch() -> io::Result<Stop> {
    let stop = Stop::default();
    // Who presses Ctrl-C twice does not want to wait for the round.
    let asked = Arc::new(AtomicBool::new(false));
    flag::register_conditional_default(SIGINT, Arc::clone(&asked))?;
    flag::register(SIGINT, asked)?;
    for (signal, _) in ASKING {
        flag::register_usize(signal, stop.flag(), signal.unsigned_abs() as usize)?;
    }
    // A file that may not grow is then an error that a save reports.
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(stop)
}

/// The signal's name.
pub fn name(signal: i32) -> String {
    let known = ASKING.iter().find(|(number, _)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}
