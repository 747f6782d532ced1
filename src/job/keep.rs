//! Writes a cell's aggregated gradient as npy for `--keep-result`, so that other programs can check it.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::engine::transport::{Transport, TransportError, agree};
use crate::experiment::{Cell, Comparison};
use crate::gradient::{Dtype, Element, Range};
use crate::results::own_file;

/// Number of elements sent to rank 0 at a time.
const BLOCK: u64 = 1 << 22;

/// Returns the file name of a cell's result.
pub fn file_name(comparison: &Comparison, cell: &Cell) -> String {
    let plain = |text: String| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' }).collect()
    };
    let Comparison { model, dtype, clients, .. } = comparison;
    let Cell { index, strategy, shards, flow, .. } = cell;
    plain(format!("cell-{index:04}_{strategy}_{model}_{dtype}_N{clients}_M{shards}_{flow}.npy"))
}

/// Writes the ranges of all ranks to one file on rank 0. numpy has no bfloat16, so that type is widened to f32, which
/// is exact. The inner error is that of the file, equal on all ranks. Collective.
pub fn write<E: Element>(
    transport: &mut dyn Transport,
    path: &Path,
    elements: u64,
    results: &[(Range, &[E])],
) -> Result<Result<(), String>, TransportError> {
    let (name, size) = match E::DTYPE {
        Dtype::F64 => ("<f8", 8),
        Dtype::F32 | Dtype::Bf16 => ("<f4", 4),
        Dtype::F16 => ("<f2", 2),
    };
    let mut kept = Ok(());
    let mut file = None;
    let header = header(name, elements);
    if transport.rank() == 0 {
        match own_file::create(path).and_then(|mut file| file.write_all(&header).map(|()| file)) {
            Ok(opened) => file = Some(opened),
            Err(error) => kept = Err(format!("{}: {error}", path.display())),
        }
    }
    let most = transport.max(results.iter().map(|(range, _)| range.len().div_ceil(BLOCK)).sum())?;
    let mut blocks = results.iter().flat_map(|(range, held)| {
        let starts = (range.start..range.end).step_by(BLOCK as usize);
        starts.map(move |start| {
            let block = Range::new(start, (start + BLOCK).min(range.end));
            (start, &held[block.indices_from(range.start)])
        })
    });
    for _ in 0..most {
        let mut bytes = Vec::new();
        if let Some((start, block)) = blocks.next() {
            bytes.extend(start.to_le_bytes());
            match E::DTYPE {
                Dtype::Bf16 => block.iter().for_each(|e| bytes.extend((e.to_f64() as f32).to_le_bytes())),
                _ => bytes.extend_from_slice(bytemuck::cast_slice(block)),
            }
        }
        for block in transport.gather(&bytes)?.unwrap_or_default() {
            let (Some((start, data)), Some(file), Ok(())) = (block.split_first_chunk::<8>(), &file, &kept) else {
                continue;
            };
            let offset = header.len() as u64 + u64::from_le_bytes(*start) * size;
            kept = file.write_all_at(data, offset).map_err(|error| format!("{}: {error}", path.display()));
        }
    }
    agree(transport, kept)
}

/// Makes the header of a one-dimensional npy file, version 1.0 (NumPy Enhancement Proposal 1), padded to 64 bytes.
fn header(dtype: &str, elements: u64) -> Vec<u8> {
    let mut text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({elements},), }}");
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_read_by_another_reader() {
        let mut file = header("<f4", 3);
        assert_eq!(file.len() % 64, 0);
        for value in [1.0f32, 2.0, 3.0] {
            file.extend(value.to_le_bytes());
        }
        let npy = npyz::NpyFile::new(&file[..]).expect("npy");
        assert_eq!(npy.shape(), [3]);
        assert_eq!(npy.into_vec::<f32>().expect("f32"), [1.0, 2.0, 3.0]);
    }
}
