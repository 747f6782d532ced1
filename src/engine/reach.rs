//! Maps memory before it is read.

/// Maps the pages of `bytes` bytes at `start`, which must be readable and touched by their owner. Does nothing if
/// `bytes` is 0 or `start` is null.
pub(super) fn map_for_reading(start: *const u8, bytes: usize) {
    if bytes == 0 || start.is_null() {
        return;
    }
    // SAFETY: sysconf only returns a constant here.
    let page = match unsafe { libc::sysconf(libc::_SC_PAGESIZE) } {
        size if size > 0 => size as usize,
        _ => 4096,
    };
    let into = start.addr() % page;
    let (first, length) = (start.wrapping_sub(into), bytes + into);
    // SAFETY: these are whole pages with at least one byte of the caller's; reading them changes nothing.
    if unsafe { libc::madvise(first.cast_mut().cast(), length, libc::MADV_POPULATE_READ) } == 0 {
        return;
    }
    // Before Linux 5.14, read one byte of each page. The first is at `start` itself, which may be in the middle of its
    // page.
    let mut at = 0;
    while at < bytes {
        // SAFETY: inside the caller's memory. The value is not used, so concurrent writes of another rank do no harm.
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
