//! Vectors of accumulators, in which the body of a sum is written, with a portable implementation.

use crate::gradient::{Accumulator, Element};

/// `WIDTH` accumulators. Every operation acts on each lane and rounds like the scalar operation.
///
/// # Safety
/// Pointers must be valid for `WIDTH` elements and aligned to their element; those of `stream` and `narrow_stream` to
/// the size written. An implementation with special instructions may only be used inside a function compiled for them,
/// on a machine that has them. The same holds for [`Lanes`].
pub(super) trait WideLanes<A>: Copy {
    /// Number of lanes.
    const WIDTH: usize;

    /// Copies the value to each lane.
    unsafe fn splat(value: A) -> Self;
    /// Loads values.
    unsafe fn load(from: *const A) -> Self;
    /// Multiplies; each lane is rounded once, also in `add` and `div`.
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// Stores the values.
    unsafe fn store(self, to: *mut A);
    /// Like `store`, bypassing the cache.
    unsafe fn stream(self, to: *mut A);
}

/// Accumulators for elements `E`.
pub(super) trait Lanes<E: Element>: WideLanes<E::Acc> {
    /// Loads elements and widens them exactly.
    unsafe fn widen(from: *const E) -> Self;
    /// Rounds to elements, ties to even, and stores them.
    unsafe fn narrow(self, to: *mut E);
    /// Like `narrow`, bypassing the cache.
    unsafe fn narrow_stream(self, to: *mut E);
}

/// Portable lanes, which the compiler vectorises as it can.
#[derive(Clone, Copy)]
pub(super) struct Plain<A, const WIDTH: usize>([A; WIDTH]);

impl<A: Accumulator, const WIDTH: usize> WideLanes<A> for Plain<A, WIDTH> {
    const WIDTH: usize = WIDTH;

    #[inline(always)]
    unsafe fn splat(value: A) -> Self {
        Plain([value; WIDTH])
    }
    #[inline(always)]
    unsafe fn load(from: *const A) -> Self {
        // SAFETY: valid for WIDTH values and aligned to one, hence to an array of them.
        Plain(unsafe { from.cast::<[A; WIDTH]>().read() })
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] / other.0[i]))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut A) {
        // SAFETY: as in `load`.
        unsafe { to.cast::<[A; WIDTH]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn stream(self, to: *mut A) {
        // SAFETY: as in `load`.
        unsafe { self.store(to) }
    }
}

impl<E: Element, const WIDTH: usize> Lanes<E> for Plain<E::Acc, WIDTH> {
    #[inline(always)]
    unsafe fn widen(from: *const E) -> Self {
        // SAFETY: as in `load`.
        Plain(unsafe { from.cast::<[E; WIDTH]>().read() }.map(E::widen))
    }
    #[inline(always)]
    unsafe fn narrow(self, to: *mut E) {
        // SAFETY: as in `load`.
        unsafe { to.cast::<[E; WIDTH]>().write(self.0.map(E::narrow)) }
    }
    #[inline(always)]
    unsafe fn narrow_stream(self, to: *mut E) {
        // SAFETY: as in `load`.
        unsafe { self.narrow(to) }
    }
}
