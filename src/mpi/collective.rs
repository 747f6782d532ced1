//! The MPI library's own collectives, over gradients of any length.
//!
//! In all functions here rank r's part of a vector is given as (offset, length), both in elements.

use std::ffi::c_int;

use mpi_sys as ffi;

use super::Communicator;
use super::error::{MpiError, Result, call};

/// The largest number of elements in one call: counts are C ints, and some libraries add up counts in a C int.
pub const MOST_ELEMENTS: u64 = i32::MAX as u64;

/// A type whose values MPI knows under another name.
pub trait Equivalence {
    /// The MPI datatype.
    fn datatype() -> ffi::MPI_Datatype;
}

impl Equivalence for u16 {
    fn datatype() -> ffi::MPI_Datatype {
        // SAFETY: a constant of the library.
        unsafe { ffi::RSMPI_UINT16_T }
    }
}

impl Equivalence for f32 {
    fn datatype() -> ffi::MPI_Datatype {
        // SAFETY: a constant of the library.
        unsafe { ffi::RSMPI_FLOAT }
    }
}

impl Equivalence for f64 {
    fn datatype() -> ffi::MPI_Datatype {
        // SAFETY: a constant of the library.
        unsafe { ffi::RSMPI_DOUBLE }
    }
}

impl Communicator {
    /// MPI_Reduce_scatter with MPI_SUM. Rank r receives the sum of `counts[r]` elements.
    ///
    /// # Safety
    /// `send` must hold Σ counts elements (at most [`MOST_ELEMENTS`]) and `receive` this rank's count. They must not
    /// overlap. Every rank must pass the same counts.
    pub unsafe fn reduce_scatter<T: Equivalence>(&self, send: *const T, receive: *mut T, counts: &[c_int]) -> Result {
        let (send, receive, counts) = (send.cast(), receive.cast(), counts.as_ptr());
        // SAFETY: the caller promises it.
        unsafe { call!(MPI_Reduce_scatter, send, receive, counts, T::datatype(), ffi::RSMPI_SUM, self.handle()) }
    }

    /// MPI_Ireduce_scatter with MPI_SUM.
    ///
    /// # Safety
    /// The same as for [`Communicator::reduce_scatter`], until the returned collective is finished. `counts` too must stay.
    pub unsafe fn start_reduce_scatter<T: Equivalence>(
        &self,
        send: *const T,
        receive: *mut T,
        counts: &[c_int],
    ) -> Result<StartedCollective> {
        let (send, receive, counts, comm) = (send.cast(), receive.cast(), counts.as_ptr(), self.handle());
        // SAFETY: the caller promises it.
        unsafe {
            let (mut request, sum) = (ffi::RSMPI_REQUEST_NULL, ffi::RSMPI_SUM);
            call!(MPI_Ireduce_scatter, send, receive, counts, T::datatype(), sum, comm, &mut request)?;
            Ok(StartedCollective(request))
        }
    }

    /// MPI_Reduce_scatter_block with MPI_SUM. Every rank receives the sum of `block` elements.
    ///
    /// # Errors
    /// [`MpiError::Limit`] if the blocks of all ranks together exceed [`MOST_ELEMENTS`].
    ///
    /// # Safety
    /// `send` must hold one block for every rank and `receive` one block. They must not overlap. Every rank must pass the
    /// same `block`.
    pub unsafe fn reduce_scatter_block<T: Equivalence>(&self, send: *const T, receive: *mut T, block: u64) -> Result {
        let limit = MOST_ELEMENTS / self.size() as u64;
        if block > limit {
            return Err(MpiError::Limit { what: "the block of MPI_Reduce_scatter_block", value: block, limit });
        }
        let (send, receive, block, comm) = (send.cast(), receive.cast(), block as c_int, self.handle());
        // SAFETY: the caller promises it.
        unsafe { call!(MPI_Reduce_scatter_block, send, receive, block, T::datatype(), ffi::RSMPI_SUM, comm) }
    }

    /// MPI_Allreduce with MPI_SUM, in as many calls as `elements` needs.
    ///
    /// # Safety
    /// `send` and `receive` must hold `elements` elements. They must not overlap. Every rank must pass the same numbers.
    pub unsafe fn allreduce<T: Equivalence>(&self, send: *const T, receive: *mut T, elements: u64) -> Result {
        in_blocks(elements, |at, count| {
            // SAFETY: each block lies within the caller's elements.
            unsafe {
                let (send, receive) = (send.add(at).cast(), receive.add(at).cast());
                call!(MPI_Allreduce, send, receive, count, T::datatype(), ffi::RSMPI_SUM, self.handle())
            }
        })
    }

    /// MPI_Reduce with MPI_SUM to `root`, in as many calls as `elements` needs.
    ///
    /// # Safety
    /// `send` must hold `elements` elements; on the root `receive` must hold them too. They must not overlap. Every rank
    /// must pass the same `elements` and `root`.
    pub unsafe fn reduce<T: Equivalence>(&self, send: *const T, receive: *mut T, elements: u64, root: usize) -> Result {
        in_blocks(elements, |at, count| {
            // SAFETY: each block lies within the caller's elements. Ranks other than the root do not write to `receive`,
            // so they pass its beginning, which is a valid pointer.
            unsafe {
                let receive = if self.rank() == root { receive.add(at) } else { receive };
                let (send, receive, root, comm) = (send.add(at).cast(), receive.cast(), root as c_int, self.handle());
                call!(MPI_Reduce, send, receive, count, T::datatype(), ffi::RSMPI_SUM, root, comm)
            }
        })
    }

