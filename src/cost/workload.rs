//! The work of a plan on functions and an object store: each aggregator is an invocation, and each edge is a PUT and a
//! GET.

use std::collections::BTreeMap;

use crate::cost::ObjectFlow;
use crate::gradient::Dtype;
use crate::plan::{Input, Kind, Plan, Problem};

/// Bytes of a MiB. (The measurements of Barrak 2026 call it MB.)
pub const MIB: f64 = 1_048_576.0;

/// A number of aggregators with equal work. Each is an invocation of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Distance from the clients, from 1.
    pub level: u32,
    /// Number of these aggregators.
    pub count: u64,
    /// Number of read requests of one: one for each piece of each input.
    pub gets: u64,
    /// Bytes that one reads. It sums all of them.
    pub read_bytes: u64,
    /// Bytes of the largest piece that one holds at a time, in the type of the sum.
    pub piece_bytes: u64,
    /// Number of pieces of its range, which are the parts of the object that it writes.
    pub parts: u64,
    /// Bytes that one writes.
    pub written_bytes: u64,
}

impl Function {
    /// Returns the number of write requests. A multipart object needs one request to begin and one to end it.
    pub fn puts(&self) -> u64 {
        if self.parts > 1 { self.parts + 2 } else { 1 }
    }
}

/// The work of a plan on functions and a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The aggregators in the order of their levels. Those with equal work share an entry.
    pub functions: Vec<Function>,
    /// Number of objects that the clients write: each writes its gradient, or its shards, which ranged reads do without.
    pub client_puts: u64,
    /// Number of objects that the clients read: each reads the result, or its shards.
    pub client_gets: u64,
    /// Number of clients, N.
    pub clients: u64,
    /// Bytes of one gradient.
    pub gradient_bytes: u64,
}

impl Workload {
    /// Computes the work of `plan`. The pieces of a flow are ranged GETs and parts of an object. A reader can read an
    /// object after its last part has been written.
    pub fn of(plan: &dyn Plan, problem: &Problem, dtype: Dtype, flow: ObjectFlow) -> Workload {
        let pieces = flow.pieces(dtype);
        let (narrow, wide) = (dtype.size() as u64, dtype.accumulator_size() as u64);
        let mut alike: BTreeMap<(u32, u64, u64, u64, bool), u64> = BTreeMap::new();
        let mut results = 0;
        let mut client_puts = 0;
        for steps in (0..plan.parts()).map(|part| plan.part(part)) {
            // A shard without elements needs no function.
            for step in steps.iter().filter(|step| !step.range.is_empty()) {
                let Kind::Sum { divided, .. } = step.kind else { continue };
                let clients = step.inputs.iter().filter(|input| matches!(input, Input::Client(_))).count() as u64;
                let partials = step.inputs.len() as u64 - clients;
                client_puts += clients;
                results += u64::from(divided);
                *alike.entry((step.level, step.range.len(), clients, partials, divided)).or_default() += 1;
            }
        }
        let function = |((level, length, clients, partials, is_result), count)| Function {
            level,
            count,
            gets: pieces.pieces(length) * (clients + partials),
            read_bytes: length * (clients * narrow + partials * wide),
            piece_bytes: pieces.piece(length) * wide.max(narrow),
            parts: pieces.pieces(length),
            written_bytes: length * if is_result { narrow } else { wide },
        };
        Workload {
            functions: alike.into_iter().map(function).collect(),
            client_puts: if flow.ranged { problem.clients() } else { client_puts },
            client_gets: problem.clients() * results,
            clients: problem.clients(),
            gradient_bytes: problem.elements * narrow,
        }
    }

    /// Returns the number of aggregators.
    pub fn invocations(&self) -> u64 {
        self.functions.iter().map(|function| function.count).sum()
    }

    /// Returns the bytes of the largest piece that an aggregator holds at a time.
    pub fn largest_piece_bytes(&self) -> u64 {
        self.functions.iter().map(|function| function.piece_bytes).max().unwrap_or(0)
    }
    /// Returns the levels that have aggregators, ascending.
    pub fn levels(&self) -> Vec<u32> {
        let mut levels: Vec<u32> = self.functions.iter().map(|function| function.level).collect();
        levels.dedup();
        levels
    }

