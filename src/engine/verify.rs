//! Compares a cell's result with the flat server, which sums in client order, and with an exact sum.
//!
//! The reference is computed from the source by plain loops that share no code with the engine's kernels. They work
//! range by range, so that memory is a few blocks for any gradient length.

use crate::gradient::{Element, Range, Source, SourceError, source};
use crate::plan::Problem;

/// Number of elements verified at a time.
const BLOCK: usize = 8192;

/// Name of the reference in tables and files.
pub const REFERENCE: &str = "flat server, client order";

/// The comparison of a result with the reference, for one rank's ranges or, after [`Verification::merge`], for all
/// ranks'.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Verification {
    /// Number of elements compared.
    pub elements: u64,
    /// Sum of the ranges' hashes, by which elements that were compared twice are told from others; see
    /// [`Range::telescope`].
    pub places: u64,
    /// Number of elements that differ from the reference in any bit; two NaNs do not differ.
    pub differing: u64,
    /// Greatest distance from the reference in units in the last place; `u64::MAX` if exactly one is NaN.
    pub max_ulp: u64,
    /// Greatest |result − exact| / |exact|. If the exact mean is 0, a nonzero result counts as 1.
    pub max_relative_error: f64,
    /// Greatest backward error: |result − exact| · Σwₖ / Σ|wₖgₖ|. Unlike the relative error it stays small where clients
    /// nearly cancel each other.
    pub max_backward_error: f64,
    /// Number of elements that no order of summation can explain.
    pub wrong: u64,
    /// Index of the first wrong element; `u64::MAX` if none is wrong.
    pub first_wrong: u64,
}

impl Default for Verification {
    fn default() -> Self {
        Verification { first_wrong: u64::MAX, ..bytemuck::Zeroable::zeroed() }
    }
}

impl Verification {
    /// Combines two comparisons.
    pub fn merge(self, other: Verification) -> Verification {
        Verification {
            elements: self.elements + other.elements,
            places: self.places.wrapping_add(other.places),
            differing: self.differing + other.differing,
            max_ulp: self.max_ulp.max(other.max_ulp),
            max_relative_error: self.max_relative_error.max(other.max_relative_error),
            max_backward_error: self.max_backward_error.max(other.max_backward_error),
            wrong: self.wrong + other.wrong,
            first_wrong: self.first_wrong.min(other.first_wrong),
        }
    }

    /// Combines the comparisons of all ranks.
    pub fn of_all(ranks: Vec<Verification>) -> Verification {
        ranks.into_iter().fold(Verification::default(), Verification::merge)
    }
}

/// Computes a + b exactly, as the rounded sum and the rounding error (Knuth 1969; TwoSum).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let bb = sum - a;
    (sum, (a - (sum - bb)) + (b - bb))
}

/// Computes a · b exactly, as the rounded product and the rounding error (Dekker 1971), unless a part over- or
/// underflows.
fn two_product(a: f64, b: f64) -> (f64, f64) {
    const SPLIT: f64 = ((1u64 << 27) + 1) as f64;
    let halves = |x: f64| {
        let c = SPLIT * x;
        let high = c - (c - x);
        (high, x - high)
    };
    let product = a * b;
    let ((ah, al), (bh, bl)) = (halves(a), halves(b));
    (product, al * bl - (((product - ah * bh) - al * bh) - ah * bl))
}

/// Returns true if the product of `weight` with an element of at most `bits` significant bits is exact in f64.
fn product_is_exact(weight: f64, bits: u32) -> bool {
    let mantissa = weight.to_bits() << 12;
    let significant = 53 - mantissa.trailing_zeros().min(52);
    significant + bits <= 53
}

/// Work buffers of one block, allocated once.
struct Work<E: Element> {
    gradient: Vec<E>,
    reference: Vec<E::Acc>,
    high: Vec<f64>,
    low: Vec<f64>,
    magnitude: Vec<f64>,
}

