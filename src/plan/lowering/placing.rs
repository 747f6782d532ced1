//! The places of a rank's sums and finished ranges in its memory, and which of them lie side by side.

use std::collections::HashMap;

use crate::plan::Terms;

use super::{Hold, InSegment, Lowering, Origin, OutSegment, Taker};

/// Sums begin at cache lines, but for those that leave in one message, which lie side by side.
const LINE: u64 = 64;

/// Gives sums their places: at cache lines, or in a plan in rounds side by side in the order in which they leave.
pub fn place_sums(lowering: &mut Lowering, terms: &Terms, leaves: Option<&Vec<(usize, u32, u64)>>) {
    let mut order: Vec<usize> = (0..lowering.sums.len()).collect();
    if let Some(leaves) = leaves {
        order.sort_by_key(|task| leaves[*task]);
    }
    let line = if leaves.is_some() { 1 } else { LINE };
    let (mut shared, mut private) = (0, 0);
    for index in order {
        let task = &mut lowering.sums[index];
        let at = if task.exported { &mut shared } else { &mut private };
        task.hold_at = u64::next_multiple_of(*at, line);
        *at = task.hold_at + task.hold_bytes(terms);
    }
    lowering.shared_hold_bytes = shared;
    lowering.private_hold_bytes = private;
}

/// Lays finished ranges out in the order of their elements.
pub fn place_result(lowering: &mut Lowering) {
    let sums = lowering.sums.iter_mut().filter(|task| task.hold == Hold::Result);
    let copies = lowering.copies.iter_mut().map(|copy| (copy.range, &mut copy.result_at));
    let mut all: Vec<_> = sums.map(|task| (task.range, &mut task.result_at)).chain(copies).collect();
    all.sort_by_key(|(range, _)| (range.start, range.end));
    let mut at = 0;
    for (range, result_at) in all {
        *result_at = at;
        at += range.len();
    }
    lowering.result_elements = at;
}

/// The memory that a task's elements are in.
#[derive(Clone, Copy, PartialEq)]
enum Area {
    Result,
    Shared,
    Private,
}

/// The addresses of a rank's sums and finished ranges, by task.
pub struct Addresses {
    /// The memory of each task and its place there, bytes.
    of_tasks: HashMap<usize, (Area, u64)>,
    rank: usize,
    /// Bytes of an element.
    size: u64,
    /// Bytes of an element of a partial sum.
    wide: u64,
}

impl Addresses {
    pub fn new(lowering: &Lowering, rank: usize, terms: &Terms) -> Self {
        let size = terms.dtype.size() as u64;
        let sums = lowering.sums.iter().map(|task| {
            let address = match task.hold {
                Hold::Result => (Area::Result, task.result_at * size),
                _ if task.exported => (Area::Shared, task.hold_at),
                _ => (Area::Private, task.hold_at),
            };
            (task.number, address)
        });
        let copies = lowering.copies.iter().map(|copy| (copy.number, (Area::Result, copy.result_at * size)));
        let wide = terms.dtype.accumulator_size() as u64;
        Addresses { of_tasks: sums.chain(copies).collect(), rank, size, wide }
    }

    /// True if the second of two segments that leave lies in memory straight after the first.
    pub fn side_by_side(&self, one: &OutSegment, two: &OutSegment) -> bool {
        match (one.origin, two.origin) {
            (Origin::Gradient { client }, Origin::Gradient { client: other }) => {
                client == other && one.range.end == two.range.start
            }
            _ => self.address(one).zip(self.address(two)).is_some_and(|((area, at), (other, next))| {
                area == other && at + one.range.len() * self.width(one) == next
            }),
        }
    }

    /// True if the second of two copies that arrive is kept straight after the first.
    pub fn kept_together(&self, one: &InSegment, two: &InSegment) -> bool {
        match (one.target, two.target) {
            (Taker::Copy { number }, Taker::Copy { number: next }) => self
                .of_tasks
                .get(&number)
                .zip(self.of_tasks.get(&next))
                .is_some_and(|((_, at), (_, next))| at + one.range.len() * self.size == *next),
            _ => false,
        }
    }

    fn address(&self, segment: &OutSegment) -> Option<(Area, u64)> {
        match segment.origin {
            Origin::Task { task, start, ring: None } if task.rank == self.rank => {
                let (area, at) = *self.of_tasks.get(&task.number)?;
                Some((area, at + (segment.range.start - start) * self.width(segment)))
            }
            _ => None,
        }
    }

    fn width(&self, segment: &OutSegment) -> u64 {
        if segment.wide { self.wide } else { self.size }
    }
}
