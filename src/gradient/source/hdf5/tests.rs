use std::path::Path;

use ndarray::s;

use super::super::{FileKind, open_files, read};
use super::*;
use crate::gradient::Source;
use crate::gradient::source::weights::Weights;

fn open(base: &Path, pattern: &str, dataset: Option<&str>) -> Result<Box<dyn Source>, SourceError> {
    open_files(FileKind::Hdf5, pattern, base, &Weights::Stored, dataset)
}

fn fault(base: &Path, pattern: &str, dataset: Option<&str>) -> String {
    open(base, pattern, dataset).err().expect("should be refused").to_string()
}

/// Clients 0 to `rows` − 1 with 17 elements each, of value 100 · client + element.
fn table(rows: usize) -> ndarray::Array2<f32> {
    ndarray::Array2::from_shape_fn((rows, 17), |(client, element)| (client * 100 + element) as f32)
}

#[test]
fn one_table_in_any_storage() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("g.h5");
    let table = table(3);
    {
        let file = File::create(&path).unwrap();
        file.new_dataset_builder().with_data(&table).create("plain").unwrap();
        file.new_dataset_builder().with_data(&table).chunk((2, 5)).shuffle().deflate(6).create("packed").unwrap();
        let doubles = table.mapv(f64::from);
        file.new_dataset_builder().with_data(&doubles).create("doubles").unwrap();
        let halves = table.mapv(f16::from_f32);
        file.new_dataset_builder().with_data(&halves).create("halves").unwrap();
        file.new_dataset_builder().with_data(&halves).chunk((1, 7)).create("packed_halves").unwrap();
        for name in ["plain", "packed"] {
            let weights = ndarray::arr1(&[5i64, 1, 2]);
            file.dataset(name).unwrap().new_attr_builder().with_data(&weights).create("weights").unwrap();
        }
    }
    for (name, dtype, weights, direct) in [
        ("plain", Dtype::F32, [5.0, 1.0, 2.0], true),
        ("/packed", Dtype::F32, [5.0, 1.0, 2.0], false),
        ("doubles", Dtype::F64, [1.0; 3], true),
        ("halves", Dtype::F16, [1.0; 3], true),
        ("packed_halves", Dtype::F16, [1.0; 3], false),
    ] {
        let source = super::open(std::slice::from_ref(&path), Some(name), &Weights::Stored).unwrap();
        assert_eq!((source.clients(), source.elements(), source.stored_dtype()), (3, 17, Some(dtype)));
        assert_eq!(source.weights(), weights);
        assert_eq!(matches!(source.clients[0].1, StoredPlace::Runs(_)), direct, "{name}");
        for (start, end) in [(0, 17), (3, 4), (4, 11), (17, 17)] {
            let expected: Vec<f64> = (start..end).map(|element| 200.0 + element as f64).collect();
            let mut wide = vec![0f64; expected.len()];
            read(&source, 2, Range::new(start, end), &mut wide).unwrap();
            assert_eq!(wide, expected);
            let mut same = vec![0f32; expected.len()];
            read(&source, 2, Range::new(start, end), &mut same).unwrap();
            assert!(same.iter().zip(&expected).all(|(a, b)| f64::from(*a) == *b), "{name}");
        }
    }
    let message = fault(home.path(), "g.h5", None);
    assert!(message.contains("g.h5") && message.contains("\"/halves\" [3, 17]"), "{message}");
    assert!(fault(home.path(), "g.h5", Some("none")).contains("doubles"));
}

#[test]
fn a_dataset_a_client() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("g.hdf5");
    let table = table(3);
    let file = File::create(&path).unwrap();
    let group = file.create_group("round/updates").unwrap();
    for (name, row, weight) in [("c10", 1, 4.5f32), ("c0", 0, 3.0), ("c2", 2, 6.0)] {
        let dataset = group.new_dataset_builder().with_data(&table.row(row)).create(name).unwrap();
        dataset.new_attr::<f32>().create("num_samples").unwrap().write_scalar(&weight).unwrap();
    }
    drop((group, file));
    let source = open(home.path(), ".", Some("round/updates")).unwrap();
    assert_eq!((source.clients(), source.weights()), (3, &[3.0, 4.5, 6.0][..]));
    let mut out = [0f32; 2];
    read(&*source, 1, Range::new(15, 17), &mut out).unwrap();
    assert_eq!(out, [115.0, 116.0], "c10 is client 1");
    let one = open(home.path(), "g.hdf5", Some("round/updates/c2")).unwrap();
    assert_eq!((one.clients(), one.weights()), (1, &[6.0][..]));
    assert!(fault(home.path(), ".", None).contains("no dataset"));
}

