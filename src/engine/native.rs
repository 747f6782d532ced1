//! The end of a native strategy's round: one collective of the MPI library over the local sums, then the division.

use crate::engine::kernels::{self, Start, Store, Term};
use crate::engine::ledger::{Ledger, Purpose};
use crate::engine::round::{EngineError, Spec};
use crate::engine::transport::Transport;
use crate::engine::{Buffer, OutOfMemory};
use crate::gradient::{Accumulator, Element, Range};
use crate::plan::{Collective, Phase};

pub(super) struct NativeEnd<E: Element> {
    collective: Collective,
    elements: u64,
    held: u64,
    /// One list of counts a call: one call, or as many as a gradient beyond C's int needs.
    calls: Vec<Vec<i32>>,
    out: *mut E,
    /// Where the sum arrives before it is narrowed; None where the result's own type is wide enough.
    wide: Option<Buffer>,
    /// What a collective of two calls has between them, in the type of the sum.
    between: Option<Buffer>,
    /// Offset and number of each rank's elements in the second of two calls.
    parts: Vec<(u64, u64)>,
    divisor: E::Acc,
    rank: usize,
    /// Where every rank receives the whole result in the second phase.
    spread: Option<Buffer>,
    ranges: Vec<Range>,
}

impl<E: Element> NativeEnd<E> {
    /// `out` has room for this rank's range of the result.
    pub fn prepare(
        collective: Collective,
        spec: &Spec<'_>,
        out: *mut E,
        ledger: &Ledger,
        transport: &mut dyn Transport,
    ) -> Result<Self, EngineError> {
        let rank = transport.rank();
        let Some(library) = transport.collectives() else {
            return Err(EngineError::Unsupported(format!("{} needs MPI: run under mpirun or srun", collective.name())));
        };
        let most = library.most_elements();
        let ranges: Vec<Range> = (0..spec.layout.ranks()).map(|r| spec.plan.collective_range(r)).collect();
        let held = ranges[rank].len();
        let too_long = || {
            let (name, elements) = (collective.name(), spec.problem.elements);
            EngineError::Unsupported(format!("{name} counts elements in C ints: {elements} elements are beyond it"))
        };
        let ranks = ranges.len();
        let between_of = |rank: usize| collective.between(spec.problem.elements, ranks, rank);
        let parts: Vec<Range> = match collective {
            Collective::ReduceThenScatter { .. } => ranges.clone(),
            _ => (0..ranks).map(between_of).collect(),
        };
        let calls = match collective {
            Collective::Reduce { .. } | Collective::Allreduce { .. } => Vec::new(),
            // The second call counts all elements in ints, wherever it cuts them.
            Collective::ReduceThenScatter { .. }
            | Collective::ReduceScatterThenGather { .. }
            | Collective::ReduceScatterThenAllgather { .. }
                if spec.problem.elements > most =>
            {
                return Err(too_long());
            }
            Collective::ReduceThenScatter { .. } => Vec::new(),
            Collective::ReduceScatterThenGather { .. } | Collective::ReduceScatterThenAllgather { .. } => {
                counts(&parts, most).ok_or_else(too_long)?
            }
            Collective::ReduceScatter => counts(&ranges, most).ok_or_else(too_long)?,
            // One call: each rank's request covers its whole range, a block cannot be cut.
            Collective::IreduceScatter | Collective::ReduceScatterBlock { .. } => {
                let padded = collective.input_elements(spec.problem.elements, ranges.len());
                if padded > most {
                    return Err(too_long());
                }
                counts(&ranges, most).ok_or_else(too_long)?
            }
        };
        let narrow = size_of::<E>() < size_of::<E::Acc>();
        let out_elements = collective.output_elements(spec.problem.elements, held);
        let wide_bytes = out_elements as usize * size_of::<E::Acc>();
        let wide = narrow.then(|| Buffer::entered(wide_bytes, ledger, Purpose::Accumulators));
        let wide = wide.transpose().map_err(|error: OutOfMemory| EngineError::Memory(error))?;
        let between = match between_of(rank).len() as usize {
            0 => None,
            elements => {
                let bytes = elements * size_of::<E::Acc>();
                Some(Buffer::entered(bytes, ledger, Purpose::Accumulators).map_err(EngineError::Memory)?)
            }
        };
        let parts = parts.into_iter().map(|part| (part.start, part.len())).collect();
        let spread = match spec.terms.phase {
            Phase::Aggregate => None,
            Phase::Round => match collective.spread_elements(spec.problem.elements, ranges.len()) {
                0 => None,
                elements => Some(Buffer::entered(elements as usize * size_of::<E>(), ledger, Purpose::Result)?),
            },
        };
        Ok(NativeEnd {
            collective,
            elements: spec.problem.elements,
            held,
            calls,
            out,
            wide,
            between,
            parts,
            divisor: E::Acc::from_f64(spec.problem.total_weight()),
            rank,
            spread,
            ranges,
        })
    }

