//! The summing kernels: they form a weighted sum of many inputs over one element range in one pass over the output.
//!
//! The result is defined to the bit and equal on every machine. In the accumulation type each product and sum is
//! rounded once (nothing is fused), terms are added in the given order, and one division ends the sum. Narrowing rounds
//! to nearest, ties to even. Variants differ only in how many elements they process at once.

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

/// One input of a sum over a range. It has raw pointers, because inputs may be in memory shared with other processes.
#[derive(Clone, Copy, Debug)]
pub enum Term<E: Element> {
    /// A client's gradient, to be multiplied by its weight.
    Weighted {
        /// First element of the range.
        data: *const E,
        /// The client's weight.
        weight: E::Acc,
    },
    /// An unscaled partial sum: a pointer to the first element of the range.
    Partial(*const E::Acc),
}

/// The value that a sum starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumStart {
    /// The first term.
    Fresh,
    /// The sum of earlier terms in the accumulator.
    Continue,
}

/// The kind of stores for the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Stores through the cache, for output that fits the cache or is read again soon.
    Cached,
    /// Stores past the cache, for output written once and much larger than the cache. They save reading the output
    /// before it is overwritten. Ordinary stores are used if the output is also the accumulator (its lines are cached
    /// anyway) or the machine has no such stores. All are visible to other cores before any later store of the caller.
    Streaming,
}

/// Sums `terms` over `len` elements into `acc`: acc[i] = (acc[i] +) Σ terms, in the given order, each product and each
/// sum rounded to `E::Acc`. A fresh sum without terms is zero. Uses the fastest variant of this machine.
///
/// # Safety
/// Every pointer in `terms`, and `acc`, must be aligned to its type and valid for `len` elements. The terms (and `acc`,
/// if `start` is `Continue`) must be initialised, and no one may write them meanwhile. `acc` must be writable, and no
/// one else may access it. A term may be exactly the memory of `acc`, but must not overlap it with an offset.
pub unsafe fn accumulate<E: Element>(start: SumStart, terms: &[Term<E>], acc: *mut E::Acc, len: usize, store: Store) {
    // SAFETY: the caller's promise; the best variant is available.
    unsafe { accumulate_with(Variant::best(), start, terms, acc, len, store) }
}

/// Sums `terms` over `len` elements like [`accumulate`], starting from `acc` if `start` is `Continue`. Divides once by
/// `divisor` in `E::Acc` and writes the nearest values of `E` (ties to even) to `out`. `acc` is only read, and may be
/// null for a fresh sum; `out` may be the same memory if `E` is `E::Acc`.
///
/// # Safety
/// As for [`accumulate`], with `out` as the memory written and `acc` valid for reads of `len` elements if `start` is
/// `Continue`. `acc` and terms may be exactly the memory of `out` (then with equal element size), but must not overlap
/// it otherwise.
pub unsafe fn accumulate_and_finish<E: Element>(
    start: SumStart,
    acc: *const E::Acc,
    terms: &[Term<E>],
    out: *mut E,
    divisor: E::Acc,
    len: usize,
    store: Store,
) {
    // SAFETY: the caller's promise; the best variant is available.
    unsafe { accumulate_and_finish_with(Variant::best(), start, acc, terms, out, divisor, len, store) }
}

/// Like [`accumulate`], with a given variant.
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

/// Like [`accumulate_and_finish`], with a given variant.
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
