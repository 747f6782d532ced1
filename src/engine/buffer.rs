//! Memory for gradients and sums. It is zeroed and touched before the clock starts, and on huge pages if the kernel
//! grants them.

use std::alloc::Layout;

use crate::engine::ledger::{Entered, Ledger, Purpose};

/// Size from which a buffer has a mapping of its own, bytes. Such a buffer is returned to the system when it is
/// dropped, so that the memory seen by the kernel decreases.
const MAPPED_FROM: usize = 1 << 20;
/// Alignment of small buffers, bytes: two cache lines, which some processors fetch together, and the widest vector.
const ALIGNMENT: usize = 128;

/// The error of an allocation that the system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot allocate {bytes} bytes: {cause}")]
pub struct OutOfMemory {
    /// Bytes requested.
    pub bytes: usize,
    /// The system's error.
    pub cause: std::io::Error,
}

/// Zeroed memory of fixed length and address, aligned to at least 128 bytes.
#[derive(Debug)]
pub struct Buffer {
    start: *mut u8,
    bytes: usize,
    /// The entry in the rank's ledger, if it is memory of a round.
    _entry: Option<Entered>,
}

// SAFETY: a buffer owns its memory; users of its pointer order their accesses.
unsafe impl Send for Buffer {}
// SAFETY: as above; the methods on a shared buffer only return pointers.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// Like [`Buffer::zeroed`], with an entry in `ledger` for as long as the buffer lives.
    pub fn entered(bytes: usize, ledger: &Ledger, purpose: Purpose) -> Result<Buffer, OutOfMemory> {
        let mut buffer = Buffer::zeroed(bytes)?;
        buffer._entry = Some(ledger.enter(purpose, bytes as u64));
        Ok(buffer)
    }

    /// Allocates `bytes` zero bytes and touches every page.
    pub fn zeroed(bytes: usize) -> Result<Buffer, OutOfMemory> {
        if bytes == 0 {
            return Ok(Buffer { start: std::ptr::without_provenance_mut(ALIGNMENT), bytes, _entry: None });
        }
        let refused = |cause| OutOfMemory { bytes, cause };
        if bytes < MAPPED_FROM {
            let layout = Layout::from_size_align(bytes, ALIGNMENT)
                .map_err(|_| refused(std::io::ErrorKind::InvalidInput.into()))?;
            // SAFETY: the size is not zero.
            let start = unsafe { std::alloc::alloc_zeroed(layout) };
            if start.is_null() {
                return Err(refused(std::io::ErrorKind::OutOfMemory.into()));
            }
            return Ok(Buffer { start, bytes, _entry: None });
        }
        // SAFETY: a new private mapping of `bytes` bytes; advice and writes stay inside it.
        unsafe {
            let start = libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            if start == libc::MAP_FAILED {
                return Err(refused(std::io::Error::last_os_error()));
            }
            // A kernel without huge pages rejects this advice, which does no harm.
            libc::madvise(start, bytes, libc::MADV_HUGEPAGE);
            let start: *mut u8 = start.cast();
            start.write_bytes(0, bytes);
            Ok(Buffer { start, bytes, _entry: None })
        }
    }

    /// Gives the pages of a large buffer back to the system, so that the next access to each is its first touch. The bytes are
    /// zero again. A small buffer shares its pages with others and stays.
    pub fn give_back(&self) {
        if self.bytes >= MAPPED_FROM {
            // SAFETY: a private mapping of this buffer alone, which may be read as zeros afterwards. The call cannot fail
            // for such a range.
            unsafe { libc::madvise(self.start.cast(), self.bytes, libc::MADV_DONTNEED) };
        }
    }

    /// Returns a pointer to the first byte.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        // SAFETY: `zeroed` allocated the memory in the way that depends on its size.
        unsafe {
            if self.bytes < MAPPED_FROM {
                std::alloc::dealloc(self.start, Layout::from_size_align_unchecked(self.bytes, ALIGNMENT));
            } else {
                libc::munmap(self.start.cast(), self.bytes);
            }
        }
    }
}
