//! Synthetic gradients, a pure function of seed, client and element. Any rank can generate any range of any client, in
//! chunks of any length and on any machine, with identical bits.
//!
//! # The recipe
//! Here `mix(z)` is the output of SplitMix64 for state z (Steele, Lea, Flood, "Fast splittable pseudorandom number
//! generators", 2014). `low(x)` is the 32-bit mixer lowbias32 (Chris Wellons, "Prospecting for hash functions", 2018;
//! shifts 16, 15, 16, factors 0x7feb352d and 0x846ca68b). All integers wrap.
//!
//! 1. `key = mix(mix(mix(seed) ^ client) ^ (element >> 32))`
//! 2. `x = low((element mod 2³²) ^ (key mod 2³²))` and `y = low(x ^ (key >> 32))`
//! 3. `sum = (x & 0xffff) + (x >> 16) + (y & 0xffff) + (y >> 16) − 131070`: four uniform numbers added, so roughly
//!    normal, of mean 0 and standard deviation 65536/√3 ≈ 37837
//! 4. `value = sum · 2.643e-7`, of standard deviation about 0.01
//!
//! `sum` is exact in binary32. The factor is rounded to the type of the product, and the product is rounded once: in
//! binary64 for f64, in binary32 for f32. f16 and bf16 are the rounded f32 value. The factor is not a power of two, so
//! that significands are full and sums over clients need rounding. In numpy, for f32: `np.float32(sum) *
//! np.float32(2.643e-7)`.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::{check_read, weights};
use crate::gradient::splitmix::mix;
use crate::gradient::{Dtype, Range, Source, SourceError};

/// Factor from the sum of four uniform numbers to an element.
const STEP: f64 = 2.643e-7;
/// Number of elements generated at a time if they cannot be generated in place. A block of binary32 fits the L1 cache.
const BLOCK: usize = 1024;

/// Synthetic gradients of N clients.
#[derive(Clone, Debug)]
pub struct Synthetic {
    seed: u64,
    elements: u64,
    weights: Vec<f64>,
}

impl Synthetic {
    /// Makes gradients of `elements` elements for `clients` clients. It is an error if `weights` are not valid for that
    /// many clients (see [`weights::checked`]).
    pub fn new(seed: u64, clients: usize, elements: u64, weights: Vec<f64>) -> Result<Self, SourceError> {
        Ok(Synthetic { seed, elements, weights: weights::checked(weights, clients)? })
    }

    /// Calls `fill` for each part of `range` that shares a pair of keys, with the part's first element mod 2³², its
    /// keys, and its indices relative to the start of `range`.
    fn parts(&self, client: usize, range: Range, mut fill: impl FnMut(u32, [u32; 2], std::ops::Range<usize>)) {
        let mut at = range.start;
        while at < range.end {
            let high = at >> 32;
            let end = range.end.min((high + 1).saturating_mul(1 << 32));
            let key = mix(mix(mix(self.seed) ^ client as u64) ^ high);
            fill(at as u32, [key as u32, (key >> 32) as u32], Range::new(at, end).indices_from(range.start));
            at = end;
        }
    }
}

impl Source for Synthetic {
    fn elements(&self) -> u64 {
        self.elements
    }

    fn weights(&self) -> &[f64] {
        &self.weights
    }

    fn read_bytes(&self, client: usize, range: Range, dtype: Dtype, out: &mut [u8]) -> Result<(), SourceError> {
        check_read(self, client, range, dtype, out.len())?;
        self.parts(client, range, |first, keys, at| {
            let size = dtype.size();
            let out = &mut out[at.start * size..at.end * size];
            match dtype {
                Dtype::F32 => in_place(out, first, keys, fill_f32),
                Dtype::F64 => in_place(out, first, keys, fill_f64),
                Dtype::F16 => in_place(out, first, keys, fill_half::<f16>),
                Dtype::Bf16 => in_place(out, first, keys, fill_half::<bf16>),
            }
        });
        Ok(())
    }
}

/// Writes the elements from `first` on to `out`, rounded from binary32.
fn fill_half<H>(out: &mut [H], first: u32, keys: [u32; 2])
where
    [H]: HalfFloatSliceExt,
{
    let mut wide = [0f32; BLOCK];
    for (block, out) in out.chunks_mut(BLOCK).enumerate() {
        let wide = &mut wide[..out.len()];
        fill_f32(wide, first.wrapping_add((block * BLOCK) as u32), keys);
        out.convert_from_f32_slice(wide);
    }
}

