//! A whole round on a store: clients write their gradients, functions sum them level by level, clients read the result.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use gradshard::cost::{Case, CostError, Functions};
use gradshard::engine::kernels::running_sum_bytes;
use gradshard::engine::verify::{Verification, verify};
use gradshard::gradient::{Element, Range, Source, SourceError};
use gradshard::job::judge;
use gradshard::plan::{Problem, family};
use gradshard::with_element;

use crate::bucket::{Bucket, ObjectName, StoreError};
use crate::checksums::{Checksums, RangeSums, sha256};
use crate::graph::{Aggregator, aggregators, reads};
use crate::invocation::{InputObject, Invocation, LimitBy};
use crate::metered::Metered;
use crate::processes::{CallError, Called, Processes};
use crate::tempo::{KeptTime, PlatformPart, Tempo, lasting};

/// The reason why a round has no result.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The case has no plan on functions.
    #[error(transparent)]
    Case(#[from] CostError),
    /// The gradients cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A request of a client failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A function failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A client read other bytes than a function wrote.
    #[error("object {0}: has another checksum than that which was written")]
    Damaged(ObjectName),
    /// The result is wrong.
    #[error("{0}")]
    Wrong(String),
}

impl RoundError {
    /// Returns the mechanism whose limit on memory ended the round; empty for other reasons.
    pub fn limited_by(&self) -> &'static str {
        match self {
            RoundError::Call(CallError::Memory { by, .. }) => by,
            RoundError::Call(CallError::Said(text)) if text.contains("RLIMIT_DATA") => "RLIMIT_DATA",
            _ => "",
        }
    }
}

/// A round to carry out.
pub struct Setting<'s> {
    /// The strategy with its problem and its flow.
    pub case: &'s Case,
    /// The clients' gradients: as many clients and elements as the case has.
    pub source: &'s dyn Source,
    /// The platform: its memory rule and its speed.
    pub platform: &'s Functions,
    /// The store.
    pub bucket: &'s dyn Bucket,
    /// The functions, which find the same store.
    pub processes: &'s Processes,
    /// Limit on the memory of a sum and of its write, bytes; None: as much as is predicted.
    pub memory_bytes: Option<u64>,
    /// How the kernel enforces it.
    pub limit_by: LimitBy,
    /// The parts of the platform's time that requests, sums and levels keep to.
    pub pace: &'s KeptTime,
}

/// A round that was carried out, and verified.
#[derive(Clone, Debug)]
pub struct CarriedRound {
    /// The functions in the order of their levels.
    pub functions: Vec<Called>,
    /// Time from the first invocation to the last object, seconds.
    pub latency_s: f64,
    /// Number of write requests of the clients.
    pub client_puts: u64,
    /// Number of read requests of the clients.
    pub client_gets: u64,
    /// Greatest memory of a sum that a function was allowed, bytes.
    pub allowed_bytes: u64,
    /// The comparison of the result with the flat server.
    pub verification: Verification,
}