    /// MPI_Bcast of `bytes` bytes from `root`, in as many calls as they need.
    ///
    /// # Safety
    /// `data` must hold `bytes` bytes. Every rank must pass the same `root` and `bytes`.
    pub unsafe fn broadcast_from(&self, root: usize, data: *mut u8, bytes: u64) -> Result {
        in_blocks(bytes, |at, count| {
            // SAFETY: each block lies within the caller's bytes.
            unsafe { call!(MPI_Bcast, data.add(at).cast(), count, ffi::RSMPI_UINT8_T, root as c_int, self.handle()) }
        })
    }

    /// MPI_Scatterv from `root`. Rank r receives the elements `parts[r]` of the root's `send`.
    ///
    /// # Errors
    /// [`MpiError::Limit`] if an offset or a length exceeds a C int.
    ///
    /// # Safety
    /// On the root `send` must hold all parts; on every rank `receive` must hold its own part. They must not overlap.
    /// Every rank must pass the same `root` and `parts`.
    pub unsafe fn scatter<T: Equivalence>(
        &self,
        root: usize,
        send: *const T,
        receive: *mut T,
        parts: &[(u64, u64)],
    ) -> Result {
        let (counts, offsets) = as_ints("MPI_Scatterv", parts)?;
        let (data, own, all, at) = (send.cast(), counts[self.rank()], counts.as_ptr(), offsets.as_ptr());
        let (receive, root, comm) = (receive.cast(), root as c_int, self.handle());
        // SAFETY: the caller promises it.
        unsafe { call!(MPI_Scatterv, data, all, at, T::datatype(), receive, own, T::datatype(), root, comm) }
    }

    /// MPI_Gatherv to `root`. The elements of rank r become the elements `parts[r]` of the root's `receive`.
    ///
    /// # Errors
    /// [`MpiError::Limit`] if an offset or a length exceeds a C int.
    ///
    /// # Safety
    /// `send` must hold this rank's part; on the root `receive` must hold all parts. They must not overlap. Every rank
    /// must pass the same `root` and `parts`.
    pub unsafe fn gather_to<T: Equivalence>(
        &self,
        root: usize,
        send: *const T,
        receive: *mut T,
        parts: &[(u64, u64)],
    ) -> Result {
        let (counts, offsets) = as_ints("MPI_Gatherv", parts)?;
        let (data, own, all, at) = (send.cast(), counts[self.rank()], counts.as_ptr(), offsets.as_ptr());
        let (receive, root, comm) = (receive.cast(), root as c_int, self.handle());
        // SAFETY: the caller promises it.
        unsafe { call!(MPI_Gatherv, data, own, T::datatype(), receive, all, at, T::datatype(), root, comm) }
    }

    /// MPI_Allgatherv. The elements of rank r become the elements `parts[r]` of every rank's `receive`. If they are more
    /// than [`MOST_ELEMENTS`] together, each rank broadcasts its part instead, one rank after another.
    ///
    /// # Safety
    /// `send` must hold this rank's part and `receive` all parts. They must not overlap. Every rank must pass the same
    /// `parts`.
    pub unsafe fn allgather<T: Equivalence>(&self, send: *const T, receive: *mut T, parts: &[(u64, u64)]) -> Result {
        if parts.iter().map(|(_, length)| length).sum::<u64>() <= MOST_ELEMENTS {
            let (counts, offsets) = as_ints("MPI_Allgatherv", parts)?;
            let (data, own, all, at) = (send.cast(), counts[self.rank()], counts.as_ptr(), offsets.as_ptr());
            let (receive, comm) = (receive.cast(), self.handle());
            // SAFETY: the caller promises it.
            return unsafe { call!(MPI_Allgatherv, data, own, T::datatype(), receive, all, at, T::datatype(), comm) };
        }
        for (rank, (offset, length)) in parts.iter().enumerate() {
            // SAFETY: the caller promises that each part lies within `receive`.
            unsafe {
                let place = receive.add(*offset as usize);
                if rank == self.rank() {
                    std::ptr::copy_nonoverlapping(send, place, *length as usize);
                }
                self.broadcast_from(rank, place.cast(), length * size_of::<T>() as u64)?;
            }
        }
        Ok(())
    }
}

/// A nonblocking collective that was started.
#[must_use]
pub struct StartedCollective(ffi::MPI_Request);

impl StartedCollective {
    /// Waits for its end (MPI_Wait).
    pub fn finish(mut self) -> Result {
        // SAFETY: the request is the one that the library returned, and it is waited for once.
        unsafe { call!(MPI_Wait, &mut self.0, ffi::RSMPI_STATUS_IGNORE) }
    }
}

/// Calls `each` with the offset and the length of every block of `total` elements. A block has at most
/// [`MOST_ELEMENTS`].
fn in_blocks(total: u64, mut each: impl FnMut(usize, c_int) -> Result) -> Result {
    for at in (0..total).step_by(MOST_ELEMENTS as usize) {
        each(at as usize, (total - at).min(MOST_ELEMENTS) as c_int)?;
    }
    Ok(())
}

/// Converts parts to MPI's two arrays, lengths and offsets. `call` names the MPI function in the error.
fn as_ints(call: &'static str, parts: &[(u64, u64)]) -> Result<(Vec<c_int>, Vec<c_int>)> {
    let int =
        |value: u64| c_int::try_from(value).map_err(|_| MpiError::Limit { what: call, value, limit: MOST_ELEMENTS });
    parts.iter().map(|(offset, length)| Ok((int(*length)?, int(*offset)?))).collect()
}