/// Fills `out`, bytes of elements of type `T`: in place if they are aligned, else through a buffer.
fn in_place<T: bytemuck::Pod>(out: &mut [u8], first: u32, keys: [u32; 2], fill: impl Fn(&mut [T], u32, [u32; 2])) {
    if let Ok(out) = bytemuck::try_cast_slice_mut(out) {
        return fill(out, first, keys);
    }
    let mut buffer = [T::zeroed(); BLOCK];
    for (block, out) in out.chunks_mut(BLOCK * size_of::<T>()).enumerate() {
        let buffer = &mut buffer[..out.len() / size_of::<T>()];
        fill(buffer, first.wrapping_add((block * BLOCK) as u32), keys);
        out.copy_from_slice(bytemuck::cast_slice(buffer));
    }
}

/// Computes lowbias32.
#[inline(always)]
fn low(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Computes steps 2 and 3 of the recipe.
#[inline(always)]
fn sum(element: u32, [key_x, key_y]: [u32; 2]) -> i32 {
    let x = low(element ^ key_x);
    let y = low(x ^ key_y);
    ((x & 0xffff) + (x >> 16) + (y & 0xffff) + (y >> 16)) as i32 - 2 * 0xffff
}

/// Defines `$fill`, which writes the elements from `first` on to `out`. It is compiled for the baseline and for wider
/// x86 vectors, and chosen at run time. All versions yield the same values, as products and sums are not contracted.
macro_rules! fill {
    ($fill:ident, $type:ty) => {
        fn $fill(out: &mut [$type], first: u32, keys: [u32; 2]) {
            #[inline(always)]
            fn body(out: &mut [$type], first: u32, keys: [u32; 2]) {
                for (index, value) in out.iter_mut().enumerate() {
                    *value = sum(first.wrapping_add(index as u32), keys) as $type * STEP as $type;
                }
            }
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq")]
                fn avx512(out: &mut [$type], first: u32, keys: [u32; 2]) {
                    body(out, first, keys)
                }
                #[target_feature(enable = "avx2")]
                fn avx2(out: &mut [$type], first: u32, keys: [u32; 2]) {
                    body(out, first, keys)
                }
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                    // SAFETY: the processor was found to have AVX-512 F and DQ.
                    return unsafe { avx512(out, first, keys) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor was found to have AVX2.
                    return unsafe { avx2(out, first, keys) };
                }
            }
            body(out, first, keys)
        }
    };
}

