//! Memory as a round finds it that has not run before: not in caches, and its pages not there.

use crate::engine::EngineError;

/// Bytes of a cache line: those of x86-64, and the least of aarch64.
const LINE: usize = 64;

/// Writes `bytes` bytes from `start` back to memory and removes them from all caches.
///
/// # Safety
/// The bytes must be readable.
pub unsafe fn flush(start: *const u8, bytes: usize) {
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
