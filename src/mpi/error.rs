//! Return codes of MPI functions as typed errors.

use std::ffi::{c_char, c_int};

use mpi_sys as ffi;

/// The result of a checked MPI call.
pub(super) type Result<T = ()> = std::result::Result<T, MpiError>;

/// An error of the MPI library, of the launcher, or of the node's shared memory.
#[derive(Debug, thiserror::Error)]
pub enum MpiError {
    /// An MPI function returned an error code.
    #[error("{call}: {message} (code {code})")]
    Call {
        /// Name of the MPI function.
        call: &'static str,
        /// Its return code.
        code: c_int,
        /// The library's text for the code (MPI_Error_string).
        message: String,
    },
    /// The launcher started a number of processes that differs from the size of MPI_COMM_WORLD.
    #[error(
        "{launcher} started {launched} processes, but this MPI library ({library}) sees a world of {seen}: the launcher \
         belongs to another MPI library; use the mpirun or srun of the library that gradshard was built with"
    )]
    OtherLauncher {
        /// Name of the launcher.
        launcher: &'static str,
        /// Number of processes that it started.
        launched: usize,
        /// Size of MPI_COMM_WORLD.
        seen: usize,
        /// Name and version of the library.
        library: String,
    },
    /// /dev/shm is too small for the shared windows of the node.
    #[error(
        "the ranks of this node ask for {asked} bytes of shared memory, but /dev/shm has {free} free; enlarge it, or \
         set \"intra_node\": \"messages\" in the experiment file"
    )]
    SharedMemory {
        /// Bytes that all ranks of the node together ask for.
        asked: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A tag or a count exceeds the library's limit.
    #[error("{what} {value} is beyond the library's limit of {limit}")]
    Limit {
        /// Name of the quantity that is too large.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The largest value that the library accepts.
        limit: u64,
    },
}

/// Calls the MPI function `$function` and turns its return code into a [`Result`].
macro_rules! call {
    ($function:ident $(, $argument:expr)* $(,)?) => {
        $crate::mpi::error::checked(stringify!($function), ffi::$function($($argument),*))
    };
}
pub(super) use call;

/// Turns the return `code` of the MPI function `call` into a result.
pub(super) fn checked(call: &'static str, code: c_int) -> Result {
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

/// Converts the first `length` characters of a C string, which need not be valid UTF-8.
pub(super) fn text_of(text: &[c_char], length: c_int) -> String {
    let bytes: Vec<u8> = text.iter().take(length.max(0) as usize).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').trim().to_owned()
}
