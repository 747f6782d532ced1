//! Turns a failure of one rank into a failure of all ranks.

use crate::engine::transport::{Transport, agree};
use crate::engine::{EngineError, TransportError};
use crate::job::JobError;

/// Returns the value, or on every rank the first failing rank's reason. A lost transport stays an error. Collective.
pub fn settle<T>(transport: &mut dyn Transport, mine: Result<T, EngineError>) -> Result<Result<T, String>, JobError> {
    let verdict = match &mine {
        Ok(_) => Ok(()),
        Err(EngineError::Elsewhere) => Ok(()),
        Err(EngineError::Transport(error)) if is_lost(error) => {
            return mine.map(Ok).map_err(JobError::Lost);
        }
        Err(error) => Err(error.to_string()),
    };
    Ok(match (agree(transport, verdict)?, mine) {
        (Ok(()), Ok(value)) => Ok(value),
        (Err(reason), _) => Err(reason),
        (Ok(()), Err(error)) => Err(error.to_string()),
    })
}

/// Returns true if ranks can no longer communicate. A lack of shared memory is found before any rank waits.
fn is_lost(error: &TransportError) -> bool {
    match error {
        TransportError::Memory(_) => false,
        #[cfg(feature = "mpi")]
        TransportError::Mpi(crate::mpi::MpiError::SharedMemory { .. }) => false,
        _ => true,
    }
}