/// Compares finished ranges with the expected values.
///
/// An element is wrong if its distance from the exact mean exceeds the error that any order of summation may cause. For
/// N products and sums in the accumulation type with unit round-off u, weights rounded to that type and one division,
/// |error| ≤ γ·Σ|wₖgₖ| / Σwₖ with γ = nu / (1 − nu), n = N + 4 (Higham, Accuracy and Stability of Numerical Algorithms,
/// 2nd ed., section 4.2). One rounding to the element type and the smallest subnormal are added.
pub fn verify<E: Element>(
    problem: &Problem,
    source: &dyn Source,
    results: &[(Range, &[E])],
) -> Result<Verification, SourceError> {
    let mut work = Work {
        gradient: vec![E::from_f64(0.0); BLOCK],
        reference: vec![E::Acc::from_f64(0.0); BLOCK],
        high: vec![0.0; BLOCK],
        low: vec![0.0; BLOCK],
        magnitude: vec![0.0; BLOCK],
    };
    let mut total = Verification::default();
    for (range, elements) in results {
        let mut at = range.start;
        for block in elements.chunks(BLOCK) {
            let block_range = Range::new(at, at + block.len() as u64);
            total = total.merge(verify_block(problem, source, block_range, block, &mut work)?);
            at = block_range.end;
        }
    }
    Ok(total)
}

fn verify_block<E: Element>(
    problem: &Problem,
    source: &dyn Source,
    range: Range,
    result: &[E],
    work: &mut Work<E>,
) -> Result<Verification, SourceError> {
    let length = result.len();
    for client in 0..problem.weights.len() {
        source::read(source, client, range, &mut work.gradient[..length])?;
        add_client(client == 0, problem.weights[client], length, work);
    }
    let total = problem.total_weight();
    let divisor = E::Acc::from_f64(total);
    let n = (problem.weights.len() + 4) as f64 * E::Acc::UNIT_ROUNDOFF;
    let gamma = n / (1.0 - n);
    let mut found = Verification { elements: length as u64, places: range.telescope(), ..Verification::default() };
    for (i, &value) in result.iter().enumerate() {
        let expected = E::narrow(work.reference[i] / divisor);
        let (v, x) = (value.to_f64(), expected.to_f64());
        let mut wrong = false;
        if v.is_nan() || x.is_nan() {
            if !(v.is_nan() && x.is_nan()) {
                found.differing += 1;
                found.max_ulp = u64::MAX;
                wrong = true;
            }
        } else {
            if bytemuck::bytes_of(&value) != bytemuck::bytes_of(&expected) {
                found.differing += 1;
                found.max_ulp = found.max_ulp.max(value.place().abs_diff(expected.place()));
            }
            let (product, rest) = two_product(v, total);
            let exact = work.high[i] + work.low[i];
            if v.is_finite() && x.is_finite() && product.is_finite() && exact.is_finite() && rest.is_finite() {
                let error = ((product - work.high[i]) + (rest - work.low[i])).abs();
                let relative = match exact.abs() {
                    0.0 if v == 0.0 => 0.0,
                    0.0 => 1.0,
                    size => error / size,
                };
                found.max_relative_error = found.max_relative_error.max(relative);
                let backward = if error == 0.0 { 0.0 } else { error / work.magnitude[i] };
                found.max_backward_error = found.max_backward_error.max(backward);
                let smallest = smallest::<E>() * total * (problem.weights.len() + 2) as f64;
                let bound = gamma * work.magnitude[i] + E::UNIT_ROUNDOFF * product.abs() + smallest;
                wrong = error > bound * (1.0 + 1e-9);
            } else {
                // Beyond the range of the type error bounds do not hold, so the result must equal the reference.
                wrong = v != x;
            }
        }
        if wrong {
            found.wrong += 1;
            found.first_wrong = found.first_wrong.min(range.start + i as u64);
        }
    }
    Ok(found)
}

