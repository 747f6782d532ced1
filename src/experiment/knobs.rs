//! Reads the settings of a sweep other than the strategy: roles, flow, intra_node, order, end and memory ceilings.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::experiment::names::hint;
use crate::experiment::numbers::Count;
use crate::experiment::one_or_many::SweepValue;
use crate::experiment::size::Size;
use crate::plan::Roles;

impl SweepValue for Roles {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RolesVisitor;
        impl<'de> Visitor<'de> for RolesVisitor {
            type Value = Roles;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("roles: \"colocated\", \"dedicated\", or {\"dedicated\": ranks that only aggregate}")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Roles, E> {
                match name {
                    "colocated" => Ok(Roles::Colocated),
                    "dedicated" => Ok(Roles::Dedicated(None)),
                    _ => Err(E::custom(format!(
                        "unknown roles {name:?};{} write \"colocated\", \"dedicated\" or {{\"dedicated\": ranks}}",
                        hint(name, &["colocated", "dedicated"])
                    ))),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Roles, A::Error> {
                let form = "write {\"dedicated\": ranks that only aggregate} with nothing else in it";
                match map.next_key::<String>()?.as_deref() {
                    Some("dedicated") => {
                        let ranks: Count = map.next_value()?;
                        if map.next_key::<String>()?.is_some() {
                            return Err(de::Error::custom(form));
                        }
                        Ok(Roles::Dedicated(Some(ranks.0)))
                    }
                    _ => Err(de::Error::custom(form)),
                }
            }
        }
        deserializer.deserialize_any(RolesVisitor)
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Roles::Dedicated(Some(ranks)) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("dedicated", ranks)?;
                map.end()
            }
            other => serializer.serialize_str(other.name()),
        }
    }
}

impl JsonSchema for Roles {
    fn schema_name() -> Cow<'static, str> {
        "Roles".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
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
        })
    }
}

/// How data moves through an aggregator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowChoice {
    /// Each input arrives complete before it is summed.
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

/// Reads a size, or a text that `word` recognises. `expected` is the error message for anything else.
fn size_or<'de, D, T>(
    deserializer: D,
    size: fn(u64) -> T,
    word: fn(&str) -> Result<Option<T>, String>,
    expected: &'static str,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct SizeOr<T> {
        size: fn(u64) -> T,
        word: fn(&str) -> Result<Option<T>, String>,
        expected: &'static str,
    }
    impl<T> Visitor<'_> for SizeOr<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expected)
        }
        fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<T, E> {
            if bytes == 0 { Err(E::custom(crate::experiment::size::ZERO_SIZE)) } else { Ok((self.size)(bytes)) }
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            match (self.word)(text).map_err(E::custom)? {
                Some(value) => Ok(value),
                None => self.visit_u64(text.parse::<Size>().map_err(E::custom)?.bytes()),
            }
        }
    }
    deserializer.deserialize_any(SizeOr { size, word, expected })
}

/// Returns true if a text is meant as a size rather than a name.
fn looks_like_size(text: &str) -> bool {
    text.trim_start().starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
}

impl SweepValue for FlowChoice {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = |text: &str| match text {
            "whole" => Ok(Some(FlowChoice::Whole)),
            "auto" => Ok(Some(FlowChoice::Auto)),
            _ if looks_like_size(text) => Ok(None),
            _ => Err(format!(
                "unknown flow {text:?};{} write \"whole\", \"auto\" or a chunk size such as \"1MiB\"",
                hint(text, &["whole", "auto"])
            )),
        };
        let expected = "a flow: \"whole\", \"auto\" or a chunk size such as \"1MiB\"";
        size_or(deserializer, |bytes| FlowChoice::Chunk { bytes }, word, expected)
    }
}

impl Serialize for FlowChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for FlowChoice {
    fn schema_name() -> Cow<'static, str> {
        "FlowChoice".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "examples": ["whole", "1MiB", "auto"],
            "anyOf": [
                {"const": "whole", "description": "Each input arrives complete before it is summed, as stored objects do."},
                {"const": "auto", "description": "A pipeline whose chunk size is chosen automatically."},
                generator.subschema_for::<Size>()
            ]
        })
    }
}

/// A memory limit on one aggregator, as written in an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CeilingChoice {
    /// A limit in bytes.
    Bytes(u64),
    /// The name of a preset.
    Preset(String),
}

impl fmt::Display for CeilingChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CeilingChoice::Bytes(bytes) => Size(*bytes).fmt(f),
            CeilingChoice::Preset(name) => f.pad(name),
        }
    }
}

impl SweepValue for CeilingChoice {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = |text: &str| match looks_like_size(text) {
            true => Ok(None),
            false => Ok(Some(CeilingChoice::Preset(text.to_string()))),
        };
        size_or(
            deserializer,
            CeilingChoice::Bytes,
            word,
            "a ceiling: a size such as \"3008MiB\", or the name of a preset",
        )
    }
}

impl Serialize for CeilingChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for CeilingChoice {
    fn schema_name() -> Cow<'static, str> {
        "CeilingChoice".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "examples": ["3008MiB", "10GiB"],
            "anyOf": [generator.subschema_for::<Size>(), {"type": "string", "description": "The name of a preset."}]
        })
    }
}
