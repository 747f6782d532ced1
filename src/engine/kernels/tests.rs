use half::{bf16, f16};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::gradient::Accumulator;

/// Number of values on either side of a range, which must stay unchanged.
const MARGIN: usize = 70;

/// One input, in its own memory.
#[derive(Clone, Debug)]
enum Input<E: Element> {
    Weighted(Vec<E>, E::Acc),
    Partial(Vec<E::Acc>),
}

/// All arguments of a sum, in their own memory. Every vector has `offset` values before the range.
#[derive(Clone, Debug)]
struct Case<E: Element> {
    start: SumStart,
    acc: Vec<E::Acc>,
    inputs: Vec<Input<E>>,
    divisor: E::Acc,
    offset: usize,
    len: usize,
}

/// The value that a sum starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SumStart {
    /// The first term.
    Fresh,
    /// The sum of earlier terms in the accumulator.
    Continue,
}

impl SumStart {
    fn lead<A>(self, acc: *const A) -> Option<*const A> {
        (self == SumStart::Continue).then_some(acc)
    }
}

/// # Safety
/// As for [`form_with`].
unsafe fn accumulate_with<E: Element>(
    variant: Variant,
    start: SumStart,
    terms: &[Term<E>],
    acc: *mut E::Acc,
    len: usize,
    store: Store,
) {
    // SAFETY: the caller's promise.
    unsafe { form_with(variant, start.lead(acc.cast_const()), terms, Target::Partial(acc), len, store) }
}

/// # Safety
/// As for [`form_with`].
#[allow(clippy::too_many_arguments)]
unsafe fn accumulate_and_finish_with<E: Element>(
    variant: Variant,
    start: SumStart,
    acc: *const E::Acc,
    terms: &[Term<E>],
    out: *mut E,
    divisor: E::Acc,
    len: usize,
    store: Store,
) {
    // SAFETY: the caller's promise.
    unsafe { form_with(variant, start.lead(acc), terms, Target::Finished { out, divisor }, len, store) }
}

fn same<A: Accumulator>(a: A, b: A) -> bool {
    a.to_f64().to_bits() == b.to_f64().to_bits() || (a.to_f64().is_nan() && b.to_f64().is_nan())
}

fn same_element<E: Element>(a: E, b: E) -> bool {
    a.to_f64().to_bits() == b.to_f64().to_bits() || (a.to_f64().is_nan() && b.to_f64().is_nan())
}

/// Computes the sum element by element as the design defines it, without any of the kernels' code.
fn expected<E: Element>(case: &Case<E>, fused: impl Fn(E::Acc, E::Acc, E::Acc) -> E::Acc) -> Vec<E::Acc> {
    (case.offset..case.offset + case.len)
        .map(|i| {
            let mut sum = (case.start == SumStart::Continue).then(|| case.acc[i]);
            for input in &case.inputs {
                sum = Some(match (sum, input) {
                    (None, Input::Weighted(data, weight)) => *weight * data[i].widen(),
                    (None, Input::Partial(data)) => data[i],
                    (Some(sum), Input::Weighted(data, weight)) => fused(sum, *weight, data[i].widen()),
                    (Some(sum), Input::Partial(data)) => sum + data[i],
                });
            }
            sum.unwrap_or_else(|| E::Acc::from_f64(0.0))
        })
        .collect()
}

fn separately<A: Accumulator>(sum: A, weight: A, value: A) -> A {
    let product = weight * value;
    sum + product
}

impl<E: Element> Case<E> {
    fn terms(&self) -> Vec<Term<E>> {
        let at = self.offset;
        self.inputs
            .iter()
            .map(|input| match input {
                Input::Weighted(data, weight) => Term::Weighted { data: data[at..].as_ptr(), weight: *weight },
                Input::Partial(data) => Term::Partial(data[at..].as_ptr()),
            })
            .collect()
    }

    /// Returns the kernel's sum, and true if nothing outside the range was written.
    fn sum(&self, variant: Variant, store: Store) -> (Vec<E::Acc>, bool) {
        let mut acc = self.acc.clone();
        // SAFETY: every vector holds offset + len values and more.
        unsafe {
            accumulate_with(variant, self.start, &self.terms(), acc[self.offset..].as_mut_ptr(), self.len, store)
        };
        let range = self.offset..self.offset + self.len;
        let clean = (0..acc.len()).all(|i| range.contains(&i) || same(acc[i], self.acc[i]));
        (acc[range].to_vec(), clean)
    }

