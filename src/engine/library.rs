//! The MPI library's part of a round: its calls in order, applied to the local sums, and the division.

use crate::engine::kernels::{self, Store, Target, Term};
use crate::engine::ledger::{Ledger, Purpose};
use crate::engine::transport::{CollectiveCall, Collectives, Transport};
use crate::engine::{Buffer, EngineError};
use crate::gradient::{Dtype, Element, Range};
use crate::plan::dealt::Dealt;
use crate::plan::lowering::LibraryCall;
use crate::plan::{Algorithm, Call, Form, LibraryName, Problem, call};

/// One call with its output buffers.
struct Stage {
    call: Call,
    cut: CallCut,
    ranges: Vec<Range>,
    /// The output in the accumulation type, before the division or where elements are narrower.
    wide: Option<Buffer>,
    /// The output in the type of the gradients, from the division on.
    narrow: Option<Buffer>,
    divides: bool,
}

/// How the gradient is given to a call of MPI.
enum CallCut {
    /// At once. The transport divides it if it is too long for C's int.
    Whole,
    /// In runs of this many elements that lie together.
    Runs(u64),
    /// In runs with these counts for each rank, as the gradient is too long for C's int.
    Counts(Vec<Vec<i32>>),
    /// In pieces of every rank's range, which are packed one after another.
    Dealt {
        dealt: Dealt,
        /// Counts for each rank, by piece.
        counts: Vec<Vec<i32>>,
        /// Room for the pieces under way, used in turn.
        packed: Vec<Buffer>,
    },
}

impl Stage {
    /// Room for packed pieces.
    fn packed(&self) -> &[Buffer] {
        match &self.cut {
            CallCut::Dealt { packed, .. } => packed,
            _ => &[],
        }
    }
}

pub(super) struct LibraryCalls<E: Element> {
    stages: Vec<Stage>,
    divisor: E::Acc,
    algorithm: Algorithm,
    component: LibraryName,
    rank: usize,
    elements: u64,
    element: std::marker::PhantomData<E>,
}

