//! Formats numbers for people, with few digits and a fitting unit.

/// Significant digits of a measured value.
const DIGITS: i32 = 4;

/// Significant digits of values of which only the magnitude matters.
const FEW_DIGITS: i32 = 3;

/// A value to four significant digits, without exponent where that is shorter: `0.01234`, `12.34`, `1234`, `123456`.
pub fn significant(value: f64) -> String {
    rounded(value, DIGITS)
}

fn rounded(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // Scientific notation gives the exponent after rounding: 9.9996 becomes 10.00.
    let scientific = format!("{value:.*e}", (digits - 1) as usize);
    let exponent = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()).unwrap_or(0);
    if exponent < -4 {
        return scientific;
    }
    format!("{value:.*}", (digits - 1 - exponent).max(0) as usize)
}

/// A unit of time, and the number of units in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeUnit {
    /// The unit's symbol.
    pub name: &'static str,
    per_second: f64,
}

impl TimeUnit {
    /// The largest of s, ms, µs and ns in which `seconds`, rounded to four digits, is at least 1.
    pub fn of(seconds: f64) -> TimeUnit {
        let units = [("s", 1.0), ("ms", 1e3), ("µs", 1e6)].map(|(name, per_second)| TimeUnit { name, per_second });
        let fits = |unit: &TimeUnit| seconds * unit.per_second >= 0.99995 || seconds == 0.0;
        units.into_iter().find(fits).unwrap_or(TimeUnit { name: "ns", per_second: 1e9 })
    }

    /// Seconds in this unit, four significant digits, without its name.
    pub fn show(self, seconds: f64) -> String {
        significant(seconds * self.per_second)
    }
}

/// Bytes in MiB, to four digits.
pub fn mebibytes(bytes: u64) -> String {
    significant(bytes as f64 / f64::from(1 << 20))
}

/// Bytes in MiB, to three digits.
pub fn about_mebibytes(bytes: u64) -> String {
    rounded(bytes as f64 / f64::from(1 << 20), FEW_DIGITS)
}

/// A value to three digits.
pub fn about(value: f64) -> String {
    rounded(value, FEW_DIGITS)
}

/// Bytes per second in GB/s (10⁹ bytes), to three digits.
pub fn gigabytes(bytes_per_second: f64) -> String {
    rounded(bytes_per_second / 1e9, FEW_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.000012344, "1.234e-5"),
            (0.00012344, "0.0001234"),
            (1.0, "1.000"),
            (9.9996, "10.00"),
            (12.3456, "12.35"),
            (999.96, "1000"),
            (1234.4, "1234"),
            (123456.0, "123456"),
            (-2.5, "-2.500"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn time_takes_the_unit_that_fits() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (3.2e-8, "32.00 ns"),
            (1e-6, "1.000 µs"),
            (0.0009999, "999.9 µs"),
            (0.00099999, "1.000 ms"),
            (0.012345, "12.35 ms"),
            (1.0, "1.000 s"),
            (3600.0, "3600 s"),
        ] {
            let unit = TimeUnit::of(seconds);
            assert_eq!(format!("{} {}", unit.show(seconds), unit.name), text);
        }
    }

    #[test]
    fn mebi_is_binary_and_giga_is_decimal() {
        assert_eq!(mebibytes(0), "0");
        assert_eq!(mebibytes(1_572_864), "1.500");
        assert_eq!(mebibytes(46_758_048), "44.59");
        assert_eq!((about_mebibytes(46_758_048).as_str(), about_mebibytes(1 << 31).as_str()), ("44.6", "2048"));
        assert_eq!(gigabytes(2.5e9), "2.50");
    }
}
