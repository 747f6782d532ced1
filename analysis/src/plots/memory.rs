//! Draws the memory of an aggregating rank against M and against model size: predicted, reported by the kernel, and
//! ceilings.

use std::collections::BTreeMap;

use gradshard::plan::Family;
use gradshard::results::row::{CellRow, Status};

use super::Context;
use crate::axis::{Axis, Unit};
use crate::caveat::caveats;
use crate::figure::Figure;
use crate::number::{ascending, bytes};
use crate::picture::{Picture, Sign};
use crate::render::NOT_DONE;
use crate::source::Compared;
use crate::style::{INK, LIMIT, MUTED, OTHER, Style, of_strategy};

/// Memory against M in one comparison. Strategies that do not shard are lines. None if nothing was predicted, or no
/// sharded strategy has several M.
pub fn memory_over_shards(comparison: &Compared<'_>, context: &Context) -> Option<Figure> {
    let shards: Vec<f64> = comparison.contest.cells.iter().map(|cell| cell.shards as f64).collect();
    let sharded = |cell: &&&CellRow| cell.family == Family::Sharded;
    let several = comparison.contest.cells.iter().filter(sharded).any(|cell| {
        comparison.contest.cells.iter().any(|other| other.strategy == cell.strategy && other.shards != cell.shards)
    });
    if !several {
        return None;
    }
    let x = Axis::powers("shards M", shards.into_iter(), Unit::Count)?;
    figure(&[comparison], context, ("shards", "the number of shards"), x, |cell| cell.shards as f64)
}

/// Memory against the gradient size, for comparisons that differ only in the model. None if there is a single size.
pub fn memory_over_size(comparisons: &[&Compared<'_>], context: &Context) -> Option<Figure> {
    let of = |cell: &CellRow| cell.gradient_bytes() as f64;
    let sizes = ascending(comparisons.iter().flat_map(|c| c.contest.cells.iter()).map(|cell| of(cell)));
    if sizes.len() < 2 {
        return None;
    }
    let x = Axis::bytes("gradient size |θ|", sizes.into_iter())?;
    figure(comparisons, context, ("size", "model size"), x, of)
}

/// Draws the cell with the least memory for each strategy and position, as this is the one to choose if memory is
/// short.
fn figure(
    comparisons: &[&Compared<'_>],
    context: &Context,
    (slug, words): (&str, &str),
    x: Axis,
    of: impl Fn(&CellRow) -> f64,
) -> Option<Figure> {
    let cells = || comparisons.iter().flat_map(|c| c.contest.cells.iter().copied()).filter(|c| c.aggregating_bytes > 0);
    let mut least: BTreeMap<&str, BTreeMap<u64, &CellRow>> = BTreeMap::new();
    for cell in cells().filter(|cell| of(cell).is_finite()) {
        let held = least.entry(&cell.strategy).or_default().entry(of(cell).to_bits()).or_insert(cell);
        if (cell.status != Status::Ok, cell.aggregating_bytes) < (held.status != Status::Ok, held.aggregating_bytes) {
            *held = cell;
        }
    }
    let ceilings = ascending(cells().filter_map(|cell| cell.ceiling_bytes));
    let drawn = || least.values().flat_map(BTreeMap::values);
    let seen = |cell: &CellRow| cell.kernel.map(|kernel| kernel.round as f64).filter(|bytes| *bytes > 0.0);
    let predicted = drawn().map(|cell| cell.aggregating_bytes as f64);
    let y = Axis::bytes(
        "memory of an aggregating rank",
        predicted.chain(drawn().filter_map(|c| seen(c))).chain(ceilings.iter().copied()),
    )?;
    let (first, last) = (x.low, x.high);
    let mut picture = Picture::new(x, y);
    for ceiling in ceilings {
        picture.line(vec![(first, ceiling), (last, ceiling)], LIMIT, 1.6, true);
        picture.explain(Sign::Dashed(LIMIT), "ceiling");
    }
    let (mut is_seen, mut infeasible) = (false, false);
    for (strategy, of_strategy_) in &least {
        let style = of_strategy(strategy);
        picture.begin(strategy, String::new());
        let points: Vec<(f64, f64)> =
            of_strategy_.values().map(|cell| (of(cell), cell.aggregating_bytes as f64)).collect();
        if let ([only], "shards") = (points.as_slice(), slug) {
            picture.line(vec![(first, only.1), (last, only.1)], style.colour, 1.2, false);
        } else {
            picture.line(points, style.colour, 1.6, false);
        }
        picture.explain(Sign::Mark(style), strategy);
        for cell in of_strategy_.values() {
            let at = of(cell);
            let saw = seen(cell).map_or(String::new(), |saw| format!(", seen {}", bytes(saw)));
            let predicted = bytes(cell.aggregating_bytes as f64);
            let place = picture.x.unit.text(at);
            picture.begin(strategy, format!("{strategy}, {} {place}: predicted {predicted}{saw}", picture.x.title));
            match seen(cell) {
                Some(saw) => {
                    picture.dot((at, saw), style, false);
                    is_seen = true;
                }
                None => picture.dot((at, cell.aggregating_bytes as f64), style, true),
            }
            if cell.status != Status::Ok {
                picture.dot((at, cell.aggregating_bytes as f64), Style { colour: INK, ..NOT_DONE }, false);
                infeasible = true;
            }
        }
    }
    picture.begin("", String::new());
    if infeasible {
        picture.explain(Sign::Mark(Style { colour: INK, ..NOT_DONE }), "not carried out (infeasible or failed)");
    }
    let plain = Style { colour: if is_seen { MUTED } else { OTHER }, shape: crate::style::MarkShape::Circle };
    picture.explain(Sign::Hollow(plain), "outline: predicted only");
    let seen = if is_seen {
        "filled marks: the peak that the kernel saw, one reading per cell"
    } else {
        "the kernel reported nothing"
    };
    let caption = format!(
        "Bytes of the aggregating rank that holds most at the peak of a round, without clients' gradients. Lines: \
         predicted exactly from the plan; {seen}. Each strategy is shown by its cell with the least memory.",
    );
    let caveats = caveats(comparisons, 2).into_iter().filter(|caveat| !caveat.is_about_times()).collect();
    let (name, title) = (format!("memory-over-{slug}"), format!("Memory of an aggregating rank against {words}"));
    Some(context.figure(&name, &title, picture, caption, caveats))
}
