//! Functions with an object store: the platform file, the memory rule, and the duration of a function.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::cost::sourced::{NotNegative, Positive, Sourced};
use crate::cost::workload::{Function, MIB};
use crate::cost::{Usd, Workload};
use crate::experiment::object::object;

/// The kind of a platform of functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FunctionsKind {
    /// Each aggregator is an invocation of a function.
    Functions,
}

/// A platform on which aggregators are invocations of functions that read and write objects of a store.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Functions {
    /// The path of this file's JSON schema, for editors; gradshard ignores it.
    #[serde(rename = "$schema", default)]
    #[schemars(with = "String")]
    pub schema: Option<String>,
    /// The platform's name in tables.
    pub name: String,
    /// The kind of platform: `functions`.
    pub kind: FunctionsKind,
    /// A description in one sentence.
    #[serde(default)]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// Prices.
    #[serde(deserialize_with = "object")]
    pub prices: FunctionPrices,
    /// The choice of memory, and the CPU that comes with it.
    #[serde(deserialize_with = "object")]
    pub memory: FunctionMemory,
    /// Limits of the platform.
    #[serde(deserialize_with = "object")]
    pub limits: FunctionLimits,
    /// Speed of functions and store.
    #[serde(deserialize_with = "object")]
    pub speed: Speed,
}

/// The prices of functions and their store.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionPrices {
    /// Price of one GiB of a function's memory for one second.
    pub gib_second_usd: Sourced<Usd>,
    /// Price of one vCPU for one second, on platforms that bill it separately from memory.
    pub vcpu_second_usd: Sourced<Usd>,
    /// Price of a thousand invocations.
    pub invocation_usd_per_1000: Sourced<Usd>,
    /// Price of a thousand write requests.
    pub put_usd_per_1000: Sourced<Usd>,
    /// Price of a thousand read requests.
    pub get_usd_per_1000: Sourced<Usd>,
    /// Billed durations are rounded up to a multiple of this, milliseconds; 0: no rounding.
    pub billed_step_ms: Sourced<NotNegative>,
}

/// The rule for a function's memory, and the CPU that comes with it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionMemory {
    /// A function needs this many times its largest input (or chunk): the sum, the body of the response, and the parsed
    /// array.
    pub copies_of_input: Sourced<Positive>,
    /// The runtime needs this much memory in addition, MiB.
    pub runtime_mib: Sourced<NotNegative>,
    /// The least memory that can be chosen, MiB.
    pub least_mib: Sourced<u64>,
    /// The greatest memory that can be chosen, MiB.
    pub limit_mib: Sourced<u64>,
    /// Memory that comes with one vCPU, MiB; less memory comes with a share of one.
    pub mib_per_vcpu: Sourced<Positive>,
    /// The greatest number of vCPUs that one aggregator can use.
    pub most_vcpus: Sourced<Positive>,
}

/// The limits of the platform.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionLimits {
    /// Longest invocation, seconds.
    pub seconds: Sourced<Positive>,
    /// Number of invocations that can run at the same time; others wait.
    pub concurrent: Sourced<u64>,
    /// Least part of a multipart object, MiB; the last part may be smaller.
    pub least_part_mib: Sourced<NotNegative>,
    /// Greatest number of parts of an object.
    pub most_parts: Sourced<u64>,
}

/// The speed of functions and their store. Calibration fits these parameters.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// CPU time of a read request, seconds of one vCPU. A function with a quarter of a vCPU takes four times as long.
    pub get_vcpu_s: NotNegative,
    /// Read throughput of one function, MiB/s, in addition to the time of the request.
    pub read_mib_per_s: Positive,
    /// Time of a write request, seconds, in addition to the time of its bytes.
    pub put_s: NotNegative,
    /// Write throughput of one function, MiB/s.
    pub write_mib_per_s: Positive,
    /// Inputs that one vCPU sums, MiB/s.
    pub sum_mib_per_vcpu_s: Positive,
    /// Standard deviation of the durations of equal functions in one round, divided by their mean.
    pub spread: NotNegative,
    /// Standard deviation of a deployment's duration from the model, divided by the model's value.
    pub deployment_spread: NotNegative,
    /// Time from the start of a level to the start of its functions, and back, seconds.
    pub dispatch_s: NotNegative,
    /// Source of these values.
    #[schemars(length(min = 1))]
    pub source: String,
}

/// Duration of each phase of one function, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Duration {
    /// Time for reading.
    pub read_s: f64,
    /// Time for summing.
    pub sum_s: f64,
    /// Time for writing.
    pub write_s: f64,
}

impl Duration {
    /// Returns the duration of the function, which reads, sums and writes one after another.
    pub fn total_s(self) -> f64 {
        self.read_s + self.sum_s + self.write_s
    }
}

impl Functions {
    /// Returns the memory of the functions of `work`, MiB: ⌈copies × largest input + runtime⌉, and at least the least
    /// choice. If the result exceeds the limit, the work is infeasible.
    pub fn memory_mib(&self, work: &Workload) -> u64 {
        let input = work.largest_piece_bytes() as f64 / MIB;
        let rule = self.memory.copies_of_input.value.get() * input + self.memory.runtime_mib.value.get();
        (rule.ceil() as u64).max(self.memory.least_mib.value)
    }

    /// Returns the number of vCPUs that an aggregator uses in a function with `memory_mib` MiB.
    pub fn vcpus(&self, memory_mib: u64) -> f64 {
        (memory_mib as f64 / self.memory.mib_per_vcpu.value.get()).min(self.memory.most_vcpus.value.get())
    }
}

impl Speed {
    /// Computes the duration of `function` with `vcpus` vCPUs.
    pub fn duration(&self, function: &Function, vcpus: f64) -> Duration {
        let read_mib = function.read_bytes as f64 / MIB;
        Duration {
            read_s: function.gets as f64 * self.get_vcpu_s.get() / vcpus + read_mib / self.read_mib_per_s.get(),
            sum_s: read_mib / (self.sum_mib_per_vcpu_s.get() * vcpus),
            write_s: function.puts() as f64 * self.put_s.get()
                + function.written_bytes as f64 / MIB / self.write_mib_per_s.get(),
        }
    }
}
