//! SHA-256 of a text, which identifies experiments and jobs.

use sha2::{Digest, Sha256};

/// SHA-256 of a text's bytes in lower-case hexadecimal, as FIPS 180-4 defines it.
pub(super) fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected digests of the empty message and of "abc" are NIST's.
    #[test]
    fn digest_is_sha256() {
        assert_eq!(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
