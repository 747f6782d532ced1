//! The MPI library's own reductions, over gradients of any length.

use std::ffi::c_int;

use mpi::ffi;

use super::error::checked;
use super::{Communicator, MpiError};

/// Elements of one call, at most: counts are C ints, and some libraries add counts up in one.
pub const MOST_ELEMENTS: u64 = i32::MAX as u64;

/// A type that MPI can add up.
pub trait Scalar: Copy {
    /// MPI's name for it.
    fn datatype() -> ffi::MPI_Datatype;
}

impl Scalar for f32 {
    fn datatype() -> ffi::MPI_Datatype {
        // SAFETY: a constant of the library.
        unsafe { ffi::RSMPI_FLOAT }
    }
}

impl Scalar for f64 {
    fn datatype() -> ffi::MPI_Datatype {
        // SAFETY: a constant of the library.
        unsafe { ffi::RSMPI_DOUBLE }
    }
}

impl Communicator {
    /// MPI_Reduce_scatter with MPI_SUM: `counts[r]` elements for rank r, the caller's own go to `receive`.
    ///
    /// # Safety
    /// `send` must hold Σ counts elements (at most [`MOST_ELEMENTS`]), `receive` this rank's count; they must not
    /// overlap. Every rank passes the same counts.
    pub unsafe fn reduce_scatter<T: Scalar>(
        &self,
        send: *const T,
        receive: *mut T,
        counts: &[c_int],
    ) -> Result<(), MpiError> {
        // SAFETY: as promised by the caller.
        let code = unsafe {
            ffi::MPI_Reduce_scatter(
                send.cast(),
                receive.cast(),
                counts.as_ptr(),
                T::datatype(),
                ffi::RSMPI_SUM,
                self.handle(),
            )
        };
        checked("MPI_Reduce_scatter", code)
    }

    /// MPI_Ireduce_scatter with MPI_SUM, and the wait for it.
    ///
    /// # Safety
    /// As for [`Communicator::reduce_scatter`].
    pub unsafe fn ireduce_scatter<T: Scalar>(
        &self,
        send: *const T,
        receive: *mut T,
        counts: &[c_int],
    ) -> Result<(), MpiError> {
        // SAFETY: as promised by the caller; the buffers outlive the wait.
        unsafe {
            let mut request = ffi::RSMPI_REQUEST_NULL;
            let code = ffi::MPI_Ireduce_scatter(
                send.cast(),
                receive.cast(),
                counts.as_ptr(),
                T::datatype(),
                ffi::RSMPI_SUM,
                self.handle(),
                &mut request,
            );
            checked("MPI_Ireduce_scatter", code)?;
            checked("MPI_Wait", ffi::MPI_Wait(&mut request, ffi::RSMPI_STATUS_IGNORE))
        }
    }

    /// MPI_Reduce_scatter_block with MPI_SUM: `block` elements for every rank, at most [`MOST_ELEMENTS`] in all.
    ///
    /// # Safety
    /// `send` must hold a block for every rank, `receive` one; they must not overlap. Every rank passes the same block.
    pub unsafe fn reduce_scatter_block<T: Scalar>(
        &self,
        send: *const T,
        receive: *mut T,
        block: u64,
    ) -> Result<(), MpiError> {
        let limit = MOST_ELEMENTS / self.size() as u64;
        let count = c_int::try_from(block).ok().filter(|_| block <= limit);
        let count =
            count.ok_or(MpiError::Limit { what: "the block of MPI_Reduce_scatter_block", value: block, limit })?;
        // SAFETY: as promised by the caller.
        let code = unsafe {
            ffi::MPI_Reduce_scatter_block(
                send.cast(),
                receive.cast(),
                count,
                T::datatype(),
                ffi::RSMPI_SUM,
                self.handle(),
            )
        };
        checked("MPI_Reduce_scatter_block", code)
    }