    /// Returns the kernel's finished sum, and true if nothing outside the range was written.
    fn finish(&self, variant: Variant, store: Store) -> (Vec<E>, bool) {
        let canary = E::from_f64(77.0);
        let mut out = vec![canary; self.acc.len()];
        let acc = match self.start {
            SumStart::Fresh => std::ptr::null(),
            SumStart::Continue => self.acc[self.offset..].as_ptr(),
        };
        let to = out[self.offset..].as_mut_ptr();
        // SAFETY: every vector holds offset + len values and more.
        unsafe {
            accumulate_and_finish_with(variant, self.start, acc, &self.terms(), to, self.divisor, self.len, store)
        };
        let range = self.offset..self.offset + self.len;
        let clean = (0..out.len()).all(|i| range.contains(&i) || same_element(out[i], canary));
        (out[range].to_vec(), clean)
    }

    /// Compares every variant and kind of store with the definition.
    fn check(&self) {
        let sum = expected(self, separately);
        let finished: Vec<E> = sum.iter().map(|&sum| E::narrow(sum / self.divisor)).collect();
        for variant in Variant::available() {
            for store in [Store::Cached, Store::Streaming] {
                let what = || {
                    let (start, terms, len) = (self.start, self.inputs.len(), self.len);
                    format!("{} {variant:?} {store:?} {start:?}, {terms} terms, {len} elements", E::DTYPE)
                };
                let (got, clean) = self.sum(variant, store);
                let wrong = (0..self.len).find(|&i| !same(got[i], sum[i]));
                assert_eq!(wrong, None, "accumulate, {}", what());
                assert!(clean, "accumulate wrote outside its range, {}", what());
                let (got, clean) = self.finish(variant, store);
                let wrong = (0..self.len).find(|&i| !same_element(got[i], finished[i]));
                assert_eq!(wrong, None, "finish, {}", what());
                assert!(clean, "finish wrote outside its range, {}", what());
            }
        }
    }
}

/// Returns mostly ordinary values; one in sixteen is a NaN, an infinity, a zero of either sign, a subnormal or the
/// largest.
fn value(random: &mut ChaCha8Rng) -> f64 {
    const SPECIAL: [f64; 9] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 6e-8, -1e-40, 65504.0, 3e38];
    let bits = random.next_u64();
    if bits.is_multiple_of(16) {
        SPECIAL[(bits >> 8) as usize % SPECIAL.len()]
    } else {
        ((bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * ((bits % 7) as f64 + 0.01)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mix {
    Weighted,
    Partial,
    Both,
}

fn case<E: Element>(
    random: &mut ChaCha8Rng,
    start: SumStart,
    arity: usize,
    mix: Mix,
    offset: usize,
    len: usize,
) -> Case<E> {
    let total = offset + len + MARGIN;
    let acc = (0..total).map(|_| E::Acc::from_f64(value(random))).collect();
    let inputs = (0..arity)
        .map(|_| {
            if mix == Mix::Weighted || (mix == Mix::Both && random.next_u32().is_multiple_of(2)) {
                let weight = E::Acc::from_f64((random.next_u32() % 1000) as f64 * 0.37);
                Input::Weighted((0..total).map(|_| E::from_f64(value(random))).collect(), weight)
            } else {
                Input::Partial((0..total).map(|_| E::Acc::from_f64(value(random))).collect())
            }
        })
        .collect();
    let divisor = E::Acc::from_f64(1.0 + arity as f64 * 13.7);
    Case { start, acc, inputs, divisor, offset, len }
}

fn every_arity<E: Element>() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for arity in 0..=20 {
        for (mix, start) in [
            (Mix::Weighted, SumStart::Fresh),
            (Mix::Weighted, SumStart::Continue),
            (Mix::Partial, SumStart::Fresh),
            (Mix::Both, SumStart::Fresh),
            (Mix::Both, SumStart::Continue),
        ] {
            for (offset, len) in [(0, 0), (0, 1), (1, 7), (3, 211)] {
                case::<E>(&mut random, start, arity, mix, offset, len).check();
            }
        }
    }
}

fn long_ranges<E: Element>() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for (offset, len) in [(0, (16 << 10) - 1), (5, (16 << 10) + 1), (1, 100_003)] {
        for (arity, mix, start) in [
            (1, Mix::Weighted, SumStart::Fresh),
            (2, Mix::Weighted, SumStart::Continue),
            (9, Mix::Both, SumStart::Fresh),
            (20, Mix::Both, SumStart::Continue),
        ] {
            case::<E>(&mut random, start, arity, mix, offset, len).check();
        }
    }
}

macro_rules! for_each_type {
    ($($module:ident: $element:ty),*) => {
        $(mod $module {
            use super::*;

            #[test]
            #[cfg_attr(miri, ignore = "it takes hours under Miri")]
            fn every_arity_equals_the_definition() {
                every_arity::<$element>();
            }

            #[test]
            #[cfg_attr(miri, ignore = "it takes hours under Miri")]
            fn long_ranges_equal_the_definition() {
                long_ranges::<$element>();
            }
        })*
    };
}

for_each_type!(of_f32: f32, of_f64: f64, of_f16: f16, of_bf16: bf16);

#[test]
fn a_small_sum_by_hand() {
    let (a, b) = ([1.0f32, -2.0, 0.5], [10.0f32, 20.0, -0.0]);
    let terms =
        [Term::<f32>::Weighted { data: a.as_ptr(), weight: 3.0 }, Term::Weighted { data: b.as_ptr(), weight: 1.0 }];
    let mut out = [0.0f32; 3];
    // SAFETY: each array holds three values.
    unsafe {
        form(None, &terms, Target::Finished { out: out.as_mut_ptr(), divisor: 4.0 }, 3, Store::Cached);
    }
    assert_eq!(out, [3.25, 3.5, 0.375]);
}

#[test]
fn no_terms_make_zero_and_continuing_without_terms_changes_nothing() {
    for variant in Variant::available() {
        let mut acc = [f32::NAN, 5.0];
        // SAFETY: the array holds two values.
        unsafe { accumulate_with::<f32>(variant, SumStart::Continue, &[], acc.as_mut_ptr(), 2, Store::Cached) };
        assert!(acc[0].is_nan() && acc[1] == 5.0);
        // SAFETY: the array holds two values.
        unsafe { accumulate_with::<f32>(variant, SumStart::Fresh, &[], acc.as_mut_ptr(), 2, Store::Streaming) };
        assert_eq!(acc.map(f32::to_bits), [0, 0]);
    }
}

#[test]
fn a_first_product_keeps_the_sign_of_zero() {
    let data = [-0.0f64; 3];
    let mut acc = [1.0f64; 3];
    let terms = [Term::<f64>::Weighted { data: data.as_ptr(), weight: 2.0 }];
    // SAFETY: each array holds three values.
    unsafe { form(None, &terms, Target::Partial(acc.as_mut_ptr()), 3, Store::Cached) };
    assert!(acc.iter().all(|value| value.to_bits() == (-0.0f64).to_bits()));
}

/// The test data distinguish the definition from forbidden variations, so the comparisons above could have failed.
#[test]
fn fused_reordered_or_multiplied_by_the_reciprocal_would_be_seen() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let case = case::<f32>(&mut random, SumStart::Fresh, 5, Mix::Weighted, 0, 1000);
    let (got, _) = case.sum(Variant::best(), Store::Cached);
    let differs = |other: &[f32]| (0..case.len).filter(|&i| !same(got[i], other[i])).count();

    assert_eq!(differs(&expected(&case, separately)), 0);
    assert!(differs(&expected(&case, |sum, weight, value| weight.mul_add(value, sum))) > 50);
    let mut reversed = case.clone();
    reversed.inputs.reverse();
    assert!(differs(&expected(&reversed, separately)) > 50);
    let (finished, _) = case.finish(Variant::best(), Store::Cached);
    let reciprocal = 1.0 / case.divisor;
    assert!((0..case.len).filter(|&i| !same(finished[i], got[i] * reciprocal)).count() > 50);
}

