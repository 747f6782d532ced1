//! Reads the settings of a sweep other than the strategy: roles, flow, intra_node, order, end and memory ceilings.

use std::fmt;

use schemars::json_schema;
use serde::de::{self, MapAccess, Unexpected};
use serde::{Serialize, Serializer};

use crate::experiment::names::hint;
use crate::experiment::numbers::Count;
use crate::experiment::readable::{Readable, json_schema_of};
use crate::experiment::size::{Size, bytes_of};
use crate::plan::{Algorithm, LibraryName, Roles};

impl Readable for Roles {
    fn expected() -> String {
        "roles: \"colocated\", \"dedicated\", or {\"dedicated\": ranks that only aggregate}".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        match value {
            Unexpected::Str("colocated") => Ok(Roles::Colocated),
            Unexpected::Str("dedicated") => Ok(Roles::Dedicated(None)),
            Unexpected::Str(name) => Err(E::custom(format!(
                "unknown roles {name:?};{} write \"colocated\", \"dedicated\" or {{\"dedicated\": ranks}}",
                hint(name, &["colocated", "dedicated"])
            ))),
            _ => Err(Self::wrong_type(value)),
        }
    }

    fn from_object<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let form = "write {\"dedicated\": ranks that only aggregate} with nothing else in it";
        Count::only_entry(map, "dedicated", form).map(|ranks| Roles::Dedicated(Some(ranks)))
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Roles::Dedicated(Some(ranks)) => serializer.collect_map([("dedicated", ranks)]),
            other => serializer.serialize_str(other.name()),
        }
    }
}

json_schema_of!(Roles, |generator| json_schema!({
    "examples": ["colocated", {"dedicated": 4}],
    "anyOf": [
        {"const": "colocated", "description": "Every rank hosts clients and aggregators."},
        {"const": "dedicated", "description": "Half of the ranks only aggregate."},
        {
            "type": "object",
            "description": "This many ranks only aggregate.",
            "properties": {"dedicated": generator.subschema_for::<Count>()},
            "required": ["dedicated"],
            "additionalProperties": false
        }
    ]
}));

impl Readable for Algorithm {
    fn expected() -> String {
        "the name of an algorithm of the MPI library, \"default\" or \"all\"".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        let Unexpected::Str(name) = value else { return Err(Self::wrong_type(value)) };
        name.parse().map_err(E::custom)
    }
}

impl Readable for LibraryName {
    fn expected() -> String {
        "the name of a component of the MPI library, \"default\" or \"all\"".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        let Unexpected::Str(name) = value else { return Err(Self::wrong_type(value)) };
        name.parse().map_err(E::custom)
    }
}

/// How data moves through an aggregator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FlowChoice {
    /// Each input arrives complete before it is summed.
    #[default]
    Whole,
    /// A pipeline of chunks.
    Chunk {
        /// Size of a chunk, bytes; above 0.
        bytes: u64,
    },
    /// A pipeline whose chunk size is chosen automatically.
    Auto,
}

impl fmt::Display for FlowChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlowChoice::Whole => f.pad("whole"),
            FlowChoice::Chunk { bytes } => Size(*bytes).fmt(f),
            FlowChoice::Auto => f.pad("auto"),
        }
    }
}

/// Returns true if a text is meant as a size rather than a name.
fn looks_like_size(text: &str) -> bool {
    text.trim_start().starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
}

impl Readable for FlowChoice {
    fn expected() -> String {
        "a flow: \"whole\", \"auto\" or a chunk size such as \"1MiB\"".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        match value {
            Unexpected::Str("whole") => Ok(FlowChoice::Whole),
            Unexpected::Str("auto") => Ok(FlowChoice::Auto),
            Unexpected::Str(text) if !looks_like_size(text) => Err(E::custom(format!(
                "unknown flow {text:?};{} write \"whole\", \"auto\" or a chunk size such as \"1MiB\"",
                hint(text, &["whole", "auto"])
            ))),
            _ => bytes_of::<Self, E>(value).map(|bytes| FlowChoice::Chunk { bytes }),
        }
    }
}

impl Serialize for FlowChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

json_schema_of!(FlowChoice, |generator| json_schema!({
    "examples": ["whole", "1MiB", "auto"],
    "anyOf": [
        {"const": "whole", "description": "Each input arrives complete before it is summed, as stored objects do."},
        {"const": "auto", "description": "A pipeline whose chunk size is chosen automatically."},
        generator.subschema_for::<Size>()
    ]
}));

/// A memory limit on one aggregator, as written in an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CeilingChoice {
    /// A limit in bytes.
    Bytes(u64),
    /// The name of a preset.
    Preset(String),
}

impl Readable for CeilingChoice {
    fn expected() -> String {
        "a ceiling: a size such as \"3008MiB\", or the name of a preset".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        match value {
            Unexpected::Str(text) if !looks_like_size(text) => Ok(CeilingChoice::Preset(text.to_string())),
            _ => bytes_of::<Self, E>(value).map(CeilingChoice::Bytes),
        }
    }
}

json_schema_of!(CeilingChoice, |generator| json_schema!({
    "examples": ["3008MiB", "10GiB"],
    "anyOf": [generator.subschema_for::<Size>(), {"type": "string", "description": "The name of a preset."}]
}));