#[test]
fn a_file_a_client() {
    let home = tempfile::tempdir().unwrap();
    let table = table(2);
    for client in 0..2 {
        let file = File::create(home.path().join(format!("{client}.h5"))).unwrap();
        file.new_dataset_builder().with_data(&table.row(client)).create("update").unwrap();
    }
    let source = open(home.path(), "*.h5", None).unwrap();
    let mut out = [0f64; 17];
    read(&*source, 1, Range::new(0, 17), &mut out).unwrap();
    assert_eq!((source.clients(), out[16]), (2, 116.0));
    drop(source);
    let file = File::append(home.path().join("1.h5")).unwrap();
    file.new_dataset_builder().with_data(&table.row(0)).create("other").unwrap();
    drop(file);
    assert!(fault(home.path(), ".", None).contains("each must hold one client"));
    assert_eq!(open(home.path(), ".", Some("update")).unwrap().clients(), 2);
}

#[test]
fn damage_and_differences_are_named() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("g.h5");
    let message = |write: &dyn Fn(&File)| {
        let file = File::create(&path).unwrap();
        write(&file);
        drop(file);
        let message = fault(home.path(), "g.h5", None);
        assert!(message.contains("g.h5"), "{message}");
        message
    };
    let put = |file: &File, name: &str, length: usize| {
        file.new_dataset_builder().with_data(&ndarray::Array1::<f32>::zeros(length)).create(name).unwrap()
    };
    assert!(message(&|file| drop((put(file, "a", 3), put(file, "b", 4)))).contains("as many elements"));
    assert!(
        message(&|file| {
            put(file, "a", 3);
            file.new_dataset_builder().with_data(&ndarray::Array1::<f64>::zeros(3)).create("b").unwrap();
        })
        .contains("one type")
    );
    assert!(
        message(&|file| {
            file.new_dataset_builder().with_data(&ndarray::Array1::<i32>::zeros(3)).create("b").unwrap();
        })
        .contains("no float")
    );
    let weigh = |file: &File, name: &str, key: &str, weight: f64| {
        file.dataset(name).unwrap().new_attr::<f64>().create(key).unwrap().write_scalar(&weight).unwrap();
    };
    assert!(
        message(&|file| {
            drop((put(file, "a", 3), put(file, "b", 3)));
            weigh(file, "b", "weights", 2.0);
        })
        .contains("\"/a\" has no attribute")
    );
    assert!(
        message(&|file| {
            put(file, "a", 3);
            weigh(file, "a", "weights", 0.0);
        })
        .contains("holds 0")
    );
    assert!(
        message(&|file| {
            put(file, "a", 3);
            weigh(file, "a", "weights", 1.0);
            weigh(file, "a", "num_samples", 1.0);
        })
        .contains("both")
    );
    assert!(
        message(&|file| {
            file.new_dataset_builder().with_data(&table(2)).create("t").unwrap();
            weigh(file, "t", "weights", 1.0);
        })
        .contains("has 1 values for 2 clients")
    );
    std::fs::write(&path, b"not hdf5 at all").unwrap();
    assert!(fault(home.path(), "g.h5", None).contains("cannot be opened as an HDF5 file"));
    let file = File::create(&path).unwrap();
    put(&file, "a", 5000);
    drop(file);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    assert!(fault(home.path(), "g.h5", None).contains("g.h5"));
}

/// HDF5 reads zeros where a dataset was never written or the source of a virtual dataset is missing, and any file at all
/// through external storage.
#[test]
fn elements_that_are_not_stored_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("g.h5");
    let refused = |make: &dyn Fn(&File)| {
        let file = File::create(&path).unwrap();
        make(&file);
        drop(file);
        fault(home.path(), "g.h5", None)
    };
    let text = refused(&|file| drop(file.new_dataset::<f32>().shape(17).create("empty").unwrap()));
    assert!(text.contains("\"/empty\" was not written entirely"), "{text}");
    let text = refused(&|file| {
        let half = file.new_dataset::<f32>().shape((2, 17)).chunk((1, 17)).create("half").unwrap();
        half.write_slice(&table(1), s![0..1, ..]).unwrap();
    });
    assert!(text.contains("\"/half\" was not written entirely"), "{text}");
    let text = refused(&|file| {
        drop(file.new_dataset::<f32>().shape(17).external("/etc/passwd", 0, 68).create("outside").unwrap());
    });
    assert!(text.contains("\"/etc/passwd\" (external storage)"), "{text}");
    let make_virtual = |file: &File| {
        let builder = file.new_dataset::<f32>().shape(17).virtual_map("source.hdf", "update", 17, .., 17, ..);
        drop(builder.create("joined").unwrap());
    };
    let text = refused(&make_virtual);
    assert!(text.contains("its source, \"update\" of \"source.hdf\", is missing"), "{text}");
    // With its source it is read.
    let source = File::create(home.path().join("source.hdf")).unwrap();
    source.new_dataset_builder().with_data(&table(1).row(0)).create("update").unwrap();
    drop(source);
    let opened = open(home.path(), "g.h5", None).unwrap();
    let mut out = [0f32; 17];
    read(&*opened, 0, Range::new(0, 17), &mut out).unwrap();
    assert_eq!(out[16], 16.0);
}
