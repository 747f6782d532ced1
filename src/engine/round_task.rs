//! A sum of a plan in rounds. It takes its inputs one after another, each as a whole, and keeps the complete sum.

use std::sync::atomic::Ordering;

use crate::engine::entry::Located;
use crate::engine::kernels::{self, Store, Target, Term};
use crate::engine::spec::{Production, Spec};
use crate::engine::sum_input::{SumInput, SumMemory, delivered};
use crate::engine::watchdog::awaited;
use crate::gradient::{Element, Range};
use crate::plan::Plan;
use crate::plan::lowering::{Hold, SumTask};

/// Number of elements summed at a time; in between, MPI can make progress.
const GO: u64 = 256 * 1024;

pub(super) struct RoundTask<E: Element> {
    pub task: SumTask,
    pub inputs: Vec<SumInput<E>>,
    /// Number of elements up to which each input has been summed. No input is ahead of the previous one.
    done: Vec<u64>,
    /// The sum in the accumulation type.
    acc: *mut E::Acc,
    /// The finished range; null for a partial sum.
    out: *mut E,
    located: Located,
    divisor: E::Acc,
    /// Memory for generated pieces.
    slot: *mut u8,
    terms: Vec<Term<E>>,
    pub production: Production,
}

impl<E: Element> RoundTask<E> {
    /// `inputs` are those of `task`, in order.
    pub fn new(task: SumTask, memory: SumMemory<E>, inputs: Vec<SumInput<E>>) -> Self {
        let finishes = task.hold == Hold::Result;
        let acc = match (finishes, size_of::<E>() == size_of::<E::Acc>()) {
            (false, _) => memory.hold,
            (true, true) => memory.out.cast(),
            (true, false) => memory.scratch,
        };
        RoundTask {
            done: vec![0; task.feeds.len()],
            acc,
            out: if finishes { memory.out } else { std::ptr::null_mut() },
            located: memory.located,
            divisor: E::Acc::from_f64(task.weight),
            slot: memory.slots,
            terms: Vec::with_capacity(task.feeds.len()),
            production: Production::default(),
            inputs,
            task,
        }
    }

    /// Resets the state for another round.
    pub fn reset(&mut self) {
        self.done.fill(0);
        self.production = Production::default();
        self.located.entry().produced.store(0, Ordering::Relaxed);
    }

    /// Returns true when the sum is complete.
    pub fn is_done(&self) -> bool {
        self.done.last().is_none_or(|done| *done == self.task.range.len())
    }

    /// Describes the state for the error message of a stalled round.
    pub fn waits_for(&self, plan: &dyn Plan) -> String {
        let length = self.task.range.len();
        let input = self.done.iter().position(|done| *done < length).unwrap_or(self.done.len());
        awaited(plan, &self.task, input)
    }

    /// Returns how far input `input` may be summed: up to the progress of the previous input.
    fn limit(&self, input: usize) -> u64 {
        input.checked_sub(1).map_or(self.task.range.len(), |before| self.done[before])
    }

    /// Adds `range` of input `input` from `data`, if it is the next range and the previous inputs have come as far.
    /// Gradients in memory that come just before it are added in the same pass. Returns true if it did.
    pub fn take(&mut self, input: usize, range: Range, data: *const u8) -> bool {
        let from = range.start - self.task.range.start;
        let SumInput::Delivered { weight } = self.inputs[input] else { return false };
        let in_place = self.inputs[..input].iter().zip(&self.done[..input]).rev();
        let with = in_place.take_while(|(input, done)| **done == from && is_in_place(input)).count();
        let first = input - with;
        if from != self.done[input] || from + range.len() > self.limit(first) {
            return false;
        }
        self.terms.clear();
        self.add_terms(first..input, range.start);
        self.terms.push(delivered(data, weight));
        self.add(first, input, from, range.len());
        true
    }

