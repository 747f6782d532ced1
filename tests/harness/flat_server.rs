//! The expected result of a round, calculated from the definitions: the formula of synthetic gradients, the flat server
//! in client order, and a sum in f64. It shares no code with gradshard.

use half::{bf16, f16};

/// Mixes 64 bits (the finaliser of splitmix64).
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn low(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// The integer from which an element of a synthetic gradient is made: a sum of four random 16-bit numbers with mean 0.
fn total(seed: u64, client: u64, element: u64) -> i64 {
    let key = mix(mix(mix(seed) ^ client) ^ (element >> 32));
    let x = low(element as u32 ^ key as u32);
    let y = low(x ^ (key >> 32) as u32);
    i64::from(x & 0xffff) + i64::from(x >> 16) + i64::from(y & 0xffff) + i64::from(y >> 16) - 131_070
}

/// Element types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    F32,
    F64,
    F16,
    Bf16,
}

impl Type {
    pub fn named(name: &str) -> Type {
        match name {
            "f32" => Type::F32,
            "f64" => Type::F64,
            "f16" => Type::F16,
            "bf16" => Type::Bf16,
            other => panic!("no type {other}"),
        }
    }

    /// The nearest value of this type.
    pub fn round(self, value: f64) -> f64 {
        match self {
            Type::F64 => value,
            Type::F32 => f64::from(value as f32),
            // Rounded through f32, in which gradients of these types are made and summed.
            Type::F16 => f16::from_f32(value as f32).to_f64(),
            Type::Bf16 => bf16::from_f32(value as f32).to_f64(),
        }
    }

    /// The bytes of `value` in a file of `--keep-result`. bf16 is widened to f32.
    fn kept(self, value: f64) -> Vec<u8> {
        match self {
            Type::F64 => value.to_le_bytes().to_vec(),
            Type::F32 | Type::Bf16 => (value as f32).to_le_bytes().to_vec(),
            Type::F16 => f16::from_f64(value).to_le_bytes().to_vec(),
        }
    }

    /// Relative errors of one rounding: in this type, and in the type of its sums.
    fn roundoff(self) -> (f64, f64) {
        let single = 2f64.powi(-24);
        match self {
            Type::F64 => (2f64.powi(-53), 2f64.powi(-53)),
            Type::F32 => (single, single),
            Type::F16 => (2f64.powi(-11), single),
            Type::Bf16 => (2f64.powi(-8), single),
        }
    }
}

/// The synthetic gradient of `client`.
pub fn synthetic(seed: u64, client: u64, elements: u64, of: Type) -> Vec<f64> {
    let element = |e| {
        let total = total(seed, client, e);
        if of == Type::F64 { total as f64 * 2.643e-7 } else { of.round(f64::from(total as f32 * 2.643e-7f32)) }
    };
    (0..elements).map(element).collect()
}

/// The result of the flat server in client order: acc = w₀g₀, then acc += wₖgₖ, then acc / Σwₖ. Every operation is
/// rounded to the type of sums, and the quotient to the gradients' type.
pub fn flat_server(gradients: &[Vec<f64>], weights: &[f64], of: Type) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let one = |i: usize| {
        if of == Type::F64 {
            let products = gradients.iter().zip(weights).map(|(g, w)| w * g[i]);
            return products.reduce(|acc, product| acc + product).unwrap() / total;
        }
        let products = gradients.iter().zip(weights).map(|(g, w)| *w as f32 * g[i] as f32);
        of.round(f64::from(products.reduce(|acc, product| acc + product).unwrap() / total as f32))
    };
    (0..gradients[0].len()).map(one).collect()
}

/// Number of elements of `kept`, the contents of an npy file, that differ from `expected` in any bit.
pub fn differing(kept: &[u8], expected: &[f64], of: Type) -> usize {
    let expected: Vec<Vec<u8>> = expected.iter().map(|value| of.kept(*value)).collect();
    let size = expected[0].len();
    let data = data(kept);
    assert_eq!(data.len(), expected.len() * size, "length of the kept result");
    data.chunks_exact(size).zip(&expected).filter(|(found, expected)| found != expected).count()
}

/// The bytes of the elements of an npy file, version 1.
fn data(npy: &[u8]) -> &[u8] {
    assert_eq!(&npy[..8], b"\x93NUMPY\x01\x00");
    let header = usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    &npy[10 + header..]
}

/// Asserts that every element of `kept` is close to the weighted mean, which is summed here in f64. The error bound
/// holds for any order of summation: N products, sums and a division in the type of sums, and one rounding to the
/// gradients' type.
pub fn assert_close(kept: &[u8], gradients: &[Vec<f64>], weights: &[f64], of: Type, what: &str) {
    let values: Vec<f64> = match of {
        Type::F64 => data(kept).chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
        Type::F16 => data(kept).chunks_exact(2).map(|b| f16::from_le_bytes(b.try_into().unwrap()).to_f64()).collect(),
        _ => data(kept).chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
    };
    assert_eq!(values.len(), gradients[0].len(), "{what}");
    let total: f64 = weights.iter().sum();
    let (narrow, sums) = of.roundoff();
    for (i, value) in values.iter().enumerate() {
        let products = || gradients.iter().zip(weights).map(|(g, w)| w * g[i]);
        let (mean, magnitude) = (products().sum::<f64>() / total, products().map(f64::abs).sum::<f64>() / total);
        // Below its smallest normal number f16 has a fixed rounding step.
        let bound = (gradients.len() + 5) as f64 * sums * magnitude + narrow * mean.abs() * 1.01 + 2f64.powi(-25);
        let bound = if of == Type::F16 { bound } else { bound - 2f64.powi(-25) + 1e-300 };
        assert!((value - mean).abs() <= bound, "{what}: element {i} is {value}, not {mean} (± {bound})");
    }
}
