//! Several accumulators side by side: what the sum's body is written in, and the form of it for any machine.

use crate::gradient::Element;

/// `WIDTH` values of `E::Acc`. Every operation acts lane by lane and rounds as the scalar one does.
///
/// # Safety
/// Pointers must be valid for `WIDTH` elements and aligned to their element; those of `stream` and `narrow_stream` to
/// the size of what is written. An implementation made of instructions that not every machine has may only be used
/// inside a function that is compiled for them, on a machine that has them.
pub(super) trait Lanes<E: Element>: Copy {
    /// Number of lanes.
    const WIDTH: usize;

    /// The same value in each lane.
    unsafe fn splat(value: E::Acc) -> Self;
    /// Values of the accumulation type, as they are.
    unsafe fn load(from: *const E::Acc) -> Self;
    /// Elements, widened exactly.
    unsafe fn widen(from: *const E) -> Self;
    /// Product, sum and quotient, each rounded once.
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// Writes values as they are.
    unsafe fn store(self, to: *mut E::Acc);
    /// Writes the nearest elements, ties to even.
    unsafe fn narrow(self, to: *mut E);
    /// `store` past the cache.
    unsafe fn stream(self, to: *mut E::Acc);
    /// `narrow` past the cache.
    unsafe fn narrow_stream(self, to: *mut E);
}

/// Lanes without any instruction of a particular machine; the compiler makes of them what it can.
#[derive(Clone, Copy)]
pub(super) struct Plain<A, const WIDTH: usize>([A; WIDTH]);

impl<E: Element, const WIDTH: usize> Lanes<E> for Plain<E::Acc, WIDTH> {
    const WIDTH: usize = WIDTH;

    #[inline(always)]
    unsafe fn splat(value: E::Acc) -> Self {
        Plain([value; WIDTH])
    }
    #[inline(always)]
    unsafe fn load(from: *const E::Acc) -> Self {
        // SAFETY: valid for WIDTH values and aligned to one, hence to an array of them.
        Plain(unsafe { from.cast::<[E::Acc; WIDTH]>().read() })
    }
    #[inline(always)]
    unsafe fn widen(from: *const E) -> Self {
        // SAFETY: as in `load`.
        Plain(unsafe { from.cast::<[E; WIDTH]>().read() }.map(E::widen))
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
    unsafe fn store(self, to: *mut E::Acc) {
        // SAFETY: as in `load`.
        unsafe { to.cast::<[E::Acc; WIDTH]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn narrow(self, to: *mut E) {
        // SAFETY: as in `load`.
        unsafe { to.cast::<[E; WIDTH]>().write(self.0.map(E::narrow)) }
    }
    #[inline(always)]
    unsafe fn stream(self, to: *mut E::Acc) {
        // SAFETY: the same promise.
        unsafe { Lanes::<E>::store(self, to) }
    }
    #[inline(always)]
    unsafe fn narrow_stream(self, to: *mut E) {
        // SAFETY: the same promise.
        unsafe { self.narrow(to) }
    }
}
