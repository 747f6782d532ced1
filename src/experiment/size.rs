//! Sizes in bytes as people write them.

use std::fmt;
use std::str::FromStr;

use schemars::json_schema;
use serde::de::{self, Unexpected};

use crate::experiment::readable::{Readable, json_schema_of};

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

/// Greatest number of decimals that are read. With these, numerator times unit stays below 2¹²⁸.
const READ_DECIMALS: usize = 20;

/// A number of bytes. It is read from a JSON number or from a text such as `4096`, `1MiB`, `1.5 GiB` or `250MB`, and
/// shown as the shortest text with exactly that value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// Returns the number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the size in units of `unit` bytes; None if below 1 or not exact with two decimals: 1.5MiB is shown, but
    /// 1000003B rather than 1.000003MB.
    fn decimal_in(self, unit: u64) -> Option<String> {
        let (hundredfold, unit) = (100 * u128::from(self.0), u128::from(unit));
        let hundredths = hundredfold / unit;
        if hundredths < 100 || hundredfold % unit != 0 {
            return None;
        }
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
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

/// An error says why the text is not a size.
impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written = text.trim();
        let end = written.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(written.len());
        let (number, unit) = (&written[..end], written[end..].trim_start());
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || decimals.contains('.') || number.ends_with('.') {
            return Err(format!("{text:?} is no size; write bytes, or a number with a unit such as \"1MiB\""));
        }
        let known = |unit: &str| UNITS.iter().find_map(|(name, bytes)| (*name == unit).then_some(*bytes));
        let unit = known(if unit.is_empty() { "B" } else { unit }).ok_or_else(|| {
            format!(
                "{text:?}: unknown unit {unit:?}; known: B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB \
                 (powers of 1000)"
            )
        })?;
        let too_large = || format!("{text:?} is more than 2^64 - 1 bytes");
        let whole = u128::from(whole.parse::<u64>().map_err(|_| too_large())?) * u128::from(unit);
        let decimals = decimals.trim_end_matches('0');
        let (Ok(numerator), true) = (format!("0{decimals}").parse::<u128>(), decimals.len() <= READ_DECIMALS) else {
            return Err(format!("{text:?} has more than {READ_DECIMALS} decimals"));
        };
        let denominator = 10u128.pow(decimals.len() as u32);
        let part = numerator * u128::from(unit);
        if part % denominator != 0 {
            return Err(format!("{text:?} is not a whole number of bytes"));
        }
        let bytes = whole + part / denominator;
        u64::try_from(bytes).map(Size).map_err(|_| too_large())
    }
}

/// Reads the bytes of a size, which must not be 0, for a `T`.
pub(crate) fn bytes_of<T: Readable, E: de::Error>(value: Unexpected<'_>) -> Result<u64, E> {
    let bytes = match value {
        Unexpected::Unsigned(bytes) => bytes,
        Unexpected::Str(text) => text.parse::<Size>().map_err(E::custom)?.bytes(),
        _ => return Err(T::wrong_type(value)),
    };
    if bytes == 0 { Err(E::custom("a size of 0 bytes; write one above 0")) } else { Ok(bytes) }
}

impl Readable for Size {
    fn expected() -> String {
        "a size: a whole number of bytes, or text such as \"1MiB\"".into()
    }

    fn from_scalar<E: de::Error>(value: Unexpected<'_>) -> Result<Self, E> {
        bytes_of::<Size, E>(value).map(Size)
    }
}

json_schema_of!(Size, |_| json_schema!({
    "description": "Bytes, or a number with a unit: KiB, MiB, GiB, TiB are powers of 1024; kB, MB, GB, TB of 1000.",
    "examples": ["1MiB", "1.5GiB", "250MB", 1048576],
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": u64::MAX},
        {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)?\s*$"}
    ]
}));

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
