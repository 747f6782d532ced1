//! Checksums of ranges of objects. The writer of an object computes those that its readers need, and whoever starts the
//! readers passes them on, so that a range is checked without another request.

use std::collections::HashMap;

use gradshard::gradient::Range;
use sha2::{Digest, Sha256};

use crate::bucket::ObjectName;

/// Returns the SHA-256 of `bytes` in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

fn hexadecimal(state: Sha256) -> String {
    state.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The checksums of ranges of one object, whose bytes come in order.
pub struct RangeSums {
    at: u64,
    states: Vec<(Range, Sha256)>,
}

impl RangeSums {
    /// Begins the checksums of `ranges` of an object, bytes.
    pub fn new(ranges: &[Range]) -> RangeSums {
        RangeSums { at: 0, states: ranges.iter().map(|range| (*range, Sha256::new())).collect() }
    }

    /// Adds the next bytes of the object.
    pub fn add(&mut self, bytes: &[u8]) {
        let here = Range::new(self.at, self.at + bytes.len() as u64);
        for (range, state) in &mut self.states {
            let common = range.intersect(here);
            if !common.is_empty() {
                state.update(&bytes[common.indices_from(here.start)]);
            }
        }
        self.at = here.end;
    }

    /// Returns the checksums in the order of the ranges.
    pub fn finish(self) -> Vec<String> {
        self.states.into_iter().map(|(_, state)| hexadecimal(state)).collect()
    }
}

/// The known checksums of ranges of objects, bytes.
#[derive(Debug, Default)]
pub struct Checksums(HashMap<(ObjectName, Range), String>);

impl Checksums {
    /// Adds the checksums of ranges of an object, in their order.
    pub fn insert(&mut self, object: &ObjectName, ranges: &[Range], sums: Vec<String>) {
        self.0.extend(ranges.iter().zip(sums).map(|(range, sum)| ((object.clone(), *range), sum)));
    }

    /// Returns the checksum of a range of an object; empty if nobody computed it, which fits no bytes.
    pub fn of(&self, object: &ObjectName, range: Range) -> String {
        self.0.get(&(object.clone(), range)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests of "abc" and of nothing are those of FIPS 180-4 and its validation suite.
    #[test]
    fn ranges_are_summed_across_pieces() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b"abc"), abc);
        let ranges = [(1, 4), (0, 5), (4, 4), (9, 12)].map(|(start, end)| Range::new(start, end));
        let mut sums = RangeSums::new(&ranges);
        for piece in ["xa", "b", "cx", "abc", "abc"] {
            sums.add(piece.as_bytes());
        }
        // "xabcxabcabc": bytes 9 to 12 end behind it, and hold "bc".
        assert_eq!(sums.finish(), [abc.to_owned(), sha256(b"xabcx"), nothing.to_owned(), sha256(b"bc")]);
    }
}
