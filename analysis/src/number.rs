//! Formats numbers with few digits and a fitting unit.

pub use gradshard::plan::picture::grouped;
use gradshard::results::show::number::{TimeUnit, about};

/// Text of a missing value.
pub const NONE: &str = "–";

/// A number rounded to `digits` significant digits, without trailing zeros.
pub fn trimmed(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".to_owned() } else { value.to_string() };
    }
    let places = (digits as i32 - 1 - value.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A time for a tick, such as `2.5 ms`.
pub fn time(seconds: f64) -> String {
    if seconds == 0.0 {
        return "0".to_owned();
    }
    let (name, per_second) = match seconds {
        s if s >= 0.9999 => ("s", 1.0),
        s if s >= 0.9999e-3 => ("ms", 1e3),
        s if s >= 0.9999e-6 => ("µs", 1e6),
        _ => ("ns", 1e9),
    };
    format!("{} {name}", trimmed(seconds * per_second, 3))
}

/// A measured time to four digits, such as `34.65 ms`.
pub fn seconds(seconds: f64) -> String {
    let unit = TimeUnit::of(seconds);
    format!("{} {}", unit.show(seconds), unit.name)
}

/// An interval of times with both ends in the unit of `like`, such as `26.70–36.61 ms`.
pub fn interval(low: f64, high: f64, like: f64) -> String {
    let unit = TimeUnit::of(like);
    format!("{}–{} {}", unit.show(low), unit.show(high), unit.name)
}

/// Bytes in a fitting unit to three digits, such as `128 MiB`.
pub fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes, 0);
    while value.abs() >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", trimmed(value, 3), UNITS[unit])
}

/// A rate to three digits, such as `1.29 GB/s`.
pub fn rate(bytes_per_second: f64) -> String {
    format!("{} GB/s", about(bytes_per_second / 1e9))
}

/// A fraction as a percentage to three digits, such as `56 %`.
pub fn percent(part: f64) -> String {
    format!("{} %", trimmed(part * 100.0, 3))
}

/// The different values, ascending.
pub fn ascending(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// A count with its noun, such as `1 file` and `2 files`.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_unit_that_fits_and_no_idle_zeros() {
        assert_eq!([time(0.002), time(1.5e-6), time(1.0), time(3e-8)], ["2 ms", "1.5 µs", "1 s", "30 ns"]);
        assert_eq!([bytes(1048576.0), bytes(44_759_448.0), bytes(512.0)], ["1 MiB", "42.7 MiB", "512 B"]);
        assert_eq!(bytes(1.5 * 1024f64.powi(3)), "1.5 GiB");
        assert_eq!(bytes(1023.99 * 1024.0), "1 MiB");
        assert_eq!([trimmed(0.0, 3), trimmed(1234.5, 3), trimmed(0.01234, 2)], ["0", "1234", "0.012"]);
        assert_eq!([percent(0.5641), rate(1.29e9), grouped(1_234_567)], ["56.4 %", "1.29 GB/s", "1,234,567"]);
        assert_eq!(interval(0.0267, 0.03661, 0.03465), "26.70–36.61 ms");
    }
}
