//! Memory that the ranks of a node share (MPI-3 shared windows).

use std::ffi::{c_int, c_void};

use mpi_sys as ffi;

use super::Communicator;
use super::error::{MpiError, Result, call};

/// Alignment of a part, bytes: two cache lines, which is also enough for the widest vector.
const ALIGNMENT: usize = 128;

/// A shared window. Each rank of a node contributes a part, and every rank can read and write all parts.
pub struct SharedWindow {
    window: ffi::MPI_Win,
    parts: Vec<*mut u8>,
    rank: usize,
}

impl SharedWindow {
    /// Allocates `bytes` bytes on this rank. Collective over `node`, whose ranks must share memory.
    ///
    /// Each rank's part lies on pages of its own, so the NUMA node of the rank that touches a page first holds it. A part
    /// begins at a multiple of 128 bytes.
    ///
    /// # Errors
    /// [`MpiError::SharedMemory`] if /dev/shm is too small: without this check the first touch would end in SIGBUS.
    pub fn allocate(node: &Communicator, bytes: usize) -> Result<Self> {
        // MPI promises no alignment, and in Open MPI a header precedes each part.
        let padded = bytes + ALIGNMENT;
        let asked = node.sum(padded as u64)?;
        // Both libraries keep shared windows in /dev/shm.
        let free = rustix::fs::statvfs("/dev/shm").map_or(u64::MAX, |space| space.f_bavail * space.f_frsize);
        if asked > free {
            return Err(MpiError::SharedMemory { asked, free });
        }
        // SAFETY: every rank of the communicator makes the same calls; results are written to locals.
        unsafe {
            let mut info = ffi::RSMPI_INFO_NULL;
            call!(MPI_Info_create, &mut info)?;
            let (key, value) = (c"alloc_shared_noncontig", c"true");
            call!(MPI_Info_set, info, key.as_ptr().cast_mut(), value.as_ptr().cast_mut())?;
            let mut window = ffi::RSMPI_WIN_NULL;
            let mut base: *mut c_void = std::ptr::null_mut();
            let (size, place) = (padded as ffi::MPI_Aint, (&raw mut base).cast());
            let allocated = call!(MPI_Win_allocate_shared, size, 1, info, node.handle(), place, &mut window);
            ffi::MPI_Info_free(&mut info);
            allocated?;
            let mut parts = Vec::with_capacity(node.size());
            for rank in 0..node.size() {
                let (mut size, mut unit): (ffi::MPI_Aint, c_int) = (0, 0);
                let mut part: *mut c_void = std::ptr::null_mut();
                let place = (&raw mut part).cast();
                call!(MPI_Win_shared_query, window, rank as c_int, &mut size, &mut unit, place)?;
                // Every rank's view of a part begins on a page, and the alignment divides the page size. So all ranks
                // skip the same number of bytes.
                let part: *mut u8 = part.cast();
                parts.push(part.wrapping_add(part.align_offset(ALIGNMENT)));
            }
            // One passive epoch spans the window's life. The engine's own atomics order all reads and writes.
            call!(MPI_Win_lock_all, 0, window)?;
            Ok(SharedWindow { window, parts, rank: node.rank() })
        }
    }

    /// The beginning of the part of rank `rank` of the node.
    pub fn part(&self, rank: usize) -> *mut u8 {
        self.parts[rank]
    }

    /// The beginning of this rank's own part.
    pub fn own(&self) -> *mut u8 {
        self.parts[self.rank]
    }
}

impl Drop for SharedWindow {
    fn drop(&mut self) {
        // SAFETY: `allocate` locked the window. Freeing it is collective, and every rank drops its windows in the same order.
        unsafe {
            ffi::MPI_Win_unlock_all(self.window);
            ffi::MPI_Win_free(&mut self.window);
        }
    }
}
