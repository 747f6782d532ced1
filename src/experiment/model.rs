//! Models as written in an experiment: a name from the catalogue, a length, or a name with a length.

use schemars::{JsonSchema, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Unexpected};

use crate::experiment::numbers::Elements;
use crate::experiment::readable::{Readable, json_schema_of, some};
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
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Own {
    /// The name in tables and files.
    #[serde(deserialize_with = "file_name")]
    #[schemars(length(min = 1, max = LONGEST_NAME))]
    name: String,
    /// Number of elements of its gradient.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Elements")]
    elements: Option<Elements>,
    /// Instead: bytes of its gradient for each rank that may aggregate.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Size")]
    per_aggregator: Option<Size>,
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

/// A name that becomes part of file names.
struct FileName(String);

impl Readable for FileName {
    fn expected() -> String {
        "a name".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        let Unexpected::Str(name) = value else { return Err(Self::wrong_type(value)) };
        unfit_name(name).map_or_else(|| Ok(FileName(name.to_string())), |problem| Err(E::custom(problem)))
    }
}

/// Reads a name that becomes part of file names.
pub(crate) fn file_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    FileName::read(deserializer).map(|name| name.0)
}

impl Readable for ModelChoice {
    fn expected() -> String {
        "a model: a name of the catalogue, a number of elements, or {\"name\": …, \"elements\": …}".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        match value {
            Unexpected::Str(name) => Ok(ModelChoice::Catalogue(name.to_string())),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => {
                Elements::from_scalar(value).map(|elements| ModelChoice::Length(elements.0))
            }
            _ => Err(Self::wrong_type(value)),
        }
    }

    fn from_object<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let own = Own::deserialize(MapAccessDeserializer::new(map))?;
        match (own.elements, own.per_aggregator) {
            (Some(elements), None) => Ok(ModelChoice::Own { name: own.name, elements: elements.0 }),
            (None, Some(size)) => Ok(ModelChoice::PerAggregator { name: own.name, bytes: size.bytes() }),
            (None, None) => Err(de::Error::missing_field("elements")),
            (Some(_), Some(_)) => {
                Err(de::Error::custom("elements and per_aggregator both say how long it is; write one of them"))
            }
        }
    }
}

json_schema_of!(ModelChoice, |generator| json_schema!({
    "examples": [
        "resnet18",
        1_000_003,
        {"name": "odd", "elements": 1_000_003},
        {"name": "weak", "per_aggregator": "8MiB"}
    ],
    "anyOf": [
        {"type": "string", "description": "A model of the catalogue."},
        {"type": "integer", "minimum": 1, "maximum": Elements::MAX, "description": "A number of elements."},
        generator.subschema_for::<Own>()
    ]
}));
