//! Element types of a gradient, and the type in which sums over it are accumulated.

use half::{bf16, f16};
use serde::{Deserialize, Serialize};

use crate::with_element;

/// The type of a gradient's elements, as named in experiments and files.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[derive(strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Dtype {
    #[default]
    /// IEEE 754 binary32, accumulated in binary32.
    F32,
    /// IEEE 754 binary64, accumulated in binary64.
    F64,
    /// IEEE 754 binary16, accumulated in binary32.
    F16,
    /// bfloat16, accumulated in binary32.
    Bf16,
}

impl Dtype {
    /// All element types, in the order of the enum.
    pub const ALL: [Dtype; 4] = [Dtype::F32, Dtype::F64, Dtype::F16, Dtype::Bf16];

    /// Returns the name used in experiments, tables and files.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the size of one element, bytes.
    pub fn size(self) -> usize {
        with_element!(self, E => size_of::<E>())
    }

    /// Returns the size of one element of the accumulation type, bytes.
    pub fn accumulator_size(self) -> usize {
        with_element!(self, E => size_of::<<E as Element>::Acc>())
    }
}

/// A type in which sums are formed: `f32` or `f64`. Every operation rounds once to nearest, ties to even.
pub trait Accumulator:
    Element<Acc = Self>
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
{
}

impl Accumulator for f32 {}
impl Accumulator for f64 {}

/// One element of a gradient.
pub trait Element: Copy + Send + Sync + 'static + bytemuck::Pod + PartialEq + std::fmt::Debug {
    /// The type in which products and sums of elements are formed.
    type Acc: Accumulator;
    /// The type's value of [`Dtype`].
    const DTYPE: Dtype;
    /// Unit round-off, half an ulp of 1: the relative error of rounding a finished sum to this type.
    const UNIT_ROUNDOFF: f64;

    /// Converts exactly to the accumulation type.
    fn widen(self) -> Self::Acc;
    /// Rounds to the nearest value of this type.
    fn narrow(value: Self::Acc) -> Self;
    /// Rounds to the nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// Converts exactly.
    fn to_f64(self) -> f64;
    /// Numbers the values of the type in ascending order, so that the difference of two numbers is the distance of the
    /// values in units in the last place. −0 and +0 have the same number.
    fn place(self) -> i64;
}

/// Maps sign-magnitude bits (magnitude in the low `bits` − 1 bits) to a number that grows with the value.
fn place_of(raw: u64, bits: u32) -> i64 {
    let sign = 1u64 << (bits - 1);
    let magnitude = (raw & (sign - 1)) as i64;
    if raw & sign == 0 { magnitude } else { -magnitude }
}

/// Rounds to binary32 by rounding to odd: truncates, and sets the last bit if the result is inexact.
///
/// A further rounding to a type of at most 22 significant bits then equals a single rounding of `value`. Two roundings
/// to nearest lack this property (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
/// using rounding to odd", 2008).
fn to_odd(value: f64) -> f32 {
    let near = value as f32;
    if value.is_nan() || f64::from(near) == value {
        return near;
    }
    let away_from_zero = f64::from(near).abs() > value.abs();
    f32::from_bits((near.to_bits() - u32::from(away_from_zero)) | 1)
}

macro_rules! element {
    ($type:ty, $acc:ty, $dtype:expr, $roundoff:expr, $widen:expr, $narrow:expr, $from:expr, $to:expr) => {
        impl Element for $type {
            type Acc = $acc;
            const DTYPE: Dtype = $dtype;
            const UNIT_ROUNDOFF: f64 = $roundoff;

            #[inline(always)]
            fn widen(self) -> $acc {
                $widen(self)
            }
            #[inline(always)]
            fn narrow(value: $acc) -> Self {
                $narrow(value)
            }
            fn from_f64(value: f64) -> Self {
                $from(value)
            }
            fn to_f64(self) -> f64 {
                $to(self)
            }
            fn place(self) -> i64 {
                place_of(self.to_bits() as u64, 8 * size_of::<$type>() as u32)
            }
        }
    };
}

element!(f32, f32, Dtype::F32, 1.0 / (1u64 << 24) as f64, |x| x, |x| x, |x| x as f32, f64::from);
element!(f64, f64, Dtype::F64, 1.0 / (1u64 << 53) as f64, |x| x, |x| x, |x| x, |x| x);
element!(f16, f32, Dtype::F16, 1.0 / 2048.0, f16::to_f32, f16::from_f32, |x| f16::from_f32(to_odd(x)), f16::to_f64);
element!(
    bf16,
    f32,
    Dtype::Bf16,
    1.0 / 256.0,
    bf16::to_f32,
    bf16::from_f32,
    |x| bf16::from_f32(to_odd(x)),
    bf16::to_f64
);

/// Evaluates `$body` with `$type` as the element type named by `$dtype`.
#[macro_export]
macro_rules! with_element {
    ($dtype:expr, $type:ident => $body:expr) => {
        match $dtype {
            $crate::gradient::Dtype::F32 => {
                type $type = f32;
                $body
            }
            $crate::gradient::Dtype::F64 => {
                type $type = f64;
                $body
            }
            $crate::gradient::Dtype::F16 => {
                type $type = half::f16;
                $body
            }
            $crate::gradient::Dtype::Bf16 => {
                type $type = half::bf16;
                $body
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_place_apart() {
        assert_eq!(1.0f32.place() - 1.0f32.next_down().place(), 1);
        assert_eq!(f32::from_bits(1).place() - (-f32::from_bits(1)).place(), 2);
        assert_eq!((-0.0f64).place(), 0.0f64.place());
        assert_eq!(bf16::from_f64(1.0).place() - bf16::from_f64(-1.0).place(), 2 * 0x3f80);
    }

    #[test]
    fn conversions_round_to_nearest() {
        assert_eq!(Element::to_f64(<f16 as Element>::from_f64(2049.0)), 2048.0);
        assert_eq!(Element::to_f64(<f16 as Element>::from_f64(2051.0)), 2052.0);
        assert_eq!(Element::to_f64(<f32 as Element>::from_f64(0.1)), 0.1f32 as f64);
    }
}
