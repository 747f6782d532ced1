//! Lanes of AVX2 and AVX-512 registers, and the sum's body compiled for them.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::lanes::{Lanes, WideLanes};
use super::sum::{Sum, in_blocks, is_together, together};
use super::total::total;

/// Functions of [`WideLanes`] and [`Lanes`], each an expression of vector instructions.
macro_rules! lane_functions {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? { $value:expr })*) => {$(
        #[inline(always)]
        unsafe fn $name($($argument: $type),*) $(-> $result)? {
            // SAFETY: the caller of a function of `Lanes` promises that the machine has the instructions, and that a
            // pointer is valid for as many elements as the vector holds.
            unsafe { $value }
        }
    )*};
}

/// Lanes of accumulators, which are elements too. Instructions are named by their prefix and type, as `_mm256` and `ps`.
macro_rules! wide {
    ($vector:ty, $acc:ty, $prefix:ident, $type:ident) => {
        pastey::paste! {
            impl WideLanes<$acc> for $vector {
                const WIDTH: usize = size_of::<$vector>() / size_of::<$acc>();
                lane_functions! {
                    fn splat(value: $acc) -> Self { [<$prefix _set1_ $type>](value) }
                    fn load(from: *const $acc) -> Self { [<$prefix _loadu_ $type>](from) }
                    fn mul(self: Self, other: Self) -> Self { [<$prefix _mul_ $type>](self, other) }
                    fn add(self: Self, other: Self) -> Self { [<$prefix _add_ $type>](self, other) }
                    fn div(self: Self, other: Self) -> Self { [<$prefix _div_ $type>](self, other) }
                    fn store(self: Self, to: *mut $acc) { [<$prefix _storeu_ $type>](to, self) }
                    fn stream(self: Self, to: *mut $acc) { [<$prefix _stream_ $type>](to, self) }
                }
            }
            impl Lanes<$acc> for $vector {
                lane_functions! {
                    fn widen(from: *const $acc) -> Self { [<$prefix _loadu_ $type>](from) }
                    fn narrow(self: Self, to: *mut $acc) { [<$prefix _storeu_ $type>](to, self) }
                    fn narrow_stream(self: Self, to: *mut $acc) { [<$prefix _stream_ $type>](to, self) }
                }
            }
        }
    };
}

/// Lanes of `f32` for elements of 16 bits, which fill a register of half the width.
macro_rules! half_width {
    ($vector:ty, $element:ty, $prefix:ident, $type:ident, $widen:path, $narrow:path) => {
        pastey::paste! {
            impl Lanes<$element> for $vector {
                lane_functions! {
                    fn widen(from: *const $element) -> Self { $widen([<$prefix _loadu_ $type>](from.cast())) }
                    fn narrow(self: Self, to: *mut $element) { [<$prefix _storeu_ $type>](to.cast(), $narrow(self)) }
                    fn narrow_stream(self: Self, to: *mut $element) {
                        [<$prefix _stream_ $type>](to.cast(), $narrow(self))
                    }
                }
            }
        }
    };
}

wide!(__m256, f32, _mm256, ps);
wide!(__m256d, f64, _mm256, pd);
wide!(__m512, f32, _mm512, ps);
wide!(__m512d, f64, _mm512, pd);
half_width!(__m256, f16, _mm, si128, _mm256_cvtph_ps, narrow_f16_256);
half_width!(__m256, bf16, _mm, si128, widen_bf16_256, narrow_bf16_256);
half_width!(__m512, f16, _mm256, si256, _mm512_cvtph_ps, narrow_f16_512);
half_width!(__m512, bf16, _mm256, si256, widen_bf16_512, narrow_bf16_512);

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn narrow_f16_256(value: __m256) -> __m128i {
    _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(value)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn narrow_f16_512(value: __m512) -> __m256i {
    _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(value)
}

#[inline]
#[target_feature(enable = "avx2")]
fn widen_bf16_256(bits: __m128i) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(bits)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn widen_bf16_512(bits: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)))
}

// AVX512_BF16's own conversion takes subnormals for zero, so both widths round in integers: adding just less than half
// a unit of the last place kept, and one more where that place is odd, carries exactly when round to nearest even
// does. A NaN must not be rounded, as it may carry into infinity: it is cut, and kept a NaN by its quiet bit.

#[inline]
#[target_feature(enable = "avx2")]
fn narrow_bf16_256(value: __m256) -> __m128i {
    let bits = _mm256_castps_si256(value);
    let cut = _mm256_srli_epi32::<16>(bits);
    let odd = _mm256_and_si256(cut, _mm256_set1_epi32(1));
    let rounded = _mm256_srli_epi32::<16>(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd));
    let quiet = _mm256_or_si256(cut, _mm256_set1_epi32(0x40));
    let is_nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(value, value));
    let words = _mm256_blendv_epi8(rounded, quiet, is_nan);
    let packed = _mm256_packus_epi32(words, words);
    _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b1000>(packed))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn narrow_bf16_512(value: __m512) -> __m256i {
    let bits = _mm512_castps_si512(value);
    let cut = _mm512_srli_epi32::<16>(bits);
    let odd = _mm512_and_si512(cut, _mm512_set1_epi32(1));
    let rounded = _mm512_srli_epi32::<16>(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd));
    let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
    let words = _mm512_mask_or_epi32(rounded, is_nan, cut, _mm512_set1_epi32(0x40));
    _mm512_cvtepi32_epi16(words)
}

// Two tiles: of two cache lines of accumulators where all terms are added together, and of one where they are added in
// groups.
macro_rules! compiled {
    ($name:ident, $features:literal, $element:ty, $vector:ty, $tile:literal, $line:literal) => {
        /// The body for one element type.
        ///
        /// # Safety
        /// The machine has the features, and the pointers are as [`super::accumulate`] asks.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(sum: &Sum<$element>) {
            #[inline(never)]
            #[target_feature(enable = $features)]
            unsafe fn blocks(sum: &Sum<$element>) {
                // SAFETY: as below.
                unsafe { in_blocks::<$element, $vector, $line>(sum) }
            }
            // SAFETY: the caller's promise; these functions are compiled for what the lanes need.
            unsafe { if is_together(sum) { together::<$element, $vector, $tile>(sum) } else { blocks(sum) } }
        }
    };
}

compiled!(avx2_f32, "avx2,f16c", f32, __m256, 4, 2);
compiled!(avx2_f64, "avx2,f16c", f64, __m256d, 4, 2);
compiled!(avx2_f16, "avx2,f16c", f16, __m256, 4, 2);
compiled!(avx2_bf16, "avx2,f16c", bf16, __m256, 4, 2);
compiled!(avx512_f32, "avx2,f16c,avx512f", f32, __m512, 2, 1);
compiled!(avx512_f64, "avx2,f16c,avx512f", f64, __m512d, 2, 1);
compiled!(avx512_f16, "avx2,f16c,avx512f", f16, __m512, 2, 1);
compiled!(avx512_bf16, "avx2,f16c,avx512f", bf16, __m512, 2, 1);

macro_rules! reading {
    ($name:ident, $features:literal, $vector:ty) => {
        /// Reading alone.
        ///
        /// # Safety
        /// The machine has the features, and the pointer is as [`super::read`] asks.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(data: *const f32, len: usize) -> f32 {
            // SAFETY: the caller's promise; this function is compiled for what the lanes need.
            unsafe { total::<$vector>(data, len) }
        }
    };
}

reading!(avx2_read, "avx2,f16c", __m256);
reading!(avx512_read, "avx2,f16c,avx512f", __m512);
