//! The constants of a platform file: checked numbers, each with its source.

use schemars::JsonSchema;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use crate::experiment::object::object;

/// A constant with its source.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Sourced<T> {
    /// The constant.
    pub value: T,
    /// Source of the constant: a document, a measurement, or a reason.
    #[schemars(length(min = 1))]
    pub source: String,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Sourced<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(DeriveDeserialize)]
        #[serde(deny_unknown_fields)]
        struct UncheckedSourced<T> {
            value: T,
            source: String,
        }
        let UncheckedSourced { value, source } = object(deserializer)?;
        if source.trim().is_empty() {
            return Err(de::Error::custom("source is empty; name the source of the constant"));
        }
        Ok(Sourced { value, source })
    }
}

/// Defines a checked number: its range for the JSON schema, its condition, and the text that refuses other numbers.
macro_rules! checked_number {
    ($(#[$attribute:meta])* $name:ident, schemars($($schema:tt)*), $accepts:expr, $right:literal) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, JsonSchema)]
        pub struct $name(#[schemars($($schema)*)] f64);

        impl $name {
            /// Returns `number` as this type, or None if it is out of range or not finite.
            pub fn new(number: f64) -> Option<$name> {
                let accepts: fn(f64) -> bool = $accepts;
                (accepts(number) && number.is_finite()).then_some($name(number))
            }

            /// Returns the number.
            pub fn get(self) -> f64 {
                self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = f64::deserialize(deserializer)?;
                $name::new(number).ok_or_else(|| de::Error::custom(format!("{number}; {}", $right)))
            }
        }
    };
}

checked_number!(
    /// A finite number above 0.
    Positive,
    schemars(extend("exclusiveMinimum" = 0)),
    |number| number > 0.0,
    "write a number above 0"
);
checked_number!(
    /// A finite number that is 0 or above.
    #[derive(Default)]
    NotNegative,
    schemars(range(min = 0.0)),
    |number| number >= 0.0,
    "write 0 or a number above it"
);
