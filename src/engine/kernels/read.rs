//! A kernel that only reads memory. Its speed bounds that of every sum of many inputs.

use super::lanes::Plain;
use super::total::total;
use super::variant::Variant;

#[cfg(target_arch = "x86_64")]
use super::x86;

/// Number of independent sums, so that no addition waits for the previous one.
const CHAINS: usize = 4;

/// Reads `len` elements and returns their sum, rounded in unspecified order; it only ensures that each is read. Uses
/// the fastest variant of this machine.
///
/// # Safety
/// `data` must be valid for reads of `len` elements, which no one writes meanwhile.
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

/// # Safety
/// As for [`read`], and the machine supports `V`.
#[inline(always)]
pub(super) unsafe fn body<V: Lanes<f32>>(data: *const f32, len: usize) -> f32 {
    // SAFETY: every step stays inside 0..len; the array has room for the lanes.
    unsafe {
        let mut sums = [V::splat(0.0); CHAINS];
        let mut at = 0;
        while len - at >= CHAINS * V::WIDTH {
            let values: [V; CHAINS] = std::array::from_fn(|chain| V::load(data.add(at + chain * V::WIDTH)));
            sums = std::array::from_fn(|chain| sums[chain].add(values[chain]));
            at += CHAINS * V::WIDTH;
        }
        let mut total = 0.0;
        let mut lanes = [0.0f32; 16];
        for sum in sums {
            sum.store(lanes.as_mut_ptr());
            total += lanes[..V::WIDTH].iter().sum::<f32>();
        }
        while at < len {
            total += *data.add(at);
            at += 1;
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements are whole numbers, whose sum is exact in any order.
    #[test]
    fn every_element_is_read_once() {
        for len in [0, 1, 15, 16, 63, 64, 65, 1000] {
            let data: Vec<f32> = (0..len).map(|i| (i % 7) as f32).collect();
            let expected: f32 = data.iter().sum();
            // SAFETY: the pointers are the vector's own; every variant is only used if it is available.
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
