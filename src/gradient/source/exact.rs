//! Gradients whose weighted sums are exact in any order, so that a result must be right to the bit.

use super::check_read;
use crate::gradient::splitmix::mix;
use crate::gradient::{Dtype, Element, Range, Source, SourceError};
use crate::with_element;

/// Integers up to here are exact in every element type: bf16 has 8 significant bits.
const MOST_VALUE: u64 = 255;
/// Integers up to here are exact in every accumulation type: f32 has 24 significant bits.
const MOST_SUM: f64 = (1u64 << 24) as f64;

/// Odd integers. None is 0, so that a client that is left out, counted twice or weighted wrongly changes every sum, and
/// Σ wₖ·|gₖ| is at most 2²⁴.
#[derive(Clone, Debug)]
pub struct Exact {
    elements: u64,
    weights: Vec<f64>,
    /// Number of different absolute values.
    values: u64,
}

impl Exact {
    /// Makes gradients of `elements` elements with these weights, which are whole numbers.
    pub fn new(elements: u64, weights: Vec<f64>) -> Exact {
        let most = (MOST_SUM / weights.iter().sum::<f64>()) as u64;
        Exact { elements, weights, values: most.clamp(1, MOST_VALUE).div_ceil(2) }
    }

    fn value(&self, client: usize, element: u64) -> f64 {
        let mixed = mix(mix(client as u64) ^ element);
        let size = (2 * ((mixed >> 1) % self.values) + 1) as f64;
        if mixed & 1 == 0 { size } else { -size }
    }
}

impl Source for Exact {
    fn elements(&self) -> u64 {
        self.elements
    }

    fn weights(&self) -> &[f64] {
        &self.weights
    }

    fn read_bytes(&self, client: usize, range: Range, dtype: Dtype, out: &mut [u8]) -> Result<(), SourceError> {
        check_read(self, client, range, dtype, out.len())?;
        with_element!(dtype, E => {
            let out: &mut [E] = bytemuck::cast_slice_mut(out);
            for (element, out) in (range.start..range.end).zip(out) {
                *out = E::from_f64(self.value(client, element));
            }
        });
        Ok(())
    }
}
