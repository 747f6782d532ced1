//! A running sum in safe code, with one input in memory at a time.

use super::{Store, Target, Term, form};
use crate::engine::OutOfMemory;
use crate::gradient::{Dtype, Element};
use crate::with_element;

/// A sum to which inputs are added one after another, in the order of the calls: the bits are those of [`form`] over all of
/// them. Its memory is the sum and one input. Elements are bytes in native order.
pub struct RunningSum {
    dtype: Dtype,
    /// Words, in which elements of every type are aligned.
    sum: Vec<u64>,
    input: Vec<u64>,
    length: usize,
    is_empty: bool,
}

impl RunningSum {
    /// Makes room for a sum of `elements` elements of gradients of `dtype`.
    ///
    /// # Errors
    /// The system refuses the memory.
    pub fn with_room(elements: usize, dtype: Dtype) -> Result<RunningSum, OutOfMemory> {
        let words = elements.saturating_mul(dtype.accumulator_size()).div_ceil(size_of::<u64>());
        Ok(RunningSum { dtype, sum: zeroed(words)?, input: zeroed(words)?, length: 0, is_empty: true })
    }

    /// Begins a sum of `elements` elements, or of as many as there is room for.
    pub fn begin(&mut self, elements: usize) {
        self.length = elements.min(self.sum.len() * size_of::<u64>() / self.dtype.accumulator_size());
        self.is_empty = true;
    }

    /// Returns the place of the next input: a client's gradient, or a partial sum, whose elements have the type of the sum.
    pub fn input(&mut self, is_gradient: bool) -> &mut [u8] {
        let size = if is_gradient { self.dtype.size() } else { self.dtype.accumulator_size() };
        &mut bytemuck::cast_slice_mut(&mut self.input)[..self.length * size]
    }

    /// Adds the input: a client's gradient, which is multiplied by its weight, or without a weight a partial sum.
    pub fn add(&mut self, weight: Option<f64>) {
        with_element!(self.dtype, E => self.add_as::<E>(weight));
        self.is_empty = false;
    }

    fn add_as<E: Element>(&mut self, weight: Option<f64>) {
        let length = self.length;
        let term = match weight {
            Some(weight) => {
                let elements: &[E] = bytemuck::cast_slice(&self.input);
                Term::Weighted { data: elements[..length].as_ptr(), weight: E::Acc::from_f64(weight) }
            }
            None => {
                let elements: &[E::Acc] = bytemuck::cast_slice(&self.input);
                Term::<E>::Partial(elements[..length].as_ptr())
            }
        };
        let sum: &mut [E::Acc] = bytemuck::cast_slice_mut(&mut self.sum);
        let target = sum[..length].as_mut_ptr();
        let lead = (!self.is_empty).then_some(target.cast_const());
        // SAFETY: all slices have `length` elements. The lead is exactly the target, and the input is other memory.
        unsafe { form(lead, &[term], Target::Partial(target), length, Store::Cached) }
    }

    /// Returns the sum, whose elements have the type of the sum.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.sum)[..self.length * self.dtype.accumulator_size()]
    }

    /// Divides the sum by `divisor` and returns the result, whose elements have the gradients' type. It takes the place of the
    /// last input.
    pub fn finished(&mut self, divisor: f64) -> &[u8] {
        with_element!(self.dtype, E => self.finish_as::<E>(divisor));
        self.input(true)
    }

    fn finish_as<E: Element>(&mut self, divisor: f64) {
        let length = self.length;
        let lead: &[E::Acc] = bytemuck::cast_slice(&self.sum);
        let out: &mut [E] = bytemuck::cast_slice_mut(&mut self.input);
        let target = Target::Finished { out: out[..length].as_mut_ptr(), divisor: E::Acc::from_f64(divisor) };
        // SAFETY: both slices have `length` elements, and they are different memory.
        unsafe { form(Some(lead[..length].as_ptr()), &[], target, length, Store::Cached) }
    }
}

/// Returns the memory of a [`RunningSum`] of `elements` elements, bytes.
pub fn running_sum_bytes(elements: u64, dtype: Dtype) -> u64 {
    elements * 2 * dtype.accumulator_size() as u64
}

fn zeroed(words: usize) -> Result<Vec<u64>, OutOfMemory> {
    let mut all = Vec::new();
    let bytes = words.saturating_mul(size_of::<u64>());
    let refused = |_| OutOfMemory { bytes, cause: std::io::ErrorKind::OutOfMemory.into() };
    all.try_reserve_exact(words).map_err(refused)?;
    all.resize(words, 0);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    /// 1 + 2⁻²⁴ + 2⁻²⁴ in f32, client after client: each addition rounds to 1 (ties to even), but 2⁻²⁴ + 2⁻²⁴ + 1 is
    /// 1 + 2⁻²³. Four times that over 4, and a second, shorter sum in the same room, which begins anew.
    #[test]
    fn inputs_are_added_in_the_order_of_the_calls() {
        let tiny = 1.0 / f64::from(1 << 24);
        for (order, expected) in [([1.0, tiny, tiny], 1.0), ([tiny, tiny, 1.0], 1.0 + 2.0 * tiny)] {
            let mut sum = RunningSum::with_room(19, Dtype::F32).unwrap();
            for length in [19, 7] {
                sum.begin(length);
                for value in order {
                    bytemuck::cast_slice_mut::<u8, f32>(sum.input(true)).fill(value as f32);
                    sum.add(Some(4.0));
                }
                let expected = vec![(4.0 * expected) as f32; length];
                assert_eq!(bytemuck::cast_slice::<u8, f32>(sum.bytes()), expected);
                let mean: Vec<f32> = expected.iter().map(|sum| sum / 4.0).collect();
                assert_eq!(bytemuck::cast_slice::<u8, f32>(sum.finished(4.0)), mean);
            }
        }
    }

    /// Partial sums of bf16 are f32: 257 has no bf16. Its mean with 1 is 129, which has one.
    #[test]
    fn partial_sums_are_wide() {
        let mut sum = RunningSum::with_room(5, Dtype::Bf16).unwrap();
        sum.begin(5);
        bytemuck::cast_slice_mut::<u8, f32>(sum.input(false)).fill(257.0);
        sum.add(None);
        sum.input(true).copy_from_slice(bytemuck::cast_slice(&[bf16::from_f32(1.0); 5]));
        sum.add(Some(1.0));
        assert_eq!(bytemuck::cast_slice::<u8, f32>(sum.bytes()), [258.0; 5]);
        assert_eq!(sum.finished(2.0), bytemuck::cast_slice::<bf16, u8>(&[bf16::from_f32(129.0); 5]));
        assert_eq!(running_sum_bytes(5, Dtype::Bf16), 5 * 4 + 5 * 4);
    }
}