/// Finishing into the accumulator itself, and adding the output's previous values as a term.
#[test]
fn in_place() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for (arity, len) in [(0, 37), (1, 1), (3, 1000), (20, 9001)] {
        let case = case::<f32>(&mut random, SumStart::Continue, arity, Mix::Both, 1, len);
        let sum = expected(&case, separately);
        for variant in Variant::available() {
            for store in [Store::Cached, Store::Streaming] {
                let mut acc = case.acc.clone();
                let at = acc[1..].as_mut_ptr();
                // SAFETY: every vector holds 1 + len values and more; acc and out are the same elements.
                unsafe {
                    accumulate_and_finish_with(variant, case.start, at, &case.terms(), at, case.divisor, len, store);
                }
                assert!((0..len).all(|i| same(acc[1 + i], sum[i] / case.divisor)), "{variant:?} {store:?} {arity}");

                let mut acc = case.acc.clone();
                let at = acc[1..].as_mut_ptr();
                let mut terms = case.terms();
                terms.push(Term::Partial(at));
                // SAFETY: as above; the last term is the output's own elements.
                unsafe { accumulate_with(variant, SumStart::Fresh, &terms, at, len, store) };
                let mut own = case.clone();
                (own.start, own.acc) = (SumStart::Fresh, case.acc.clone());
                own.inputs.push(Input::Partial(case.acc.clone()));
                let want = expected(&own, separately);
                assert!((0..len).all(|i| same(acc[1 + i], want[i])), "{variant:?} {store:?} {arity}");
            }
        }
    }
}

