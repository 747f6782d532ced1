//! Shards: the contiguous element ranges that a gradient is divided into.

use serde::{Deserialize, Serialize};

use crate::gradient::splitmix::mix;

/// A contiguous range of elements, including `start` and excluding `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// First element.
    pub start: u64,
    /// One past the last element.
    pub end: u64,
}

impl Range {
    /// Makes the range from `start` to `end`, excluding `end`.
    pub const fn new(start: u64, end: u64) -> Self {
        Range { start, end }
    }

    /// Returns the number of elements.
    pub const fn len(self) -> u64 {
        self.end - self.start
    }

    /// Returns true if the range has no elements.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns true if every element of `other` is in this range. An empty `other` is in every range.
    pub const fn contains(self, other: Range) -> bool {
        other.is_empty() || (self.start <= other.start && other.end <= self.end)
    }

    /// Returns the elements common to both ranges; empty if there are none.
    pub fn intersect(self, other: Range) -> Range {
        let start = self.start.max(other.start);
        Range { start, end: self.end.min(other.end).max(start) }
    }

    /// Returns a hash of the range as the difference of its ends' hashes. Over ranges that tile a larger one these add up to
    /// that one's, and over others they do not, up to a chance of 2⁻⁶⁴; so ranges need not be kept.
    pub fn telescope(self) -> u64 {
        mix(self.end).wrapping_sub(mix(self.start))
    }

    /// Converts to indices into a slice whose first element is `origin`.
    pub fn indices_from(self, origin: u64) -> std::ops::Range<usize> {
        (self.start - origin) as usize..(self.end - origin) as usize
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// Returns the elements of shard `index` of `shards`. The first `elements mod shards` shards have one element more.
pub fn shard_range(elements: u64, shards: u64, index: u64) -> Range {
    let (base, longer) = (elements / shards, elements % shards);
    let start = index * base + index.min(longer);
    Range { start, end: start + base + u64::from(index < longer) }
}

/// Returns the shard of `shards` that holds `element` of `elements`, as [`shard_range`] cuts them.
pub fn shard_of(elements: u64, shards: u64, element: u64) -> u64 {
    let (base, longer) = (elements / shards, elements % shards);
    match element.checked_sub(longer * (base + 1)) {
        None => element / (base + 1),
        Some(beyond) => longer + beyond / base.max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_shards_are_one_longer() {
        let lengths: Vec<u64> = (0..4).map(|j| shard_range(10, 4, j).len()).collect();
        assert_eq!(lengths, [3, 3, 2, 2]);
    }

    #[test]
    fn shards_tile_for_awkward_sizes() {
        for elements in [0, 1, 2, 7, 97, 1_000_003] {
            for shards in [1, 2, 3, 5, 8, 101] {
                let mut at = 0;
                for j in 0..shards {
                    let range = shard_range(elements, shards, j);
                    assert_eq!(range.start, at);
                    at = range.end;
                    for element in [range.start, range.end.saturating_sub(1)].into_iter().filter(|_| !range.is_empty())
                    {
                        assert_eq!(shard_of(elements, shards, element), j, "{element} of {elements}");
                    }
                }
                assert_eq!(at, elements);
            }
        }
    }
}
