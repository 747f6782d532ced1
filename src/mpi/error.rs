//! MPI's return codes as errors.

use std::ffi::{c_char, c_int};

use mpi::ffi;

/// What MPI, or the way it was started, did wrong.
#[derive(Debug, thiserror::Error)]
pub enum MpiError {
    /// A call failed.
    #[error("{call}: {message} (code {code})")]
    Call {
        /// The MPI function.
        call: &'static str,
        /// Its return code.
        code: c_int,
        /// What the library says of the code.
        message: String,
    },
    /// The launcher started more processes than MPI sees.
    #[error(
        "{launcher} started {launched} processes, but this MPI library ({library}) sees a world of {seen}: it is another \
         library's launcher; use the mpirun or srun that belongs to the library gradshard was built with"
    )]
    OtherLauncher {
        /// Who started the processes.
        launcher: &'static str,
        /// How many it started.
        launched: usize,
        /// How many ranks MPI sees.
        seen: usize,
        /// The library's first words on itself.
        library: String,
    },
    /// Memory shared inside the node does not suffice.
    #[error(
        "the ranks of this node ask for {asked} bytes of shared memory, but /dev/shm has {free} free; enlarge it, or \
         set \"intra_node\": \"messages\""
    )]
    SharedMemory {
        /// Bytes asked for, all ranks of the node together.
        asked: u64,
        /// Bytes free.
        free: u64,
    },
    /// A tag or a count is beyond what the library takes.
    #[error("{what} {value} is beyond the library's limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        value: u64,
        /// How large it may be.
        limit: u64,
    },
}

/// Turns a return code of `call` into a result.
pub(super) fn checked(call: &'static str, code: c_int) -> Result<(), MpiError> {
    if code == ffi::MPI_SUCCESS as c_int {
        return Ok(());
    }
    let mut text = [0 as c_char; 1024];
    let mut length: c_int = 0;
    // SAFETY: 1,024 bytes exceed MPI_MAX_ERROR_STRING of Open MPI (256) and MPICH (512).
    let said = unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr(), &mut length) };
    let message = if said == ffi::MPI_SUCCESS as c_int { text_of(&text, length) } else { "unknown error".to_owned() };
    Err(MpiError::Call { call, code, message })
}

/// The first `length` characters of a text that C wrote.
pub(super) fn text_of(text: &[c_char], length: c_int) -> String {
    let bytes: Vec<u8> = text.iter().take(length.max(0) as usize).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').trim().to_owned()
}