/// Adds one client's block to the reference and to the exact sum (Sum2 of Ogita, Rump and Oishi 2005: as accurate as
/// twice the precision).
fn add_client<E: Element>(first: bool, weight: f64, length: usize, work: &mut Work<E>) {
    let narrow = E::Acc::from_f64(weight);
    let gradient = &work.gradient[..length];
    let reference = &mut work.reference[..length];
    if first {
        reference.iter_mut().zip(gradient).for_each(|(acc, g)| *acc = narrow * g.widen());
        work.high[..length].fill(0.0);
        work.low[..length].fill(0.0);
        work.magnitude[..length].fill(0.0);
    } else {
        reference.iter_mut().zip(gradient).for_each(|(acc, g)| *acc = *acc + narrow * g.widen());
    }
    let bits = if E::DTYPE.size() == 8 { 53 } else { 24 };
    let exact = product_is_exact(weight, bits);
    let sums = work.high[..length].iter_mut().zip(&mut work.low[..length]).zip(&mut work.magnitude[..length]);
    let product = |element: f64| if exact { (weight * element, 0.0) } else { two_product(weight, element) };
    for (((high, low), magnitude), g) in sums.zip(gradient) {
        let (product, off) = product(g.to_f64());
        let (sum, rest) = two_sum(*high, product);
        *high = sum;
        *low += rest + off;
        *magnitude += product.abs();
    }
}

/// Returns the smallest positive value of a type. Below it errors are absolute, not relative.
fn smallest<E: Element>() -> f64 {
    match E::DTYPE {
        crate::gradient::Dtype::F64 => f64::from_bits(1),
        crate::gradient::Dtype::F32 => f64::from(f32::from_bits(1)),
        crate::gradient::Dtype::F16 => half::f16::from_bits(1).to_f64(),
        crate::gradient::Dtype::Bf16 => half::bf16::from_bits(1).to_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient::Dtype;

    #[test]
    fn exact_products_are_recognised() {
        assert!(product_is_exact(21.0, 24));
        assert!(product_is_exact(1.0, 52));
        assert!(!product_is_exact(0.1, 24));
        assert!(!product_is_exact(3.0, 53));
    }

    /// Clients 1, 2⁻²⁵ and −1 with weights 1: in f32 the sum of the first two is 1, so the result is 0 and the exact mean
    /// 2⁻²⁵ / 3. The relative error is 1, the backward error 2⁻²⁵ / (2 + 2⁻²⁵). With 4 in the place of the result 0, the
    /// error is 12 − 2⁻²⁵ over the same sum.
    #[test]
    fn the_backward_error_is_small_where_clients_cancel() {
        struct Three;
        impl Source for Three {
            fn elements(&self) -> u64 {
                1
            }
            fn weights(&self) -> &[f64] {
                &[1.0; 3]
            }
            fn read_bytes(&self, client: usize, _: Range, _: Dtype, out: &mut [u8]) -> Result<(), SourceError> {
                out.copy_from_slice(&[1.0f32, 2f32.powi(-25), -1.0][client].to_ne_bytes());
                Ok(())
            }
        }
        let found = |result: f32| {
            let results: [(Range, &[f32]); 1] = [(Range::new(0, 1), &[result])];
            verify::<f32>(&Problem::unweighted(1, 3, 1), &Three, &results).expect("verified")
        };
        let (tiny, right) = (2f64.powi(-25), found(0.0));
        assert_eq!((right.differing, right.wrong, right.max_relative_error), (0, 0, 1.0));
        assert_eq!(right.max_backward_error, tiny / (2.0 + tiny));
        let wrong = found(4.0);
        assert_eq!((wrong.wrong, wrong.max_backward_error), (1, (12.0 - tiny) / (2.0 + tiny)));
    }

    #[test]
    fn two_product_and_two_sum_lose_nothing() {
        // (2^30 + 1)² = 2^60 + 2^31 + 1 does not fit into 53 bits because of the last 1.
        let x = (1u64 << 30) as f64 + 1.0;
        let (product, rest) = two_product(x, x);
        assert_eq!(product as u128 as f64, ((1u128 << 60) + (1u128 << 31)) as f64);
        assert_eq!(rest, 1.0);
        assert_eq!(two_sum(1.0, 1e-30), (1.0, 1e-30));
    }
}