    /// `input` is this rank's local sum over the whole gradient.
    pub fn run(&mut self, input: *const E::Acc, transport: &mut dyn Transport) -> Result<(), EngineError> {
        let received: *mut E::Acc = match &self.wide {
            Some(buffer) => buffer.as_ptr().cast(),
            None => self.out.cast(),
        };
        let dtype = <E::Acc as Accumulator>::DTYPE;
        let between: *mut E::Acc = self.between.as_ref().map_or(std::ptr::null_mut(), |buffer| buffer.as_ptr().cast());
        let Some(library) = transport.collectives() else {
            return Err(EngineError::Unsupported(format!("{} needs MPI", self.collective.name())));
        };
        // SAFETY: the local sum has all elements, the result this rank's range; every rank has the same counts.
        unsafe {
            match self.collective {
                Collective::Reduce { root } => {
                    library.reduce(dtype, input.cast(), received.cast(), self.elements, root)?;
                }
                Collective::Allreduce { .. } => {
                    library.allreduce(dtype, input.cast(), received.cast(), self.elements)?;
                }
                Collective::ReduceScatterBlock { block } => {
                    library.reduce_scatter_block(dtype, input.cast(), received.cast(), block)?;
                }
                Collective::IreduceScatter => {
                    library.ireduce_scatter(dtype, input.cast(), received.cast(), &self.calls[0])?;
                }
                Collective::ReduceThenScatter { root } => {
                    library.reduce(dtype, input.cast(), between.cast(), self.elements, root)?;
                    library.scatter(dtype, root, between.cast_const().cast(), received.cast(), &self.parts)?;
                }
                Collective::ReduceScatterThenGather { root } => {
                    library.reduce_scatter(dtype, input.cast(), between.cast(), &self.calls[0])?;
                    let root = Some(root);
                    library.gather_parts(dtype, root, between.cast_const().cast(), received.cast(), &self.parts)?;
                }
                Collective::ReduceScatterThenAllgather { .. } => {
                    library.reduce_scatter(dtype, input.cast(), between.cast(), &self.calls[0])?;
                    library.gather_parts(dtype, None, between.cast_const().cast(), received.cast(), &self.parts)?;
                }
                Collective::ReduceScatter => {
                    let (mut from, mut to) = (0usize, 0usize);
                    for counts in &self.calls {
                        let (send, receive) = (input.wrapping_add(from), received.wrapping_add(to));
                        library.reduce_scatter(dtype, send.cast(), receive.cast(), counts)?;
                        from += counts.iter().map(|count| *count as usize).sum::<usize>();
                        to += counts[self.rank] as usize;
                    }
                }
            }
            // Every rank that has the whole result divides its own copy.
            let whole = self.collective.leaves_whole_result_everywhere();
            let finished = if whole { self.elements } else { self.held };
            if finished > 0 {
                let sum = [Term::Partial(received.cast_const())];
                kernels::accumulate_and_finish(
                    Start::Fresh,
                    std::ptr::null(),
                    &sum,
                    self.out,
                    self.divisor,
                    finished as usize,
                    Store::Cached,
                );
            }
        }
        self.run_second_phase(transport)
    }

    /// MPI_Allgatherv of the ranges, or MPI_Bcast of the whole result.
    fn run_second_phase(&mut self, transport: &mut dyn Transport) -> Result<(), EngineError> {
        let Some(spread) = &self.spread else { return Ok(()) };
        let Some(library) = transport.collectives() else { return Ok(()) };
        let size = size_of::<E>() as u64;
        match self.collective {
            Collective::Reduce { root } | Collective::ReduceScatterThenGather { root } => {
                if self.rank == root {
                    // SAFETY: the root's result has all elements, the copy as much room; they do not overlap.
                    unsafe {
                        std::ptr::copy_nonoverlapping(self.out, spread.as_ptr().cast::<E>(), self.elements as usize);
                    }
                }
                // SAFETY: every rank has room for the whole result.
                unsafe { library.broadcast_from(root, spread.as_ptr(), self.elements * size)? };
            }
            Collective::Allreduce { .. } | Collective::ReduceScatterThenAllgather { .. } => {}
            Collective::ReduceScatter
            | Collective::IreduceScatter
            | Collective::ReduceScatterBlock { .. }
            | Collective::ReduceThenScatter { .. } => {
                let parts: Vec<(u64, u64)> =
                    self.ranges.iter().map(|range| (range.start * size, range.len() * size)).collect();
                // SAFETY: this rank's range is `held` elements, and every rank has room for the whole result.
                unsafe { library.allgather(self.out.cast_const().cast(), spread.as_ptr(), &parts)? };
            }
        }
        Ok(())
    }

    /// The whole result as this rank received it in the second phase.
    pub fn spread(&self) -> Option<(Range, *const E)> {
        let whole = Range::new(0, self.elements);
        match (self.collective, &self.spread) {
            // It left the whole result on every rank.
            (collective, _) if collective.leaves_whole_result_everywhere() => Some((whole, self.out.cast_const())),
            (_, Some(spread)) => Some((whole, spread.as_ptr().cast_const().cast())),
            (_, None) => None,
        }
    }
}

/// The counts of each call. Ranges follow each other in rank order, so a call that covers a run of elements gives each
/// rank the part of its range that lies in the run: a gradient longer than `most` needs several calls, and the input
/// of each is contiguous. None if a rank's count would still be beyond a C int.
fn counts(ranges: &[Range], most: u64) -> Option<Vec<Vec<i32>>> {
    let elements = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let most = most.clamp(1, i32::MAX as u64);
    let calls = elements.div_ceil(most).max(1);
    (0..calls)
        .map(|call| {
            let run = Range::new(call * most, ((call + 1) * most).min(elements));
            ranges.iter().map(|range| i32::try_from(range.intersect(run).len()).ok()).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_where_it_fits() {
        let ranges = [Range::new(0, 3), Range::new(0, 0), Range::new(3, 7)];
        assert_eq!(counts(&ranges, 100), Some(vec![vec![3, 0, 4]]));
    }

    #[test]
    fn long_gradients_take_several_calls_in_element_order() {
        let ranges = [Range::new(0, 5), Range::new(5, 8)];
        assert_eq!(counts(&ranges, 3), Some(vec![vec![3, 0], vec![2, 1], vec![0, 2]]));
    }

    #[test]
    fn an_empty_gradient_is_one_empty_call() {
        assert_eq!(counts(&[Range::new(0, 0); 2], 10), Some(vec![vec![0, 0]]));
    }
}
