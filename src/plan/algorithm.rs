//! Names of the algorithms by which the MPI library carries out its collectives.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::plan::LibraryName;

/// The algorithm of a reducing collective, by the MPI library's own name for it, such as `ring` or `in-order_binary`. The
/// length of the segments in which the message travels may follow: `pipeline/64KiB`. The default leaves the choice to the
/// library, which heeds the size and the number of ranks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Algorithm {
    name: LibraryName,
    /// 0: the library's own.
    segment_kib: u32,
}

/// The choices that an MPI library offers for one of its functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Its algorithms, without segments.
    pub algorithms: Vec<Algorithm>,
    /// True if the length of segments can be chosen.
    pub segments: bool,
    /// The components of the library's collectives that a communicator can prefer.
    pub components: Vec<LibraryName>,
}

impl Offered {
    /// True if `algorithm` can be chosen.
    pub fn has(&self, algorithm: Algorithm) -> bool {
        algorithm.is_default()
            || (self.algorithms.contains(&algorithm.unsegmented()) && (self.segments || algorithm.segment_kib == 0))
    }
}

impl Algorithm {
    /// The name of the default.
    pub const DEFAULT: &'static str = LibraryName::DEFAULT;

    /// True if the library chooses.
    pub fn is_default(&self) -> bool {
        self.name.is_default()
    }

    /// The library's name, or `default`.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// True if the algorithm ends the job by an assertion unless the ranks are a power of two and their parts are equally
    /// long, as MPICH's reduce-scatters for operations that do not commute do.
    pub fn needs_equal_powers_of_two(&self) -> bool {
        self.name().contains("noncommutative")
    }

    /// Length of a segment, bytes; None leaves it to the library.
    pub fn segment(&self) -> Option<u64> {
        (self.segment_kib > 0).then(|| u64::from(self.segment_kib) << 10)
    }

    /// The algorithm with the library's own segments.
    pub fn unsegmented(self) -> Algorithm {
        Algorithm { segment_kib: 0, ..self }
    }

    /// The algorithm with the segments of `other`.
    pub fn in_segments_of(self, other: Algorithm) -> Algorithm {
        Algorithm { segment_kib: other.segment_kib, ..self }
    }
}

/// Accepts lower-case letters, digits, `-` and `_`, and after a slash a whole number of KiB below 1 GiB.
impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == Algorithm::DEFAULT {
            return Ok(Algorithm::default());
        }
        let wrong = || {
            format!(
                "{text:?} is no algorithm: write its name, at most 48 lower-case letters, digits, - and _, and \
                 perhaps the length of segments, as in \"pipeline/64KiB\""
            )
        };
        let (name, segment) = text.split_once('/').map_or((text, None), |(name, segment)| (name, Some(segment)));
        let named = name.parse().ok().filter(|name: &LibraryName| !name.is_default());
        let segment_kib = segment.map_or(Some(0), |segment| {
            let number = segment.strip_suffix("KiB")?;
            number.parse().ok().filter(|kib| (1..1 << 20).contains(kib) && !number.starts_with('+'))
        });
        named.zip(segment_kib).map(|(name, segment_kib)| Algorithm { name, segment_kib }).ok_or_else(wrong)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.segment_kib {
            0 => f.pad(self.name()),
            kib => f.pad(&format!("{}/{kib}KiB", self.name())),
        }
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Algorithm {
    fn schema_name() -> Cow<'static, str> {
        "Algorithm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z0-9_-]+(/[1-9][0-9]*KiB)?$", "examples": ["default", "all", "ring", "pipeline/64KiB"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_text_and_the_default_has_one() {
        for name in ["default", "ring", "in-order_binary", "pipeline/64KiB"] {
            assert_eq!(name.parse::<Algorithm>().expect(name).to_string(), name);
        }
        assert!("default".parse::<Algorithm>().expect("default").is_default());
        for wrong in ["", "Ring", "a b", "a/", "a/64", "a/0KiB", "a/+1KiB", "/1KiB", "default/1KiB", &"a".repeat(49)] {
            assert!(wrong.parse::<Algorithm>().is_err(), "{wrong}");
        }
        assert_eq!("pipeline/64KiB".parse::<Algorithm>().expect("segments").segment(), Some(65_536));
    }
}
