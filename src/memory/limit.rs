//! A limit on this process's private memory that the kernel enforces while it stands: RLIMIT_DATA.

use std::io;

use crate::memory::Seen;

/// What the allocator and the runtime may take beside the buffers of a round, bytes: its arenas grow by steps.
pub const RUNTIME_ROOM: u64 = 4 << 20;

/// While this lives, private memory beyond the limit is refused: mmap and malloc fail.
#[derive(Debug)]
pub struct Limit {
    before: libc::rlimit,
}

impl Limit {
    /// Allows `bytes` more private memory than the process has asked for until now, and [`RUNTIME_ROOM`]. Shared windows
    /// are not counted. A limit that stood before is only ever lowered.
    ///
    /// # Errors
    /// The kernel does not say what the process has asked for, or refuses the limit.
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
        // The soft limit may be raised up to the hard one, which was not touched.
        let _ = set(self.before);
    }
}

fn set(limit: libc::rlimit) -> io::Result<()> {
    // SAFETY: a limit of this process; the struct is only read.
    if unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
