//! Names of the algorithms by which the MPI library carries out its collectives.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes of the longest name.
const LONGEST: usize = 48;

/// The algorithm of a reducing collective, by the MPI library's own name for it, such as `ring` or `in-order_binary`.
/// The default leaves the choice to the library, which heeds the size and the number of ranks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Algorithm(ArrayString<LONGEST>);

impl Algorithm {
    /// The name of the default.
    pub const DEFAULT: &'static str = "default";

    /// True if the library chooses.
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    /// The library's name, or `default`.
    pub fn name(&self) -> &str {
        if self.is_default() { Algorithm::DEFAULT } else { &self.0 }
    }
}

/// Accepts lower-case letters, digits, `-` and `_`. The empty text is the default too: older files have no names.
impl FromStr for Algorithm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == Algorithm::DEFAULT {
            return Ok(Algorithm::default());
        }
        let fits = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
        ArrayString::from(name).ok().filter(|_| fits).map(Algorithm).ok_or_else(|| {
            format!("{name:?} is no name of an algorithm: at most {LONGEST} lower-case letters, digits, - and _")
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
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
        json_schema!({"type": "string", "pattern": "^[a-z0-9_-]+$", "maxLength": LONGEST, "examples": ["default", "all", "ring"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_text_and_the_default_has_one() {
        for name in ["default", "ring", "in-order_binary"] {
            assert_eq!(name.parse::<Algorithm>().expect(name).to_string(), name);
        }
        assert!("default".parse::<Algorithm>().expect("default").is_default());
        for wrong in ["Ring", "a b", &"a".repeat(LONGEST + 1)] {
            assert!(wrong.parse::<Algorithm>().is_err(), "{wrong}");
        }
    }
}
