//! Names that an MPI library has for what carries out its collectives.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use arrayvec::ArrayString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes of the longest name.
const LONGEST: usize = 48;

/// The MPI library's own name for an algorithm or for a component of its collectives, such as `ring` or `sm`. The default
/// leaves the choice to the library.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LibraryName(ArrayString<LONGEST>);

impl LibraryName {
    /// The name of the default.
    pub const DEFAULT: &'static str = "default";

    /// True if the library chooses.
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    /// The library's name, or `default`.
    pub fn as_str(&self) -> &str {
        if self.is_default() { LibraryName::DEFAULT } else { &self.0 }
    }
}

/// Accepts lower-case letters, digits, `-` and `_`.
impl FromStr for LibraryName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == LibraryName::DEFAULT {
            return Ok(LibraryName::default());
        }
        let fits = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
        ArrayString::from(text).ok().filter(|_| fits && !text.is_empty()).map(LibraryName).ok_or_else(|| {
            format!("{text:?} is no name of the library: write at most {LONGEST} lower-case letters, digits, - and _")
        })
    }
}

impl fmt::Display for LibraryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for LibraryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for LibraryName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for LibraryName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for LibraryName {
    fn schema_name() -> Cow<'static, str> {
        "LibraryName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z0-9_-]+$", "examples": ["default", "all", "tuned", "sm"]})
    }
}
