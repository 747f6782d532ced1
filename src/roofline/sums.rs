//! The rate at which one core sums data in its first-level cache. It is the limit if memory access costs nothing.

use std::time::Instant;

use super::figures::{SumRate, fastest};
use super::meeting::meet;
use super::places::RankMap;
use crate::engine::kernels::{Store, Target, Term, form};
use crate::engine::transport::{Transport, TransportError};
use crate::engine::{Buffer, OutOfMemory};
use crate::gradient::{Dtype, Element};
use crate::with_element;

/// Elements of a sum. Two inputs and the sum with 8 bytes per element fill 24 KiB, which every first-level cache holds.
const ELEMENTS: usize = 1024;
/// Sums in a batch. A batch takes about a tenth of a millisecond: much longer than a clock read, and shorter than the
/// intervals in which a busy machine leaves a core alone.
const SUMS: u64 = 1000;
/// Number of batches.
const BATCHES: usize = 20;

/// Measures the rate of this rank's core for each element type. Only the first rank of each node measures; the others
/// return nothing. Collective.
pub fn probe_sums(transport: &mut dyn Transport, places: &RankMap) -> Result<Vec<SumRate>, TransportError> {
    meet(transport, places, 0)?;
    let mut rates = Vec::new();
    if places.leads() {
        for dtype in Dtype::ALL {
            // A type is left out if 24 KiB of memory cannot be allocated.
            if let Ok(rate) = with_element!(dtype, E => rate::<E>()) {
                rates.push(rate);
            }
        }
    }
    meet(transport, places, 0)?;
    Ok(rates)
}

fn rate<E: Element>() -> Result<SumRate, OutOfMemory> {
    let inputs = Buffer::zeroed(2 * ELEMENTS * size_of::<E>())?;
    let sum = Buffer::zeroed(ELEMENTS * size_of::<E::Acc>())?;
    let input = |index: usize| inputs.as_ptr().cast::<E>().wrapping_add(index * ELEMENTS).cast_const();
    let terms = [(0, 0.5), (1, 3.0)]
        .map(|(index, weight)| Term::<E>::Weighted { data: input(index), weight: E::Acc::from_f64(weight) });
    let mut seconds = Vec::with_capacity(BATCHES);
    for _ in 0..=BATCHES {
        let begun = Instant::now();
        for _ in 0..SUMS {
            // SAFETY: the buffers belong to this function, have the lengths that the sum needs, and are initialised
            // with zeros.
            unsafe { form(None, &terms, Target::Partial(sum.as_ptr().cast()), ELEMENTS, Store::Cached) };
            std::hint::black_box(&sum);
        }
        seconds.push(begun.elapsed().as_secs_f64());
    }
    // The first batch is the warm-up.
    seconds.remove(0);
    let elements = SUMS * ELEMENTS as u64;
    let elements_per_s = fastest(&seconds).map_or(0.0, |seconds| elements as f64 / seconds);
    Ok(SumRate { dtype: E::DTYPE, elements_per_s, elements, seconds })
}
