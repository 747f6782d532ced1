//! Memory shared by the ranks of a node: MPI-3 shared windows.

use std::ffi::{CString, c_int, c_void};

use mpi::ffi;

use super::error::checked;
use super::{Communicator, MpiError};

/// Alignment of a part: two cache lines, and the widest vector.
const ALIGNMENT: usize = 128;

/// A shared window: each rank of a node contributes a part, all ranks can reach every part.
pub struct SharedWindow {
    window: ffi::MPI_Win,
    parts: Vec<*mut u8>,
    rank: usize,
    bytes: usize,
}

impl SharedWindow {
    /// Allocates `bytes` bytes on this rank. Collective over `node`, whose ranks must share memory.
    ///
    /// Each rank's part lies on pages of its own, so that who touches it first decides on its NUMA node, and begins at a
    /// multiple of 128 bytes.
    /// /dev/shm is asked first: where it is too small, first touch would end in SIGBUS.
    pub fn allocate(node: &Communicator, bytes: usize) -> Result<Self, MpiError> {
        // The libraries promise no alignment, and Open MPI's parts begin behind a header of its own.
        let padded = bytes + ALIGNMENT;
        let asked = node.sum(padded as u64)?;
        let free = shared_memory_free();
        if let Some(free) = free
            && asked > free
        {
            return Err(MpiError::SharedMemory { asked, free });
        }
        // SAFETY: constants of the library and locals; every rank of the communicator makes the same calls.
        unsafe {
            let mut info = ffi::RSMPI_INFO_NULL;
            checked("MPI_Info_create", ffi::MPI_Info_create(&mut info))?;
            let (key, value) = (c"alloc_shared_noncontig".to_owned(), CString::from(c"true"));
            checked("MPI_Info_set", ffi::MPI_Info_set(info, key.as_ptr().cast_mut(), value.as_ptr().cast_mut()))?;
            let mut window = ffi::RSMPI_WIN_NULL;
            let mut base: *mut c_void = std::ptr::null_mut();
            let code = ffi::MPI_Win_allocate_shared(
                padded as ffi::MPI_Aint,
                1,
                info,
                node.handle(),
                (&raw mut base).cast(),
                &mut window,
            );
            ffi::MPI_Info_free(&mut info);
            checked("MPI_Win_allocate_shared", code)?;
            let mut parts = Vec::with_capacity(node.size());
            for rank in 0..node.size() {
                let (mut size, mut unit): (ffi::MPI_Aint, c_int) = (0, 0);
                let mut part: *mut c_void = std::ptr::null_mut();
                let code =
                    ffi::MPI_Win_shared_query(window, rank as c_int, &mut size, &mut unit, (&raw mut part).cast());
                checked("MPI_Win_shared_query", code)?;
                // The same place in every rank's view of a part: views begin at pages, of which this is a fraction.
                let part: *mut u8 = part.cast();
                parts.push(part.wrapping_add(part.align_offset(ALIGNMENT)));
            }
            // A passive epoch for the window's whole life: what is read and written is ordered by our own atomics.
            checked("MPI_Win_lock_all", ffi::MPI_Win_lock_all(0, window))?;
            Ok(SharedWindow { window, parts, rank: node.rank(), bytes })
        }
    }

    /// Where the part of rank `rank` of the node begins.
    pub fn part(&self, rank: usize) -> *mut u8 {
        self.parts[rank]
    }

    /// Where this rank's own part begins.
    pub fn own(&self) -> *mut u8 {
        self.parts[self.rank]
    }

    /// Bytes of this rank's own part.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for SharedWindow {
    fn drop(&mut self) {
        // SAFETY: ours, locked in `allocate`; freeing is collective, and every rank drops its windows in one order.
        unsafe {
            ffi::MPI_Win_unlock_all(self.window);
            ffi::MPI_Win_free(&mut self.window);
        }
    }
}

/// Bytes free in /dev/shm, where both libraries keep shared windows; None where it cannot be asked.
fn shared_memory_free() -> Option<u64> {
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: a valid path and a buffer of the right type; it is read only after success.
    unsafe {
        if libc::statvfs(c"/dev/shm".as_ptr(), stat.as_mut_ptr()) != 0 {
            return None;
        }
        let stat = stat.assume_init();
        Some(stat.f_bavail * stat.f_frsize)
    }
}