    /// MPI_Allreduce with MPI_SUM, in as many calls as `elements` needs with at most `most` elements each.
    ///
    /// # Safety
    /// `send` and `receive` must hold `elements` elements; they must not overlap. Every rank passes the same numbers.
    pub unsafe fn allreduce<T: Scalar>(
        &self,
        send: *const T,
        receive: *mut T,
        elements: u64,
        most: u64,
    ) -> Result<(), MpiError> {
        let mut at = 0u64;
        while at < elements {
            let count = (elements - at).min(most.clamp(1, MOST_ELEMENTS));
            // SAFETY: within the caller's elements.
            let code = unsafe {
                ffi::MPI_Allreduce(
                    send.add(at as usize).cast(),
                    receive.add(at as usize).cast(),
                    count as c_int,
                    T::datatype(),
                    ffi::RSMPI_SUM,
                    self.handle(),
                )
            };
            checked("MPI_Allreduce", code)?;
            at += count;
        }
        Ok(())
    }

    /// MPI_Reduce with MPI_SUM to `root`, in as many calls as `elements` needs with at most `most` elements each.
    ///
    /// # Safety
    /// `send` must hold `elements` elements, on the root `receive` too; they must not overlap. Every rank passes the
    /// same `elements`, `root` and `most`.
    pub unsafe fn reduce<T: Scalar>(
        &self,
        send: *const T,
        receive: *mut T,
        elements: u64,
        root: usize,
        most: u64,
    ) -> Result<(), MpiError> {
        let mut at = 0u64;
        while at < elements {
            let count = (elements - at).min(most.clamp(1, MOST_ELEMENTS));
            // SAFETY: within the caller's elements; off the root the receive buffer is not touched, but must be a
            // pointer all the same.
            let code = unsafe {
                let receive = if self.rank() == root { receive.add(at as usize) } else { receive };
                ffi::MPI_Reduce(
                    send.add(at as usize).cast(),
                    receive.cast(),
                    count as c_int,
                    T::datatype(),
                    ffi::RSMPI_SUM,
                    root as c_int,
                    self.handle(),
                )
            };
            checked("MPI_Reduce", code)?;
            at += count;
        }
        Ok(())
    }

    /// MPI_Bcast from `root`, in as many calls as `bytes` needs.
    ///
    /// # Safety
    /// `data` must hold `bytes` bytes. Every rank passes the same `root` and `bytes`.
    pub unsafe fn broadcast_from(&self, root: usize, data: *mut u8, bytes: u64) -> Result<(), MpiError> {
        let mut at = 0u64;
        while at < bytes {
            let count = (bytes - at).min(MOST_ELEMENTS);
            // SAFETY: within the caller's bytes.
            let code = unsafe {
                let data = data.add(at as usize).cast();
                ffi::MPI_Bcast(data, count as c_int, ffi::RSMPI_UINT8_T, root as c_int, self.handle())
            };
            checked("MPI_Bcast", code)?;
            at += count;
        }
        Ok(())
    }

    /// MPI_Scatterv from `root`: rank r gets the elements that `parts[r]` names by offset and number.
    ///
    /// # Safety
    /// On the root `send` must hold all parts, on every rank `receive` its own; they must not overlap. Every rank passes
    /// the same root and parts.
    pub unsafe fn scatter<T: Scalar>(
        &self,
        root: usize,
        send: *const T,
        receive: *mut T,
        parts: &[(u64, u64)],
    ) -> Result<(), MpiError> {
        let (counts, offsets) = as_ints("MPI_Scatterv", parts)?;
        // SAFETY: as promised by the caller.
        let code = unsafe {
            ffi::MPI_Scatterv(
                send.cast(),
                counts.as_ptr(),
                offsets.as_ptr(),
                T::datatype(),
                receive.cast(),
                counts[self.rank()],
                T::datatype(),
                root as c_int,
                self.handle(),
            )
        };
        checked("MPI_Scatterv", code)
    }

