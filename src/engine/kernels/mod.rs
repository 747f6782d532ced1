//! The summing kernels: a weighted sum of many inputs over one element range, in one pass over the output.
//!
//! What they compute is fixed to the bit and is the same on every machine: in the accumulation type, each product and
//! each sum is rounded once (nothing is fused), terms are added in the order given, one division ends the sum, and
//! narrowing rounds to nearest, ties to even. Only how many elements are worked on at once differs between variants.

mod lanes;
mod read;
mod sum;
#[cfg(test)]
mod tests;
mod total;
mod variant;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::gradient::Element;

pub use read::read;
use sum::{Sum, Target};
pub use variant::Variant;

/// One input of a sum over a range. Raw pointers, because inputs may live in memory that other processes share.
#[derive(Clone, Copy, Debug)]
pub enum Term<E: Element> {
    /// A client's gradient, to be multiplied by its weight.
    Weighted {
        /// First element of the range.
        data: *const E,
        /// The client's weight.
        weight: E::Acc,
    },
    /// An unscaled partial sum; points to the first element of the range.
    Partial(*const E::Acc),
}

/// Where a sum starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumStart {
    /// With the first term.
    Fresh,
    /// With the sum of earlier terms that the accumulator already holds.
    Continue,
}

/// How the output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Through the cache: for output that is read again soon, or fits the cache.
    Cached,
    /// Past the cache: for output that is written once and is much larger than the cache. It saves reading the output
    /// before it is overwritten. Ordinary stores are used where the output is also the accumulator read (its lines are
    /// then in the cache anyway) and where the machine has no such stores. They have all been carried out, as seen by
    /// other cores, before any store that the caller makes afterwards.
    Streaming,
}

/// Sums `terms` over `len` elements into `acc`: acc[i] = (acc[i] +) Σ terms in the given order, each product and each
/// sum rounded to `E::Acc`. A fresh sum of no terms is zero. Uses the fastest variant that this machine has.
///
/// # Safety
/// Every pointer in `terms`, and `acc`, must be aligned to its type and valid for `len` elements: terms (and `acc`,
/// where `start` is `Continue`) initialised and not written by anyone meanwhile, `acc` writable and not accessed by
/// anyone else. A term may be the very memory of `acc`, element on element, but must not overlap it shifted.
pub unsafe fn accumulate<E: Element>(start: SumStart, terms: &[Term<E>], acc: *mut E::Acc, len: usize, store: Store) {
    // SAFETY: passed on to the caller; the best variant is available.
    unsafe { accumulate_with(Variant::best(), start, terms, acc, len, store) }
}

/// Sums `terms` over `len` elements as [`accumulate`] does, starting from the running sum in `acc` where `start` is
/// `Continue`, divides once by `divisor` in `E::Acc`, and writes the values of `E` nearest to that (ties to even) into
/// `out`. `acc` is only read, and may be null for a fresh sum; `out` may be the same memory where `E` is `E::Acc`.
///
/// # Safety
/// As for [`accumulate`], `out` being what is written, and `acc` valid for reads of `len` elements where `start` is
/// `Continue`. `acc` and terms may be the very memory of `out`, element on element (hence of the same element size),
/// but must not overlap it otherwise.
pub unsafe fn accumulate_and_finish<E: Element>(
    start: SumStart,
    acc: *const E::Acc,
    terms: &[Term<E>],
    out: *mut E,
    divisor: E::Acc,
    len: usize,
    store: Store,
) {
    // SAFETY: passed on to the caller; the best variant is available.
    unsafe { accumulate_and_finish_with(Variant::best(), start, acc, terms, out, divisor, len, store) }
}

/// [`accumulate`] by a given variant.
///
/// # Safety
/// As for [`accumulate`], and `variant` must be one of [`Variant::available`].
pub unsafe fn accumulate_with<E: Element>(
    variant: Variant,
    start: SumStart,
    terms: &[Term<E>],
    acc: *mut E::Acc,
    len: usize,
    store: Store,
) {
    let (lead, store) = match start {
        SumStart::Fresh => (None, store),
        SumStart::Continue => (Some(acc.cast_const()), Store::Cached),
    };
    let sum = Sum { lead, terms, target: Target::Partial(acc), store, len };
    // SAFETY: the caller's promise.
    unsafe { variant.run(&sum) }
}

/// [`accumulate_and_finish`] by a given variant.
///
/// # Safety
/// As for [`accumulate_and_finish`], and `variant` must be one of [`Variant::available`].
#[allow(clippy::too_many_arguments)]
pub unsafe fn accumulate_and_finish_with<E: Element>(
    variant: Variant,
    start: SumStart,
    acc: *const E::Acc,
    terms: &[Term<E>],
    out: *mut E,
    divisor: E::Acc,
    len: usize,
    store: Store,
) {
    let (lead, store) = match start {
        SumStart::Fresh => (None, store),
        SumStart::Continue if acc.addr() == out.addr() => (Some(acc), Store::Cached),
        SumStart::Continue => (Some(acc), store),
    };
    let sum = Sum { lead, terms, target: Target::Finished { out, divisor }, store, len };
    // SAFETY: the caller's promise.
    unsafe { variant.run(&sum) }
}
