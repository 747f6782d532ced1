//! Commands that run on every rank of an MPI job.

use std::io::Write;
use std::time::Duration;

use gradshard::engine::Transport;
use gradshard::engine::mpi_transport::MpiTransport;
use gradshard::mpi::World;

use super::{BAD_INPUT, Failure, after_the_first, input, is_silent, say};

/// Longest time for MPI_Finalize once all ranks are through. The results are saved by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts MPI, runs `body` on every rank, and ends MPI.
///
/// If ranks have lost each other, it aborts the whole job, as MPI_Finalize would wait for ever.
pub fn with_mpi(body: impl FnOnce(&mut dyn Transport) -> Result<(), Failure>) -> Result<(), Failure> {
    let world = match World::init() {
        Ok(world) => world,
        // MPI does not connect the processes here, so the launcher's first one prints the message.
        Err(_) if is_silent() => return Err(after_the_first()),
        Err(error) => return Err(input(error)),
    };
    let mut transport = MpiTransport::new(&world)?;
    let done = match body(&mut transport) {
        Err(Failure::Other(error)) => {
            say(&format!("rank {}: {error:#}", transport.rank()));
            world.abort(1);
            Err(Failure::Said(1))
        }
        Err(Failure::Input(error)) => {
            say(&format!("{error:#}"));
            Err(Failure::Said(BAD_INPUT))
        }
        done => done,
    };
    // A launcher ends every rank as soon as one fails, so no rank may end before rank 0 has printed its message. (All
    // ranks are here, or the job has been aborted.)
    transport.barrier()?;
    let first = transport.rank() == 0;
    drop(transport);
    let code = match &done {
        Err(Failure::Said(code)) => *code,
        _ => 0,
    };
    world.finish(code, PATIENCE, move || {
        if first {
            let seconds = PATIENCE.as_secs();
            say(&format!(
                "MPI_Finalize has not returned after {seconds} s; all work is done, so the job ends without it"
            ));
        }
        // The process ends without the standard library's flush.
        let _ = std::io::stdout().flush();
    });
    done
}
