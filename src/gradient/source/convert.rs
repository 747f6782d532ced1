//! From a stored element type to another, rounded once to nearest, ties to even.

use crate::gradient::{Accumulator, Dtype, Element};

/// Writes each element of `from` to `to`, rounded to the nearest value of type `D`. Both have the same length.
pub(super) fn convert<S: Element, D: Element>(from: &[S], to: &mut [D]) {
    debug_assert_eq!(from.len(), to.len());
    // Only a binary64 needs care: every other type is exact in binary32.
    let two_steps = S::DTYPE == Dtype::F64 && matches!(D::DTYPE, Dtype::F16 | Dtype::Bf16);
    for (source, target) in from.iter().zip(to) {
        let value = source.to_f64();
        let value = if two_steps { f64::from(to_odd(value)) } else { value };
        *target = D::narrow(D::Acc::from_f64(value));
    }
}

/// `value` in binary32, rounded to odd: cut off, with the last bit set when anything was cut off.
///
/// Rounding this to a type of at most 22 significant bits gives what one rounding of `value` would have given, which
/// rounding to nearest twice does not (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved
/// algorithms using rounding to odd", 2008).
fn to_odd(value: f64) -> f32 {
    let near = value as f32;
    if value.is_nan() || f64::from(near) == value {
        return near;
    }
    let away_from_zero = f64::from(near).abs() > value.abs();
    f32::from_bits((near.to_bits() - u32::from(away_from_zero)) | 1)
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
        // 1 + 2^-11 lies half way between the f16 neighbours 1 and 1 + 2^-10; a little more must round up, and does
        // not if it is rounded to f32 first, which drops the little more.
        let value = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
        assert_eq!(f16::from_f32(value as f32).to_bits(), 0x3c00, "two roundings go wrong");
        assert_eq!(one::<f64, f16>(value).to_bits(), 0x3c01);
        assert_eq!(one::<f64, f16>(-value).to_bits(), 0xbc01);
        let value = 1.0 + 2f64.powi(-8) + 2f64.powi(-50);
        assert_eq!(one::<f64, bf16>(value).to_bits(), 0x3f81);
        // A little less than half way, rounded up by the first of two roundings.
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
