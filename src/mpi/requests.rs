//! Nonblocking messages, each known to the caller by a token of its own.

use std::ffi::c_int;

use mpi::ffi;

use super::error::checked;
use super::{Communicator, MpiError};

/// Bytes of one MPI message. Longer ones are cut, as counts are C ints.
const MESSAGE_BLOCK: usize = 1 << 30;

/// Messages under way. A message longer than a block is several requests with one token.
#[derive(Default)]
pub struct Requests {
    requests: Vec<ffi::MPI_Request>,
    tokens: Vec<usize>,
    done: Vec<c_int>,
    /// Tokens of cut messages, with the requests still missing.
    cut: Vec<(usize, usize)>,
}

impl Requests {
    /// No messages under way, with room for `capacity` requests, so that posting allocates nothing.
    pub fn with_capacity(capacity: usize) -> Self {
        Requests {
            requests: Vec::with_capacity(capacity),
            tokens: Vec::with_capacity(capacity),
            done: vec![0; capacity],
            cut: Vec::new(),
        }
    }

    /// Requests under way.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// True if no message is under way.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Starts to send `bytes` bytes from `data` to rank `to`.
    ///
    /// # Safety
    /// `data` must stay readable and unchanged until [`Requests::completed`] yields `token`.
    pub unsafe fn send(
        &mut self,
        comm: &Communicator,
        token: usize,
        to: usize,
        tag: u64,
        data: *const u8,
        bytes: usize,
    ) -> Result<(), MpiError> {
        self.blocks(token, bytes, |offset, length, request| {
            // SAFETY: within the caller's bytes, which live until the request completes.
            unsafe {
                let data = data.add(offset).cast();
                let code =
                    ffi::MPI_Isend(data, length, ffi::RSMPI_UINT8_T, to as c_int, tag as c_int, comm.handle(), request);
                checked("MPI_Isend", code)
            }
        })
    }

    /// Starts to receive `bytes` bytes to `data` from rank `from`.
    ///
    /// # Safety
    /// `data` must stay writable and be used by nobody else until [`Requests::completed`] yields `token`.
    pub unsafe fn receive(
        &mut self,
        comm: &Communicator,
        token: usize,
        from: usize,
        tag: u64,
        data: *mut u8,
        bytes: usize,
    ) -> Result<(), MpiError> {
        self.blocks(token, bytes, |offset, length, request| {
            // SAFETY: within the caller's bytes, which live until the request completes.
            unsafe {
                let data = data.add(offset).cast();
                let code = ffi::MPI_Irecv(
                    data,
                    length,
                    ffi::RSMPI_UINT8_T,
                    from as c_int,
                    tag as c_int,
                    comm.handle(),
                    request,
                );
                checked("MPI_Irecv", code)
            }
        })
    }

    fn blocks(
        &mut self,
        token: usize,
        bytes: usize,
        mut start: impl FnMut(usize, c_int, *mut ffi::MPI_Request) -> Result<(), MpiError>,
    ) -> Result<(), MpiError> {
        let blocks = bytes.div_ceil(MESSAGE_BLOCK).max(1);
        if blocks > 1 {
            self.cut.push((token, blocks));
        }
        for block in 0..blocks {
            let offset = block * MESSAGE_BLOCK;
            // SAFETY: a constant of the library.
            let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
            start(offset, (bytes - offset).min(MESSAGE_BLOCK) as c_int, &mut request)?;
            self.requests.push(request);
            self.tokens.push(token);
        }
        Ok(())
    }

    /// Appends the tokens of messages that have completed to `tokens`. Does not wait.
    pub fn completed(&mut self, tokens: &mut Vec<usize>) -> Result<(), MpiError> {
        if self.requests.is_empty() {
            return Ok(());
        }
        if self.done.len() < self.requests.len() {
            self.done.resize(self.requests.capacity(), 0);
        }
        let mut count: c_int = 0;
        // SAFETY: as many requests as named; `done` has room for all of them.
        let code = unsafe {
            ffi::MPI_Testsome(
                self.requests.len() as c_int,
                self.requests.as_mut_ptr(),
                &mut count,
                self.done.as_mut_ptr(),
                ffi::RSMPI_STATUSES_IGNORE,
            )
        };
        checked("MPI_Testsome", code)?;
        if count <= 0 {
            return Ok(());
        }
        let done = &mut self.done[..count as usize];
        // From the back, so that what swap_remove moves has been looked at.
        done.sort_unstable_by(|a, b| b.cmp(a));
        for index in done.iter() {
            let token = self.tokens.swap_remove(*index as usize);
            self.requests.swap_remove(*index as usize);
            match self.cut.iter_mut().position(|(cut, _)| *cut == token) {
                None => tokens.push(token),
                Some(place) => {
                    self.cut[place].1 -= 1;
                    if self.cut[place].1 == 0 {
                        self.cut.swap_remove(place);
                        tokens.push(token);
                    }
                }
            }
        }
        Ok(())
    }
}
