//! The sum of one array, for every width of lanes.

use super::lanes::Lanes;

/// Sums that run side by side, so that no addition waits for the one before.
const CHAINS: usize = 4;

/// Returns the sum of `len` elements, in no particular order.
///
/// # Safety
/// `data` must be valid for reads of `len` elements, and the machine must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn total<V: Lanes<f32>>(data: *const f32, len: usize) -> f32 {
    // SAFETY: every step stays inside 0..len; the sums are stored into an array that has room for them.
    unsafe {
        let mut sums = [V::splat(0.0); CHAINS];
        let mut at = 0;
        while len - at >= CHAINS * V::WIDTH {
            let values: [V; CHAINS] = std::array::from_fn(|chain| V::load(data.add(at + chain * V::WIDTH)));
            sums = std::array::from_fn(|chain| sums[chain].add(values[chain]));
            at += CHAINS * V::WIDTH;
        }
        let mut sum_of_all = 0.0;
        let mut lanes = [0.0f32; 16];
        for sum in sums {
            sum.store(lanes.as_mut_ptr());
            sum_of_all += lanes[..V::WIDTH].iter().sum::<f32>();
        }
        while at < len {
            sum_of_all += *data.add(at);
            at += 1;
        }
        sum_of_all
    }
}
