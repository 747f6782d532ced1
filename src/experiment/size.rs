//! Sizes in bytes as people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::experiment::one_or_many::SweepValue;

/// Unit names with their bytes. If two texts for a size are equally short, the earlier unit is shown.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Greatest number of decimals that [`Size`] shows. It shows 1.5MiB, but 1000003B rather than 1.000003MB.
const SHOWN_DECIMALS: usize = 2;

/// Greatest number of decimals that are read. With these, numerator times unit stays below 2¹²⁸.
const READ_DECIMALS: usize = 20;

/// A number of bytes. It is read from a JSON number or from a text such as `4096`, `1MiB`, `1.5 GiB` or `250MB`, and
/// shown as the shortest text with exactly that value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The reason why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// The text does not begin with a number.
    #[error("{0:?} is no size; write bytes, or a number with a unit such as \"1MiB\"")]
    NoNumber(String),
    /// The unit is unknown.
    #[error(
        "{text:?}: unknown unit {unit:?}; known: B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB (powers of 1000)"
    )]
    Unit {
        /// The whole text.
        text: String,
        /// Its unit.
        unit: String,
    },
    /// The number has too many decimals.
    #[error("{0:?} has more than 20 decimals")]
    Decimals(String),
    /// The size is not a whole number of bytes.
    #[error("{0:?} is not a whole number of bytes")]
    Fraction(String),
    /// The size exceeds 2⁶⁴ − 1 bytes.
    #[error("{0:?} is more than 2^64 - 1 bytes")]
    TooLarge(String),
}

impl Size {
    /// Returns the number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the size in units of `unit` bytes; None if below 1 or not exact with few decimals.
    fn decimal_in(self, unit: u64) -> Option<String> {
        let (whole, mut rest) = (self.0 / unit, u128::from(self.0 % unit));
        let mut text = whole.to_string();
        if rest == 0 {
            return Some(text);
        }
        if whole == 0 {
            return None;
        }
        text.push('.');
        for _ in 0..SHOWN_DECIMALS {
            rest *= 10;
            text.push(char::from(b'0' + (rest / u128::from(unit)) as u8));
            rest %= u128::from(unit);
            if rest == 0 {
                return Some(text);
            }
        }
        None
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0B");
        }
        let texts = UNITS.iter().filter_map(|(name, unit)| Some(self.decimal_in(*unit)? + name));
        // A text in B is always exact, so there is at least one.
        let shortest = texts.min_by_key(|text| (text.len(), text.contains('.'))).unwrap_or_default();
        f.pad(&shortest)
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let written = text.trim();
        let end = written.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(written.len());
        let (number, unit) = (&written[..end], written[end..].trim_start());
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || decimals.contains('.') || number.ends_with('.') {
            return Err(SizeError::NoNumber(text.into()));
        }
        let unit = match unit {
            "" => 1,
            _ => UNITS
                .iter()
                .find_map(|(name, bytes)| (*name == unit).then_some(*bytes))
                .ok_or_else(|| SizeError::Unit { text: text.into(), unit: unit.into() })?,
        };
        let too_large = || SizeError::TooLarge(text.into());
        let whole = u128::from(whole.parse::<u64>().map_err(|_| too_large())?) * u128::from(unit);
        let decimals = decimals.trim_end_matches('0');
        let (Ok(numerator), true) = (format!("0{decimals}").parse::<u128>(), decimals.len() <= READ_DECIMALS) else {
            return Err(SizeError::Decimals(text.into()));
        };
        let denominator = 10u128.pow(decimals.len() as u32);
        let part = numerator * u128::from(unit);
        if part % denominator != 0 {
            return Err(SizeError::Fraction(text.into()));
        }
        let bytes = whole + part / denominator;
        u64::try_from(bytes).map(Size).map_err(|_| too_large())
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The error for a size that must not be 0.
pub(crate) const ZERO_SIZE: &str = "a size of 0 bytes; write one above 0";

impl SweepValue for Size {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size: a whole number of bytes, or text such as \"1MiB\"")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                if bytes == 0 { Err(E::custom(ZERO_SIZE)) } else { Ok(Size(bytes)) }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                self.visit_u64(text.parse::<Size>().map_err(E::custom)?.0)
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Bytes, or a number with a unit: KiB, MiB, GiB, TiB are powers of 1024; kB, MB, GB, TB of 1000.",
            "examples": ["1MiB", "1.5GiB", "250MB", 1048576],
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": u64::MAX},
                {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)?\s*$"}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(text: &str) -> u64 {
        text.parse::<Size>().unwrap().bytes()
    }

    #[test]
    fn units_are_what_they_say() {
        for (text, expected) in [
            ("0", 0),
            ("7", 7),
            ("7B", 7),
            ("1KiB", 1024),
            ("1kB", 1000),
            ("1MiB", 1_048_576),
            ("1MB", 1_000_000),
            ("1GiB", 1_073_741_824),
            ("1GB", 1_000_000_000),
            ("1TiB", 1_099_511_627_776),
            ("1TB", 1_000_000_000_000),
            ("1.5MiB", 1_572_864),
            ("1.50 MiB", 1_572_864),
            (" 0.5KiB ", 512),
            ("0.001kB", 1),
            ("3008MiB", 3_154_116_608),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        let refused = |text: &str| text.parse::<Size>().unwrap_err().to_string();
        for text in ["", "MiB", "-1", "1..5MiB", ".5MiB", "1.MiB", "whole", "1.5.5kB"] {
            assert_eq!(
                refused(text),
                format!("{text:?} is no size; write bytes, or a number with a unit such as \"1MiB\"")
            );
        }
        assert_eq!(
            refused("1MIB"),
            "\"1MIB\": unknown unit \"MIB\"; known: B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB (powers of 1000)"
        );
        assert!(refused("1e6").contains("unknown unit \"e6\""));
        assert!(refused("1M").contains("unknown unit \"M\""));
        assert_eq!(refused("1.5"), "\"1.5\" is not a whole number of bytes");
        assert_eq!(refused("0.1KiB"), "\"0.1KiB\" is not a whole number of bytes");
        assert_eq!(refused("1.0000000000000000000001kB"), "\"1.0000000000000000000001kB\" has more than 20 decimals");
        assert_eq!(refused("18446744073709551616"), "\"18446744073709551616\" is more than 2^64 - 1 bytes");
        assert_eq!(refused("16777216TiB"), "\"16777216TiB\" is more than 2^64 - 1 bytes");
    }

    #[test]
    fn shown_in_the_shortest_exact_way() {
        for (bytes, text) in [
            (0, "0B"),
            (1, "1B"),
            (1000, "1kB"),
            (1024, "1KiB"),
            (1025, "1025B"),
            (1500, "1500B"),
            (1536, "1536B"),
            (1_572_864, "1.5MiB"),
            (500_000, "500kB"),
            (1_000_003, "1000003B"),
            (1_048_576, "1MiB"),
            (3_154_116_608, "3008MiB"),
            (10_737_418_240, "10GiB"),
            (u64::MAX, "18446744073709551615B"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
        assert_eq!(format!("{:>6}|{:<6}", Size(1024), Size(1000)), "  1KiB|1kB   ");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(size in any::<u64>(), shift in 0u32..50) {
            for bytes in [size, size >> 20 << shift.min(20), (size % 1000) << shift] {
                prop_assert_eq!(Size(bytes).to_string().parse::<Size>().unwrap(), Size(bytes));
            }
        }
    }
}
