//! `gradshard --version`: the revision of the sources, and the libraries that the program is linked with.

use gradshard::machine::build_facts::BuildFacts;

/// The text, a line each for the build, the MPI library and HDF5.
pub fn version() -> String {
    let (major, minor, patch) = hdf5::library_version();
    format!("{}\nMPI: {}\nHDF5: {major}.{minor}.{patch}\n", BuildFacts::here().summary(), mpi())
}

#[cfg(feature = "mpi")]
fn mpi() -> String {
    gradshard::mpi::library_version().unwrap_or_else(|error| error.to_string())
}

#[cfg(not(feature = "mpi"))]
fn mpi() -> String {
    "none; ranks are threads".to_owned()
}
