//! Models as written in an experiment: a name from the catalogue, a length, or a name with a length.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::experiment::numbers::Elements;
use crate::experiment::one_or_many::SweepValue;
use crate::experiment::size::Size;

/// Greatest length of the name of a model or an experiment, bytes. Names become part of file names.
const LONGEST_NAME: usize = 100;

/// A model as written in an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelChoice {
    /// The name of a model in the catalogue.
    Catalogue(String),
    /// A number of elements, which in decimal is also the name.
    Length(u64),
    /// A model defined in the experiment.
    Own {
        /// The name.
        name: String,
        /// Number of elements, |θ|.
        elements: u64,
    },
    /// A gradient that grows with the number of ranks, for weak scaling.
    PerAggregator {
        /// The name.
        name: String,
        /// Size of the gradient for each rank that may aggregate, bytes.
        bytes: u64,
    },
}

/// A model of the experimenter's own.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Own {
    /// The name in tables and files.
    #[serde(deserialize_with = "file_name")]
    #[schemars(length(min = 1, max = LONGEST_NAME))]
    name: String,
    /// Number of elements of its gradient.
    #[serde(default, deserialize_with = "some_elements", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Elements")]
    elements: Option<u64>,
    /// Instead: bytes of its gradient for each rank that may aggregate.
    #[serde(default, deserialize_with = "some_size", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Size")]
    per_aggregator: Option<Size>,
}

fn some_elements<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Elements::plain(deserializer).map(Some)
}

fn some_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    Size::read(deserializer).map(Some)
}

/// Explains why `name` cannot be part of a file name; None if it can.
pub(crate) fn unfit_name(name: &str) -> Option<String> {
    let odd = |c: char| c.is_control() || "/\\:".contains(c);
    if name.trim().is_empty() {
        Some("an empty name".into())
    } else if name.starts_with('.') || name.contains(odd) || name.len() > LONGEST_NAME {
        Some(format!(
            "{name:?} does not fit into a file name; write up to {LONGEST_NAME} bytes without / \\ : and control \
             characters, and no . at the start"
        ))
    } else {
        None
    }
}

/// Reads a name that becomes part of file names.
pub(crate) fn file_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct ModelNameVisitor;
    impl Visitor<'_> for ModelNameVisitor {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name")
        }
        fn visit_str<E: de::Error>(self, name: &str) -> Result<String, E> {
            unfit_name(name).map_or_else(|| Ok(name.to_string()), |problem| Err(E::custom(problem)))
        }
    }
    deserializer.deserialize_any(ModelNameVisitor)
}

impl SweepValue for ModelChoice {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ModelVisitor;
        impl<'de> Visitor<'de> for ModelVisitor {
            type Value = ModelChoice;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model: a name of the catalogue, a number of elements, or {\"name\": …, \"elements\": …}")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<ModelChoice, E> {
                Ok(ModelChoice::Catalogue(name.to_string()))
            }
            fn visit_u64<E: de::Error>(self, elements: u64) -> Result<ModelChoice, E> {
                // The number's own visitor checks the range.
                Elements::visitor().visit_u64(elements).map(|elements| ModelChoice::Length(elements.0))
            }
            fn visit_i64<E: de::Error>(self, elements: i64) -> Result<ModelChoice, E> {
                Elements::visitor().visit_i64(elements).map(|elements| ModelChoice::Length(elements.0))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ModelChoice, A::Error> {
                let own = Own::deserialize(MapAccessDeserializer::new(map))?;
                match (own.elements, own.per_aggregator) {
                    (Some(elements), None) => Ok(ModelChoice::Own { name: own.name, elements }),
                    (None, Some(size)) => Ok(ModelChoice::PerAggregator { name: own.name, bytes: size.bytes() }),
                    (None, None) => Err(de::Error::missing_field("elements")),
                    (Some(_), Some(_)) => {
                        Err(de::Error::custom("elements and per_aggregator both say how long it is; write one of them"))
                    }
                }
            }
        }
        deserializer.deserialize_any(ModelVisitor)
    }
}

impl Serialize for ModelChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ModelChoice::Catalogue(name) => serializer.serialize_str(name),
            ModelChoice::Length(elements) => serializer.serialize_u64(*elements),
            ModelChoice::Own { name, elements } => {
                Own { name: name.clone(), elements: Some(*elements), per_aggregator: None }.serialize(serializer)
            }
            ModelChoice::PerAggregator { name, bytes } => {
                Own { name: name.clone(), elements: None, per_aggregator: Some(Size(*bytes)) }.serialize(serializer)
            }
        }
    }
}

impl JsonSchema for ModelChoice {
    fn schema_name() -> Cow<'static, str> {
        "ModelChoice".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "examples": ["resnet18", 1_000_003, {"name": "odd", "elements": 1_000_003}, {"name": "weak", "per_aggregator": "8MiB"}],
            "anyOf": [
                {"type": "string", "description": "A model of the catalogue."},
                {"type": "integer", "minimum": 1, "maximum": Elements::MAX, "description": "A number of elements."},
                generator.subschema_for::<Own>()
            ]
        })
    }
}
