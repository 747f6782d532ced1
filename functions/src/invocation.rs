//! The invocation of a function: the work of one aggregator as data, and the function's account of it.

use gradshard::gradient::{Dtype, Range};
use serde::{Deserialize, Serialize};

use crate::bucket::ObjectName;
use crate::tempo::Tempo;

/// Greatest number of elements, so that numbers of bytes fit 64 bits.
const MOST_ELEMENTS: u64 = 1 << 48;

/// How the kernel limits a function's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LimitBy {
    /// By a control group where the process may make one, else by RLIMIT_DATA.
    #[default]
    Any,
    /// By a control group of its own, which also holds pages of files that it writes.
    ControlGroup,
    /// By RLIMIT_DATA: private memory alone.
    RlimitData,
}

/// A range of an object that enters a sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputObject {
    /// The object.
    pub object: ObjectName,
    /// First byte of the range.
    pub from: u64,
    /// The weight of a client's gradient; None for a partial sum, whose elements have the type of the sum.
    pub weight: Option<f64>,
    /// SHA-256 of each piece of the range, in hexadecimal digits.
    pub sha256: Vec<String>,
}

/// The work of one aggregator: it sums its inputs in their order and writes the sum as an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invocation {
    /// The object that it writes.
    pub object: ObjectName,
    /// Element type of the gradients.
    pub dtype: Dtype,
    /// Number of elements of the sum, at least 1.
    pub elements: u64,
    /// Number of elements that it reads, sums and writes at a time, at least 1; the last piece may be shorter.
    pub piece: u64,
    /// Divisor of the sum, whose elements then have the gradients' type; None: the sum is a partial one, and its elements
    /// have the type of the sum.
    pub divisor: Option<f64>,
    /// The inputs, in the order in which they are added.
    pub inputs: Vec<InputObject>,
    /// Ranges of its object, bytes, whose checksums its readers need.
    pub checked: Vec<Range>,
    /// Limit on the memory of the sum, bytes, which the kernel enforces; None: no limit.
    pub memory_bytes: Option<u64>,
    /// How it is enforced.
    #[serde(default)]
    pub limit_by: LimitBy,
    /// The speed of a platform to keep to; None: as fast as it goes.
    pub tempo: Option<Tempo>,
}

impl Invocation {
    /// Returns the ranges of elements that the function reads, sums and writes one after another.
    pub fn pieces(&self) -> Vec<Range> {
        let starts = (0..self.elements.div_ceil(self.piece)).map(|index| index * self.piece);
        starts.map(|start| Range::new(start, (start + self.piece).min(self.elements))).collect()
    }

    /// Returns the size of an element of the object that it writes, bytes.
    pub fn written_size(&self) -> u64 {
        let size = if self.divisor.is_some() { self.dtype.size() } else { self.dtype.accumulator_size() };
        size as u64
    }

    /// Refuses numbers that cannot be.
    ///
    /// # Errors
    /// The field, the fault and the remedy.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=MOST_ELEMENTS).contains(&self.elements) {
            return Err(format!("elements: {}; write 1 to {MOST_ELEMENTS}", self.elements));
        }
        if !(1..=self.elements).contains(&self.piece) {
            return Err(format!("piece: {} of {} elements; write 1 to {}", self.piece, self.elements, self.elements));
        }
        let pieces = self.elements.div_ceil(self.piece);
        let positive = |number: f64| number > 0.0 && number.is_finite();
        for (index, input) in self.inputs.iter().enumerate() {
            if input.sha256.len() as u64 != pieces {
                return Err(format!(
                    "inputs[{index}].sha256: {} for {pieces} pieces; write one each",
                    input.sha256.len()
                ));
            }
            if input.weight.is_some_and(|weight| !positive(weight)) {
                return Err(format!("inputs[{index}].weight: write a number above 0"));
            }
        }
        if self.inputs.is_empty() {
            return Err("inputs: a sum needs at least one".to_owned());
        }
        if self.divisor.is_some_and(|divisor| !positive(divisor)) {
            return Err("divisor: write a number above 0, or null for a partial sum".to_owned());
        }
        let bytes = self.elements * self.written_size();
        if let Some(range) = self.checked.iter().find(|range| range.start > range.end || range.end > bytes) {
            return Err(format!("checked: {}..{} is no range of an object of {bytes} bytes", range.start, range.end));
        }
        let Some(tempo) = self.tempo else { return Ok(()) };
        let Tempo { cold_start_s, get_s, read_s_per_mib, sum_s_per_mib, put_s, write_s_per_mib } = tempo;
        let all = [cold_start_s, get_s, read_s_per_mib, sum_s_per_mib, put_s, write_s_per_mib];
        if all.iter().all(|seconds| *seconds >= 0.0 && seconds.is_finite()) {
            return Ok(());
        }
        Err("tempo: write seconds of 0 or more".to_owned())
    }
}

/// A function's account of its work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionAccount {
    /// Number of read requests.
    pub gets: u64,
    /// Number of write requests.
    pub puts: u64,
    /// Bytes that it read.
    pub read_bytes: u64,
    /// Bytes that it wrote.
    pub written_bytes: u64,
    /// Time for reading and checking, seconds.
    pub read_s: f64,
    /// Time for summing, seconds.
    pub sum_s: f64,
    /// Time for writing, seconds.
    pub write_s: f64,
    /// Time from the beginning of the program's main function to its account, seconds.
    pub seconds: f64,
    /// Memory of the sum as predicted, bytes: one piece of it, and one piece of an input.
    pub sum_bytes: u64,
    /// Peak of the process's private memory above that before the sum, bytes; None if the kernel does not tell.
    pub seen_bytes: Option<u64>,
    /// The mechanism that limited its memory: `cgroup-v2`, `cgroup-v1`, `RLIMIT_DATA`, or empty for none.
    pub limited_by: String,
    /// Peak of its control group, bytes; None if it had none.
    pub group_peak_bytes: Option<u64>,
    /// SHA-256 of the ranges of its object that the invocation asked for.
    pub sha256: Vec<String>,
}
