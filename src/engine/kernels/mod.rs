//! The summing kernels: they form a weighted sum of many inputs over one element range in one pass over the output.
//!
//! The result is defined to the bit and equal on every machine. In the accumulation type each product and sum is
//! rounded once (nothing is fused), terms are added in the given order, and one division ends the sum. Narrowing rounds
//! to nearest, ties to even. Variants differ only in how many elements they process at once.

mod lanes;
mod read;
mod running;
mod sum;
#[cfg(test)]
mod tests;
mod total;
mod variant;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::gradient::Element;

pub use read::read;
pub use running::{RunningSum, running_sum_bytes};
use sum::Sum;
pub use sum::Target;
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

/// The kind of stores for the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Stores through the cache, for output that fits the cache or is read again soon.
    Cached,
    /// Stores past the cache, for output written once and much larger than the cache. They save reading the output
    /// before it is overwritten. Ordinary stores are used if the output is also the lead (its lines are cached
    /// anyway) or the machine has no such stores. All are visible to other cores before any later store of the caller.
    Streaming,
}

/// Sums `terms` over `len` elements to `target`: [`lead` +] Σ terms, in the given order, each product and each sum
/// rounded to `E::Acc`. Without lead and terms the sum is zero. Uses the fastest variant of this machine.
///
/// # Safety
/// Every pointer must be aligned to its type and valid for `len` elements. Lead and terms must be initialised, and no
/// one may write them meanwhile. The target must be writable, and no one else may access it. Lead and terms may be
/// exactly the memory of the target (then with equal element size), but must not overlap it with an offset.
pub unsafe fn form<E: Element>(
    lead: Option<*const E::Acc>,
    terms: &[Term<E>],
    target: Target<E>,
    len: usize,
    store: Store,
) {
    // SAFETY: the caller's promise; the best variant is available.
    unsafe { form_with(Variant::best(), lead, terms, target, len, store) }
}

/// Like [`form`], with a given variant.
///
/// # Safety
/// As for [`form`], and `variant` must be one of [`Variant::available`].
pub unsafe fn form_with<E: Element>(
    variant: Variant,
    lead: Option<*const E::Acc>,
    terms: &[Term<E>],
    target: Target<E>,
    len: usize,
    store: Store,
) {
    // The lines of the lead are in the cache anyway.
    let store = if lead.is_some_and(|lead| lead.addr() == target.addr()) { Store::Cached } else { store };
    // SAFETY: the caller's promise.
    unsafe { variant.run(&Sum { lead, terms, target, store, len }) }
}
