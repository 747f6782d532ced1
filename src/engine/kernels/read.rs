//! Reading and nothing else: how fast memory can be read bounds every sum of many inputs.

use super::lanes::Plain;
use super::total::total;
use super::variant::Variant;

#[cfg(target_arch = "x86_64")]
use super::x86;

/// Reads `len` elements and returns some sum of them, rounded in no particular order: only that each was read counts. Uses
/// the fastest variant that this machine has.
///
/// # Safety
/// `data` must be valid for reads of `len` elements that nobody writes meanwhile.
pub unsafe fn read(data: *const f32, len: usize) -> f32 {
    // SAFETY: the caller's promise; the best variant is available.
    unsafe {
        match Variant::best() {
            Variant::Plain => total::<Plain<f32, 4>>(data, len),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 => x86::avx2_read(data, len),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512 => x86::avx512_read(data, len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, whose sum is exact in any order.
    #[test]
    fn every_element_is_read_once() {
        for len in [0, 1, 15, 16, 63, 64, 65, 1000] {
            let data: Vec<f32> = (0..len).map(|i| (i % 7) as f32).collect();
            let expected: f32 = data.iter().sum();
            // SAFETY: the vector's own elements; every variant is asked only where it is available.
            unsafe {
                assert_eq!(read(data.as_ptr(), len), expected, "{len}");
                assert_eq!(total::<Plain<f32, 4>>(data.as_ptr(), len), expected, "{len}");
                #[cfg(target_arch = "x86_64")]
                if Variant::Avx2.is_available() {
                    assert_eq!(x86::avx2_read(data.as_ptr(), len), expected, "{len}");
                }
            }
        }
    }
}
