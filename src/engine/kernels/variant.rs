//! The variants of the kernels, and the choice of one.

use std::any::TypeId;

use super::lanes::Plain;
use super::sum::{Sum, in_blocks, is_together, together};
use crate::gradient::Element;

#[cfg(target_arch = "x86_64")]
use super::{Store, x86};
#[cfg(target_arch = "x86_64")]
use half::{bf16, f16};

/// The instruction set of a kernel. All variants yield the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The baseline of the architecture.
    Plain,
    /// x86-64 with AVX2 and F16C: vectors of 32 bytes.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX-512F as well: vectors of 64 bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Variant {
    /// Returns the variants that this machine supports, the best last.
    pub fn available() -> Vec<Variant> {
        #[cfg(target_arch = "x86_64")]
        let all = [Variant::Plain, Variant::Avx2, Variant::Avx512];
        #[cfg(not(target_arch = "x86_64"))]
        let all = [Variant::Plain];
        all.into_iter().filter(|variant| variant.is_available()).collect()
    }

    /// Returns the fastest variant that this machine supports.
    #[inline]
    pub fn best() -> Variant {
        #[cfg(target_arch = "x86_64")]
        for variant in [Variant::Avx512, Variant::Avx2] {
            if variant.is_available() {
                return variant;
            }
        }
        Variant::Plain
    }

    /// Returns true if this machine supports the variant.
    #[inline]
    pub fn is_available(self) -> bool {
        match self {
            Variant::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c"),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512 => Variant::Avx2.is_available() && is_x86_feature_detected!("avx512f"),
        }
    }

    /// Returns the name used in results.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512 => "avx512",
        }
    }

    /// Forms a sum.
    ///
    /// # Safety
    /// The variant is available, and the pointers of `sum` are as [`super::accumulate`] requires.
    #[inline]
    pub(super) unsafe fn run<E: Element>(self, sum: &Sum<E>) {
        // SAFETY: the caller's promise; streamed stores are ordered before any later store of the caller.
        unsafe {
            match self {
                Variant::Plain => plain(sum),
                #[cfg(target_arch = "x86_64")]
                Variant::Avx2 | Variant::Avx512 => {
                    if let Some(sum) = as_sum_of::<E, f32>(sum) {
                        if self == Variant::Avx2 { x86::avx2_f32(sum) } else { x86::avx512_f32(sum) }
                    } else if let Some(sum) = as_sum_of::<E, f64>(sum) {
                        if self == Variant::Avx2 { x86::avx2_f64(sum) } else { x86::avx512_f64(sum) }
                    } else if let Some(sum) = as_sum_of::<E, f16>(sum) {
                        if self == Variant::Avx2 { x86::avx2_f16(sum) } else { x86::avx512_f16(sum) }
                    } else if let Some(sum) = as_sum_of::<E, bf16>(sum) {
                        if self == Variant::Avx2 { x86::avx2_bf16(sum) } else { x86::avx512_bf16(sum) }
                    } else {
                        plain(sum)
                    }
                    if sum.store == Store::Streaming {
                        std::arch::x86_64::_mm_sfence();
                    }
                }
            }
        }
    }
}

unsafe fn plain<E: Element>(sum: &Sum<E>) {
    #[inline(never)]
    unsafe fn blocks<E: Element>(sum: &Sum<E>) {
        // SAFETY: as below.
        unsafe { in_blocks::<E, Plain<E::Acc, 4>, 4>(sum) }
    }
    // SAFETY: the caller's promise; these lanes run on any machine.
    unsafe { if is_together(sum) { together::<E, Plain<E::Acc, 4>, 4>(sum) } else { blocks(sum) } }
}

/// Returns the same sum typed for elements of `F`, if `E` is `F`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn as_sum_of<'a, 'b, E: Element, F: Element>(sum: &'a Sum<'b, E>) -> Option<&'a Sum<'b, F>> {
    // SAFETY: E and F are the same type.
    (TypeId::of::<E>() == TypeId::of::<F>()).then(|| unsafe { &*std::ptr::from_ref(sum).cast::<Sum<'b, F>>() })
}
