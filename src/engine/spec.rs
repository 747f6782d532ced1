//! The order to carry a plan out.

use crate::gradient::{Element, Range, Source, source};
use crate::plan::{Layout, Plan, Problem, Terms};

/// A plan with everything that carrying it out needs.
#[derive(Clone, Copy)]
pub struct Spec<'a> {
    /// Who sums what, where. Must have passed the check.
    pub plan: &'a dyn Plan,
    /// The problem that it solves.
    pub problem: &'a Problem,
    /// Who hosts what.
    pub layout: &'a Layout,
    /// Flow, order and the rest.
    pub terms: Terms,
    /// Where streamed gradients come from.
    pub source: &'a dyn Source,
}

impl Spec<'_> {
    /// Produces elements of a streamed gradient into `out`, which must have room for `range` and be used by nobody else.
    /// Yields the seconds that it took and, where it failed, the reason. The elements are then not a number, so that no
    /// sum that they enter can pass for a result.
    pub(super) fn produce<E: Element>(&self, client: u64, range: Range, out: *mut E) -> (f64, Option<String>) {
        let begun = std::time::Instant::now();
        // SAFETY: the caller's buffer has room for the range, and is used by nobody else.
        let out = unsafe { std::slice::from_raw_parts_mut(out, range.len() as usize) };
        let problem = source::read(self.source, client as usize, range, out).err().map(|error| {
            out.fill(E::from_f64(f64::NAN));
            error.to_string()
        });
        (begun.elapsed().as_secs_f64(), problem)
    }
}