    /// MPI_Gatherv to `root`: rank r's elements go where `parts[r]` says by offset and number.
    ///
    /// # Safety
    /// `send` must hold this rank's part, on the root `receive` all of them; they must not overlap. Every rank passes the
    /// same root and parts.
    pub unsafe fn gather_to<T: Scalar>(
        &self,
        root: usize,
        send: *const T,
        receive: *mut T,
        parts: &[(u64, u64)],
    ) -> Result<(), MpiError> {
        let (counts, offsets) = as_ints("MPI_Gatherv", parts)?;
        // SAFETY: as promised by the caller.
        let code = unsafe {
            ffi::MPI_Gatherv(
                send.cast(),
                counts[self.rank()],
                T::datatype(),
                receive.cast(),
                counts.as_ptr(),
                offsets.as_ptr(),
                T::datatype(),
                root as c_int,
                self.handle(),
            )
        };
        checked("MPI_Gatherv", code)
    }

    /// MPI_Allgatherv of elements: rank r's go where `parts[r]` says by offset and number, on every rank.
    ///
    /// # Safety
    /// `send` must hold this rank's part, `receive` all of them; they must not overlap. Every rank passes the same parts.
    pub unsafe fn allgather_elements<T: Scalar>(
        &self,
        send: *const T,
        receive: *mut T,
        parts: &[(u64, u64)],
    ) -> Result<(), MpiError> {
        let (counts, offsets) = as_ints("MPI_Allgatherv", parts)?;
        // SAFETY: as promised by the caller.
        let code = unsafe {
            ffi::MPI_Allgatherv(
                send.cast(),
                counts[self.rank()],
                T::datatype(),
                receive.cast(),
                counts.as_ptr(),
                offsets.as_ptr(),
                T::datatype(),
                self.handle(),
            )
        };
        checked("MPI_Allgatherv", code)
    }

    /// MPI_Allgatherv of bytes: rank r's part goes to the offset and has the length that `parts[r]` names. Where offsets
    /// are beyond a C int the parts go by MPI_Bcast, one rank after another.
    ///
    /// # Safety
    /// `send` must hold this rank's part, `receive` all of them; they must not overlap. Every rank passes the same
    /// parts.
    pub unsafe fn allgather(&self, send: *const u8, receive: *mut u8, parts: &[(u64, u64)]) -> Result<(), MpiError> {
        let counts: Result<Vec<c_int>, _> = parts.iter().map(|part| c_int::try_from(part.1)).collect();
        let offsets: Result<Vec<c_int>, _> = parts.iter().map(|part| c_int::try_from(part.0)).collect();
        if let (Ok(counts), Ok(offsets)) = (counts, offsets) {
            // SAFETY: as promised by the caller.
            let code = unsafe {
                ffi::MPI_Allgatherv(
                    send.cast(),
                    counts[self.rank()],
                    ffi::RSMPI_UINT8_T,
                    receive.cast(),
                    counts.as_ptr(),
                    offsets.as_ptr(),
                    ffi::RSMPI_UINT8_T,
                    self.handle(),
                )
            };
            return checked("MPI_Allgatherv", code);
        }
        for (rank, (offset, bytes)) in parts.iter().enumerate() {
            // SAFETY: as promised by the caller; each part lies within `receive`.
            unsafe {
                let place = receive.add(*offset as usize);
                if rank == self.rank() {
                    std::ptr::copy_nonoverlapping(send, place, *bytes as usize);
                }
                self.broadcast_from(rank, place, *bytes)?;
            }
        }
        Ok(())
    }
}

/// Counts and offsets as MPI takes them.
fn as_ints(call: &'static str, parts: &[(u64, u64)]) -> Result<(Vec<c_int>, Vec<c_int>), MpiError> {
    let int =
        |value: u64| c_int::try_from(value).map_err(|_| MpiError::Limit { what: call, value, limit: MOST_ELEMENTS });
    let counts: Result<Vec<c_int>, MpiError> = parts.iter().map(|(_, number)| int(*number)).collect();
    let offsets: Result<Vec<c_int>, MpiError> = parts.iter().map(|(offset, _)| int(*offset)).collect();
    Ok((counts?, offsets?))
}
