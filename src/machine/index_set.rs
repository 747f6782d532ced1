//! A set of CPU, core or NUMA node numbers, written in Linux's list format, such as `0-3,8`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The error of a text that is no list of numbers.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{list}`: `{part}` is neither a number nor a rising range such as 0-3")]
pub struct IndexSetError {
    /// The whole list.
    pub list: String,
    /// The part that is invalid.
    pub part: String,
}

/// Numbers of CPUs, cores or NUMA nodes. It is serialised as a list string, so that 256 CPUs take five bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexSet(BTreeSet<usize>);

impl IndexSet {
    /// Returns how many numbers the set holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the numbers in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().copied()
    }

    /// Returns whether every number of `other` is in this set.
    pub fn includes(&self, other: &IndexSet) -> bool {
        other.0.is_subset(&self.0)
    }
}

impl FromIterator<usize> for IndexSet {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        IndexSet(indices.into_iter().collect())
    }
}

impl fmt::Display for IndexSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while rest.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            if first == last {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl FromStr for IndexSet {
    type Err = IndexSetError;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let mut set = BTreeSet::new();
        if list.trim().is_empty() {
            return Ok(IndexSet(set));
        }
        for part in list.trim().split(',') {
            let wrong = || IndexSetError { list: list.to_owned(), part: part.to_owned() };
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| wrong())?;
            let last: usize = last.trim().parse().map_err(|_| wrong())?;
            if first > last {
                return Err(wrong());
            }
            set.extend(first..=last);
        }
        Ok(IndexSet(set))
    }
}

impl Serialize for IndexSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IndexSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_linux_does() {
        for (indices, list) in [
            (vec![], ""),
            (vec![5], "5"),
            (vec![0, 1], "0-1"),
            (vec![8, 0, 2, 1, 3], "0-3,8"),
            (vec![0, 2, 4], "0,2,4"),
            (vec![62, 63, 64, 128], "62-64,128"),
        ] {
            let set: IndexSet = indices.iter().copied().collect();
            assert_eq!(set.to_string(), list);
            assert_eq!(list.parse::<IndexSet>(), Ok(set));
        }
    }

    #[test]
    fn refuses_what_is_no_list() {
        for list in ["a", "3-1", "1,,2", "1-", "-1", "0-3,x"] {
            assert!(list.parse::<IndexSet>().is_err(), "{list}");
        }
        let said = "0-3,x".parse::<IndexSet>().map_err(|e| e.to_string());
        assert_eq!(said, Err("`0-3,x`: `x` is neither a number nor a rising range such as 0-3".to_owned()));
    }

    #[test]
    fn inclusion() {
        let all: IndexSet = (0..4).collect();
        let some: IndexSet = [1, 3].into_iter().collect();
        assert!(all.includes(&some) && all.includes(&all) && all.includes(&IndexSet::default()));
        assert!(!some.includes(&all));
    }
}
