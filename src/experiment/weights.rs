//! The clients' weights as written in an experiment.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::experiment::numbers::Weight;
pub use crate::gradient::source::weights::Weights;

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WeightsVisitor;
        impl<'de> Visitor<'de> for WeightsVisitor {
            type Value = Weights;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "weights: a number above 0 for all clients, a list of one a client, or {\"key\": a metadata key}",
                )
            }
            fn visit_u64<E: de::Error>(self, weight: u64) -> Result<Weights, E> {
                Weight::visitor().visit_u64(weight).map(|weight| Weights::All(weight.0))
            }
            fn visit_i64<E: de::Error>(self, weight: i64) -> Result<Weights, E> {
                Weight::visitor().visit_i64(weight).map(|weight| Weights::All(weight.0))
            }
            fn visit_f64<E: de::Error>(self, weight: f64) -> Result<Weights, E> {
                Weight::visitor().visit_f64(weight).map(|weight| Weights::All(weight.0))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Weights, A::Error> {
                let mut weights = Vec::new();
                while let Some(weight) = list.next_element::<Weight>()? {
                    weights.push(weight.0);
                }
                if weights.is_empty() {
                    return Err(de::Error::custom("an empty list; write one weight a client"));
                }
                Ok(Weights::Each(weights))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Weights, A::Error> {
                let key = MetadataKey::deserialize(MapAccessDeserializer::new(map))?.key;
                if key.is_empty() {
                    return Err(de::Error::custom(
                        "an empty key; write a metadata key such as {\"key\": \"num_samples\"}",
                    ));
                }
                Ok(Weights::Key(key))
            }
        }
        deserializer.deserialize_any(WeightsVisitor)
    }
}

/// The key form of weights.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MetadataKey {
    /// The metadata key whose value is the weight.
    key: String,
}

impl Serialize for Weights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Weights::Stored => serializer.serialize_none(),
            Weights::All(weight) => serializer.serialize_f64(*weight),
            Weights::Each(weights) => weights.serialize(serializer),
            Weights::Key(key) => MetadataKey { key: key.clone() }.serialize(serializer),
        }
    }
}

impl JsonSchema for Weights {
    fn schema_name() -> Cow<'static, str> {
        "Weights".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let weight = generator.subschema_for::<Weight>();
        json_schema!({
            "description": "The clients' weights, their sample counts. Default: what the files say (num_samples), and 1 for every client where they say nothing.",
            "examples": [1, [120, 80.5], {"key": "num_samples"}],
            "anyOf": [
                weight,
                {"type": "array", "items": weight, "minItems": 1, "description": "One a client, in client order."},
                generator.subschema_for::<MetadataKey>()
            ]
        })
    }
}