/// Adding terms in several calls equals adding them in one.
#[test]
fn continued_sums_equal_whole_ones() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let len = if cfg!(miri) { 301 } else { 5003 };
    let case = case::<f16>(&mut random, SumStart::Fresh, 13, Mix::Both, 0, len);
    let want = expected(&case, separately);
    let terms = case.terms();
    let mut acc = vec![0.0f32; case.len];
    let mut out = vec![f16::ZERO; case.len];
    // SAFETY: every vector holds len values and more.
    unsafe {
        let (at, lead) = (Target::Partial(acc.as_mut_ptr()), Some(acc.as_ptr()));
        form(None, &terms[..3], at, case.len, Store::Streaming);
        form(lead, &terms[3..12], at, case.len, Store::Streaming);
        let finished = Target::Finished { out: out.as_mut_ptr(), divisor: case.divisor };
        form(lead, &terms[12..], finished, case.len, Store::Streaming);
    }
    assert!((0..case.len).all(|i| same_element(out[i], f16::from_f32_const(want[i] / case.divisor))));
}

/// Compares with half's software arithmetic: every 16-bit pattern is widened, and a wide range of `f32` patterns
/// narrowed.
#[test]
#[cfg_attr(miri, ignore = "it takes hours under Miri")]
fn conversions_equal_those_in_software() {
    let patterns: Vec<u16> = (0..=u16::MAX).collect();
    let sums: Vec<f32> = (0..=u32::MAX).step_by(4099).chain(0x3f7f_f000..0x3f81_1000).map(f32::from_bits).collect();
    for variant in Variant::available() {
        let (halves, brains): (&[f16], &[bf16]) = (bytemuck::cast_slice(&patterns), bytemuck::cast_slice(&patterns));
        let mut wide = vec![0.0f32; patterns.len()];
        let len = wide.len();
        let term = [Term::Weighted { data: halves.as_ptr(), weight: 1.0 }];
        // SAFETY: both vectors hold len values.
        unsafe { accumulate_with(variant, SumStart::Fresh, &term, wide.as_mut_ptr(), len, Store::Cached) };
        assert!((0..len).all(|i| same(wide[i], halves[i].to_f32_const())), "{variant:?}");
        let term = [Term::Weighted { data: brains.as_ptr(), weight: 1.0 }];
        // SAFETY: both vectors hold len values.
        unsafe { accumulate_with(variant, SumStart::Fresh, &term, wide.as_mut_ptr(), len, Store::Cached) };
        assert!((0..len).all(|i| same(wide[i], brains[i].to_f32_const())), "{variant:?}");

        let len = sums.len();
        let (acc, cached) = (sums.as_ptr(), Store::Cached);
        let mut out = vec![f16::ZERO; len];
        // SAFETY: both vectors hold len values.
        unsafe {
            accumulate_and_finish_with(variant, SumStart::Continue, acc, &[], out.as_mut_ptr(), 1.0, len, cached);
        }
        assert!((0..len).all(|i| same_element(out[i], f16::from_f32_const(sums[i]))), "{variant:?}");
        let mut out = vec![bf16::ZERO; len];
        // SAFETY: both vectors hold len values.
        unsafe {
            accumulate_and_finish_with(variant, SumStart::Continue, acc, &[], out.as_mut_ptr(), 1.0, len, cached);
        }
        assert!((0..len).all(|i| same_element(out[i], bf16::from_f32_const(sums[i]))), "{variant:?}");
    }
}

/// Makes a case of arbitrary bits, which include all kinds of NaN, subnormals and overflow.
fn arbitrary<E: Element>(seed: u64, arity: usize, offset: usize, len: usize, continued: bool) -> Case<E> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let total = offset + len + MARGIN;
    let mut sums = || {
        let mut sums = vec![E::Acc::from_f64(0.0); total];
        random.fill_bytes(bytemuck::cast_slice_mut(&mut sums));
        sums
    };
    let acc = sums();
    let mut inputs = Vec::new();
    for k in 0..arity {
        let sums = sums();
        inputs.push(if (seed >> (k % 64)) & 1 == 0 {
            let weight = sums[0];
            Input::Weighted(bytemuck::cast_slice::<E::Acc, E>(&sums)[..total].to_vec(), weight)
        } else {
            Input::Partial(sums)
        });
    }
    let start = if continued { SumStart::Continue } else { SumStart::Fresh };
    Case { start, divisor: sums()[0], acc, inputs, offset, len }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn any_bits_equal_the_definition(
        seed: u64, arity in 0usize..12, offset in 0usize..40, len in 0usize..700, continued: bool,
    ) {
        arbitrary::<f32>(seed, arity, offset, len, continued).check();
        arbitrary::<f64>(seed, arity, offset, len, continued).check();
        arbitrary::<f16>(seed, arity, offset, len, continued).check();
        arbitrary::<bf16>(seed, arity, offset, len, continued).check();
    }
}
