//! Communicators, and small exchanges of data with which ranks agree before and after a round.

use std::ffi::{CStr, CString, c_int};
use std::time::Duration;

use mpi_sys as ffi;

use super::error::{Result, call};

/// The largest number of bytes in one message of an exchange. It is far below the largest C int.
const EXCHANGE_BLOCK: usize = 1 << 28;

/// Sleep of a resting rank between two tests of its barrier. It begins with the shortest and doubles up to the longest.
const SHORTEST_NAP: Duration = Duration::from_micros(100);
const LONGEST_NAP: Duration = Duration::from_millis(5);

/// The key by which Open MPI since 4.1 takes the component that a new communicator prefers. It is in no manual: han makes its
/// own communicators with it.
const PREFERRED_COMPONENT: &CStr = c"ompi_comm_coll_preference";

/// A group of ranks that can exchange messages (MPI_Comm).
pub struct Communicator {
    handle: ffi::MPI_Comm,
    rank: usize,
    size: usize,
    owned: bool,
}

impl Communicator {
    /// Wraps MPI_COMM_WORLD. Dropping the wrapper does not free it.
    ///
    /// # Errors
    /// [`MpiError::Call`](super::MpiError::Call) before MPI_Init and after MPI_Finalize.
    pub(super) fn world() -> Result<Self> {
        // SAFETY: MPI_COMM_WORLD is a constant of the library and always valid.
        unsafe { Self::adopt(ffi::RSMPI_COMM_WORLD, false) }
    }

    /// Wraps `handle` and lets its errors return instead of ending the job.
    ///
    /// # Safety
    /// `handle` must be valid; with `owned` nobody else may free it.
    unsafe fn adopt(handle: ffi::MPI_Comm, owned: bool) -> Result<Self> {
        let (mut rank, mut size): (c_int, c_int) = (0, 0);
        // SAFETY: the handle is valid, and the results are written to locals.
        unsafe {
            call!(MPI_Comm_set_errhandler, handle, ffi::RSMPI_ERRORS_RETURN)?;
            call!(MPI_Comm_rank, handle, &mut rank)?;
            call!(MPI_Comm_size, handle, &mut size)?;
        }
        Ok(Communicator { handle, rank: rank as usize, size: size as usize, owned })
    }

    /// The number of this process in the group, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of ranks in the group.
    pub fn size(&self) -> usize {
        self.size
    }

    pub(super) fn handle(&self) -> ffi::MPI_Comm {
        self.handle
    }

    /// Returns a communicator of the same ranks. Open MPI gives it the algorithms that its control variables name at this
    /// moment, and takes its collectives from the component `preferred` where that has them. Collective.
    pub fn duplicate(&self, preferred: Option<&str>) -> Result<Communicator> {
        let preferred = preferred.and_then(|name| CString::new(name).ok());
        // SAFETY: the call is collective over a valid communicator, the new handle has no other owner, and the library copies
        // the key and the value.
        unsafe {
            let (mut info, mut handle) = (ffi::RSMPI_INFO_NULL, ffi::RSMPI_COMM_NULL);
            call!(MPI_Info_create, &mut info)?;
            let set = preferred.as_ref().map_or(Ok(()), |name| {
                call!(MPI_Info_set, info, PREFERRED_COMPONENT.as_ptr().cast_mut(), name.as_ptr().cast_mut())
            });
            let made = set.and_then(|()| call!(MPI_Comm_dup_with_info, self.handle, info, &mut handle));
            ffi::MPI_Info_free(&mut info);
            made?;
            Communicator::adopt(handle, true)
        }
    }

    /// Returns the communicator of the ranks that can share memory with this rank, in the same order. Collective.
    pub fn split_shared(&self) -> Result<Communicator> {
        // SAFETY: the call is collective over a valid communicator, and the new handle has no other owner.
        unsafe {
            let (mut handle, rank) = (ffi::RSMPI_COMM_NULL, self.rank as c_int);
            let (kind, info) = (ffi::RSMPI_COMM_TYPE_SHARED, ffi::RSMPI_INFO_NULL);
            call!(MPI_Comm_split_type, self.handle, kind, rank, info, &mut handle)?;
            Communicator::adopt(handle, true)
        }
    }

    /// Returns the communicator of the ranks that pass `member` = true, in the same order; None on the other ranks.
    /// Collective.
    pub fn subset(&self, member: bool) -> Result<Option<Communicator>> {
        // SAFETY: the call is collective over a valid communicator, and the new handle has no other owner.
        unsafe {
            let mut handle = ffi::RSMPI_COMM_NULL;
            let color = if member { 0 } else { ffi::RSMPI_UNDEFINED };
            call!(MPI_Comm_split, self.handle, color, self.rank as c_int, &mut handle)?;
            member.then(|| Communicator::adopt(handle, true)).transpose()
        }
    }

    /// Waits until every rank has called it, and sleeps most of that time. It is for ranks that wait long while others
    /// work.
    pub fn rest(&self) -> Result {
        let mut nap = SHORTEST_NAP;
        // SAFETY: the communicator is valid.
        let start = |request| unsafe { call!(MPI_Ibarrier, self.handle, request) };
        finish(start, || {
            std::thread::sleep(nap);
            nap = (nap * 2).min(LONGEST_NAP);
        })
    }

    /// Waits until every rank has called it.
    pub fn barrier(&self) -> Result {
        // SAFETY: the communicator is valid.
        yielding(|request| unsafe { call!(MPI_Ibarrier, self.handle, request) })
    }

