//! Reading of an experiment's values. Errors describe the expected value in the terms of an experiment.
//!
//! Reading is implemented by hand, because serde's untagged enums buffer the value and lose position and reason of an
//! error.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};

/// A value of an experiment. It refuses lists and objects unless it reads them itself.
pub trait Readable: Sized {
    /// Describes the expected value.
    fn expected() -> String;

    /// Reads a number, a text, true, false or null.
    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E>;

    /// Reads a list.
    fn from_list<'de, A: SeqAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(Self::wrong_type(Unexpected::Seq))
    }

    /// Reads an object.
    fn from_object<'de, A: MapAccess<'de>>(_: A) -> Result<Self, A::Error> {
        Err(Self::wrong_type(Unexpected::Map))
    }

    /// Reads the value.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader(PhantomData))
    }

    /// Makes the error for a value of the wrong type.
    fn wrong_type<E: de::Error>(value: Unexpected<'_>) -> E {
        E::invalid_type(value, &Self::expected().as_str())
    }

    /// Makes the error for a value that is out of range.
    fn out_of_range<E: de::Error>(value: Unexpected<'_>) -> E {
        E::invalid_value(value, &Self::expected().as_str())
    }
}

/// Reads a `T`, also as an entry of a list or an object.
pub(crate) struct Reader<T>(pub PhantomData<T>);

impl<'de, T: Readable> DeserializeSeed<'de> for Reader<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

impl<'de, T: Readable> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&T::expected())
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        T::from_scalar(Unexpected::Bool(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        T::from_scalar(Unexpected::Unsigned(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        T::from_scalar(Unexpected::Signed(value))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        T::from_scalar(Unexpected::Float(value))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
        T::from_scalar(Unexpected::Str(value))
    }
    fn visit_unit<E: de::Error>(self) -> Result<T, E> {
        T::from_scalar(Unexpected::Unit)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::from_list(list)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_object(map)
    }
}

/// Reads a field that is present. Null is rejected unless `T` accepts it.
pub(crate) fn some<'de, D: Deserializer<'de>, T: Readable>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::read(deserializer).map(Some)
}

/// Implements `JsonSchema` for a type of this name.
macro_rules! json_schema_of {
    ($type:ident, $schema:expr) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema = $schema;
                schema(generator)
            }
        }
    };
}
pub(crate) use json_schema_of;
