//! Files of gradients in formats that gradshard reads by itself: safetensors and npy.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, json};

/// Damage to the bytes of a file.
#[derive(Clone, Debug)]
pub enum Damage {
    /// Bytes at a place, as a part of the length, have some bits flipped.
    Flip(Vec<(f64, u8)>),
    /// Only the first part of the file is there.
    CutOff(f64),
    /// Bytes follow.
    Longer(Vec<u8>),
}

/// Damage in one of `of` cases.
pub fn damage(of: u32) -> impl Strategy<Value = Option<Damage>> {
    let some = prop_oneof![
        6 => vec((0.0..1.0, 1..=255u8), 1..6).prop_map(Damage::Flip),
        2 => (0.0..1.0).prop_map(Damage::CutOff),
        1 => vec(any::<u8>(), 1..40).prop_map(Damage::Longer),
    ];
    prop_oneof![of - 1 => Just(None), 1 => some.prop_map(Some)]
}

/// The bytes after the damage.
pub fn damaged(mut bytes: Vec<u8>, damage: &Option<Damage>) -> Vec<u8> {
    let length = bytes.len() as f64;
    match damage {
        None => {}
        Some(Damage::Flip(flips)) => {
            for (place, bits) in flips.iter().filter(|_| length > 0.0) {
                bytes[(place * length) as usize] ^= bits;
            }
        }
        Some(Damage::CutOff(part)) => bytes.truncate((part * length) as usize),
        Some(Damage::Longer(more)) => bytes.extend(more),
    }
    bytes
}

/// A number that is mostly the right one, and sometimes an extreme.
fn nearly(right: u64) -> impl Strategy<Value = u64> {
    let extreme = prop_oneof![Just(0), Just(u64::MAX), Just(1 << 63), Just(1 << 40), any::<u64>()];
    prop_oneof![60 => Just(right), 1 => extreme]
}

/// A file of a few tensors, and clients in a file each: all alike, but for what is damaged.
pub fn safetensors() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let shapes = vec(vec(0..5u64, 0..4), 1..4);
    let dtypes = prop_oneof![30 => Just("F32"), 6 => Just("F16"), 6 => Just("BF16"), 6 => Just("F64"), 1 => Just("I64"), 1 => Just("X")];
    let samples = prop_oneof![20 => Just(None), 20 => (1..1000u32).prop_map(|n| Some(n.to_string())), 1 => any::<String>().prop_map(Some)];
    let one = (shapes, dtypes, samples);
    (one, 1..4usize).prop_flat_map(|((shapes, dtype, samples), clients)| {
        let file = (nearly(1), nearly(0), damage(12)).prop_map(move |(stretch, shift, damage)| {
            let bytes = tensors(&shapes, dtype, samples.as_deref(), stretch, shift);
            damaged(bytes, &damage)
        });
        vec(file, clients)
    })
}

/// The bytes of a safetensors file. `stretch` multiplies the first dimension of every claimed shape, and `shift` is added to
/// every offset; 1 and 0 are right.
fn tensors(shapes: &[Vec<u64>], dtype: &str, samples: Option<&str>, stretch: u64, shift: u64) -> Vec<u8> {
    let size = match dtype {
        "F16" | "BF16" => 2,
        "F64" | "I64" => 8,
        _ => 4,
    };
    let mut header = Map::new();
    if let Some(samples) = samples {
        header.insert("__metadata__".into(), json!({"num_samples": samples}));
    }
    let mut offset = 0u64;
    for (number, shape) in shapes.iter().enumerate() {
        let bytes = shape.iter().product::<u64>() * size;
        let mut claimed = shape.clone();
        if let Some(first) = claimed.first_mut() {
            *first = first.wrapping_mul(stretch);
        }
        let offsets = [offset.wrapping_add(shift), (offset + bytes).wrapping_add(shift)];
        header.insert(format!("layer.{number}"), json!({"dtype": dtype, "shape": claimed, "data_offsets": offsets}));
        offset += bytes;
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend((0..offset).map(|byte| byte as u8));
    file
}

/// One table, or a file for each client.
pub fn npy() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let description = prop_oneof![
        20 => Just("'<f4'"), 5 => Just("'<f2'"), 5 => Just("'<f8'"), 1 => Just("'>f4'"), 1 => Just("'|V2'"),
        1 => Just("[('x', '<f4')]"), 1 => Just("'<f4"), 1 => Just("'O'")
    ];
    (1..4usize, 0..40u64, any::<bool>(), description).prop_flat_map(|(clients, elements, table, description)| {
        let shape = if table { vec![clients as u64, elements] } else { vec![elements] };
        let numbers: Vec<_> = shape.iter().map(|number| nearly(*number)).collect();
        let order = prop_oneof![20 => Just("False"), 1 => Just("True"), 1 => Just("Maybe")];
        let version = prop_oneof![20 => Just(1u8), 5 => Just(2), 2 => Just(3), 1 => any::<u8>()];
        let file = (numbers, order, version, damage(12)).prop_map(move |(claimed, order, version, damage)| {
            damaged(array(description, &shape, &claimed, order, version), &damage)
        });
        vec(file, if table { 1 } else { clients })
    })
}

/// The bytes of an npy file with the elements of `shape`, whose header claims another shape.
fn array(description: &str, shape: &[u64], claimed: &[u64], order: &str, version: u8) -> Vec<u8> {
    let size = if description.contains("f8") {
        8
    } else if description.contains("f2") {
        2
    } else {
        4
    };
    let claimed = claimed.iter().map(|number| format!("{number},")).collect::<String>();
    let mut header = format!("{{'descr': {description}, 'fortran_order': {order}, 'shape': ({claimed}), }}");
    let before = if version == 1 { 10 } else { 12 };
    while (before + header.len()) % 64 != 63 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY".to_vec();
    file.extend([version, 0]);
    match version {
        1 => file.extend((header.len() as u16).to_le_bytes()),
        _ => file.extend((header.len() as u32).to_le_bytes()),
    }
    file.extend(header.as_bytes());
    file.extend((0..shape.iter().product::<u64>() * size).map(|byte| byte as u8));
    file
}