    /// Returns the bytes of rank 0 on every rank. Collective; the other ranks' `bytes` are ignored.
    pub fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let mut length = (bytes.len() as u64).to_ne_bytes();
        self.broadcast_block(&mut length)?;
        let length = u64::from_ne_bytes(length) as usize;
        let mut bytes = if self.rank == 0 { bytes } else { vec![0; length] };
        bytes.chunks_mut(EXCHANGE_BLOCK).try_for_each(|block| self.broadcast_block(block))?;
        Ok(bytes)
    }

    /// Replaces `block` by that of rank 0. Every rank must pass a block of the same length, at most [`EXCHANGE_BLOCK`].
    fn broadcast_block(&self, block: &mut [u8]) -> Result {
        let (data, length) = (block.as_mut_ptr().cast(), block.len() as c_int);
        // SAFETY: the block is writable for its length until the request completes.
        yielding(|request| unsafe { call!(MPI_Ibcast, data, length, ffi::RSMPI_UINT8_T, 0, self.handle, request) })
    }

    /// Returns every rank's bytes, in rank order, on rank 0; None on the other ranks. Collective.
    pub fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
        let mine = bytes.len() as u64;
        let mut lengths = vec![0u64; if self.rank == 0 { self.size } else { 0 }];
        let (send, receive) = ((&raw const mine).cast(), lengths.as_mut_ptr().cast());
        // SAFETY: each rank sends one u64, and rank 0 has room for all of them.
        yielding(|request| unsafe {
            let number = ffi::RSMPI_UINT64_T;
            call!(MPI_Igather, send, 1, number, receive, 1, number, 0, self.handle, request)
        })?;
        if self.rank != 0 {
            for block in bytes.chunks(EXCHANGE_BLOCK) {
                let (data, length) = (block.as_ptr().cast(), block.len() as c_int);
                // SAFETY: the block is readable for its length. Rank 0 receives blocks of the same lengths.
                yielding(|request| unsafe {
                    call!(MPI_Isend, data, length, ffi::RSMPI_UINT8_T, 0, 0, self.handle, request)
                })?;
            }
            return Ok(None);
        }
        let mut all = vec![bytes.to_vec()];
        for (rank, length) in lengths.iter().enumerate().skip(1) {
            let mut theirs = vec![0u8; *length as usize];
            for block in theirs.chunks_mut(EXCHANGE_BLOCK) {
                let (data, length, from) = (block.as_mut_ptr().cast(), block.len() as c_int, rank as c_int);
                // SAFETY: the block is writable for its length.
                yielding(|request| unsafe {
                    call!(MPI_Irecv, data, length, ffi::RSMPI_UINT8_T, from, 0, self.handle, request)
                })?;
            }
            all.push(theirs);
        }
        Ok(Some(all))
    }

    /// Returns the greatest of the ranks' values on every rank. Collective.
    pub fn max(&self, value: u64) -> Result<u64> {
        // SAFETY: RSMPI_MAX is a constant of the library.
        self.all_reduce(value, unsafe { ffi::RSMPI_MAX })
    }

    /// Returns the sum of the ranks' values on every rank. Collective.
    pub fn sum(&self, value: u64) -> Result<u64> {
        // SAFETY: RSMPI_SUM is a constant of the library.
        self.all_reduce(value, unsafe { ffi::RSMPI_SUM })
    }

    fn all_reduce(&self, value: u64, operation: ffi::MPI_Op) -> Result<u64> {
        let mut reduced = 0u64;
        let (send, receive) = ((&raw const value).cast(), (&raw mut reduced).cast());
        // SAFETY: one u64 is read and one is written.
        yielding(|request| unsafe {
            call!(MPI_Iallreduce, send, receive, 1, ffi::RSMPI_UINT64_T, operation, self.handle, request)
        })?;
        Ok(reduced)
    }

    /// Returns the greatest tag that a message may have (MPI_TAG_UB).
    pub fn most_tag(&self) -> Result<u64> {
        let mut value: *mut c_int = std::ptr::null_mut();
        let mut found: c_int = 0;
        // SAFETY: the value of MPI_TAG_UB is a pointer to an int that lives as long as MPI.
        unsafe {
            let key = ffi::MPI_TAG_UB as c_int;
            call!(MPI_Comm_get_attr, self.handle, key, (&raw mut value).cast(), &mut found)?;
            // The MPI standard promises at least 32,767.
            Ok(if found != 0 && !value.is_null() { *value as u64 } else { 32_767 })
        }
    }
}

impl Drop for Communicator {
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: this wrapper owns the handle, which nobody has freed.
            unsafe { ffi::MPI_Comm_free(&mut self.handle) };
        }
    }
}

/// Calls `start`, which starts a request, and waits for it. The waiting thread yields its core: where ranks outnumber
/// cores, a library that waits without yielding (MPICH) keeps the awaited rank from running.
fn yielding(start: impl FnOnce(*mut ffi::MPI_Request) -> Result) -> Result {
    finish(start, std::thread::yield_now)
}

/// Calls `start`, which starts a request, and tests it until it has completed. It calls `idle` between two tests.
fn finish(start: impl FnOnce(*mut ffi::MPI_Request) -> Result, mut idle: impl FnMut()) -> Result {
    // SAFETY: RSMPI_REQUEST_NULL is a constant of the library.
    let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
    start(&mut request)?;
    loop {
        let mut done: c_int = 0;
        // SAFETY: the request was started above, and the caller keeps its buffers until this function returns.
        unsafe { call!(MPI_Test, &mut request, &mut done, ffi::RSMPI_STATUS_IGNORE) }?;
        if done != 0 {
            return Ok(());
        }
        idle();
    }
}
