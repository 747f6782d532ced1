//! The result file: what a job measured, in HDF5, readable with h5py and h5dump alone.

pub mod row;
