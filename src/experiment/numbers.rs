//! Numbers in an experiment, with checks of their range: counts, numbers of elements, weights, seconds.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Unexpected};

use crate::experiment::readable::{Readable, Reader};
use crate::plan::form::LEAST_RADIX;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WholeNumber<const MIN: u64, const MAX: u64>(pub u64);

/// Largest number of clients, shards, ranks or blocks. Each of them takes memory or time, so a mistyped number must not
/// keep a job busy for hours.
pub const MOST: u64 = 1 << 20;
/// A number of clients, shards, ranks or blocks.
pub type Count = WholeNumber<1, MOST>;
/// A [`Count`] or 0.
pub type CountOrNone = WholeNumber<0, MOST>;
/// The base of a number system in which distances between ranks are written.
pub type Radix = WholeNumber<LEAST_RADIX, MOST>;
/// A number of elements. Programs that read JSON hold numbers up to 2⁵³ exactly.
pub type Elements = WholeNumber<1, { 1 << 53 }>;
/// The seed of a random sequence.
pub type Seed = WholeNumber<0, { u64::MAX }>;

impl<const MIN: u64, const MAX: u64> Readable for WholeNumber<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        match value {
            Unexpected::Unsigned(number) if (MIN..=MAX).contains(&number) => Ok(WholeNumber(number)),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => Err(Self::out_of_range(value)),
            _ => Err(Self::wrong_type(value)),
        }
    }
}

impl<const MIN: u64, const MAX: u64> WholeNumber<MIN, MAX> {
    /// Greatest number allowed.
    pub const MAX: u64 = MAX;

    /// Reads the bare number, for fields that cannot span a sweep.
    pub fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        Self::read(deserializer).map(|number| number.0)
    }

    /// Reads the bare number from an object whose only entry is `name`. `form` is the error for any other object.
    pub(crate) fn only_entry<'de, A: MapAccess<'de>>(mut map: A, name: &str, form: &str) -> Result<u64, A::Error> {
        if map.next_key::<String>()?.as_deref() != Some(name) {
            return Err(de::Error::custom(form));
        }
        let number = map.next_value_seed(Reader::<Self>(PhantomData))?;
        match map.next_key::<String>()? {
            None => Ok(number.0),
            Some(_) => Err(de::Error::custom(form)),
        }
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for WholeNumber<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Whole_{MIN}_{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// A number above zero whose range depends on `Q`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Real<Q>(pub f64, PhantomData<Q>);

/// The quantity that a [`Real`] measures, which determines its range.
pub trait WrittenQuantity: 'static {
    /// Description of the expected value, for messages.
    const EXPECTED: &'static str;
    /// Returns true if the value is in range.
    fn accepts(value: f64) -> bool;
}

/// The quantity of [`Weight`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OfClient {}

impl WrittenQuantity for OfClient {
    const EXPECTED: &'static str = "a weight: a number above 0 that single precision can hold";
    fn accepts(value: f64) -> bool {
        // Sums over f32 gradients need a normal number in single precision.
        value > 0.0 && (value as f32).is_normal()
    }
}

/// The quantity of [`Seconds`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OfTime {}

impl WrittenQuantity for OfTime {
    const EXPECTED: &'static str = "a number of seconds above 0 and up to 1000000000";
    fn accepts(value: f64) -> bool {
        value > 0.0 && value <= 1e9
    }
}

/// The quantity of [`Precision`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OfInterval {}

impl WrittenQuantity for OfInterval {
    const EXPECTED: &'static str = "a precision: a part above 0 and up to 1, as 0.02 for 2 %";
    fn accepts(value: f64) -> bool {
        value > 0.0 && value <= 1.0
    }
}

/// A client's weight.
pub type Weight = Real<OfClient>;
/// A time limit in seconds.
pub type Seconds = Real<OfTime>;
/// The target precision of an interval: half its width relative to the estimate.
pub type Precision = Real<OfInterval>;

impl<Q: WrittenQuantity> Readable for Real<Q> {
    fn expected() -> String {
        Q::EXPECTED.into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        let number = match value {
            Unexpected::Float(number) => number,
            Unexpected::Unsigned(number) => number as f64,
            Unexpected::Signed(number) => number as f64,
            _ => return Err(Self::wrong_type(value)),
        };
        if Q::accepts(number) { Ok(Real(number, PhantomData)) } else { Err(Self::out_of_range(value)) }
    }
}

impl<Q: WrittenQuantity> Real<Q> {
    /// Reads the bare number.
    pub fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Self::read(deserializer).map(|number| number.0)
    }
}

impl<Q: WrittenQuantity> JsonSchema for Real<Q> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Real".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "exclusiveMinimum": 0})
    }
}
