//! Communicators, and the small exchanges by which ranks agree before and after a round.

use std::ffi::c_int;
use std::time::Duration;

use mpi::ffi;

use super::MpiError;
use super::error::checked;

/// Bytes of one message of an exchange: far below what a C int can count.
const EXCHANGE_BLOCK: usize = 1 << 28;

/// How long a resting rank sleeps between two looks, at first and in the end.
const SHORTEST_NAP: Duration = Duration::from_micros(100);
const LONGEST_NAP: Duration = Duration::from_millis(5);

/// A group of ranks that talk to each other.
pub struct Communicator {
    handle: ffi::MPI_Comm,
    rank: usize,
    size: usize,
    owned: bool,
}

impl Communicator {
    /// One of the library's own communicators.
    ///
    /// # Safety
    /// `handle` must stay valid until MPI is finalised.
    pub(super) unsafe fn predefined(handle: ffi::MPI_Comm) -> Result<Self, MpiError> {
        // SAFETY: as promised by the caller.
        unsafe { Self::adopt(handle, false) }
    }

    /// # Safety
    /// `handle` must be valid; with `owned` nobody else may free it.
    unsafe fn adopt(handle: ffi::MPI_Comm, owned: bool) -> Result<Self, MpiError> {
        let (mut rank, mut size): (c_int, c_int) = (0, 0);
        // SAFETY: the handle is valid, the results are written to locals.
        unsafe {
            checked("MPI_Comm_rank", ffi::MPI_Comm_rank(handle, &mut rank))?;
            checked("MPI_Comm_size", ffi::MPI_Comm_size(handle, &mut size))?;
        }
        Ok(Communicator { handle, rank: rank as usize, size: size as usize, owned })
    }

    /// This process's number in the group.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Ranks in the group.
    pub fn size(&self) -> usize {
        self.size
    }

    pub(super) fn handle(&self) -> ffi::MPI_Comm {
        self.handle
    }

    /// The ranks of this group that can share memory with this one, in the same order.
    pub fn split_shared(&self) -> Result<Communicator, MpiError> {
        // SAFETY: a constant of the library; collective over valid communicators; the new handle is owned.
        unsafe {
            let mut handle = ffi::RSMPI_COMM_NULL;
            let code = ffi::MPI_Comm_split_type(
                self.handle,
                ffi::RSMPI_COMM_TYPE_SHARED,
                self.rank as c_int,
                ffi::RSMPI_INFO_NULL,
                &mut handle,
            );
            checked("MPI_Comm_split_type", code)?;
            checked("MPI_Comm_set_errhandler", ffi::MPI_Comm_set_errhandler(handle, ffi::RSMPI_ERRORS_RETURN))?;
            Communicator::adopt(handle, true)
        }
    }

    /// Those ranks of this group for which `member` is true, in the same order; None on the others. Collective.
    pub fn subset(&self, member: bool) -> Result<Option<Communicator>, MpiError> {
        // SAFETY: constants of the library; collective over a valid communicator; the new handle is owned.
        unsafe {
            let mut handle = ffi::RSMPI_COMM_NULL;
            let color = if member { 0 } else { ffi::RSMPI_UNDEFINED };
            let code = ffi::MPI_Comm_split(self.handle, color, self.rank as c_int, &mut handle);
            checked("MPI_Comm_split", code)?;
            if !member {
                return Ok(None);
            }
            checked("MPI_Comm_set_errhandler", ffi::MPI_Comm_set_errhandler(handle, ffi::RSMPI_ERRORS_RETURN))?;
            Communicator::adopt(handle, true).map(Some)
        }
    }

    /// As [`Communicator::barrier`], asleep most of the time: for ranks that wait long while others work.
    pub fn rest(&self) -> Result<(), MpiError> {
        let mut nap = SHORTEST_NAP;
        // SAFETY: a valid communicator.
        self.finish_by(
            "MPI_Ibarrier",
            |request| unsafe { ffi::MPI_Ibarrier(self.handle, request) },
            || {
                std::thread::sleep(nap);
                nap = (nap * 2).min(LONGEST_NAP);
            },
        )
    }

    /// Returns when every rank has called it.
    pub fn barrier(&self) -> Result<(), MpiError> {
        // SAFETY: a valid communicator.
        self.finish("MPI_Ibarrier", |request| unsafe { ffi::MPI_Ibarrier(self.handle, request) })
    }

    /// Starts what `start` starts and waits for it, giving the core away meanwhile: where ranks outnumber cores, a
    /// library that waits without doing so (MPICH) keeps from the core the very rank that it waits for.
    fn finish(&self, call: &'static str, start: impl FnOnce(*mut ffi::MPI_Request) -> c_int) -> Result<(), MpiError> {
        self.finish_by(call, start, std::thread::yield_now)
    }

    /// The same, calling `idle` between two looks.
    fn finish_by(
        &self,
        call: &'static str,
        start: impl FnOnce(*mut ffi::MPI_Request) -> c_int,
        mut idle: impl FnMut(),
    ) -> Result<(), MpiError> {
        // SAFETY: a constant of the library.
        let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
        checked(call, start(&mut request))?;
        loop {
            let mut done: c_int = 0;
            // SAFETY: the request was started above; what it uses is borrowed by the caller until this returns.
            let code = unsafe { ffi::MPI_Test(&mut request, &mut done, ffi::RSMPI_STATUS_IGNORE) };
            checked("MPI_Test", code)?;
            if done != 0 {
                return Ok(());
            }
            idle();
        }
    }

