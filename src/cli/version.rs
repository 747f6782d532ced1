//! `gradshard --version`: the revision of the sources, and the libraries that the program is linked with.

use gradshard::machine::build_facts::BuildFacts;

/// The text, a line each for the build, the MPI library and HDF5.
pub fn version() -> String {
    let (major, minor, patch) = hdf5::library_version();
    format!("{}\nMPI: {}\nHDF5: {major}.{minor}.{patch}\n", BuildFacts::here().summary(), mpi())
}

#[cfg(feature = "mpi")]
fn mpi() -> String {
    match gradshard::mpi::library_version() {
        // Open MPI appends where it was built, and MPICH how.
        Ok(text) => text.split(['\n', ',']).next().unwrap_or_default().trim().to_owned(),
        Err(error) => error.to_string(),
    }
}

#[cfg(not(feature = "mpi"))]
fn mpi() -> String {
    "none; ranks are threads".to_owned()
}
