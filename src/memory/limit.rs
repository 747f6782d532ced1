//! A limit on this process's private memory (RLIMIT_DATA), enforced by the kernel.

use std::io;

use crate::memory::Seen;

/// Bytes allowed for the allocator and the runtime in addition to a round's buffers; allocator arenas grow in steps.
pub const RUNTIME_ROOM: u64 = 4 << 20;

/// While this value lives, mmap and malloc fail if private memory would exceed the limit.
#[derive(Debug)]
pub struct Limit {
    before: libc::rlimit,
}

impl Limit {
    /// Allows `bytes` and [`RUNTIME_ROOM`] of private memory beyond what the process has requested so far. Shared
    /// windows are not counted. An existing limit is never raised.
    ///
    /// # Errors
    /// If the kernel does not report VmData or refuses the limit.
    pub fn allow(bytes: u64) -> io::Result<Limit> {
        let now = Seen::now().ok_or_else(|| io::Error::other("/proc/self/status does not say VmData"))?;
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: a struct of the type that the call fills.
        if unsafe { libc::getrlimit(libc::RLIMIT_DATA, &mut before) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let wanted = now.data.saturating_add(bytes).saturating_add(RUNTIME_ROOM);
        set(libc::rlimit { rlim_cur: wanted.min(before.rlim_cur), rlim_max: before.rlim_max })?;
        Ok(Limit { before })
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // The soft limit may be raised again up to the hard limit, which was not changed.
        let _ = set(self.before);
    }
}

fn set(limit: libc::rlimit) -> io::Result<()> {
    // SAFETY: the call only reads `limit`.
    if unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
