//! Maps memory before it is read.

/// Maps the pages of `bytes` bytes at `start`, which must be readable and have been touched by their owner. Where
/// nothing is there (no bytes, no address) it does nothing.
pub(super) fn map_for_reading(start: *const u8, bytes: usize) {
    if bytes == 0 || start.is_null() {
        return;
    }
    // SAFETY: sysconf reads a constant of the system.
    let page = match unsafe { libc::sysconf(libc::_SC_PAGESIZE) } {
        size if size > 0 => size as usize,
        _ => 4096,
    };
    let into = start.addr() % page;
    let (first, length) = (start.wrapping_sub(into), bytes + into);
    // SAFETY: whole pages of which at least one byte is the caller's; reading them changes nothing.
    if unsafe { libc::madvise(first.cast_mut().cast(), length, libc::MADV_POPULATE_READ) } == 0 {
        return;
    }
    // Before Linux 5.14: one read a page. The first is at `start` itself, which may lie after the page's first byte.
    let mut at = 0;
    while at < bytes {
        // SAFETY: inside the caller's memory. What is read is not used, so a neighbour that writes there does no harm.
        unsafe { std::ptr::read_volatile(start.wrapping_add(at)) };
        at += page - (start.addr() + at) % page;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_place_and_length() {
        let memory = vec![7u8; 3 * 4096 + 5];
        for (from, bytes) in [(0, 0), (0, 1), (1, 4096), (4095, 2), (5, memory.len() - 5)] {
            map_for_reading(memory[from..].as_ptr(), bytes);
        }
        map_for_reading(std::ptr::null(), 4096);
        assert!(memory.iter().all(|byte| *byte == 7));
    }
}
