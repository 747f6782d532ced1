//! The clients' weights as written in an experiment.

use std::marker::PhantomData;

use schemars::{JsonSchema, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Unexpected};

use crate::experiment::numbers::Weight;
use crate::experiment::readable::{Readable, Reader, json_schema_of};
pub use crate::gradient::source::weights::Weights;

impl Readable for Weights {
    fn expected() -> String {
        "weights: a number above 0 for all clients, a list of one a client, or {\"key\": a metadata key}".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        match value {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => {
                Weight::from_scalar(value).map(|weight| Weights::All(weight.0))
            }
            _ => Err(Self::wrong_type(value)),
        }
    }

    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut weights = Vec::new();
        while let Some(weight) = list.next_element_seed(Reader::<Weight>(PhantomData))? {
            weights.push(weight.0);
        }
        if weights.is_empty() {
            return Err(de::Error::custom("an empty list; write one weight a client"));
        }
        Ok(Weights::Each(weights))
    }

    fn from_object<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let key = MetadataKey::deserialize(MapAccessDeserializer::new(map))?.key;
        if key.is_empty() {
            return Err(de::Error::custom("an empty key; write a metadata key such as {\"key\": \"num_samples\"}"));
        }
        Ok(Weights::Key(key))
    }
}

/// The key form of weights.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MetadataKey {
    /// The metadata key whose value is the weight.
    key: String,
}

json_schema_of!(Weights, |generator| {
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
});