    /// Rank 0's bytes on every rank.
    pub fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>, MpiError> {
        let mut length = [bytes.len() as u64];
        // SAFETY: one u64 on every rank.
        unsafe { self.broadcast_raw(length.as_mut_ptr().cast(), 8)? };
        let mut bytes = if self.rank == 0 { bytes } else { vec![0; length[0] as usize] };
        for block in bytes.chunks_mut(EXCHANGE_BLOCK) {
            // SAFETY: every rank has the same number of bytes now, and cuts them alike.
            unsafe { self.broadcast_raw(block.as_mut_ptr(), block.len())? };
        }
        Ok(bytes)
    }

    /// # Safety
    /// `data` must hold `bytes` bytes, the same number on every rank, at most [`EXCHANGE_BLOCK`].
    unsafe fn broadcast_raw(&self, data: *mut u8, bytes: usize) -> Result<(), MpiError> {
        // SAFETY: as promised by the caller.
        self.finish("MPI_Ibcast", |request| unsafe {
            ffi::MPI_Ibcast(data.cast(), bytes as c_int, ffi::RSMPI_UINT8_T, 0, self.handle, request)
        })
    }

    /// Every rank's bytes, in rank order, on rank 0; None elsewhere.
    pub fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>, MpiError> {
        let mine = bytes.len() as u64;
        let mut lengths = vec![0u64; if self.rank == 0 { self.size } else { 0 }];
        // SAFETY: one u64 from each rank; rank 0 has room for all of them.
        self.finish("MPI_Igather", |request| unsafe {
            ffi::MPI_Igather(
                (&raw const mine).cast(),
                1,
                ffi::RSMPI_UINT64_T,
                lengths.as_mut_ptr().cast(),
                1,
                ffi::RSMPI_UINT64_T,
                0,
                self.handle,
                request,
            )
        })?;
        if self.rank != 0 {
            for block in bytes.chunks(EXCHANGE_BLOCK) {
                // SAFETY: the block is readable for its length; rank 0 receives as many blocks of these lengths.
                self.finish("MPI_Isend", |request| unsafe {
                    let length = block.len() as c_int;
                    ffi::MPI_Isend(block.as_ptr().cast(), length, ffi::RSMPI_UINT8_T, 0, 0, self.handle, request)
                })?;
            }
            return Ok(None);
        }
        let mut all = vec![bytes.to_vec()];
        for (rank, length) in lengths.iter().enumerate().skip(1) {
            let mut theirs = vec![0u8; *length as usize];
            for block in theirs.chunks_mut(EXCHANGE_BLOCK) {
                // SAFETY: the block is writable for its length.
                self.finish("MPI_Irecv", |request| unsafe {
                    let (start, length) = (block.as_mut_ptr().cast(), block.len() as c_int);
                    ffi::MPI_Irecv(start, length, ffi::RSMPI_UINT8_T, rank as c_int, 0, self.handle, request)
                })?;
            }
            all.push(theirs);
        }
        Ok(Some(all))
    }

    /// The greatest of the ranks' values, on every rank.
    pub fn max(&self, value: u64) -> Result<u64, MpiError> {
        // SAFETY: a constant of the library.
        self.all_reduce(value, unsafe { ffi::RSMPI_MAX })
    }

    /// The sum of the ranks' values, on every rank.
    pub fn sum(&self, value: u64) -> Result<u64, MpiError> {
        // SAFETY: a constant of the library.
        self.all_reduce(value, unsafe { ffi::RSMPI_SUM })
    }

    fn all_reduce(&self, value: u64, operation: ffi::MPI_Op) -> Result<u64, MpiError> {
        let mut reduced = 0u64;
        // SAFETY: one u64 in, one out.
        self.finish("MPI_Iallreduce", |request| unsafe {
            ffi::MPI_Iallreduce(
                (&raw const value).cast(),
                (&raw mut reduced).cast(),
                1,
                ffi::RSMPI_UINT64_T,
                operation,
                self.handle,
                request,
            )
        })?;
        Ok(reduced)
    }

    /// The greatest tag that a message may have.
    pub fn most_tag(&self) -> Result<u64, MpiError> {
        let mut value: *mut c_int = std::ptr::null_mut();
        let mut found: c_int = 0;
        // SAFETY: MPI_TAG_UB's value is a pointer to an int that lives as long as MPI.
        unsafe {
            let key = ffi::MPI_TAG_UB as c_int;
            let code = ffi::MPI_Comm_get_attr(self.handle, key, (&raw mut value).cast(), &mut found);
            checked("MPI_Comm_get_attr", code)?;
            // The standard promises at least 32,767.
            Ok(if found != 0 && !value.is_null() { *value as u64 } else { 32_767 })
        }
    }
}

impl Drop for Communicator {
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: ours, and not freed before.
            unsafe { ffi::MPI_Comm_free(&mut self.handle) };
        }
    }
}
