//! Draws time and throughput against model size, M and the number of nodes, with the machine's limit.

use std::collections::BTreeMap;

use gradshard::plan::Family;
use gradshard::results::row::CellRow;

use super::Context;
use crate::axis::{Axis, plain};
use crate::caveat::caveats;
use crate::figure::Figure;
use crate::number::{bytes, time, trimmed};
use crate::picture::{Picture, Sign};
use crate::source::Compared;
use crate::style::{LIMIT, of_strategy};

/// The quantity on the horizontal axis.
struct Over {
    /// Part of the file name.
    slug: &'static str,
    /// Its name in the figure's title.
    words: &'static str,
    /// The axis' title.
    axis: &'static str,
    /// Formats a tick.
    text: fn(f64) -> String,
    /// Returns the value of a cell.
    of: fn(&CellRow) -> f64,
}

/// Time and throughput of each strategy's best cell against the gradient size, for comparisons that differ only in the
/// model.
pub fn over_size(comparisons: &[&Compared<'_>], context: &Context) -> Vec<Figure> {
    let over = Over {
        slug: "size",
        words: "model size",
        axis: "gradient size |θ|",
        text: bytes,
        of: |cell| cell.gradient_bytes() as f64,
    };
    figures(comparisons, context, &over)
}

/// Time and throughput against the number of nodes, for comparisons that differ only in ranks and nodes.
pub fn over_nodes(comparisons: &[&Compared<'_>], context: &Context) -> Vec<Figure> {
    let of = |cell: &CellRow| cell.nodes as f64;
    let over = Over { slug: "nodes", words: "nodes", axis: "nodes", text: plain, of };
    figures(comparisons, context, &over)
}

/// Time and throughput against M in one comparison. Strategies that were timed with a single M are dashed lines.
pub fn over_shards(comparison: &Compared<'_>, context: &Context) -> Vec<Figure> {
    let of = |cell: &CellRow| cell.shards as f64;
    let over = Over { slug: "shards", words: "number of shards", axis: "shards M", text: plain, of };
    figures(&[comparison], context, &over)
}

/// A cell with its position on the horizontal axis and its median in seconds.
#[derive(Clone, Copy)]
struct TimedPoint<'f> {
    at: f64,
    cell: &'f CellRow,
    median: f64,
}

fn figures(comparisons: &[&Compared<'_>], context: &Context, over: &Over) -> Vec<Figure> {
    // The best cell of each strategy at each position.
    let mut best: BTreeMap<&str, Vec<TimedPoint<'_>>> = BTreeMap::new();
    for cell in comparisons.iter().flat_map(|comparison| &comparison.contest.cells) {
        let at = (over.of)(cell);
        let Some(median) = cell.timed() else { continue };
        let of_strategy = best.entry(&cell.strategy).or_default();
        match of_strategy.iter_mut().find(|timed| timed.at == at) {
            Some(held) if held.median <= median => {}
            Some(held) => *held = TimedPoint { at, cell, median },
            None => of_strategy.push(TimedPoint { at, cell, median }),
        }
    }
    best.values_mut().for_each(|timed| timed.sort_by(|one, other| one.at.total_cmp(&other.at)));
    let mut places: Vec<f64> = best.values().flatten().map(|timed| timed.at).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    if best.values().all(|timed| timed.len() < 2) {
        return Vec::new();
    }
    let counted = best.values().flatten().map(|timed| timed.cell.samples);
    let (least, most) = (counted.clone().min().unwrap_or(0), counted.max().unwrap_or(0));
    let count = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let caption = |what: &str| {
        format!(
            "{what} with its 95 % interval, for the best cell of each strategy at each position; n = {count} rounds \
             per point. Dashed: the limit of the busiest memory system or wire, as measured on the machine."
        )
    };
    let figure = |kind: &str, what: &str, drawn: &str, picture: Picture| Figure {
        name: context.name(&format!("{kind}-over-{}", over.slug)),
        title: context.title(&format!("{what} against {}", over.words)),
        picture,
        caption: caption(drawn),
        caveats: caveats(comparisons, context.jobs),
    };
    let mut figures = Vec::new();
    let values = |timed: &TimedPoint<'_>| {
        [
            timed.median,
            timed.cell.ci_low_s.unwrap_or(timed.median),
            timed.cell.ci_high_s.unwrap_or(timed.median),
            timed.cell.limit_seconds.unwrap_or(timed.median),
        ]
    };
    if let Some(picture) = draw(&best, over, &places, "time of a round", time, values) {
        figures.push(figure("time", "Time of a round", "Median time", picture));
    }
    let values = |timed: &TimedPoint<'_>| values(timed).map(|seconds| timed.cell.gradient_bytes() as f64 / seconds);
    if let Some(picture) = draw(&best, over, &places, "bytes of one gradient a second", tick, values) {
        figures.push(figure("throughput", "Throughput", "Bytes of one gradient over the median time", picture));
    }
    figures
}

/// Formats a rate for a tick.
fn tick(bytes_per_second: f64) -> String {
    format!("{} GB/s", trimmed(bytes_per_second / 1e9, 3))
}

/// Draws one quantity. `values` returns it for the median, for both ends of the interval, and for the limit.
fn draw(
    best: &BTreeMap<&str, Vec<TimedPoint<'_>>>,
    over: &Over,
    places: &[f64],
    title: &str,
    text: fn(f64) -> String,
    values: impl Fn(&TimedPoint<'_>) -> [f64; 4],
) -> Option<Picture> {
    let x = Axis::powers(over.axis, places.iter().copied(), over.text)?;
    let all: Vec<f64> = best.values().flatten().flat_map(&values).collect();
    let y = Axis::log(title, all.into_iter(), text)?;
    let (first, last) = (x.low, x.high);
    let mut picture = Picture::new(x, y);
    for points in limits(best, &values) {
        picture.line(points, LIMIT, 1.6, true);
        picture.explain(Sign::Dashed(LIMIT), "limit of the machine");
    }
    for (strategy, timed) in best {
        let style = of_strategy(strategy);
        for one in timed.iter().filter(|one| one.cell.ci_low_s.is_some()) {
            let [_, low, high, _] = values(one);
            picture.whisker((one.at, low), (one.at, high), style.colour);
        }
        let points: Vec<(f64, f64)> = timed.iter().map(|one| (one.at, values(one)[0])).collect();
        if let ([only], true) = (points.as_slice(), over.slug == "shards") {
            // This strategy does not depend on M.
            picture.line(vec![(first, only.1), (last, only.1)], style.colour, 1.2, true);
        }
        picture.curve(&points, style, strategy);
    }
    Some(picture)
}

/// Lines of the limit at each position, at most one per family. A family's line is that of its strategy with the least
/// limit.
fn limits(
    best: &BTreeMap<&str, Vec<TimedPoint<'_>>>,
    values: &impl Fn(&TimedPoint<'_>) -> [f64; 4],
) -> Vec<Vec<(f64, f64)>> {
    let mut of_family: BTreeMap<Family, BTreeMap<u64, (f64, f64)>> = BTreeMap::new();
    for timed in best.values().flatten().filter(|timed| timed.cell.limit_seconds.is_some()) {
        let least = of_family.entry(timed.cell.family).or_default();
        let limit = (timed.at, values(timed)[3]);
        let time = |cell: &CellRow| cell.limit_seconds.unwrap_or(f64::INFINITY);
        let held =
            best.values().flatten().filter(|other| other.at == timed.at && other.cell.family == timed.cell.family);
        if held.map(|other| time(other.cell)).fold(f64::INFINITY, f64::min) >= time(timed.cell) {
            least.insert(timed.at.to_bits(), limit);
        }
    }
    let mut lines: Vec<Vec<(f64, f64)>> = Vec::new();
    for of_family in of_family.into_values() {
        let mut line: Vec<(f64, f64)> = of_family.into_values().collect();
        line.sort_by(|one, other| one.0.total_cmp(&other.0));
        if line.len() > 1 && !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
