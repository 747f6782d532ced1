//! Draws time and throughput against model size, M and the number of nodes, with the machine's limit.

use std::collections::BTreeMap;

use gradshard::plan::Family;
use gradshard::results::distinct::distinct;
use gradshard::results::row::CellRow;

use super::Context;
use crate::axis::{Axis, plain};
use crate::caveat::caveats;
use crate::figure::Figure;
use crate::number::{ascending, bytes, time, trimmed};
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
    let mut best: BTreeMap<&str, BTreeMap<u64, TimedPoint<'_>>> = BTreeMap::new();
    for cell in comparisons.iter().flat_map(|comparison| &comparison.contest.cells) {
        let Some(median) = cell.timed() else { continue };
        let point = TimedPoint { at: (over.of)(cell), cell, median };
        let held = best.entry(&cell.strategy).or_default().entry(point.at.to_bits()).or_insert(point);
        if median < held.median {
            *held = point;
        }
    }
    // The bits of positive numbers are in the order of the numbers.
    let best: BTreeMap<&str, Vec<TimedPoint<'_>>> =
        best.into_iter().map(|(strategy, points)| (strategy, points.into_values().collect())).collect();
    let places = ascending(best.values().flatten().map(|timed| timed.at));
    if best.values().all(|timed| timed.len() < 2) {
        return Vec::new();
    }
    let counted = best.values().flatten().map(|timed| timed.cell.samples);
    let (least, most) = (counted.clone().min().unwrap_or(0), counted.max().unwrap_or(0));
    let count = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let figure = |kind: &str, what: &str, drawn: &str, picture: Picture| {
        let (name, title) = (format!("{kind}-over-{}", over.slug), format!("{what} against {}", over.words));
        let caption = format!(
            "{drawn} with its 95 % interval, for the best cell of each strategy at each position; n = {count} rounds \
             per point. Dashed: the limit of the busiest memory system or wire, as measured on the machine."
        );
        context.figure(&name, &title, picture, caption, caveats(comparisons, context.jobs))
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
    let mut of_family: BTreeMap<Family, BTreeMap<u64, &TimedPoint<'_>>> = BTreeMap::new();
    for timed in best.values().flatten().filter(|timed| timed.cell.limit_seconds.is_some()) {
        let least = of_family.entry(timed.cell.family).or_default().entry(timed.at.to_bits()).or_insert(timed);
        if timed.cell.limit_seconds <= least.cell.limit_seconds {
            *least = timed;
        }
    }
    let line = |points: BTreeMap<u64, &TimedPoint<'_>>| {
        points.into_values().map(|timed| (timed.at, values(timed)[3])).collect::<Vec<(f64, f64)>>()
    };
    distinct(of_family.into_values().map(line).filter(|line| line.len() > 1))
}
