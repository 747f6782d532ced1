//! A limit on this process's private memory (RLIMIT_DATA), enforced by the kernel.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::memory::Seen;

/// Bytes allowed for the allocator and the runtime in addition to a round's buffers; allocator arenas grow in steps.
pub const RUNTIME_ROOM: u64 = 4 << 20;

/// While this value lives, mmap and malloc fail if private memory would exceed the limit. A process that dies of it
/// leaves no core dump, since its death is what the limit is for.
#[derive(Debug)]
pub struct Limit {
    data: Rlimit,
    core: Rlimit,
}

impl Limit {
    /// Allows `bytes` and [`RUNTIME_ROOM`] of private memory beyond what the process has requested so far. Shared
    /// windows are not counted. An existing limit is never raised.
    ///
    /// # Errors
    /// If the kernel does not report VmData or refuses the limit.
    pub fn allow(bytes: u64) -> io::Result<Limit> {
        let now = Seen::now().ok_or_else(|| io::Error::other("/proc/self/status does not say VmData"))?;
        let (data, core) = (getrlimit(Resource::Data), getrlimit(Resource::Core));
        let wanted = now.data.saturating_add(bytes).saturating_add(RUNTIME_ROOM);
        let wanted = data.current.map_or(wanted, |limit| wanted.min(limit));
        setrlimit(Resource::Data, Rlimit { current: Some(wanted), ..data })?;
        let limit = Limit { data, core };
        setrlimit(Resource::Core, Rlimit { current: Some(0), ..core })?;
        Ok(limit)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // The soft limits may be raised again up to the hard limits, which were not changed.
        let _ = setrlimit(Resource::Data, self.data);
        let _ = setrlimit(Resource::Core, self.core);
    }
}
