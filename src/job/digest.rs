//! Tells results apart by one number a rank.

use crate::gradient::{Element, Range};

/// A number that tells results apart: the same for the same elements at the same places, however ranges are cut.
/// Multiplication by odd constants and a fold, summed, so that ranks' digests add up.
pub fn digest<E: Element>(range: Range, elements: &[E]) -> u64 {
    let mut sum = 0u64;
    for (at, element) in (range.start..).zip(elements) {
        let bits = match E::DTYPE.size() {
            8 => bytemuck::cast::<f64, u64>(element.to_f64()),
            _ => u64::from(bytemuck::cast::<f32, u32>(element.to_f64() as f32)),
        };
        let mixed = (bits ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        sum = sum.wrapping_add(mixed ^ (mixed >> 32));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_add_up_over_cuts_and_see_every_place() {
        let elements = [1.0f32, -2.0, 3.5, 0.0, 9.0];
        let whole = digest(Range::new(10, 15), &elements);
        let cut = digest(Range::new(10, 12), &elements[..2]).wrapping_add(digest(Range::new(12, 15), &elements[2..]));
        assert_eq!(whole, cut);
        let swapped = [1.0f32, 3.5, -2.0, 0.0, 9.0];
        assert_ne!(whole, digest(Range::new(10, 15), &swapped));
    }
}
