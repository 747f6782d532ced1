//! The start and the end of MPI.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, mpsc};
use std::time::Duration;

use mpi_sys as ffi;

use super::control::OPEN_MPI_SWITCH;
use super::error::{MpiError, Result, call};
use super::version::library_version;
use super::{Communicator, launcher};

/// The exit code of a job that ends because a rank panicked.
const PANIC_EXIT: c_int = 101;
/// Wait before a job is aborted.
const TIME_FOR_WORDS: Duration = Duration::from_millis(200);

/// True between MPI_Init and MPI_Finalize. Only then may a panic call MPI_Abort.
static RUNNING: AtomicBool = AtomicBool::new(false);

/// The initialised MPI library. Dropping it calls MPI_Finalize, so all communicators and windows must be dropped before.
pub struct World {
    communicator: Communicator,
}

impl World {
    /// Initialises MPI, lets its errors return, and installs a panic hook that ends the whole job.
    ///
    /// # Errors
    /// [`MpiError::OtherLauncher`] if the number of ranks differs from the number of processes that the launcher started.
    pub fn init() -> Result<World> {
        let (mut provided, none): (c_int, _) = (0, std::ptr::null_mut());
        if std::env::var_os(OPEN_MPI_SWITCH).is_none() {
            // SAFETY: the only other thread of this process waits for signals, and reads no environment.
            unsafe { std::env::set_var(OPEN_MPI_SWITCH, "1") };
        }
        // SAFETY: MPI accepts null argument pointers, and no other MPI call precedes this one.
        unsafe { call!(MPI_Init_thread, none, none.cast(), ffi::RSMPI_THREAD_FUNNELED, &mut provided) }?;
        RUNNING.store(true, Ordering::SeqCst);
        // SAFETY: Open MPI 4.1 crashes at the end unless MPI_T begins after MPI_Init and ends before MPI_Finalize.
        unsafe { call!(MPI_T_init_thread, ffi::RSMPI_THREAD_FUNNELED, &mut provided) }?;
        abort_on_panic();
        let communicator = Communicator::world()?;
        let world = World { communicator };
        if let Some(launcher) = launcher()
            && launcher.processes != world.communicator.size()
        {
            return Err(MpiError::OtherLauncher {
                launcher: launcher.name,
                launched: launcher.processes,
                seen: world.communicator.size(),
                library: library_version()?,
            });
        }
        Ok(world)
    }

    /// Ends all ranks of the job with the exit code `code`. It is for ranks that have lost each other.
    pub fn abort(&self, code: i32) {
        abort(code);
    }

    /// Ends MPI. If MPI_Finalize does not return within `patience`, the process calls `say` and ends with exit code `code`.
    ///
    /// MPICH 4.0.2 over UCX sometimes waits for ever in MPI_Finalize: one rank waits for connections to close, and the
    /// others wait for that rank.
    pub fn finish(self, code: u8, patience: Duration, say: impl FnOnce() + Send + 'static) {
        let (ended, end) = mpsc::channel::<()>();
        // If no thread can be started, nobody watches MPI_Finalize. The thread makes no MPI call.
        let _ = std::thread::Builder::new().name("end of MPI".into()).spawn(move || {
            if end.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                say();
                // SAFETY: this ends the process without exit handlers, which would call the library that hangs.
                unsafe { libc::_exit(c_int::from(code)) };
            }
        });
        drop(self);
        drop(ended);
    }

    /// The communicator of all ranks.
    pub fn communicator(&self) -> &Communicator {
        &self.communicator
    }
}

impl Drop for World {
    fn drop(&mut self) {
        RUNNING.store(false, Ordering::SeqCst);
        // SAFETY: `init` has initialised MPI and its tool interface, and only this block finalises them. Nobody can use
        // the return codes here.
        unsafe {
            ffi::MPI_T_finalize();
            ffi::MPI_Finalize();
        };
    }
}

/// Ends all ranks. MPI must be initialised and not finalised.
fn abort(code: c_int) {
    // Launchers pass standard error on in the background, and drop what has not arrived when a job is aborted.
    std::thread::sleep(TIME_FOR_WORDS);
    // SAFETY: MPI is initialised and not finalised; MPI_Abort does not return.
    unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code) };
}

/// Installs a panic hook that ends all ranks: without it the others would wait for ever for the rank that panicked.
fn abort_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            if RUNNING.load(Ordering::SeqCst) {
                abort(PANIC_EXIT);
            }
        }));
    });
}
