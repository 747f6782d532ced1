//! US dollars as exact decimals. Prices of a request are millionths of a dollar, and their sums are compared.

use std::borrow::Cow;
use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde_json::Value;

/// Number of decimals of a printed amount: a millionth of a millionth of a dollar.
const DECIMALS: u32 = 12;
/// Number of decimals of a duration that is multiplied by a price: nanoseconds.
const NANO: u32 = 9;

/// An amount of US dollars with up to 28 digits. It is never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usd(Decimal);

/// The error of a text that is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an amount of money; write dollars as a decimal that is not negative, such as \"0.0000166667\"")]
pub struct NoMoney(pub String);

impl Usd {
    /// Parses a decimal such as `0.0000166667`.
    ///
    /// # Errors
    /// [`NoMoney`] if the text is not a decimal, is negative, or has more than 28 digits.
    pub fn parse(text: &str) -> Result<Usd, NoMoney> {
        match Decimal::from_str_exact(text.trim()) {
            Ok(amount) if !amount.is_sign_negative() || amount.is_zero() => Ok(Usd(amount)),
            _ => Err(NoMoney(text.into())),
        }
    }

    /// Returns `count` times the amount.
    #[must_use]
    pub fn times(self, count: u64) -> Usd {
        Usd(self.0.saturating_mul(Decimal::from(count)))
    }

    /// Treats the amount as a unit price and returns the price of `amount` units. `amount` is rounded to nine decimals,
    /// which is a nanosecond for prices per second. A negative `amount` or NaN costs nothing, and an amount beyond the
    /// range of decimals costs the greatest decimal.
    #[must_use]
    pub fn for_amount(self, amount: f64) -> Usd {
        let nano = amount.max(0.0) * 1e9;
        let amount = Decimal::try_from_i128_with_scale(nano.round() as i128, NANO).unwrap_or(Decimal::MAX);
        Usd(self.0.saturating_mul(amount))
    }

    /// Returns the amount divided by `count`; for a `count` of 0 it returns the whole amount.
    #[must_use]
    pub fn over(self, count: u64) -> Usd {
        Usd(self.0.checked_div(Decimal::from(count)).unwrap_or(self.0))
    }

    /// Returns the nearest double, for curves and ratios.
    pub fn to_f64(self) -> f64 {
        self.0.to_f64().unwrap_or(f64::INFINITY)
    }

    /// Formats the amount with up to twelve decimals, without trailing zeros.
    pub fn plain(self) -> String {
        self.0.round_dp(DECIMALS).normalize().to_string()
    }
}

/// Formats the amount with a dollar sign and four significant digits, and with all digits before the point: `$0.2625`,
/// `$1234`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_f64();
        let digits = if value > 0.0 { (3 - value.log10().floor() as i32).clamp(0, DECIMALS as i32) } else { 0 };
        f.pad(&format!("${value:.*}", digits as usize))
    }
}

impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(amounts: I) -> Usd {
        amounts.fold(Usd::default(), Usd::add)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            // The shortest text that reads back as this double equals the written text, up to fifteen digits.
            Value::Number(dollars) if dollars.is_f64() => dollars.as_f64().unwrap_or(f64::NAN).to_string(),
            other => other.to_string(),
        };
        Usd::parse(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for Usd {
    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "US dollars, an exact decimal.",
            "examples": ["0.0000166667", 0.005],
            "anyOf": [{"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}, {"type": "number", "minimum": 0}]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        Usd::parse(text).unwrap()
    }

    /// By hand: 400,000 GB-s at $0.0000166667 are $6.66668; 80 GETs at $0.0004 a thousand and 4 PUTs at $0.005 are
    /// 0.000032 + 0.00002.
    #[test]
    fn products_and_sums_are_exact() {
        assert_eq!(usd("0.0000166667").times(400_000).plain(), "6.66668");
        assert_eq!((usd("0.0004").times(80).over(1000) + usd("0.005").times(4).over(1000)).plain(), "0.000052");
        assert_eq!(usd("0.1").times(3), usd("0.3"));
        assert_eq!(usd("0.0000166667").for_amount(1.5).plain(), "0.00002500005");
        assert_eq!([usd("0.1"), usd("0.2")].into_iter().sum::<Usd>(), usd("0.3"));
    }

    #[test]
    fn shown_with_four_digits() {
        for (amount, text) in [("0.2625441682", "$0.2625"), ("10.167", "$10.17"), ("1234.56", "$1235"), ("0", "$0")] {
            assert_eq!(usd(amount).to_string(), text);
        }
        assert_eq!(usd("0.0000004").to_string(), "$0.0000004000");
    }

    #[test]
    fn what_is_no_money_is_refused() {
        for text in ["", "-1", "1e-6", "$1", "0.00001.2"] {
            assert!(Usd::parse(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Usd>("0.0000166667").unwrap(), usd("0.0000166667"));
        assert_eq!(serde_json::from_str::<Usd>("\"0.0000166667\"").unwrap(), usd("0.0000166667"));
        assert!(serde_json::from_str::<Usd>("-0.1").is_err() && serde_json::from_str::<Usd>("true").is_err());
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!(usd("1").for_amount(f64::NAN), usd("0"));
        assert_eq!(usd("1").for_amount(-3.0), usd("0"));
        assert!(usd("79228162514264337593543950335").times(10) >= usd("79228162514264337593543950335"));
        assert!(usd("1").for_amount(f64::INFINITY).to_f64() > 1e20);
    }
}
