//! The files are built byte by byte here, so that the tests rely on the specification of the format alone.

use std::path::Path;

use half::{bf16, f16};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::{FileKind, Source, open_files, read};
use super::*;
use crate::gradient::source::weights::Weights;

/// Makes a file of the tensors `(name, type, shape, bytes)`, in this order, with `metadata`.
fn bytes(tensors: &[(&str, &str, &[u64], &[u8])], metadata: Value) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    if !metadata.is_null() {
        header.insert("__metadata__".into(), metadata);
    }
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let offsets = [data.len(), data.len() + bytes.len()];
        header.insert((*name).into(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
        data.extend_from_slice(bytes);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Makes a client's file: tensors b = [10, 11] and a = [1, 2, 3; 4, 5, 6], each plus `add`; b precedes a in the file.
fn client(add: f32, metadata: Value) -> Vec<u8> {
    let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|x: f32| x + add), [10.0 + add, 11.0 + add]);
    bytes(&[("b", "F32", &[2], &f32s(&b)), ("a", "F32", &[2, 3], &f32s(&a))], metadata)
}

fn open(base: &Path, pattern: &str) -> Result<Box<dyn Source>, SourceError> {
    open_files(FileKind::Safetensors, pattern, base, &Weights::Stored, None)
}

fn fault(base: &Path, pattern: &str) -> String {
    open(base, pattern).err().expect("should be refused").to_string()
}

#[test]
fn a_file_a_client_in_order_of_names() {
    let home = tempfile::tempdir().unwrap();
    for (name, add, weight) in [("c1", 100.0, "7"), ("c0", 0.0, "2.5"), ("c2", 200.0, "1")] {
        std::fs::write(
            home.path().join(format!("{name}.safetensors")),
            client(add, json!({"num_samples": weight, "client": name})),
        )
        .unwrap();
    }
    for pattern in [".", "*.safetensors"] {
        let source = open(home.path(), pattern).unwrap();
        assert_eq!((source.clients(), source.elements(), source.stored_dtype()), (3, 8, Some(Dtype::F32)));
        assert_eq!(source.weights(), [2.5, 7.0, 1.0]);
        let mut all = [0f32; 8];
        read(&*source, 1, Range::new(0, 8), &mut all).unwrap();
        // a precedes b in the gradient, whatever the order in the file.
        assert_eq!(all, [101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 110.0, 111.0]);
        let mut part = [0f64; 3];
        read(&*source, 2, Range::new(5, 8), &mut part).unwrap();
        assert_eq!(part, [206.0, 210.0, 211.0]);
        read(&*source, 0, Range::new(6, 6), &mut [0f32; 0]).unwrap();
        assert!(read(&*source, 0, Range::new(6, 9), &mut [0f32; 3]).is_err());
        assert!(read(&*source, 3, Range::new(0, 1), &mut [0f32; 1]).is_err());
    }
    let given = open_files(FileKind::Safetensors, ".", home.path(), &Weights::Each(vec![3.0, 1.0, 4.0]), None).unwrap();
    assert_eq!(given.weights(), [3.0, 1.0, 4.0]);
    let wrong = open_files(FileKind::Safetensors, ".", home.path(), &Weights::Each(vec![3.0, -1.0, 4.0]), None);
    assert!(wrong.err().unwrap().to_string().contains("client 1 has weight -1"));
}

