//! The name of the MPI library.

use std::ffi::{c_char, c_int};

use mpi_sys as ffi;

use super::error::{Result, call, text_of};

/// Returns the name and version of the MPI library, such as `Open MPI v4.1.4`. It works before MPI_Init too.
pub fn library_version() -> Result<String> {
    // MPI_MAX_LIBRARY_VERSION_STRING is 256 in Open MPI and 8,192 in MPICH.
    let mut text = vec![0 as c_char; 8192 + 1];
    let mut length: c_int = 0;
    // SAFETY: the buffer is as long as the longest version string of either library.
    unsafe { call!(MPI_Get_library_version, text.as_mut_ptr(), &mut length) }?;
    Ok(in_short(&text_of(&text, length)))
}

/// The first clause, with one blank between words. Open MPI goes on with the place where it was built, and MPICH, which
/// aligns its version by several blanks, with how.
fn in_short(text: &str) -> String {
    let first = text.split(['\n', ',']).next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_short_and_has_single_blanks() {
        assert_eq!(in_short("MPICH Version:      5.0.2\nMPICH Release date: unreleased"), "MPICH Version: 5.0.2");
        assert_eq!(in_short("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4"), "Open MPI v4.1.4");
    }
}
