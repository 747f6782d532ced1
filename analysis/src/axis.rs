//! Axes of pictures: range, ticks, and the positions of values.

use crate::number::{ascending, bytes, percent, time, trimmed};

/// The unit of an axis, which gives the texts of its ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Unit {
    /// Seconds.
    Time,
    /// Bytes.
    Bytes,
    /// A plain number.
    Number,
    /// A whole number.
    Count,
    /// A fraction of 1, shown in percent.
    Percent,
    /// Dollars.
    Dollars,
}

impl Unit {
    /// The text of a value.
    pub fn text(self, value: f64) -> String {
        match self {
            Unit::Time => time(value),
            Unit::Bytes => bytes(value),
            Unit::Number | Unit::Count => trimmed(value, 4),
            Unit::Percent => percent(value),
            Unit::Dollars => format!("${}", trimmed(value, 3)),
        }
    }

    /// The ticks that have a meaning, with their texts.
    fn ticks(self, values: impl IntoIterator<Item = f64>) -> Vec<(f64, String)> {
        let has_meaning = |value: &f64| self != Unit::Count || value.fract() == 0.0;
        values.into_iter().filter(has_meaning).map(|value| (value, self.text(value))).collect()
    }
}

/// An axis, linear or logarithmic.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Title.
    pub title: String,
    /// The unit of its values.
    pub unit: Unit,
    /// True if the axis is logarithmic.
    pub log: bool,
    /// Value at its beginning.
    pub low: f64,
    /// Value at its end.
    pub high: f64,
    /// Values with a grid line, and their texts.
    pub ticks: Vec<(f64, String)>,
}

/// Largest number of ticks whose texts do not overlap on a narrow picture.
const MOST_TICKS: usize = 6;

impl Axis {
    /// A logarithmic axis over all positive `values`, with ticks at 1, 2 and 5 times powers of ten. None if there are
    /// none.
    pub fn log(title: &str, values: impl Iterator<Item = f64>, unit: Unit) -> Option<Axis> {
        let (low, high) = range(values.filter(|value| *value > 0.0))?;
        let (low, high) = widened(low, high, 0.06);
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let of = |steps: &[f64], every: usize| -> Vec<f64> {
            let all = decades.clone().step_by(every).flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)));
            all.filter(|tick| (low..=high).contains(tick)).collect()
        };
        let mut ticks = of(&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0], 1);
        let fewer = [&[1.0, 1.5, 2.0, 3.0, 5.0, 7.0][..], &[1.0, 2.0, 5.0], &[1.0, 3.0]].map(|steps| (steps, 1));
        for (steps, every) in fewer.into_iter().chain([1, 2, 3].map(|every| (&[1.0][..], every))) {
            if ticks.len() > MOST_TICKS || !are_apart(&ticks, low, high) {
                ticks = of(steps, every);
            }
        }
        if ticks.len() < 3 {
            // A range of less than a factor of two gets the ticks of a linear axis.
            ticks = linear_ticks(low, high).into_iter().filter(|tick| *tick > 0.0).collect();
        }
        Some(Axis { title: title.into(), unit, log: true, low, high, ticks: unit.ticks(ticks) })
    }

    /// A logarithmic axis with ticks at the values themselves, or at powers of two if these would be too close.
    pub fn powers(title: &str, values: impl Iterator<Item = f64>, unit: Unit) -> Option<Axis> {
        let mut there = ascending(values.filter(|value| *value > 0.0 && value.is_finite()));
        let (first, last) = (*there.first()?, *there.last()?);
        let (low, high) = widened(first, last, 0.08);
        if !are_apart(&there, low, high) {
            let mut step = 1;
            let powers = |step: usize| -> Vec<f64> {
                let all = (low.log2().ceil() as i32..=high.log2().floor() as i32).step_by(step);
                all.map(|power| 2f64.powi(power)).collect()
            };
            there = powers(step);
            while there.len() > MOST_TICKS {
                step += 1;
                there = powers(step);
            }
        }
        Some(Axis { title: title.into(), unit, log: true, low, high, ticks: unit.ticks(there) })
    }

    /// A logarithmic axis of bytes.
    pub fn bytes(title: &str, values: impl Iterator<Item = f64>) -> Option<Axis> {
        Axis::powers(title, values, Unit::Bytes)
    }

    /// A linear axis from `low` to `high`.
    pub fn linear(title: &str, low: f64, high: f64, unit: Unit) -> Axis {
        let high = if high > low { high } else { low + 1.0 };
        Axis { title: title.into(), unit, log: false, low, high, ticks: unit.ticks(linear_ticks(low, high)) }
    }

    /// The vertical axis of `rows` rows, from the top. Row i is centred at −i.
    pub fn rows(rows: usize) -> Axis {
        let low = -(rows as f64) + 0.5;
        Axis { title: String::new(), unit: Unit::Count, log: false, low, high: 0.5, ticks: Vec::new() }
    }

    /// Position of a value: the value, or its logarithm. Values outside the range are moved to its nearest end.
    pub fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        if self.log { value.ln() } else { value }
    }
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

/// The range, extended at both ends by `part` of its logarithmic length, and by at least a factor of 1.15.
fn widened(low: f64, high: f64, part: f64) -> (f64, f64) {
    let factor = (high / low).powf(part).max(1.15);
    (low / factor, high * factor)
}

/// True if the texts of neighbours on a logarithmic axis from `low` to `high` do not touch.
fn are_apart(ticks: &[f64], low: f64, high: f64) -> bool {
    let least = (high / low).ln() / (MOST_TICKS as f64 + 2.0);
    ticks.windows(2).all(|two| (two[1] / two[0]).ln() > least)
}

fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|k| k as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        let axis = Axis::log("t", [0.0011, 0.9].into_iter(), Unit::Number).unwrap();
        assert_eq!(texts(&axis), ["0.001", "0.01", "0.1", "1"]);
        let axis = Axis::log("t", [2.0, 9.0].into_iter(), Unit::Number).unwrap();
        assert_eq!(texts(&axis), ["2", "3", "4", "5", "7", "10"]);
        let axis = Axis::log("t", [14.0, 70.0].into_iter(), Unit::Number).unwrap();
        assert_eq!(texts(&axis), ["15", "20", "30", "50", "70"], "40 and 50 would touch");
        let axis = Axis::log("t", [10.0, 10.5].into_iter(), Unit::Number).unwrap();
        assert!(axis.ticks.len() >= 3 && axis.ticks.len() <= 8, "{axis:?}");
        assert_eq!(texts(&Axis::linear("t", 0.0, 1.0, Unit::Number)), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        let mib = f64::from(1 << 20);
        assert_eq!(texts(&Axis::bytes("m", [mib, 4.0 * mib].into_iter()).unwrap()), ["1 MiB", "4 MiB"]);
        assert_eq!(texts(&Axis::linear("block", 0.0, 2.0, Unit::Count)), ["0", "1", "2"], "no half blocks");
        assert!(Axis::powers("M", (1..100).map(f64::from), Unit::Count).unwrap().ticks.len() <= MOST_TICKS);
    }

    #[test]
    fn what_has_no_logarithm_is_left_out() {
        assert_eq!(Axis::log("t", [0.0, -1.0, f64::NAN, f64::INFINITY].into_iter(), Unit::Number), None);
        let axis = Axis::log("t", [0.0, 1.0, 100.0].into_iter(), Unit::Number).unwrap();
        assert!(axis.low > 0.5 && axis.place(0.0) == axis.low.ln() && axis.place(1e9) == axis.high.ln());
        assert_eq!(axis.place(10.0), 10f64.ln());
    }
}
