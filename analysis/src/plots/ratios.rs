//! Draws a forest plot: ratios with their intervals, one per row.

use gradshard::stats::Interval;

use super::Context;
use crate::axis::{Axis, Unit};
use crate::caveat::Caveat;
use crate::figure::Figure;
use crate::number::trimmed;
use crate::picture::{NamedRow, Picture, Sign};
use crate::style::{BAND, INK, MUTED, Style};

/// A ratio of times.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestRow {
    /// Name of the cell.
    pub name: String,
    /// Its strategy.
    pub strategy: String,
    /// Its colour and mark.
    pub style: Style,
    /// The ratio.
    pub estimate: f64,
    /// Its interval, if there is one.
    pub interval: Option<Interval>,
    /// The claim about it in a word.
    pub verdict: String,
    /// True if nothing may be claimed, so that only the mark's outline is drawn.
    pub undecided: bool,
}

/// One row per ratio on a logarithmic axis around 1. Ratios within `margin` of 1 count as the same. None without rows.
pub fn forest(
    rows: &[ForestRow],
    margin: f64,
    axis: &str,
    figure: (&Context, &str, &str),
    caption: String,
    caveats: Vec<Caveat>,
) -> Option<Figure> {
    let (context, name, title) = figure;
    let ends =
        rows.iter().flat_map(|row| [Some(row.estimate), row.interval.map(|i| i.low), row.interval.map(|i| i.high)]);
    let x = Axis::log(axis, ends.flatten().chain([1.0, 1.0 + margin, 1.0 / (1.0 + margin)]), Unit::Number)?;
    if rows.is_empty() {
        return None;
    }
    let bottom = -(rows.len() as f64) + 0.5;
    let named = rows.iter().map(|row| {
        let ends = |i: Interval| format!(" [{}, {}]", trimmed(i.low, 3), trimmed(i.high, 3));
        let interval = row.interval.map_or(String::new(), ends);
        let value = format!("{}×{interval} {}", trimmed(row.estimate, 3), row.verdict);
        NamedRow { name: row.name.clone(), value, colour: MUTED, strategy: row.strategy.clone() }
    });
    let named: Vec<NamedRow> = named.collect();
    let mut picture = Picture::rows(x, named.clone());
    if margin > 0.0 {
        picture.area((1.0 / (1.0 + margin), 0.5), (1.0 + margin, bottom), BAND);
        picture.explain(Sign::Patch(BAND), &format!("within {} %: the same", trimmed(margin * 100.0, 3)));
    }
    picture.line(vec![(1.0, 0.5), (1.0, bottom)], INK, 1.6, false);
    for (index, (row, NamedRow { name, value, .. })) in rows.iter().zip(&named).enumerate() {
        let y = -(index as f64);
        picture.begin(&row.strategy, format!("{name}: {value}"));
        if let Some(Interval { low, high }) = row.interval {
            picture.whisker((low, y), (high, y), row.style.colour);
        }
        picture.dot((row.estimate, y), row.style, row.undecided);
    }
    Some(context.figure(name, title, picture, caption, caveats))
}
