//! Functions with an object store: the platform as written, its memory rule, and how long a function takes.

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
    /// Each aggregator is an invocation.
    Functions,
}

/// A platform whose aggregators are invocations of functions that read and write objects of a store.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Functions {
    /// Where the JSON schema of this file is, for editors; gradshard ignores it.
    #[serde(rename = "$schema", default)]
    #[schemars(with = "String")]
    pub schema: Option<String>,
    /// Its name in tables.
    pub name: String,
    /// `functions`.
    pub kind: FunctionsKind,
    /// What it is, in a sentence.
    #[serde(default)]
    #[schemars(with = "String")]
    pub description: Option<String>,
    /// What is charged.
    #[serde(deserialize_with = "object")]
    pub prices: FunctionPrices,
    /// How memory is chosen and what comes with it.
    #[serde(deserialize_with = "object")]
    pub memory: FunctionMemory,
    /// What the platform allows.
    #[serde(deserialize_with = "object")]
    pub limits: FunctionLimits,
    /// How fast it is.
    #[serde(deserialize_with = "object")]
    pub speed: Speed,
}

/// What functions and their store charge.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionPrices {
    /// A GiB of a function's memory, for a second.
    pub gib_second_usd: Sourced<Usd>,
    /// A vCPU for a second, where it is charged beside memory.
    pub vcpu_second_usd: Sourced<Usd>,
    /// A thousand invocations.
    pub invocation_usd_per_1000: Sourced<Usd>,
    /// A thousand requests that write.
    pub put_usd_per_1000: Sourced<Usd>,
    /// A thousand requests that read.
    pub get_usd_per_1000: Sourced<Usd>,
    /// Durations are rounded up to a multiple of this, milliseconds; 0: not rounded.
    pub billed_step_ms: Sourced<NotNegative>,
}

/// How a function's memory is chosen, and the CPU that comes with it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionMemory {
    /// A function needs this many times its largest input (or piece of one): sum, body, parsed array.
    pub copies_of_input: Sourced<Positive>,
    /// And this beside it, MiB: the runtime.
    pub runtime_mib: Sourced<NotNegative>,
    /// Least memory that can be chosen, MiB.
    pub least_mib: Sourced<u64>,
    /// Most memory that can be chosen, MiB.
    pub limit_mib: Sourced<u64>,
    /// MiB with which one vCPU comes; less memory is a share of one.
    pub mib_per_vcpu: Sourced<Positive>,
    /// vCPUs that one aggregator can use at most.
    pub most_vcpus: Sourced<Positive>,
}

/// What the platform allows.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionLimits {
    /// Longest invocation, seconds.
    pub seconds: Sourced<Positive>,
    /// Invocations that run at a time; others wait.
    pub concurrent: Sourced<u64>,
    /// Least part of an object that is written in parts, MiB; the last may be smaller.
    pub least_part_mib: Sourced<NotNegative>,
    /// Most parts of an object.
    pub most_parts: Sourced<u64>,
}

/// How fast a function and its store are: the parameters that calibration fits.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// CPU time of a request that reads, seconds of one vCPU: a function with a quarter of one takes four times as long.
    pub get_vcpu_s: NotNegative,
    /// Bytes of objects that one function reads in a second, MiB, beside that.
    pub read_mib_per_s: Positive,
    /// Time of a request that writes, beside its bytes, seconds.
    pub put_s: NotNegative,
    /// Bytes that one function writes in a second, MiB.
    pub write_mib_per_s: Positive,
    /// Bytes of inputs that one vCPU sums in a second, MiB.
    pub sum_mib_per_vcpu_s: Positive,
    /// Standard deviation of the durations of equal functions of one round, over their mean.
    pub spread: NotNegative,
    /// Standard deviation of a deployment from what these parameters say of it, over that.
    pub deployment_spread: NotNegative,
    /// From a level's start to its functions', and back, seconds.
    pub dispatch_s: NotNegative,
    /// Where these are from.
    #[schemars(length(min = 1))]
    pub source: String,
}

/// Seconds of one function, by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Duration {
    /// Reading.
    pub read_s: f64,
    /// Summing.
    pub sum_s: f64,
    /// Writing.
    pub write_s: f64,
}

impl Duration {
    /// All purposes together: a function reads, sums and writes one after another.
    pub fn total_s(self) -> f64 {
        self.read_s + self.sum_s + self.write_s
    }
}

impl Functions {
    /// Memory of the functions of `work`, MiB: ⌈copies × largest input + runtime⌉, at least what can be chosen. It may be
    /// above the limit; then the work is not feasible.
    pub fn memory_mib(&self, work: &Workload) -> u64 {
        let input = work.largest_piece_bytes() as f64 / MIB;
        let rule = self.memory.copies_of_input.value.get() * input + self.memory.runtime_mib.value.get();
        (rule.ceil() as u64).max(self.memory.least_mib.value)
    }

    /// vCPUs that an aggregator uses in a function with `memory_mib`.
    pub fn vcpus(&self, memory_mib: u64) -> f64 {
        (memory_mib as f64 / self.memory.mib_per_vcpu.value.get()).min(self.memory.most_vcpus.value.get())
    }
}

impl Speed {
    /// How long `function` takes with so many vCPUs.
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
