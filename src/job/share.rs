//! Computes how far a cell is from the machine's limit, for columns of the result file.

use crate::experiment::Comparison;
use crate::job::setup::terms_of;
use crate::job::{JobError, Prepared};
use crate::plan::traffic::{busiest, traffic};
use crate::results::row::CellRow;
use crate::roofline::MachineLimits;
use crate::roofline::share::least;

/// Fills in the bytes that the plan moves between nodes and racks, and with measured `limits` the roofs of the problem and
/// of the strategy's own algorithm, with their ratios to the median. A cell without a plan stays without them.
pub fn fill(
    row: &mut CellRow,
    prepared: &Prepared,
    comparison: &Comparison,
    node_of: &[usize],
    limits: Option<&MachineLimits>,
) -> Result<(), JobError> {
    let Some(cell) = comparison.cells.iter().find(|cell| cell.index == row.cell) else { return Ok(()) };
    let strategy = prepared.strategy(&cell.strategy)?;
    let Ok(layout) = prepared.layout(comparison, node_of) else { return Ok(()) };
    // Weights do not change the number of bytes.
    let problem = prepared.unweighted(comparison, cell);
    let Ok(plan) = strategy.plan(&problem, &layout) else { return Ok(()) };
    let terms = terms_of(comparison, cell, strategy, layout.nodes());
    let moved = traffic(plan.as_ref(), &problem, &layout, &terms);
    let several = |places: usize| moved.as_ref().filter(|_| places > 1);
    row.wire_bytes = several(layout.nodes()).map(|moved| busiest(&moved.nodes) as f64);
    row.rack_bytes = several(layout.racks()).map(|moved| busiest(&moved.racks) as f64);
    let Some(limits) = limits else { return Ok(()) };
    let least = least(plan.as_ref(), &problem, &layout, &terms);
    let share = |seconds: f64| row.median_s.filter(|median| *median > 0.0).map(|median| seconds / median);
    if let Some(limit) = least.limit(limits) {
        row.limit_bytes = limit.bytes;
        row.limit_part = Some(limit.part);
        row.limit_seconds = Some(limit.seconds);
        row.share_of_limit = share(limit.seconds);
    }
    row.own_limit_seconds = moved.and_then(|moved| least.own_limit(&moved, &layout, limits));
    row.share_of_own_limit = row.own_limit_seconds.and_then(share);
    Ok(())
}
