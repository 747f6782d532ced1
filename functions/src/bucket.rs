//! A store of objects: what aggregators and clients need of S3 or of a directory.

use std::fmt;

use gradshard::gradient::Range;
use serde::{Deserialize, Serialize};

/// Longest name of an object, bytes: file systems allow 255, and a directory adds some to the name of an unfinished file.
const LONGEST_NAME: usize = 200;

/// The name of an object: letters, digits, `-`, `_` and `.`, which is not the first. So it is a file's name in any directory
/// and leads out of none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName(String);

impl ObjectName {
    /// The name of a client's object, which holds these elements of its gradient.
    pub fn of_client(client: u64, elements: Range) -> ObjectName {
        ObjectName(format!("client-{client}-{}-{}", elements.start, elements.end))
    }

    /// The name of the sum of a step of a plan: its part, and its place in it.
    pub fn of_sum(part: u64, place: usize) -> ObjectName {
        ObjectName(format!("sum-{part}-{place}"))
    }
}

impl TryFrom<String> for ObjectName {
    type Error = String;

    fn try_from(name: String) -> Result<ObjectName, String> {
        let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
        if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with('.') || !name.bytes().all(fits) {
            return Err(format!(
                "{name:?} is no name of an object; write up to {LONGEST_NAME} letters, digits, '-', '_' and '.', not \
                 beginning with '.'"
            ));
        }
        Ok(ObjectName(name))
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> String {
        name.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for ObjectName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A request that failed. The message names the object.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object does not exist.
    #[error("object {name}: does not exist in {place}")]
    Missing {
        /// The object.
        name: ObjectName,
        /// The store.
        place: String,
    },
    /// The object ends too early.
    #[error("object {name}: is cut off: has {length} bytes, and {end} are needed")]
    CutOff {
        /// The object.
        name: ObjectName,
        /// Its length, bytes.
        length: u64,
        /// End of the bytes that were asked for.
        end: u64,
    },
    /// The store failed.
    #[error("object {name}: {cause}")]
    Failed {
        /// The object.
        name: ObjectName,
        /// The store's error.
        cause: std::io::Error,
    },
}

impl StoreError {
    /// Makes the error of a store that failed.
    pub fn failed(name: &ObjectName, cause: impl Into<std::io::Error>) -> StoreError {
        StoreError::Failed { name: name.clone(), cause: cause.into() }
    }
}

/// A store of objects. An object is there as a whole or not at all.
pub trait Bucket: Send + Sync {
    /// Fills `into` with the bytes of an object from `from` on, by one read request.
    ///
    /// # Errors
    /// [`StoreError`]: there is no such object, or it ends earlier.
    fn get(&self, name: &ObjectName, from: u64, into: &mut [u8]) -> Result<(), StoreError>;

    /// Writes an object by one write request. It replaces an object of this name.
    ///
    /// # Errors
    /// [`StoreError`]: the store failed.
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StoreError>;

    /// Begins an object that is written in parts, by one write request.
    ///
    /// # Errors
    /// [`StoreError`]: the store failed.
    fn begin(&self, name: &ObjectName) -> Result<Box<dyn Upload + '_>, StoreError>;

    /// Returns the memory beside the caller's that writes take of which the longest has `bytes` bytes, of an object of
    /// `object_bytes` bytes in all; bytes.
    fn memory_of_write(&self, bytes: u64, object_bytes: u64) -> u64;
}

/// An object that is being written in parts, each by one write request. It does not exist until it is complete.
pub trait Upload {
    /// Adds the next part.
    ///
    /// # Errors
    /// [`StoreError`]: the store failed.
    fn part(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// Ends the object, by one write request. It replaces an object of this name.
    ///
    /// # Errors
    /// [`StoreError`]: the store failed.
    fn complete(self: Box<Self>) -> Result<(), StoreError>;
}

/// The contract of every store.
#[cfg(test)]
pub(crate) mod contract {
    use super::*;

    /// A valid name.
    pub fn name(text: &str) -> ObjectName {
        text.to_owned().try_into().unwrap()
    }

    /// Ranges are read back; parts are one object when it is complete, and none before; a write replaces an object; what is
    /// missing or cut off is told apart.
    pub fn holds(bucket: &dyn Bucket) {
        bucket.put(&name("a"), b"former").unwrap();
        bucket.put(&name("a"), b"0123456789").unwrap();
        let mut upload = bucket.begin(&name("b")).unwrap();
        upload.part(b"0123").unwrap();
        upload.part(b"456789").unwrap();
        assert!(matches!(bucket.get(&name("b"), 0, &mut [0]), Err(StoreError::Missing { .. })));
        upload.complete().unwrap();
        for object in ["a", "b"] {
            let mut bytes = [0; 4];
            bucket.get(&name(object), 6, &mut bytes).unwrap();
            assert_eq!(&bytes, b"6789");
            let error = bucket.get(&name(object), 7, &mut bytes).unwrap_err();
            assert!(matches!(error, StoreError::CutOff { length: 10, end: 11, .. }), "{error}");
        }
        // An object that is given up is none.
        drop(bucket.begin(&name("c")).unwrap());
        assert!(matches!(bucket.get(&name("c"), 0, &mut [0]), Err(StoreError::Missing { .. })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_out_of_no_directory() {
        for name in ["client-3", "sum-0-12", "a.b_c", &"x".repeat(LONGEST_NAME)] {
            assert_eq!(ObjectName::try_from(name.to_owned()).unwrap().to_string(), name);
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for name in ["", ".", "..", "../a", "/etc/passwd", "a/b", ".hidden", "a\0", "a b", "ä", "a\\b", &long] {
            assert!(ObjectName::try_from(name.to_owned()).is_err(), "{name:?}");
            assert!(serde_json::from_value::<ObjectName>(name.into()).is_err(), "{name:?}");
        }
    }
}
