//! The input of the engine.

use crate::gradient::{Element, Range, Source, source};
use crate::plan::{Layout, Plan, Problem, Terms};

/// A plan with everything needed to carry it out.
#[derive(Clone, Copy)]
pub struct Spec<'a> {
    /// The plan. It must have passed the check.
    pub plan: &'a dyn Plan,
    /// The problem that the plan solves.
    pub problem: &'a Problem,
    /// The hosts of clients and aggregators.
    pub layout: &'a Layout,
    /// Flow, order and other terms.
    pub terms: Terms,
    /// The source of streamed gradients.
    pub source: &'a dyn Source,
}

/// The cost of generating streamed gradients in one round, and the first error.
#[derive(Clone, Debug, Default)]
pub(super) struct Production {
    /// The time, s.
    pub seconds: f64,
    /// The first error. The round continues, so that no other rank waits forever.
    pub problem: Option<String>,
}

impl Production {
    /// Generates elements `range` of a streamed gradient into `out`, which must have room and no other user. On failure
    /// the elements are NaN, so that no sum of them passes for a result.
    pub fn add<E: Element>(&mut self, spec: &Spec<'_>, client: u64, range: Range, out: *mut E) {
        let begun = std::time::Instant::now();
        // SAFETY: the caller's buffer has room for the range and is not used by anyone else.
        let out = unsafe { std::slice::from_raw_parts_mut(out, range.len() as usize) };
        if let Err(error) = source::read(spec.source, client as usize, range, out) {
            out.fill(E::from_f64(f64::NAN));
            self.problem.get_or_insert(error.to_string());
        }
        self.seconds += begun.elapsed().as_secs_f64();
    }
}