#[test]
fn one_file_of_all_clients() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("all.safetensors");
    let tensors: &[(&str, &str, &[u64], &[u8])] = &[
        ("client_01.fc1.weight", "F32", &[2], &f32s(&[3.0, 4.0])),
        ("client_00.fc1.weight", "F32", &[2], &f32s(&[1.0, 2.0])),
        ("client_00.fc1.bias", "F32", &[], &f32s(&[9.0])),
        ("client_01.fc1.bias", "F32", &[], &f32s(&[8.0])),
    ];
    let metadata = json!({"client_00.num_samples": "12", "client_01.num_samples": "5", "made_by": "a test"});
    std::fs::write(&path, bytes(tensors, metadata)).unwrap();
    let source = open(home.path(), "all.safetensors").unwrap();
    assert_eq!((source.clients(), source.elements(), source.weights()), (2, 3, &[12.0, 5.0][..]));
    let mut out = [0f32; 3];
    read(&*source, 0, Range::new(0, 3), &mut out).unwrap();
    assert_eq!(out, [9.0, 1.0, 2.0]);
    read(&*source, 1, Range::new(0, 3), &mut out).unwrap();
    assert_eq!(out, [8.0, 3.0, 4.0]);
    // The same file found by a glob is a single client.
    assert_eq!(open(home.path(), "*.safetensors").unwrap().clients(), 1);
    std::fs::write(&path, bytes(tensors, json!({"client_01.num_samples": "5"}))).unwrap();
    assert!(fault(home.path(), "all.safetensors").contains("\"client_00.num_samples\""));
    std::fs::write(&path, bytes(tensors, json!({"num_samples": "5"}))).unwrap();
    assert_eq!(open(home.path(), "all.safetensors").unwrap().clients(), 1, "a client's own file");
    std::fs::write(&path, bytes(&tensors[..3], Value::Null)).unwrap();
    let message = fault(home.path(), "all.safetensors");
    assert!(message.contains("\"client_01\" has no tensor \"fc1.bias\""), "{message}");
    std::fs::write(&path, bytes(&[("alone", "F32", &[1], &f32s(&[1.0]))], Value::Null)).unwrap();
    assert!(fault(home.path(), "all.safetensors").contains("\"alone\" names no client"));
}

#[test]
fn every_type_and_every_conversion() {
    let home = tempfile::tempdir().unwrap();
    let values = [0.0, -1.0 / 3.0, 1e-3, 65504.0, f64::INFINITY, f64::NAN];
    for (dtype, name, stored) in [
        (Dtype::F64, "F64", values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()),
        (Dtype::F32, "F32", values.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect()),
        (Dtype::F16, "F16", values.iter().flat_map(|x| f16::from_f32(*x as f32).to_le_bytes()).collect()),
        (Dtype::Bf16, "BF16", values.iter().flat_map(|x| bf16::from_f32(*x as f32).to_le_bytes()).collect()),
    ] {
        std::fs::write(home.path().join("x.safetensors"), bytes(&[("x", name, &[6], &stored)], Value::Null)).unwrap();
        let source = open(home.path(), ".").unwrap();
        assert_eq!((source.stored_dtype(), source.weights()), (Some(dtype), &[1.0][..]));
        let mut same = vec![0; stored.len()];
        source.read_bytes(0, Range::new(0, 6), dtype, &mut same).unwrap();
        assert_eq!(same, stored, "non-finite elements and all");
        let mut wide = [0f64; 6];
        read(&*source, 0, Range::new(0, 6), &mut wide).unwrap();
        let exact = match dtype {
            Dtype::F64 => -1.0 / 3.0,
            Dtype::F32 => -11184811.0 / 2f64.powi(25),
            Dtype::F16 => -1365.0 / 4096.0,
            Dtype::Bf16 => -171.0 / 512.0,
        };
        assert_eq!(wide[1], exact);
        assert!(wide[4] == f64::INFINITY && wide[5].is_nan());
    }
}