    /// Returns the aggregators of a level.
    pub fn at_level(&self, level: u32) -> Vec<Function> {
        self.functions.iter().filter(|function| function.level == level).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Case;
    use crate::plan::strategies::find;

    fn workload(strategy: &str, elements: u64, clients: u64, shards: u64) -> Workload {
        Case::new(find(strategy).unwrap(), elements, clients, shards).workload().unwrap()
    }

    /// The requests and bytes that Barrak 2026 publishes for ResNet-18 and VGG-16 with N = 20, M = 4.
    #[test]
    fn requests_and_bytes_are_the_published_ones() {
        for (elements, strategy, invocations, gets, puts, read) in [
            (11_181_642, "sharded-direct", 4, 80, 4, 894_531_360),
            (11_181_642, "tree-lambda-fl", 5, 24, 5, 1_073_437_632),
            (11_181_642, "tree-lifl", 11, 30, 11, 1_341_797_040),
            (134_301_514, "sharded-direct", 4, 80, 4, 10_744_121_120),
            (134_301_514, "tree-lambda-fl", 5, 24, 5, 12_892_945_344),
            (134_301_514, "tree-lifl", 11, 30, 11, 16_116_181_680),
        ] {
            let work = workload(strategy, elements, 20, 4);
            let sum = |of: fn(&Function) -> u64| work.functions.iter().map(|f| f.count * of(f)).sum::<u64>();
            assert_eq!(work.invocations(), invocations, "{strategy}");
            assert_eq!((sum(|f| f.gets), sum(|f| f.puts())), (gets, puts), "{strategy}");
            // The published bytes include the header of the stored arrays, up to 128 bytes for each object.
            assert_eq!(sum(|f| f.read_bytes), read, "{strategy}");
        }
    }

    /// N·M and N·M for sharding, N and N for a tree (Barrak 2026).
    #[test]
    fn clients_write_their_shards_and_read_the_result() {
        let clients = |work: Workload| (work.client_puts, work.client_gets);
        assert_eq!(clients(workload("sharded-direct", 1000, 20, 4)), (80, 80));
        assert_eq!(clients(workload("tree-lambda-fl", 1000, 20, 4)), (20, 20));
        assert_eq!(clients(workload("tree-lifl", 1000, 7, 4)), (7, 7));
        // With ranged reads a client writes its gradient, and reads the M results as before.
        let mut ranged = Case::new(find("sharded-direct").unwrap(), 1000, 20, 4);
        ranged.flow.ranged = true;
        assert_eq!(clients(ranged.workload().unwrap()), (20, 80));
        assert_eq!(ranged.workload().unwrap().functions, workload("sharded-direct", 1000, 20, 4).functions);
        // Three elements make three shards that are not empty.
        assert_eq!(clients(workload("sharded-direct", 3, 20, 8)), (60, 60));
        assert_eq!(workload("sharded-direct", 3, 20, 8).invocations(), 3);
    }

    /// 10 MiB in pieces of 4: 3 pieces of each of 5 + 4 inputs; an object of 3 parts takes 5 requests.
    #[test]
    fn a_chunk_is_a_request() {
        let mut case = Case::new(find("tree-lambda-fl").unwrap(), 10 << 18, 20, 1);
        case.flow.chunk_bytes = Some(4 << 20);
        let work = case.workload().unwrap();
        assert_eq!(
            work.functions.iter().map(|f| (f.count, f.gets, f.puts())).collect::<Vec<_>>(),
            [(4, 15, 5), (1, 12, 5)]
        );
        assert_eq!(work.largest_piece_bytes(), 4 << 20);
    }

    /// Partial sums of narrow types travel in f32.
    #[test]
    fn partial_sums_of_narrow_types_are_wide() {
        let mut case = Case::new(find("tree-lambda-fl").unwrap(), 1000, 20, 1);
        case.dtype = Dtype::Bf16;
        let work = case.workload().unwrap();
        let bytes: Vec<_> = work.functions.iter().map(|f| (f.read_bytes, f.written_bytes)).collect();
        assert_eq!(bytes, [(5 * 2000, 4000), (4 * 4000, 2000)]);
    }
}
