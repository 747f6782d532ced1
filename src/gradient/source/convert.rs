//! Converts elements from one type to another, rounded once to nearest, ties to even.

use crate::gradient::Element;

/// Writes each element of `from` to `to`, rounded to the nearest value of type `D`. Both slices have the same length.
pub(super) fn convert<S: Element, D: Element>(from: &[S], to: &mut [D]) {
    debug_assert_eq!(from.len(), to.len());
    for (source, target) in from.iter().zip(to) {
        *target = D::from_f64(source.to_f64());
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    fn one<S: Element, D: Element>(value: S) -> D {
        let mut out = [D::from_f64(0.0)];
        convert(&[value], &mut out);
        out[0]
    }

    #[test]
    fn rounds_once() {
        // 1 + 2^-11 lies half way between the f16 neighbours 1 and 1 + 2^-10, so a slightly greater number must round
        // up. It does not if it is rounded to f32 first, which drops the difference.
        let value = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
        assert_eq!(f16::from_f32(value as f32).to_bits(), 0x3c00, "two roundings go wrong");
        assert_eq!(one::<f64, f16>(value).to_bits(), 0x3c01);
        assert_eq!(one::<f64, f16>(-value).to_bits(), 0xbc01);
        let value = 1.0 + 2f64.powi(-8) + 2f64.powi(-50);
        assert_eq!(one::<f64, bf16>(value).to_bits(), 0x3f81);
        // Slightly below half way, where the first of two roundings would round up.
        let value = 1.0 + 2f64.powi(-10) + 2f64.powi(-11) - 2f64.powi(-40);
        assert_eq!(one::<f64, f16>(value).to_bits(), 0x3c01);
    }

    #[test]
    fn keeps_what_has_no_nearest() {
        assert!(one::<f64, f16>(f64::NAN).is_nan());
        assert!(one::<f32, f64>(f32::NAN).is_nan());
        assert_eq!(one::<f64, f16>(1e300), f16::INFINITY);
        assert_eq!(one::<f64, bf16>(f64::NEG_INFINITY), bf16::NEG_INFINITY);
        assert_eq!(one::<f64, f16>(5e-324).to_bits(), 0);
        assert_eq!(one::<f64, f16>(-5e-324).to_bits(), 0x8000);
        assert_eq!(one::<f64, f32>(0.1), 0.1f32);
        assert_eq!(one::<f16, f64>(f16::from_bits(1)), 2f64.powi(-24));
        assert_eq!(one::<bf16, f16>(bf16::from_f32(1e38)), f16::INFINITY);
        assert_eq!(one::<f32, f32>(0.3), 0.3);
    }
}
