//! Starting and ending MPI.

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, mpsc};
use std::time::Duration;

use mpi::ffi;

use super::error::{checked, text_of};
use super::{Communicator, MpiError, launcher};

/// Exit code of a job that ends because a rank panicked.
const PANIC_EXIT: c_int = 101;

/// True between MPI_Init and MPI_Finalize: only then may a panic call MPI_Abort.
static RUNNING: AtomicBool = AtomicBool::new(false);

/// MPI, initialised. Dropping it finalises MPI, so every communicator and window must be gone before.
pub struct World {
    communicator: Communicator,
}

impl World {
    /// Initialises MPI, makes its errors return, ends the whole job when a rank panics, and compares the number of
    /// ranks with what the launcher started.
    pub fn init() -> Result<World, MpiError> {
        let mut provided: c_int = 0;
        // SAFETY: MPI accepts null argument pointers; this is called once, before any other MPI call.
        let code = unsafe {
            ffi::MPI_Init_thread(std::ptr::null_mut(), std::ptr::null_mut(), ffi::RSMPI_THREAD_FUNNELED, &mut provided)
        };
        checked("MPI_Init_thread", code)?;
        RUNNING.store(true, Ordering::SeqCst);
        abort_on_panic();
        // SAFETY: the handles are the library's own constants.
        let code = unsafe { ffi::MPI_Comm_set_errhandler(ffi::RSMPI_COMM_WORLD, ffi::RSMPI_ERRORS_RETURN) };
        checked("MPI_Comm_set_errhandler", code)?;
        // SAFETY: MPI_COMM_WORLD lives as long as MPI.
        let communicator = unsafe { Communicator::predefined(ffi::RSMPI_COMM_WORLD) }?;
        let world = World { communicator };
        if let Some(launcher) = launcher()
            && launcher.processes != world.communicator.size()
        {
            let library = library_version()?;
            return Err(MpiError::OtherLauncher {
                launcher: launcher.name,
                launched: launcher.processes,
                seen: world.communicator.size(),
                library: library.split(['\n', ',']).next().unwrap_or_default().to_owned(),
            });
        }
        Ok(world)
    }

    /// Ends the whole job, all ranks, with this exit code. For when ranks have lost each other.
    pub fn abort(&self, code: i32) {
        // SAFETY: MPI is initialised and not finalised.
        unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code) };
    }

    /// Ends MPI. A library that does not let go within `patience` is left alone: `say` is called, and the process ends with
    /// exit code `code`. MPICH 4.0.2 over UCX waits for ever in MPI_Finalize now and then, one rank for connections to
    /// close, the others for that rank.
    pub fn finish(self, code: u8, patience: Duration, say: impl FnOnce() + Send + 'static) {
        let (ended, end) = mpsc::channel::<()>();
        // Where no thread can be had MPI ends unwatched. The thread makes no call to MPI.
        let _ = std::thread::Builder::new().name("end of MPI".into()).spawn(move || {
            if end.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                say();
                // SAFETY: ends the process at once; handlers at exit would enter the library that does not let go.
                unsafe { libc::_exit(c_int::from(code)) };
            }
        });
        drop(self);
        drop(ended);
    }

    /// All ranks.
    pub fn communicator(&self) -> &Communicator {
        &self.communicator
    }
}

impl Drop for World {
    fn drop(&mut self) {
        RUNNING.store(false, Ordering::SeqCst);
        // SAFETY: initialised by `init`; finalised once, here. The code is of no use at this point.
        unsafe { ffi::MPI_Finalize() };
    }
}

/// What the library says of itself, such as `Open MPI v4.1.4, package: …`. May be called before MPI is initialised.
pub fn library_version() -> Result<String, MpiError> {
    // The buffer is MPI_MAX_LIBRARY_VERSION_STRING long: 256 in Open MPI, 8,192 in MPICH.
    let mut text = vec![0 as c_char; 8192 + 1];
    let mut length: c_int = 0;
    // SAFETY: the buffer is as long as the longest version string of either library.
    let code = unsafe { ffi::MPI_Get_library_version(text.as_mut_ptr(), &mut length) };
    checked("MPI_Get_library_version", code)?;
    Ok(text_of(&text, length))
}

/// A panic on one rank would leave the others waiting for ever: end them all.
fn abort_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            if RUNNING.load(Ordering::SeqCst) {
                // SAFETY: MPI is initialised and not finalised; MPI_Abort does not return.
                unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, PANIC_EXIT) };
            }
        }));
    });
}
