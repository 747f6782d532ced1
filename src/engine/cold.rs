//! Memory as a first round finds it: not in caches, and its pages not there.

use crate::engine::EngineError;

/// Bytes of a cache line: those of x86-64, and the least of aarch64.
const LINE: usize = 64;

/// Memory of a round that is made cold before the round runs. Places are starts and lengths in bytes.
pub struct ColdMemory {
    /// Places with values that the round needs, which must be in no cache.
    pub flushed: Vec<(*const u8, usize)>,
    /// Sums and finished ranges in shared memory, which the round must touch for the first time.
    pub given_back: Option<(*mut u8, usize)>,
}

impl ColdMemory {
    /// Makes the memory cold.
    ///
    /// # Safety
    /// The places must be mapped and readable. Nobody may access `given_back` during the call or need its values after it.
    pub unsafe fn cool(&self) {
        for &(start, bytes) in &self.flushed {
            // SAFETY: as promised by the caller.
            unsafe { flush(start, bytes) };
        }
        // After the flush, which touches pages.
        if let Some((start, bytes)) = self.given_back {
            // SAFETY: as promised by the caller.
            unsafe { give_back(start, bytes) };
        }
    }
}

/// Writes `bytes` bytes from `start` back to memory and removes them from all caches.
///
/// # Safety
/// The bytes must be readable.
unsafe fn flush(start: *const u8, bytes: usize) {
    let mut line = start.wrapping_sub(start.addr() % LINE);
    let end = start.wrapping_add(bytes);
    while line < end {
        // SAFETY: the line holds a byte that is readable, as promised by the caller. The instructions change no value.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::x86_64::_mm_clflush(line);
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            std::arch::asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags));
        }
        line = line.wrapping_add(LINE);
    }
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// Gives the whole pages among `bytes` bytes from `start` back to the system, for every process that has mapped them, so that
/// the next access to each is its first touch. Their bytes are zero again. Pages of files that cannot have holes stay.
///
/// # Safety
/// The bytes must be mapped, nobody may need their values, and nobody may access them during the call.
unsafe fn give_back(start: *mut u8, bytes: usize) {
    let page = rustix::param::page_size();
    let begin = start.wrapping_add(start.addr().next_multiple_of(page) - start.addr());
    let length = (start.addr() + bytes).saturating_sub(begin.addr()) / page * page;
    if length == 0 {
        return;
    }
    // SAFETY: whole pages within the bytes, whose values nobody needs, as promised by the caller.
    unsafe {
        let is_private = libc::madvise(begin.cast(), length, libc::MADV_REMOVE) != 0
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL);
        if is_private {
            libc::madvise(begin.cast(), length, libc::MADV_DONTNEED);
        }
    }
}

/// Checks that [`flush`] does something on this processor.
///
/// # Errors
/// [`EngineError::Unsupported`] on other processors than x86-64 and aarch64.
pub fn can_flush() -> Result<(), EngineError> {
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return Ok(());
    }
    Err(EngineError::Unsupported("\"caches\": \"cold\" is possible on x86-64 and aarch64 only".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of `bytes` bytes from `start` that are in memory.
    fn present(start: *mut u8, bytes: usize) -> usize {
        let page = rustix::param::page_size();
        let mut pages = vec![0u8; bytes / page];
        // SAFETY: mapped pages, and a byte of the vector for each.
        assert_eq!(unsafe { libc::mincore(start.cast(), bytes, pages.as_mut_ptr()) }, 0);
        pages.iter().filter(|state| **state & 1 == 1).count()
    }

    #[test]
    fn whole_pages_are_given_back_and_the_rest_keeps_its_values() {
        let page = rustix::param::page_size();
        let bytes = 8 * page;
        for kind in [libc::MAP_SHARED, libc::MAP_PRIVATE] {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: a new mapping, which only this test uses.
            let start: *mut u8 =
                unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind | libc::MAP_ANONYMOUS, -1, 0) }.cast();
            // SAFETY: as above.
            unsafe { start.write_bytes(7, bytes) };
            assert_eq!(present(start, bytes), 8);
            // Pages 2 to 5 lie wholly in the range.
            // SAFETY: as above.
            unsafe { give_back(start.wrapping_add(page + 1), 5 * page + 100) };
            assert_eq!(present(start, bytes), 4);
            // SAFETY: as above.
            let values = unsafe { std::slice::from_raw_parts(start, bytes) };
            let sevens: usize = values.iter().filter(|value| **value == 7).count();
            assert_eq!((sevens, values[2 * page - 1], values[2 * page], values[6 * page]), (4 * page, 7, 0, 7));
            // SAFETY: the mapping of this test.
            unsafe { libc::munmap(start.cast(), bytes) };
        }
    }

    #[test]
    fn flushed_bytes_keep_their_values() {
        let bytes: Vec<u8> = (0..1000u32).map(|at| (at % 251) as u8).collect();
        let before = bytes.clone();
        // SAFETY: the bytes of a vector.
        unsafe { flush(bytes.as_ptr().wrapping_add(3), 990) };
        assert_eq!(bytes, before);
        assert!(can_flush().is_ok());
    }
}
