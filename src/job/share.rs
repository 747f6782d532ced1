//! Computes how far a cell is from the machine's limit, for columns of the result file.

use crate::experiment::Comparison;
use crate::job::setup::terms_of;
use crate::job::{JobError, Prepared};
use crate::results::row::CellRow;
use crate::roofline::MachineLimits;
use crate::roofline::share::least;

/// Fills in the least bytes, the limiting part, the least time, and its ratio to the median. A cell without a plan or a
/// measured limit stays without them.
pub fn fill(
    row: &mut CellRow,
    prepared: &Prepared,
    comparison: &Comparison,
    node_of: &[usize],
    limits: &MachineLimits,
) -> Result<(), JobError> {
    let Some(cell) = comparison.cells.iter().find(|cell| cell.index == row.cell) else { return Ok(()) };
    let strategy = prepared.strategy(&cell.strategy)?;
    let Ok(layout) = prepared.layout(comparison, node_of) else { return Ok(()) };
    // Weights do not change the number of bytes.
    let problem = prepared.unweighted(comparison, cell);
    let Ok(plan) = strategy.plan(&problem, &layout) else { return Ok(()) };
    let terms = terms_of(comparison, cell, strategy, layout.nodes());
    if let Some(limit) = least(plan.as_ref(), &problem, &layout, &terms).limit(limits) {
        row.limit_bytes = limit.bytes;
        row.limit_part = Some(limit.part);
        row.limit_seconds = Some(limit.seconds);
        row.share_of_limit = row.median_s.filter(|median| *median > 0.0).map(|median| limit.seconds / median);
    }
    Ok(())
}
