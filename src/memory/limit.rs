//! A limit on this process's private memory (RLIMIT_DATA), enforced by the kernel.

use std::io;

use crate::memory::Seen;

/// Bytes allowed for the allocator and the runtime in addition to a round's buffers; allocator arenas grow in steps.
pub const RUNTIME_ROOM: u64 = 4 << 20;

/// While this value lives, mmap and malloc fail if private memory would exceed the limit. A process that dies of it
/// leaves no core dump, since its death is what the limit is for.
#[derive(Debug)]
pub struct Limit {
    data: libc::rlimit,
    core: libc::rlimit,
}

impl Limit {
    /// Allows `bytes` and [`RUNTIME_ROOM`] of private memory beyond what the process has requested so far. Shared
    /// windows are not counted. An existing limit is never raised.
    ///
    /// # Errors
    /// If the kernel does not report VmData or refuses the limit.
    pub fn allow(bytes: u64) -> io::Result<Limit> {
        let now = Seen::now().ok_or_else(|| io::Error::other("/proc/self/status does not say VmData"))?;
        let (data, core) = (get(libc::RLIMIT_DATA)?, get(libc::RLIMIT_CORE)?);
        let wanted = now.data.saturating_add(bytes).saturating_add(RUNTIME_ROOM);
        set(libc::RLIMIT_DATA, libc::rlimit { rlim_cur: wanted.min(data.rlim_cur), ..data })?;
        let limit = Limit { data, core };
        set(libc::RLIMIT_CORE, libc::rlimit { rlim_cur: 0, ..core })?;
        Ok(limit)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // The soft limits may be raised again up to the hard limits, which were not changed.
        let _ = set(libc::RLIMIT_DATA, self.data);
        let _ = set(libc::RLIMIT_CORE, self.core);
    }
}

fn get(resource: libc::__rlimit_resource_t) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a struct of the type that the call fills.
    if unsafe { libc::getrlimit(resource, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit)
}

fn set(resource: libc::__rlimit_resource_t, limit: libc::rlimit) -> io::Result<()> {
    // SAFETY: the call only reads `limit`.
    if unsafe { libc::setrlimit(resource, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