impl<E: Element> LibraryCalls<E> {
    /// The output buffers.
    pub fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        self.stages.iter().flat_map(|stage| stage.wide.iter().chain(&stage.narrow).chain(stage.packed()))
    }

    /// Allocates the outputs of `calls`.
    ///
    /// # Errors
    /// If the transport has no MPI library, a call cannot count the elements, or there is no memory.
    pub fn prepare(
        calls: Vec<LibraryCall>,
        problem: &Problem,
        ledger: &Ledger,
        transport: &mut dyn Transport,
    ) -> Result<Self, EngineError> {
        let (rank, elements) = (transport.rank(), problem.elements);
        let Form { algorithm, component, .. } = problem.form;
        let names = call::names(&calls.iter().map(|call| call.call).collect::<Vec<_>>());
        let Some(library) = transport.collectives() else {
            return Err(EngineError::Unsupported(format!("{names} needs MPI: run under mpirun or srun")));
        };
        library.prefer(component)?;
        let most = library.most_elements();
        let too_long = || {
            EngineError::Unsupported(format!("{names} counts elements in C ints: {elements} elements are beyond it"))
        };
        let divides = calls.iter().position(|call| call.divides).unwrap_or(0);
        let mut stages = Vec::with_capacity(calls.len());
        for (number, library_call) in calls.into_iter().enumerate() {
            let dealt = library_call.dealt();
            let LibraryCall { call, ranges, piece, .. } = library_call;
            let one_call = match call {
                // The transport divides these calls into blocks.
                Call::Reduce { .. } | Call::Allreduce | Call::Broadcast { .. } => false,
                Call::ReduceScatter | Call::Allgather => false,
                _ => true,
            };
            if call.reduces() {
                library.choose(call, algorithm)?;
            }
            if one_call && call.input_elements(elements, ranges.len()) > most {
                return Err(too_long());
            }
            let cut = match (call, dealt, piece) {
                (_, Some(dealt), _) => in_pieces(dealt, call, size_of::<E::Acc>(), ledger)?,
                (Call::ReduceScatter | Call::IreduceScatter, ..) => {
                    CallCut::Counts(counts(&ranges, most).ok_or_else(too_long)?)
                }
                (_, _, Some(piece)) => CallCut::Runs(piece),
                _ => CallCut::Whole,
            };
            let room = call.output_elements(ranges[rank].len()) as usize;
            let same = size_of::<E>() == size_of::<E::Acc>();
            let buffer = |size: usize, purpose| Buffer::entered(room * size, ledger, purpose);
            let wide = number < divides || (number == divides && !same);
            let wide = wide.then(|| buffer(size_of::<E::Acc>(), Purpose::Accumulators)).transpose()?;
            let narrow = (number >= divides).then(|| buffer(size_of::<E>(), Purpose::Result)).transpose()?;
            stages.push(Stage { call, cut, ranges, wide, narrow, divides: number == divides });
        }
        Ok(LibraryCalls {
            stages,
            divisor: E::Acc::from_f64(problem.total_weight()),
            algorithm,
            component,
            rank,
            elements,
            element: std::marker::PhantomData,
        })
    }

    /// Makes the calls. `input` is this rank's local sum over the whole gradient.
    pub fn run(&mut self, input: *const E::Acc, transport: &mut dyn Transport) -> Result<(), EngineError> {
        let Some(library) = transport.collectives() else {
            return Err(EngineError::Unsupported("the library's collectives need MPI".to_owned()));
        };
        let mut from: *const u8 = input.cast();
        let mut held: Vec<Range> = vec![Range::new(0, self.elements); self.stages[0].ranges.len()];
        for stage in &self.stages {
            let finished_before = stage.wide.is_none() && !stage.divides;
            let dtype = if finished_before { E::DTYPE } else { E::Acc::DTYPE };
            let output = stage.wide.as_ref().or(stage.narrow.as_ref()).map_or(std::ptr::null_mut(), Buffer::as_ptr);
            // SAFETY: the input holds the previous stage's output on this rank, the output has room for this stage's,
            // and all ranks have the same ranges.
            unsafe { self.call(library, stage, (dtype, &held), from, output)? };
            if stage.divides {
                self.divide(stage, output);
            }
            from = stage
                .narrow
                .as_ref()
                .or(stage.wide.as_ref())
                .map_or(std::ptr::null(), |buffer| buffer.as_ptr().cast_const());
            held.clone_from(&stage.ranges);
        }
        Ok(())
    }

    /// # Safety
    /// `send` holds this rank's elements of `held`, and `receive` has room for those of the stage. They do not overlap.
    unsafe fn call(
        &self,
        library: &mut dyn Collectives,
        stage: &Stage,
        (dtype, held): (Dtype, &[Range]),
        send: *const u8,
        receive: *mut u8,
    ) -> Result<(), EngineError> {
        let ranges = if matches!(stage.call, Call::Scatter { .. }) { &stage.ranges } else { held };
        let parts: Vec<_> = ranges.iter().map(|range| (range.start, range.len())).collect();
        let elements = self.elements;
        let algorithm = if stage.call.reduces() { self.algorithm } else { Algorithm::default() };
        let mut call = CollectiveCall {
            call: stage.call,
            algorithm,
            component: self.component,
            dtype,
            send,
            receive,
            elements,
            parts: &parts,
            counts: &[],
        };
        // SAFETY: as for this function. A broadcast's output holds the whole gradient, as its input does on the root.
        unsafe {
            if stage.call == (Call::Broadcast { root: self.rank }) {
                std::ptr::copy_nonoverlapping(send, receive, elements as usize * dtype.size());
            }
            let behind = |start: *const u8, elements: u64| start.wrapping_add(elements as usize * dtype.size());
            match &stage.cut {
                CallCut::Whole => library.call(&call)?,
                CallCut::Runs(piece) => {
                    for at in (0..elements).step_by(*piece as usize) {
                        let (send, receive) = (behind(send, at), behind(receive.cast_const(), at).cast_mut());
                        library.call(&CollectiveCall {
                            send,
                            receive,
                            elements: (elements - at).min(*piece),
                            ..call
                        })?;
                    }
                }
                CallCut::Counts(runs) => {
                    for counts in runs {
                        library.call(&CollectiveCall { counts, ..call })?;
                        call.send = behind(call.send, counts.iter().sum::<i32>() as u64);
                        call.receive = behind(call.receive.cast_const(), counts[self.rank] as u64).cast_mut();
                    }
                }
                CallCut::Dealt { dealt, counts, packed } => self.deal(library, call, (dealt, counts, packed))?,
            }
        }
        Ok(())
    }

    /// Makes a reduce-scatter piece by piece. The next piece is packed while the ones before it are under way.
    ///
    /// # Safety
    /// As for [`Collectives::call`], for the whole gradient.
    unsafe fn deal(
        &self,
        library: &mut dyn Collectives,
        mut call: CollectiveCall<'_>,
        (dealt, counts, packed): (&Dealt, &[Vec<i32>], &[Buffer]),
    ) -> Result<(), EngineError> {
        let size = call.dtype.size();
        let whole = call.send;
        for (number, counts) in counts.iter().enumerate() {
            if number >= packed.len() {
                library.finish_oldest()?;
            }
            let room = packed[number % packed.len()].as_ptr();
            let mut end = room;
            for part in dealt.parts(number as u64) {
                let bytes = part.len() as usize * size;
                // SAFETY: the part lies within the gradient, and a buffer has room for the parts of the longest piece. The
                // piece that it held before is done.
                unsafe { std::ptr::copy_nonoverlapping(whole.add(part.start as usize * size), end, bytes) };
                end = end.wrapping_add(bytes);
            }
            // SAFETY: the buffer and the output stay as they are until the piece is done.
            unsafe { library.start(&CollectiveCall { send: room, counts, ..call })? };
            call.receive = call.receive.wrapping_add(counts[self.rank] as usize * size);
        }
        for _ in 0..packed.len().min(counts.len()) {
            library.finish_oldest()?;
        }
        Ok(())
    }

    /// Divides the sums that this rank holds after `stage`.
    fn divide(&self, stage: &Stage, sums: *mut u8) {
        let length = stage.ranges[self.rank].len() as usize;
        let Some(out) = stage.narrow.as_ref().filter(|_| length > 0) else { return };
        let terms = [Term::<E>::Partial(sums.cast_const().cast())];
        // SAFETY: both buffers have room for the rank's range. If they are the same, each element is read before it is
        // written.
        unsafe {
            let target = Target::Finished { out: out.as_ptr().cast(), divisor: self.divisor };
            kernels::form(None, &terms, target, length, Store::Cached);
        }
    }

    fn output(&self, stage: &Stage) -> Option<(Range, *const E)> {
        let range = stage.ranges[self.rank];
        stage.narrow.as_ref().map(|buffer| (range, buffer.as_ptr().cast_const().cast()))
    }

    /// Returns the finished elements that this rank represents; over all ranks each element occurs once.
    pub fn answers(&self) -> Option<(Range, *const E)> {
        let stage = self.stages.iter().find(|stage| stage.divides)?;
        let everywhere = stage.call == Call::Allreduce;
        self.output(stage).filter(|_| !everywhere || self.rank == 0)
    }

    /// Returns the finished elements on this rank after the last call.
    pub fn kept(&self) -> Option<(Range, *const E)> {
        self.output(self.stages.last()?)
    }
}

/// The pieces of a reduce-scatter with room for those under way. Sums have `size` bytes.
fn in_pieces(dealt: Dealt, call: Call, size: usize, ledger: &Ledger) -> Result<CallCut, EngineError> {
    let too_long = |_| EngineError::Unsupported("a piece has more elements than a C int counts".to_owned());
    let of_piece = |number| dealt.parts(number).map(|part| i32::try_from(part.len())).collect::<Result<Vec<i32>, _>>();
    let counts = (0..dealt.pieces()).map(of_piece).collect::<Result<Vec<_>, _>>().map_err(too_long)?;
    let room = dealt.longest() as usize * size;
    let slots = call.in_flight().min(dealt.pieces());
    let packed = (0..slots).map(|_| Buffer::entered(room, ledger, Purpose::Staging)).collect::<Result<_, _>>()?;
    Ok(CallCut::Dealt { dealt, counts, packed })
}

/// Computes the counts of each call. A gradient longer than `most` needs several calls, each over contiguous elements.
/// Since ranges follow each other in rank order, a rank's count is the part of its range in the call's elements. None
/// if a count exceeds a C int.
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