impl Setting<'_> {
    /// Carries the round out.
    ///
    /// # Errors
    /// [`RoundError`]. A round without an error has the right result: every bit of the flat server's where the plan sums in
    /// its order, else elements within what rounding explains.
    pub fn carry_out(&self) -> Result<CarriedRound, RoundError> {
        let Setting { case, source, .. } = *self;
        let aggregators = aggregators(case)?;
        let reads = reads(&aggregators, case.dtype, |aggregator| self.piece(aggregator));
        let clients = Metered::new(self.bucket);
        let mut sums = self.write_gradients(&aggregators, &reads, &clients)?;
        let mut functions = Vec::new();
        let (mut latency_s, mut allowed_bytes) = (0.0, 0);
        for level in aggregators.iter().map(|aggregator| aggregator.level).collect::<BTreeSet<u32>>() {
            let of_level: Vec<&Aggregator> = aggregators.iter().filter(|one| one.level == level).collect();
            let invocations: Vec<Invocation> = of_level.iter().map(|one| self.invocation(one, &reads, &sums)).collect();
            allowed_bytes = invocations.iter().filter_map(|one| one.memory_bytes).fold(allowed_bytes, u64::max);
            let begin = Instant::now();
            lasting(
                if self.pace.keeps(PlatformPart::Delay) { self.platform.speed.dispatch_s.get() } else { 0.0 },
                || {},
            );
            let called = self.processes.call_all(&invocations)?;
            latency_s += begin.elapsed().as_secs_f64();
            for (invocation, called) in invocations.iter().zip(&called) {
                sums.insert(&invocation.object, &invocation.checked, called.account.sha256.clone());
            }
            functions.extend(called);
        }
        let verification = with_element!(case.dtype, E => self.read_result::<E>(&aggregators, &sums, &clients))?;
        let flat = {
            let planned = case.on_functions()?;
            family::sums_flat(planned.plan.as_ref(), &planned.problem)
        };
        judge(&verification, source.elements(), flat).map_err(RoundError::Wrong)?;
        let (client_gets, client_puts) = clients.requests();
        Ok(CarriedRound { functions, latency_s, client_puts, client_gets, allowed_bytes, verification })
    }

    /// Returns the greatest number of elements that an aggregator holds at a time.
    fn piece(&self, aggregator: &Aggregator) -> u64 {
        self.case.flow.pieces(self.case.dtype).piece(aggregator.range.len())
    }

    /// Writes every client's objects. Returns the checksums of the ranges that are read of them.
    fn write_gradients(
        &self,
        aggregators: &[Aggregator],
        reads: &BTreeMap<ObjectName, Vec<Range>>,
        clients: &Metered<'_>,
    ) -> Result<Checksums, RoundError> {
        let mut objects = BTreeMap::new();
        for input in aggregators.iter().flat_map(|aggregator| &aggregator.inputs) {
            if let Some(client) = input.client {
                objects.insert(&input.object, (client, input.holds));
            }
        }
        let mut sums = Checksums::default();
        let mut bytes = Vec::new();
        for (object, (client, elements)) in objects {
            bytes.resize(elements.len() as usize * self.case.dtype.size(), 0);
            self.source.read_bytes(client as usize, elements, self.case.dtype, &mut bytes)?;
            let ranges = reads.get(object).map_or(&[][..], Vec::as_slice);
            let mut of_ranges = RangeSums::new(ranges);
            of_ranges.add(&bytes);
            sums.insert(object, ranges, of_ranges.finish());
            clients.put(object, &bytes)?;
        }
        Ok(sums)
    }

    fn invocation(
        &self,
        aggregator: &Aggregator,
        reads: &BTreeMap<ObjectName, Vec<Range>>,
        sums: &Checksums,
    ) -> Invocation {
        let Setting { case, source, platform, .. } = *self;
        let piece = self.piece(aggregator);
        let weights = source.weights();
        let inputs = aggregator.inputs.iter().map(|input| {
            let bytes = |elements| input.bytes_of(elements, case.dtype);
            InputObject {
                object: input.object.clone(),
                from: bytes(aggregator.range).start,
                weight: input.client.and_then(|client| weights.get(client as usize).copied()),
                sha256: aggregator.pieces(piece).map(|elements| sums.of(&input.object, bytes(elements))).collect(),
            }
        });
        let size = if aggregator.is_result { case.dtype.size() } else { case.dtype.accumulator_size() };
        let predicted = running_sum_bytes(piece, case.dtype)
            + self.bucket.memory_of_write(piece * size as u64, aggregator.range.len() * size as u64);
        let tempo = case.workload().map(|work| Tempo::of(platform, platform.memory_mib(&work), self.pace));
        Invocation {
            object: aggregator.object.clone(),
            dtype: case.dtype,
            elements: aggregator.range.len(),
            piece,
            divisor: aggregator.is_result.then(|| weights.iter().sum()),
            inputs: inputs.collect(),
            checked: reads.get(&aggregator.object).cloned().unwrap_or_default(),
            memory_bytes: Some(self.memory_bytes.unwrap_or(predicted)),
            limit_by: self.limit_by,
            tempo: tempo.ok(),
        }
    }

    /// Lets every client read the result, and compares that of the first with the flat server's.
    fn read_result<E: Element>(
        &self,
        aggregators: &[Aggregator],
        sums: &Checksums,
        clients: &Metered<'_>,
    ) -> Result<Verification, RoundError> {
        let weights = self.source.weights();
        let problem = Problem { weights: weights.into(), ..Problem::unweighted(self.source.elements(), 0, 1) };
        let mut found = Vec::new();
        for aggregator in aggregators.iter().filter(|aggregator| aggregator.is_result) {
            let mut elements = vec![E::from_f64(0.0); aggregator.range.len() as usize];
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut elements);
            let expected = sums.of(&aggregator.object, Range::new(0, bytes.len() as u64));
            for _ in weights {
                clients.get(&aggregator.object, 0, bytes)?;
                if sha256(bytes) != expected {
                    return Err(RoundError::Damaged(aggregator.object.clone()));
                }
            }
            found.push(verify::<E>(&problem, self.source, &[(aggregator.range, &elements)])?);
        }
        Ok(Verification::of_all(found))
    }
}
