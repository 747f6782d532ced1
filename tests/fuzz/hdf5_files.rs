//! HDF5 files with gradients, in every layout that gradshard may meet.

use gradshard::gradient::source::MOST_CLIENTS;
use hdf5::File;
use ndarray::{Array1, Array2};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::arrays::{Damage, damage, damaged};

/// How a dataset is stored.
#[derive(Clone, Debug)]
pub enum Storage {
    Contiguous,
    Chunked {
        chunk: usize,
        deflate: bool,
    },
    /// Never written.
    Empty,
    /// Virtual, with this dataset of this file as its source.
    Virtual(&'static str, &'static str),
}

/// A file with gradients.
#[derive(Clone, Debug)]
pub struct GradientFile {
    clients: usize,
    elements: usize,
    table: bool,
    doubles: bool,
    storage: Storage,
    weights: Option<Vec<f64>>,
    damage: Option<Damage>,
}

pub fn file() -> impl Strategy<Value = GradientFile> {
    let storage = prop_oneof![
        20 => Just(Storage::Contiguous),
        20 => (1..20usize, any::<bool>()).prop_map(|(chunk, deflate)| Storage::Chunked { chunk, deflate }),
        1 => Just(Storage::Empty),
        1 => Just(Storage::Virtual(".", "update0")),
        1 => Just(Storage::Virtual("g.h5", "update0")),
        1 => Just(Storage::Virtual("missing.h5", "x")),
    ];
    let weight = prop_oneof![40 => 0.5..100.0f64, 1 => Just(0.0), 1 => Just(f64::NAN), 1 => Just(-1.0)];
    (1..4usize, 1..40usize, any::<[bool; 2]>(), storage, damage(4)).prop_flat_map(
        move |(clients, elements, [table, doubles], storage, damage)| {
            let weights = proptest::option::of(vec(weight.clone(), clients));
            (weights, Just((storage, damage))).prop_map(move |(weights, (storage, damage))| GradientFile {
                clients,
                elements,
                table,
                doubles,
                storage,
                weights,
                damage,
            })
        },
    )
}

impl GradientFile {
    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        assert!((self.clients as u64) < MOST_CLIENTS);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("g.h5");
        {
            let file = File::create(&path).unwrap();
            if self.doubles { self.write::<f64>(&file) } else { self.write::<f32>(&file) }
        }
        damaged(std::fs::read(&path).unwrap(), &self.damage)
    }

    fn write<T: hdf5::H5Type + Copy + From<f32>>(&self, file: &File) {
        let value = |client: usize, element: usize| T::from((client * 100 + element) as f32);
        if self.table {
            let table =
                Array2::from_shape_fn((self.clients, self.elements), |(client, element)| value(client, element));
            let dataset = match &self.storage {
                Storage::Chunked { chunk, deflate } => {
                    let builder = file.new_dataset_builder().chunk((1, (*chunk).min(self.elements)));
                    let builder = if *deflate { builder.shuffle().deflate(6) } else { builder };
                    builder.with_data(&table).create("update0").unwrap()
                }
                Storage::Empty => {
                    file.new_dataset::<T>().shape((self.clients, self.elements)).create("update0").unwrap()
                }
                _ => file.new_dataset_builder().with_data(&table).create("update0").unwrap(),
            };
            if let Some(weights) = &self.weights {
                dataset.new_attr_builder().with_data(&Array1::from(weights.clone())).create("weights").unwrap();
            }
            return;
        }
        for client in 0..self.clients {
            let name = format!("update{client}");
            let row = Array1::from_shape_fn(self.elements, |element| value(client, element));
            let dataset = match &self.storage {
                Storage::Contiguous => file.new_dataset_builder().with_data(&row).create(name.as_str()).unwrap(),
                Storage::Chunked { chunk, deflate } => {
                    let builder = file.new_dataset_builder().chunk((*chunk).min(self.elements));
                    let builder = if *deflate { builder.shuffle().deflate(6) } else { builder };
                    builder.with_data(&row).create(name.as_str()).unwrap()
                }
                Storage::Empty => file.new_dataset::<T>().shape(self.elements).create(name.as_str()).unwrap(),
                Storage::Virtual(source, dataset) => {
                    let builder = file.new_dataset::<T>().shape(self.elements);
                    let builder = builder.virtual_map(source, dataset, self.elements, .., self.elements, ..);
                    builder.create(name.as_str()).unwrap()
                }
            };
            if let Some(weights) = &self.weights {
                dataset.new_attr::<f64>().create("num_samples").unwrap().write_scalar(&weights[client]).unwrap();
            }
        }
    }
}
