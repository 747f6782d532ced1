//! Numbers in an experiment, with checks of their range: counts, numbers of elements, weights, seconds.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use crate::experiment::one_or_many::SweepValue;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WholeNumber<const MIN: u64, const MAX: u64>(pub u64);

/// A number of clients, shards, ranks or blocks.
pub type Count = WholeNumber<1, { u32::MAX as u64 }>;
/// A [`Count`] or 0.
pub type CountOrNone = WholeNumber<0, { u32::MAX as u64 }>;
/// A number of elements. Programs that read JSON hold numbers up to 2⁵³ exactly.
pub type Elements = WholeNumber<1, { 1 << 53 }>;
/// The seed of a random sequence.
pub type Seed = WholeNumber<0, { u64::MAX }>;

impl<const MIN: u64, const MAX: u64> Visitor<'_> for WholeNumber<MIN, MAX> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self, E> {
        if (MIN..=MAX).contains(&value) {
            Ok(WholeNumber(value))
        } else {
            Err(E::invalid_value(Unexpected::Unsigned(value), &self))
        }
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }
}

impl<const MIN: u64, const MAX: u64> SweepValue for WholeNumber<MIN, MAX> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self::visitor())
    }
}

impl<const MIN: u64, const MAX: u64> WholeNumber<MIN, MAX> {
    /// Greatest number allowed.
    pub const MAX: u64 = MAX;

    /// Returns the visitor that reads a number of this range. Its errors name what is expected.
    pub(crate) fn visitor() -> Self {
        WholeNumber(MIN)
    }

    /// Reads the bare number, for fields that cannot span a sweep.
    pub fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        Self::read(deserializer).map(|number| number.0)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for WholeNumber<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(deserializer)
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for WholeNumber<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for WholeNumber<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
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

impl<Q: WrittenQuantity> Visitor<'_> for Real<Q> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Q::EXPECTED)
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self, E> {
        if Q::accepts(value) {
            Ok(Real(value, PhantomData))
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self, E> {
        let unexpected = E::invalid_value(Unexpected::Unsigned(value), &self);
        self.visit_f64::<E>(value as f64).map_err(|_| unexpected)
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self, E> {
        let unexpected = E::invalid_value(Unexpected::Signed(value), &self);
        self.visit_f64::<E>(value as f64).map_err(|_| unexpected)
    }
}

impl<Q: WrittenQuantity> Real<Q> {
    /// Returns the visitor that reads a number of this range. Its errors name what is expected.
    pub(crate) fn visitor() -> Self {
        Real(0.0, PhantomData)
    }

    /// Reads the bare number.
    pub fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_any(Self::visitor()).map(|number| number.0)
    }
}

impl<'de, Q: WrittenQuantity> Deserialize<'de> for Real<Q> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self::visitor())
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
