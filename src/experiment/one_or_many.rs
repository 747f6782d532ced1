//! One value or a list: the notation of every field that can span a sweep.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected};
use serde::{Serialize, Serializer};

use crate::experiment::readable::Readable;

/// One value, or a non-empty list of distinct values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OneOrMany<T> {
    /// A value without brackets.
    One(T),
    /// A list.
    Many(Vec<T>),
}

impl<T: Default> Default for OneOrMany<T> {
    fn default() -> Self {
        OneOrMany::One(T::default())
    }
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

impl<'de, T: Readable + PartialEq> DeserializeSeed<'de> for NextValue<'_, T> {
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

impl<T: Readable + PartialEq> Readable for OneOrMany<T> {
    fn expected() -> String {
        T::expected()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        T::from_scalar(value).map(OneOrMany::One)
    }

    fn from_object<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::from_object(map).map(OneOrMany::One)
    }

    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
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