fill!(fill_f32, f32);
fill!(fill_f64, f64);

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::super::read;
    use super::*;

    /// The output of this Python (numpy and ml_dtypes) for the arguments of `total` listed here:
    ///
    /// ```text
    /// M64, M32 = 2**64 - 1, 2**32 - 1
    /// def mix(z):
    ///     z = (z + 0x9e3779b97f4a7c15) & M64
    ///     z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & M64
    ///     z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & M64
    ///     return z ^ (z >> 31)
    /// def low(x):
    ///     x = ((x ^ (x >> 16)) * 0x7feb352d) & M32
    ///     x = ((x ^ (x >> 15)) * 0x846ca68b) & M32
    ///     return x ^ (x >> 16)
    /// def total(seed, client, element):
    ///     key = mix(mix(mix(seed) ^ client) ^ (element >> 32))
    ///     x = low((element & M32) ^ (key & M32)); y = low(x ^ (key >> 32))
    ///     return (x & 0xffff) + (x >> 16) + (y & 0xffff) + (y >> 16) - 131070
    /// s = total(...); f = np.float32(s) * np.float32(2.643e-7)
    /// print(f.view(np.uint32), np.float64(s * 2.643e-7).view(np.uint64),
    ///       np.float16(f).view(np.uint16), f.astype(ml_dtypes.bfloat16).view(np.uint16))
    /// ```
    #[test]
    fn is_what_the_recipe_says() {
        for (seed, client, element, bits32, bits64, bits_half, bits_brain) in [
            (1, 0, 0, 0x3a6a0b29, 0x3f4d4164ff5212ef, 0x1350, 0x3a6a),
            (1, 0, 1, 0x3c95d8fa, 0x3f92bb1f39fcdcfd, 0x24af, 0x3c96),
            (1, 19, 1_000_003, 0x3b11cad1, 0x3f62395a1058170c, 0x188e, 0x3b12),
            (u64::MAX, 7, (1 << 32) - 1, 0x3c654119, 0x3f8ca82308e969ae, 0x232a, 0x3c65),
            (42, 1_048_575, 1 << 32, 0xbc784054, 0xbf8f080a5b3ac8b0, 0xa3c2, 0xbc78),
            (42, 3, 5 * (1 << 32) + 12345, 0xbc8dfa2e, 0xbf91bf45b1ad3a1f, 0xa470, 0xbc8e),
        ] {
            let source = Synthetic::new(seed, client + 1, element + 1, vec![1.0; client + 1]).unwrap();
            let range = Range::new(element, element + 1);
            let (mut a, mut b, mut c, mut d) = ([0f32], [0f64], [f16::ZERO], [bf16::ZERO]);
            read(&source, client, range, &mut a).unwrap();
            read(&source, client, range, &mut b).unwrap();
            read(&source, client, range, &mut c).unwrap();
            read(&source, client, range, &mut d).unwrap();
            assert_eq!((a[0].to_bits(), b[0].to_bits()), (bits32, bits64));
            assert_eq!((c[0].to_bits(), d[0].to_bits()), (bits_half, bits_brain));
        }
    }

    /// SHA-256 of the bytes of that Python's values for seed 9, client 2, elements 0 to 10006.
    #[test]
    fn is_what_the_recipe_says_for_every_one_of_many() {
        let source = Synthetic::new(9, 3, 10_007, vec![1.0; 3]).unwrap();
        let whole = Range::new(0, 10_007);
        let mut narrow = vec![0f32; 10_007];
        read(&source, 2, whole, &mut narrow).unwrap();
        let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(bytemuck::cast_slice(&narrow)),
            "2d7a5fc8739eaaac4e881f5b3f0cf9ff74e2e074eaaa2e4e1a534ae332a98918"
        );
        let mut wide = vec![0f64; 10_007];
        read(&source, 2, whole, &mut wide).unwrap();
        assert_eq!(
            hex(bytemuck::cast_slice(&wide)),
            "cbe2321e1cfdf228c5c30eb5ce879b6b2c7e6aa52549d0e8eb8ae749d0d84fbf"
        );
    }

    #[test]
    fn chunks_make_the_whole() {
        // The range crosses the element at which the keys change, and is longer than a block.
        let start = (1u64 << 32) - 2500;
        let source = Synthetic::new(3, 1, 1 << 33, vec![1.0]).unwrap();
        for dtype in Dtype::ALL {
            let size = dtype.size();
            let mut whole = vec![0u8; 5003 * size];
            source.read_bytes(0, Range::new(start, start + 5003), dtype, &mut whole).unwrap();
            for chunk in [1, 7, 1024, 2500, 4999] {
                let mut pieces = Vec::new();
                for at in (0..5003).step_by(chunk) {
                    let range = Range::new(start + at as u64, start + (at + chunk).min(5003) as u64);
                    // Offset by one byte, so that nothing is aligned.
                    let mut piece = vec![0u8; range.len() as usize * size + 1];
                    source.read_bytes(0, range, dtype, &mut piece[1..]).unwrap();
                    pieces.extend_from_slice(&piece[1..]);
                }
                assert_eq!(pieces, whole, "{dtype} in chunks of {chunk}");
            }
        }
    }

    #[test]
    fn clients_seeds_and_elements_differ_and_look_normal() {
        let elements = 1 << 16;
        let values = |seed, client| {
            let mut out = vec![0f64; elements];
            let source = Synthetic::new(seed, 2, elements as u64, vec![1.0; 2]).unwrap();
            read(&source, client, Range::new(0, elements as u64), &mut out).unwrap();
            out
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let of = |a: &[f64], b: &[f64]| mean(&a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>());
        let (a, b, c) = (values(1, 0), values(1, 1), values(2, 0));
        let variance = of(&a, &a);
        assert!(mean(&a).abs() < 5.0 * 0.01 / 256.0);
        assert!((variance.sqrt() - 0.01).abs() < 0.0002, "{variance}");
        // The kurtosis of a sum of four uniforms is 3 - 1.2/4.
        let squares: Vec<f64> = a.iter().map(|x| x * x).collect();
        assert!((of(&squares, &squares) / (variance * variance) - 2.7).abs() < 0.1);
        // Correlations over 65536 pairs are below five standard deviations.
        for other in [&b[..], &c[..], &a[1..]] {
            assert!((of(&a, other) / variance).abs() < 5.0 / 256.0);
        }
    }

    #[test]
    fn refuses_what_it_does_not_have() {
        let source = Synthetic::new(1, 2, 10, vec![1.0, 2.0]).unwrap();
        assert!(read(&source, 2, Range::new(0, 1), &mut [0f32]).is_err());
        assert!(read(&source, 0, Range::new(9, 11), &mut [0f32; 2]).is_err());
        assert!(read(&source, 0, Range::new(0, 2), &mut [0f32; 3]).is_err());
        assert!(read(&source, 0, Range { start: 2, end: 1 }, &mut [0f32; 0]).is_err());
        read(&source, 0, Range::new(10, 10), &mut [0f32; 0]).unwrap();
        assert!(Synthetic::new(1, 2, 10, vec![1.0]).is_err());
        let none = Synthetic::new(1, 1, 0, vec![1.0]).unwrap();
        read(&none, 0, Range::new(0, 0), &mut [0f32; 0]).unwrap();
    }
}