    /// Collects the terms of `inputs`, gradients in memory, for elements from `element` on.
    fn add_terms(&mut self, inputs: std::ops::Range<usize>, element: u64) {
        for input in &self.inputs[inputs] {
            if let SumInput::InPlace { data, weight, .. } = *input {
                self.terms.push(Term::Weighted { data: data.wrapping_add(element as usize), weight });
            }
        }
    }

    /// Returns the number of gradients in memory in a row from `input` on, of which nothing beyond `from` has been summed; and
    /// whether an input that a stream delivers comes after them, which is then added in the same pass.
    fn in_place(&self, input: usize, from: u64) -> (usize, bool) {
        let rest = self.inputs.iter().zip(&self.done).skip(input);
        let row = rest.take_while(|(input, done)| **done == from && is_in_place(input)).count();
        (row, matches!(self.inputs.get(input + row), Some(SumInput::Delivered { .. })))
    }

    /// Adds the terms of inputs `first` to `last` to `length` elements from `from` on.
    fn add(&mut self, first: usize, last: usize, from: u64, length: u64) {
        let finishes = last + 1 == self.inputs.len();
        // SAFETY: every term has `length` elements, the sum and the finished range hold the task's range, and no one
        // else writes them.
        unsafe {
            let acc = self.acc.add(from as usize);
            let target = if finishes && !self.out.is_null() {
                Target::Finished { out: self.out.add(from as usize), divisor: self.divisor }
            } else {
                Target::Partial(acc)
            };
            let lead = (first > 0).then_some(acc.cast_const());
            kernels::form(lead, &self.terms, target, length as usize, Store::Cached);
        }
        self.done[first..=last].fill(from + length);
        if finishes {
            self.located.entry().produced.store(from + length, Ordering::Release);
        }
    }

    /// Sums one stretch of the inputs that need no message. Returns true if there was any. Between stretches messages can
    /// leave.
    pub fn step(&mut self, spec: &Spec<'_>) -> bool {
        if self.is_done() {
            return false;
        }
        for input in 0..self.inputs.len() {
            let (from, limit) = (self.done[input], self.limit(input));
            let (last, length) = if from < limit { self.gather(input, from, limit, spec) } else { (input, 0) };
            if length > 0 {
                self.add(input, last, from, length);
                return true;
            }
        }
        false
    }

    /// Collects the terms for elements from `from` on: that of `input`, and those of resident inputs that follow a
    /// resident one. Returns the last of them and the number of elements.
    fn gather(&mut self, input: usize, from: u64, limit: u64, spec: &Spec<'_>) -> (usize, u64) {
        self.terms.clear();
        let element = self.task.range.start + from;
        match self.inputs[input] {
            SumInput::InPlace { .. } if !self.inputs[input].is_there() => (input, 0),
            SumInput::InPlace { .. } => {
                let (row, is_followed) = self.in_place(input, from);
                self.add_terms(input..input + row, element);
                (input + row - 1, if is_followed { 0 } else { GO.min(limit - from) })
            }
            SumInput::Produced { client, weight } => {
                let length = self.task.piece.min(limit - from);
                let slot = self.slot.cast::<E>();
                self.production.add(spec, client, Range::new(element, element + length), slot);
                self.terms.push(Term::Weighted { data: slot.cast_const(), weight });
                (input, length)
            }
            SumInput::Growing { located, start, .. } => {
                let skipped = self.task.range.start - start;
                let there = located.produced().saturating_sub(skipped).min(limit);
                let data = located.base.cast::<E::Acc>().wrapping_add((element - start) as usize);
                self.terms.push(Term::Partial(data));
                (input, there.saturating_sub(from).min(GO))
            }
            SumInput::Delivered { .. } => (input, 0),
        }
    }
}

/// True if the input is a gradient in memory that is there.
fn is_in_place<E: Element>(input: &SumInput<E>) -> bool {
    matches!(input, SumInput::InPlace { .. }) && input.is_there()
}
