//! The rows of rounds that functions carried out on a store of objects.

use serde::Serialize;

use super::column::table;
use super::row::{Status, VerificationRow};
use crate::gradient::Dtype;

/// The requests, times and price of one round on functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FunctionBill {
    /// Number of invocations, without those that were killed.
    pub invocations: u64,
    /// Number of read requests of the functions.
    pub gets: u64,
    /// Number of write requests of the functions.
    pub puts: u64,
    /// Number of read requests of the clients.
    pub client_gets: u64,
    /// Number of write requests of the clients.
    pub client_puts: u64,
    /// Time from the first invocation to the last object, seconds.
    pub latency_s: f64,
    /// Duration of all functions together, seconds.
    pub function_s: f64,
    /// Price of 1,000 rounds with the clients' requests, dollars; None: the platform cannot carry the round out.
    pub usd_per_1000_rounds: Option<f64>,
}

impl FunctionBill {
    /// The numbers of requests: invocations, reads and writes of functions, reads and writes of clients.
    pub fn requests(&self) -> [u64; 5] {
        [self.invocations, self.gets, self.puts, self.client_gets, self.client_puts]
    }
}

table! {
    /// A row of `/function_rounds`: a round that functions carried out on a store, beside what is calculated for it.
    FunctionRow {
        job: u64, "1", since 8, "number of the job that carried it out, a row of /jobs";
        round: u64, "1", since 8, "number of the round within the job, from 0";
        strategy: String, "text", since 8, "strategy";
        model: String, "text", since 8, "model";
        elements: u64, "elements", since 8, "size of the gradient";
        dtype: Dtype, "text", since 8, "element type";
        clients: u64, "1", since 8, "number of clients, N";
        shards: u64, "1", since 8, "number of shards, M; 1 where the strategy does not shard";
        flow: String, "text", since 8, "how objects are read: whole, ranged, a size of chunks, or ranged: and a size";
        platform: String, "text", since 8, "platform whose prices and memory rule count";
        store: String, "text", since 8, "kind of the store: directory or s3";
        kept: String, "text", since 8, "parts of the platform's time that were kept to: bandwidth, cpu, delay, with commas between; empty: all was as fast as it went";
        cold_start_s: f64, "s", since 8, "delay that was configured for the start of each function and is paid; it is not measured";
        memory_mib: u64, "MiB", since 8, "memory of a function that is paid, by the platform's rule";
        killed: u64, "1", since 8, "attempts at functions that a signal killed; their requests are not counted";
        limited_by: String, "text", since 8, "enforced the limit on the memory of functions: cgroup-v2, cgroup-v1 or RLIMIT_DATA; empty: not known, as no function came so far";
        limit_bytes: u64, "B", since 8, "memory that a function's sum was allowed; its program has some more";
        sum_bytes: u64, "B", since 8, "predicted memory of a sum: one piece of it, one of an input, and what its write takes; the function where it is most";
        seen_bytes: Option<f64>, "B", since 8, "peak of private memory that a process added for its sum, the function where it is most; NaN: not known";
        group_peak_bytes: Option<f64>, "B", since 8, "peak of a function's control group, the function where it is most; NaN: it had none";
        read_bytes_per_s: Option<f64>, "B/s", since 8, "bytes that functions read over the time of reading, a function's mean; NaN: no function";
        roof_bytes_per_s: Option<f64>, "B/s", since 8, "bytes that as many readers as functions run at a time read of this store together, measured before the round; NaN: not measured";
        needed_bytes_per_s: Option<f64>, "B/s", since 8, "bytes that as many functions read together at the platform's speed; NaN: this is not kept to";
        status: Status, "text", since 8, "ok, infeasible or failed";
        reason: String, "text", since 8, "reason, where the status is not ok";
    }
    parts {
        calculated: FunctionBill, "The bill that `gradshard cost` calculates, for functions that take equally long." {
            calculated_invocations = invocations: u64, "1", since 8, "calculated: invocations";
            calculated_gets = gets: u64, "1", since 8, "calculated: read requests of functions";
            calculated_puts = puts: u64, "1", since 8, "calculated: write requests of functions";
            calculated_client_gets = client_gets: u64, "1", since 8, "calculated: read requests of clients";
            calculated_client_puts = client_puts: u64, "1", since 8, "calculated: write requests of clients";
            calculated_latency_s = latency_s: f64, "s", since 8, "calculated: time from the first invocation to the last object, for functions that take equally long";
            calculated_function_s = function_s: f64, "s", since 8, "calculated: duration of all functions together";
            calculated_usd_per_1000_rounds = usd_per_1000_rounds: Option<f64>, "$", since 8, "calculated: price of 1,000 rounds with the clients' requests; NaN: the platform cannot carry the round out";
        }
    }
    optional {
        measured: FunctionBill, if carried_out, since 8, "whether the round was carried out; if not, the columns without `calculated` hold 2^64 - 1 and NaN" {
            invocations = invocations: u64, "1", since 8, "counted: invocations, without those that were killed";
            gets = gets: u64, "1", since 8, "counted: read requests of functions";
            puts = puts: u64, "1", since 8, "counted: write requests of functions";
            client_gets = client_gets: u64, "1", since 8, "counted: read requests of clients";
            client_puts = client_puts: u64, "1", since 8, "counted: write requests of clients";
            latency_s = latency_s: f64, "s", since 8, "measured: time from the first invocation to the last object";
            function_s = function_s: f64, "s", since 8, "measured: duration of all functions together";
            usd_per_1000_rounds = usd_per_1000_rounds: Option<f64>, "$", since 8, "price of 1,000 rounds as counted and measured, with the clients' requests, by the platform's memory rule";
        }
        verification: VerificationRow, if verified, since 8, "whether the result was compared with the flat server's; if not, the verification columns hold 2^64 - 1, NaN and empty text" {
            verification_differing_elements = differing_elements: u64, "elements", since 8, "elements that differ from the flat server's in any bit";
            verification_max_ulp = max_ulp: u64, "ulp", since 8, "largest distance from the flat server's";
            verification_max_relative_error_vs_exact = max_relative_error_vs_exact: f64, "1", since 8, "largest relative error against the exact weighted mean";
            verification_max_backward_error = max_backward_error: Option<f64>, "1", since 8, "largest error against the exact weighted mean, relative to the weighted mean of the gradients' absolute values";
            verification_wrong_elements = wrong_elements: u64, "elements", since 8, "elements whose error exceeds what any order of summation can cause";
            verification_reference = reference: String, "text", since 8, "name of the reference";
        }
    }
}

impl FunctionRow {
    /// The bytes per second that the store gave to all readers together, if functions that read as fast as the platform says
    /// would need more; None if they would not, or it was not measured.
    pub fn store_limit(&self) -> Option<f64> {
        self.roof_bytes_per_s.filter(|roof| *roof < self.needed_bytes_per_s.unwrap_or(0.0))
    }
}
