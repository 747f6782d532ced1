//! One value or a list: the notation of every field that can span a sweep.
//!
//! Reading is implemented by hand, because serde's untagged enums buffer the value and lose position and reason of an
//! error.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// A value that can vary in a sweep.
pub trait SweepValue: Sized {
    /// Reads one value. Errors describe the expected value in the terms of an experiment.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// One value, or a non-empty list of distinct values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OneOrMany<T> {
    /// A value without brackets.
    One(T),
    /// A list.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// Returns the values, at least one.
    pub fn values(&self) -> &[T] {
        match self {
            OneOrMany::One(value) => std::slice::from_ref(value),
            OneOrMany::Many(values) => values,
        }
    }

    /// Returns the field name of value `index`: `shards`, or `shards[2]` in a list.
    pub fn place(&self, field: &str, index: usize) -> String {
        match self {
            OneOrMany::One(_) => field.to_string(),
            OneOrMany::Many(_) => format!("{field}[{index}]"),
        }
    }
}

/// Reads an entry of a list and compares it with the earlier ones, while the error still has the entry's position.
struct NextValue<'a, T>(&'a [T]);

impl<'de, T: SweepValue + PartialEq> DeserializeSeed<'de> for NextValue<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let value = T::read(deserializer)?;
        match self.0.iter().position(|earlier| *earlier == value) {
            Some(earlier) => Err(de::Error::custom(twice(earlier))),
            None => Ok(value),
        }
    }
}

/// Makes the message for an entry that equals the one at index `earlier`.
pub(crate) fn twice(earlier: usize) -> String {
    format!("the same as entry [{earlier}]; a list must not hold a value twice")
}

impl<'de, T: SweepValue + PartialEq> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<T: SweepValue> OneOrManyVisitor<T> {
    fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OneOrMany<T>, D::Error> {
        T::read(deserializer).map(OneOrMany::One)
    }
}

impl<'de, T: SweepValue + PartialEq> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value or a list of values")
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Self::one(value.into_deserializer())
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Self::one(value.into_deserializer())
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Self::one(value.into_deserializer())
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Self::one(value.into_deserializer())
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Self::one(value.into_deserializer())
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Self::one(().into_deserializer())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Self::one(MapAccessDeserializer::new(map))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(NextValue(&values))? {
            values.push(value);
        }
        if values.is_empty() {
            return Err(de::Error::custom("an empty list; write at least one value, or leave the field out"));
        }
        Ok(OneOrMany::Many(values))
    }
}

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            OneOrMany::One(value) => value.serialize(serializer),
            OneOrMany::Many(values) => values.serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({
            "anyOf": [one, {"type": "array", "items": one, "minItems": 1, "uniqueItems": true}]
        })
    }
}
