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

impl Spec<'_> {
    /// Generates elements `range` of a streamed gradient into `out`, which must have room and no other user. Returns
    /// the seconds taken and, on failure, the reason. The elements are then NaN, so that no sum of them passes for a
    /// result.
    pub(super) fn produce<E: Element>(&self, client: u64, range: Range, out: *mut E) -> (f64, Option<String>) {
        let begun = std::time::Instant::now();
        // SAFETY: the caller's buffer has room for the range and is not used by anyone else.
        let out = unsafe { std::slice::from_raw_parts_mut(out, range.len() as usize) };
        let problem = source::read(self.source, client as usize, range, out).err().map(|error| {
            out.fill(E::from_f64(f64::NAN));
            error.to_string()
        });
        (begun.elapsed().as_secs_f64(), problem)
    }
}
