//! Commands that run on every rank of an MPI job.

use gradshard::engine::Transport;
use gradshard::engine::mpi_transport::MpiTransport;
use gradshard::mpi::{World, launcher};

use super::{BAD_INPUT, Failure, input};

/// Starts MPI, runs `body` on every rank, ends MPI.
///
/// Where ranks have lost each other, the whole job is ended: finalising would wait for ever.
pub fn with_mpi(body: impl FnOnce(&mut dyn Transport) -> Result<(), Failure>) -> Result<(), Failure> {
    let world = match World::init() {
        Ok(world) => world,
        // Each process is alone with itself here: the launcher's first one speaks for all.
        Err(error) if launcher().is_none_or(|launcher| launcher.rank == 0) => return Err(input(error)),
        Err(_) => return Err(Failure::Said(BAD_INPUT)),
    };
    let mut transport = MpiTransport::new(&world)?;
    let done = body(&mut transport);
    if let Err(Failure::Other(error)) = &done {
        eprintln!("gradshard: rank {}: {error:#}", transport.rank());
        world.abort(1);
    }
    drop(transport);
    drop(world);
    done
}