#[test]
fn damage_is_named() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("c.safetensors");
    let good = client(0.0, Value::Null);
    let message = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        let message = fault(home.path(), ".");
        assert!(message.contains("c.safetensors"), "{message}");
        message
    };
    assert!(message(&good[..good.len() - 1]).contains("cut off"));
    assert!(message(&good[..40]).contains("cut off"));
    assert!(message(&good[..5]).contains("has 5 bytes"));
    assert!(message(b"").contains("has 0 bytes"));
    assert!(message(&[&good[..], b"x"].concat()).contains("something follows"));
    assert!(message(&[&[0xff; 8], &good[8..]].concat()).contains("damaged, or no safetensors"));
    assert!(message(&[&good[..8], b"?", &good[9..]].concat()).contains("damaged header"));
    let gap = bytes(&[("a", "F32", &[3], &f32s(&[1.0]))], Value::Null);
    assert!(message(&gap).contains("damaged header"));
    assert!(message(&bytes(&[], Value::Null)).contains("holds no tensor"));
    let counter = bytes(&[("n.num_batches_tracked", "I64", &[1], &[0; 8])], Value::Null);
    assert!(message(&counter).contains("I64"));
    let mixed = bytes(&[("a", "F32", &[1], &[0; 4]), ("b", "F16", &[1], &[0; 2])], Value::Null);
    assert!(message(&mixed).contains("one type"));
    assert!(message(&client(0.0, json!({"num_samples": "none"}))).contains("\"none\""));
    assert!(message(&client(0.0, json!({"num_samples": "NaN"}))).contains("\"NaN\""));
    std::fs::write(&path, &good).unwrap();
    let source = open(home.path(), ".").unwrap();
    std::fs::write(&path, &good[..good.len() - 4]).unwrap();
    let late = read(&*source, 0, Range::new(0, 8), &mut [0f32; 8]).unwrap_err().to_string();
    assert!(late.contains("c.safetensors") && late.contains("longer when it was opened"), "{late}");
}

#[test]
fn clients_must_be_alike() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("0.safetensors"), client(0.0, json!({"num_samples": "3"}))).unwrap();
    let message = |tensors: &[(&str, &str, &[u64], &[u8])]| {
        std::fs::write(home.path().join("1.safetensors"), bytes(tensors, json!({"num_samples": "3"}))).unwrap();
        let message = fault(home.path(), ".");
        assert!(message.contains("1.safetensors"), "{message}");
        message
    };
    assert!(message(&[("a", "F32", &[2, 3], &[0; 24])]).contains("no tensor \"b\""));
    assert!(message(&[("a", "F32", &[3, 2], &[0; 24]), ("b", "F32", &[2], &[0; 8])]).contains("[3, 2]"));
    let more: &[(&str, &str, &[u64], &[u8])] =
        &[("a", "F32", &[2, 3], &[0; 24]), ("b", "F32", &[2], &[0; 8]), ("c", "F32", &[0], &[])];
    assert!(message(more).contains("\"c\""));
    assert!(message(&[("a", "F64", &[2, 3], &[0; 48]), ("b", "F64", &[2], &[0; 16])]).contains("one type"));
    std::fs::write(home.path().join("1.safetensors"), client(0.0, Value::Null)).unwrap();
    assert!(fault(home.path(), ".").contains("no metadata \"num_samples\""));
}

/// The 20 real updates of configs/data/digits. Python computed the expected hash: hashlib.sha256 over
/// np.concatenate([d[k].ravel() for k in sorted(d)]).tobytes() for d = safetensors.numpy.load_file(f), client by
/// client.
#[test]
fn the_digits_are_whole() {
    let source = open(Path::new(env!("CARGO_MANIFEST_DIR")), "configs/data/digits").unwrap();
    assert_eq!((source.clients(), source.elements(), source.stored_dtype()), (20, 85_002, Some(Dtype::F32)));
    assert_eq!(
        source.weights(),
        [
            21.0, 125.0, 136.0, 80.0, 67.0, 79.0, 136.0, 82.0, 71.0, 68.0, 109.0, 144.0, 57.0, 84.0, 90.0, 82.0, 122.0,
            72.0, 63.0, 109.0
        ]
    );
    let mut sum = Sha256::new();
    let mut values = vec![0f32; 85_002];
    for client in 0..20 {
        // Uneven pieces test ranges too.
        for (start, end) in [(0, 1), (1, 40_009), (40_009, 85_002)] {
            read(&*source, client, Range::new(start, end), &mut values[start as usize..end as usize]).unwrap();
        }
        sum.update(bytemuck::cast_slice::<f32, u8>(&values));
    }
    let hex: String = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "1a6ab58cb5dee5d060409638cd845250830bccd128b4aada9409bd7f4b31e0c7");
}
