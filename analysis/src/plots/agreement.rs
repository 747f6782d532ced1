//! Draws the agreement of results with the flat server.

use gradshard::results::row::CellRow;

use super::Context;
use crate::axis::{Axis, Unit};
use crate::caveat::Caveat;
use crate::figure::Figure;
use crate::number::{grouped, percent};
use crate::picture::{NamedRow, Picture};
use crate::source::Compared;
use crate::style::{BETTER, MUTED, of_strategy};

/// One bar per strategy: the share of elements that differ from the reference in any bit. None if nothing was verified.
pub fn agreement(comparison: &Compared<'_>, context: &Context) -> Option<Figure> {
    let rows: Vec<&CellRow> =
        comparison.best_of_each().into_iter().filter(|cell| cell.verification.is_some() && cell.elements > 0).collect();
    let first = rows.first()?;
    let x = Axis::linear("elements that differ from the flat server's", 0.0, 1.0, Unit::Percent);
    let mut named = Vec::new();
    let mut bars = Vec::new();
    for cell in &rows {
        let Some(found) = &cell.verification else { continue };
        let share = found.differing_elements as f64 / cell.elements as f64;
        bars.push((share, of_strategy(&cell.strategy).colour));
        let error = found.max_backward_error.map_or(String::new(), |worst| format!(", backward error ≤ {worst:.1e}"));
        let (text, colour) = match (found.wrong_elements, found.differing_elements) {
            (0, 0) => (format!("identical to the bit{error}"), BETTER),
            (0, _) => (format!("{}{error}", percent(share)), MUTED),
            (wrong, _) => (format!("WRONG in {} elements", grouped(wrong)), crate::style::WORSE),
        };
        let (name, strategy) = (comparison.contest.name(cell), cell.strategy.clone());
        named.push(NamedRow { name, value: text, colour, strategy });
    }
    let mut picture = Picture::rows(x, named.clone());
    for (index, ((share, colour), row)) in bars.into_iter().zip(&named).enumerate() {
        let y = -(index as f64);
        picture.begin(&row.strategy, format!("{}: {}", row.name, row.value));
        picture.area((0.0, y - 0.16), (share, y + 0.16), colour);
    }
    let reference = first.verification.as_ref().map(|found| found.reference.clone()).unwrap_or_default();
    let caption = format!(
        "The number of {} elements that differ from the reference ({reference}) in any bit, and the largest \
         error against the exact weighted mean, relative to Σ|wₖgₖ| / Σwₖ (backward error), as sums near 0 have large \
         relative errors in any order; one untimed round of each strategy's fastest cell.",
        grouped(first.elements)
    );
    let caveats = vec![Caveat::LastBits];
    Some(context.figure("agreement", "Agreement to the bit", picture, caption, caveats))
}
