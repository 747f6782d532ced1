//! Handles signals that ask a job to stop, and SIGXFSZ, which should be a write error instead.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use gradshard::engine::life::{self, Uninterrupted};
use gradshard::job::Stop;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::{STOPPED, say};

/// Signals that ask the job to stop, and their names. Slurm sends SIGTERM at the time limit, or earlier the signal
/// that `--signal` names, such as SIGUSR1.
const ASKING: [(i32, &str); 3] = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGUSR1, "SIGUSR1")];
/// Time without a sign of life after which SIGINT and SIGTERM end the process.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks at the signs of life, after a signal.
const LOOK: Duration = Duration::from_millis(50);

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

/// Ends the process after SIGINT or SIGTERM if it does not stop by itself: while it plans or opens files, and in a round that
/// does not move. The thread that does so sleeps until there is a signal, so that it takes no time from rounds.
///
/// # Errors
/// The system refuses a handler or the thread.
pub fn end_what_is_stuck() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            end_if_stuck(signal);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
}

/// Returns never: either the process ends elsewhere, or nothing moves for [`PATIENCE`] and it ends here.
fn end_if_stuck(signal: i32) -> ! {
    let mut beats = life::beats();
    let mut since = Instant::now();
    while since.elapsed() < PATIENCE {
        std::thread::sleep(LOOK);
        if life::beats() != beats || Uninterrupted::is_under_way() {
            (beats, since) = (life::beats(), Instant::now());
        }
    }
    let waiting = life::waiting();
    if super::is_silent() && waiting.is_empty() {
        // The launcher's first process says it for all.
        signal_hook::low_level::exit(i32::from(STOPPED));
    }
    let waiting = if waiting.is_empty() { String::new() } else { format!(" ({})", waiting.join("; ")) };
    say(&format!(
        "stopped by {}: nothing moved for {} s{waiting}; finished comparisons are saved, the same command with --resume \
         measures the rest",
        name(signal),
        PATIENCE.as_secs()
    ));
    // Without exit handlers: a library that hangs would not come back from its own.
    signal_hook::low_level::exit(i32::from(STOPPED))
}

/// Name of a signal, for messages.
pub fn name(signal: i32) -> String {
    let known = ASKING.iter().find(|(number, _)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}
