//! Nonblocking messages. The caller identifies each message by a token.

use std::ffi::c_int;

use mpi_sys as ffi;

use super::Communicator;
use super::error::{Result, call};

/// The largest number of bytes in one MPI message. Longer messages are cut into several, as counts are C ints.
const MESSAGE_BLOCK: usize = 1 << 30;

/// The messages under way. A message longer than a block consists of several requests with the same token.
#[derive(Default)]
pub struct Requests {
    requests: Vec<ffi::MPI_Request>,
    tokens: Vec<usize>,
    done: Vec<c_int>,
    /// The token of each message that was cut, with the number of its requests still under way.
    cut: Vec<(usize, usize)>,
}

impl Requests {
    /// Creates an empty list with room for `capacity` requests, so that posting them allocates nothing.
    pub fn with_capacity(capacity: usize) -> Self {
        Requests {
            requests: Vec::with_capacity(capacity),
            tokens: Vec::with_capacity(capacity),
            done: vec![0; capacity],
            cut: Vec::new(),
        }
    }

    /// The number of requests under way.
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
    ) -> Result {
        let (to, tag, comm) = (to as c_int, tag as c_int, comm.handle());
        self.in_blocks(token, bytes, |offset, length, request| {
            // SAFETY: the block lies within the caller's bytes, which live until the request completes.
            unsafe {
                let data = data.add(offset).cast();
                call!(MPI_Isend, data, length, ffi::RSMPI_UINT8_T, to, tag, comm, request)
            }
        })
    }

    /// Starts to receive `bytes` bytes from rank `from` into `data`.
    ///
    /// # Safety
    /// `data` must stay writable, and nobody else may use it, until [`Requests::completed`] yields `token`.
    pub unsafe fn receive(
        &mut self,
        comm: &Communicator,
        token: usize,
        from: usize,
        tag: u64,
        data: *mut u8,
        bytes: usize,
    ) -> Result {
        let (from, tag, comm) = (from as c_int, tag as c_int, comm.handle());
        self.in_blocks(token, bytes, |offset, length, request| {
            // SAFETY: the block lies within the caller's bytes, which live until the request completes.
            unsafe {
                let data = data.add(offset).cast();
                call!(MPI_Irecv, data, length, ffi::RSMPI_UINT8_T, from, tag, comm, request)
            }
        })
    }

    /// Calls `start` with the offset and the length of each block of a message. An empty message is one empty block.
    fn in_blocks(
        &mut self,
        token: usize,
        bytes: usize,
        start: impl Fn(usize, c_int, *mut ffi::MPI_Request) -> Result,
    ) -> Result {
        let blocks = bytes.div_ceil(MESSAGE_BLOCK).max(1);
        if blocks > 1 {
            self.cut.push((token, blocks));
        }
        for block in 0..blocks {
            let offset = block * MESSAGE_BLOCK;
            // SAFETY: RSMPI_REQUEST_NULL is a constant of the library.
            let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
            start(offset, (bytes - offset).min(MESSAGE_BLOCK) as c_int, &mut request)?;
            self.requests.push(request);
            self.tokens.push(token);
        }
        Ok(())
    }

    /// Appends the tokens of completed messages to `tokens`. It does not wait.
    pub fn completed(&mut self, tokens: &mut Vec<usize>) -> Result {
        if self.requests.is_empty() {
            return Ok(());
        }
        if self.done.len() < self.requests.len() {
            self.done.resize(self.requests.capacity(), 0);
        }
        let mut count: c_int = 0;
        let (posted, requests) = (self.requests.len() as c_int, self.requests.as_mut_ptr());
        // SAFETY: `requests` holds `posted` requests, and `done` has room for as many indices.
        unsafe {
            let (done, statuses) = (self.done.as_mut_ptr(), ffi::RSMPI_STATUSES_IGNORE);
            call!(MPI_Testsome, posted, requests, &mut count, done, statuses)?;
        }
        let done = &mut self.done[..count.max(0) as usize];
        // Descending order, so that swap_remove moves only requests that have been looked at.
        done.sort_unstable_by(|a, b| b.cmp(a));
        for index in done.iter() {
            let token = self.tokens.swap_remove(*index as usize);
            self.requests.swap_remove(*index as usize);
            if let Some(place) = self.cut.iter().position(|(cut, _)| *cut == token) {
                self.cut[place].1 -= 1;
                if self.cut[place].1 > 0 {
                    continue;
                }
                self.cut.swap_remove(place);
            }
            tokens.push(token);
        }
        Ok(())
    }
}
