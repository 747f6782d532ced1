//! Draws time, speed-up and efficiency against model size, M and the number of nodes, with the machine's limit.

use std::collections::BTreeMap;

use gradshard::plan::Family;
use gradshard::results::distinct::distinct;
use gradshard::results::row::CellRow;

use super::Context;
use crate::axis::{Axis, Unit};
use crate::caveat::caveats;
use crate::figure::Figure;
use crate::number::{ascending, percent, seconds, trimmed};
use crate::picture::{Picture, Sign};
use crate::source::Compared;
use crate::style::{LIMIT, MUTED, of_strategy};

/// The legend's words for the machine's limit.
const LIMIT_WORDS: &str = "limit of the machine";

/// The quantity on the horizontal axis.
struct Over {
    /// Part of the file name.
    slug: &'static str,
    /// Its name in the figure's title.
    words: &'static str,
    /// The axis' title.
    axis: &'static str,
    /// The axis' unit.
    unit: Unit,
    /// Returns the value of a cell.
    of: fn(&CellRow) -> f64,
    /// The quantity in the second figure.
    second: Drawn,
}

/// The quantity on the vertical axis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drawn {
    /// The median time.
    Time,
    /// The time at the strategy's first position divided by the time.
    SpeedUp,
    /// The same for weak scaling, where it should stay 100 %.
    Efficiency,
    /// The time that the machine's limit allows divided by the time.
    LimitShare,
}

/// Time and share of the limit of each strategy's best cell against the gradient size, for comparisons that differ only
/// in the model.
pub fn over_size(comparisons: &[&Compared<'_>], context: &Context) -> Vec<Figure> {
    let over = Over {
        slug: "size",
        words: "model size",
        axis: "gradient size |θ|",
        unit: Unit::Bytes,
        of: |cell| cell.gradient_bytes() as f64,
        second: Drawn::LimitShare,
    };
    figures(comparisons, context, &over)
}

/// Time and speed-up against the number of nodes, for comparisons that differ only in ranks and nodes. In `weak` scaling
/// the number of clients grows with the ranks, and efficiency takes the place of speed-up.
pub fn over_nodes(comparisons: &[&Compared<'_>], context: &Context, weak: bool) -> Vec<Figure> {
    let of = |cell: &CellRow| cell.nodes as f64;
    let second = if weak { Drawn::Efficiency } else { Drawn::SpeedUp };
    let over = Over { slug: "nodes", words: "nodes", axis: "nodes", unit: Unit::Count, of, second };
    figures(comparisons, context, &over)
}

/// Time and speed-up against M in one comparison. Strategies that were timed with a single M are dashed lines.
pub fn over_shards(comparison: &Compared<'_>, context: &Context) -> Vec<Figure> {
    let of = |cell: &CellRow| cell.shards as f64;
    let second = Drawn::SpeedUp;
    let over = Over { slug: "shards", words: "number of shards", axis: "shards M", unit: Unit::Count, of, second };
    figures(&[comparison], context, &over)
}

impl Drawn {
    /// Part of the file name, title of the figure, title of the axis, and the beginning of the caption.
    fn words(self) -> [&'static str; 4] {
        match self {
            Drawn::Time => ["time", "Time of a round", "time of a round", "Median time with its 95 % interval"],
            Drawn::SpeedUp => [
                "speed-up",
                "Speed-up",
                "speed-up",
                "Median time at each strategy's first position divided by the one here; lines: from the intervals of both",
            ],
            Drawn::Efficiency => [
                "efficiency",
                "Efficiency of weak scaling",
                "efficiency",
                "Median time on each strategy's least number of nodes divided by the one here; lines: from the \
                 intervals of both",
            ],
            Drawn::LimitShare => [
                "efficiency",
                "Efficiency",
                "share of the machine's limit",
                "Least time that the machine allows divided by the median time, with its 95 % interval",
            ],
        }
    }

    /// The value for the median and for both ends of the interval; None if it is not known.
    fn values(self, one: &TimedPoint<'_>, first: &TimedPoint<'_>) -> Option<[f64; 3]> {
        let ends = |timed: &TimedPoint<'_>| {
            [timed.cell.ci_low_s.unwrap_or(timed.median), timed.cell.ci_high_s.unwrap_or(timed.median)]
        };
        let ([low, high], [first_low, first_high]) = (ends(one), ends(first));
        Some(match self {
            Drawn::Time => [one.median, low, high],
            Drawn::SpeedUp | Drawn::Efficiency => [first.median / one.median, first_low / high, first_high / low],
            Drawn::LimitShare => {
                let limit = one.cell.limit_seconds?;
                [one.median, high, low].map(|seconds| limit / seconds)
            }
        })
    }

    /// The points at which the value is known. One position alone has no speed-up.
    fn points<'f>(self, timed: &[TimedPoint<'f>]) -> Vec<(TimedPoint<'f>, [f64; 3])> {
        let needs_two = matches!(self, Drawn::SpeedUp | Drawn::Efficiency);
        let usable = if needs_two && timed.len() < 2 { &[] } else { timed };
        usable.iter().filter_map(|one| Some((*one, self.values(one, &timed[0])?))).collect()
    }

    fn axis(self, values: &[f64]) -> Option<Axis> {
        let title = self.words()[2];
        match self {
            Drawn::Time => Axis::log(title, values.iter().copied(), Unit::Time),
            Drawn::SpeedUp => Axis::log(title, values.iter().copied(), Unit::Number),
            Drawn::Efficiency | Drawn::LimitShare => {
                let most = values.iter().copied().fold(1.0, f64::max);
                (!values.is_empty()).then(|| Axis::linear(title, 0.0, most * 1.05, Unit::Percent))
            }
        }
    }

    /// The value in words; `at` and `first` are positions.
    fn tip(self, value: f64, at: f64, first: f64, over: &Over) -> String {
        match self {
            Drawn::Time => seconds(value),
            Drawn::SpeedUp if over.slug == "nodes" && first > 0.0 => {
                format!("{}×, efficiency {}", trimmed(value, 3), percent(value * first / at))
            }
            Drawn::SpeedUp => format!("{}×", trimmed(value, 3)),
            Drawn::Efficiency | Drawn::LimitShare => percent(value),
        }
    }
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
    let figure = |drawn: Drawn| {
        let picture = draw(&best, over, &places, drawn)?;
        let [kind, title, _, begins] = drawn.words();
        let dashed = match (drawn, over.slug) {
            (Drawn::SpeedUp, "nodes") => " Dashed: n times the nodes, n times as fast.",
            (Drawn::SpeedUp, _) => "",
            (Drawn::Efficiency, _) => " Dashed: the time does not grow.",
            _ if picture.legend.iter().any(|line| line.text == LIMIT_WORDS) => {
                " Dashed: the limit of the busiest memory system or wire, as measured on the machine."
            }
            _ => "",
        };
        let (name, title) = (format!("{kind}-over-{}", over.slug), format!("{title} against {}", over.words));
        let caption = format!(
            "{begins}, for the best cell of each strategy at each position; n = {count} rounds per point.{dashed}"
        );
        Some(context.figure(&name, &title, picture, caption, caveats(comparisons, context.jobs)))
    };
    [Drawn::Time, over.second].into_iter().filter_map(figure).collect()
}

/// Draws one quantity. None if it is known nowhere.
fn draw(best: &BTreeMap<&str, Vec<TimedPoint<'_>>>, over: &Over, places: &[f64], drawn: Drawn) -> Option<Picture> {
    let x = Axis::powers(over.axis, places.iter().copied(), over.unit)?;
    let all: Vec<f64> = best.values().flat_map(|timed| drawn.points(timed)).flat_map(|(_, values)| values).collect();
    let limits = if drawn == Drawn::Time { limits(best) } else { Vec::new() };
    let limit_values = limits.iter().flatten().map(|point| point.1);
    let y = drawn.axis(&all.iter().copied().chain(limit_values).collect::<Vec<f64>>()).filter(|_| !all.is_empty())?;
    let (first, last) = (x.low, x.high);
    let mut picture = Picture::new(x, y);
    for points in limits {
        picture.line(points, LIMIT, 1.6, true);
        picture.explain(Sign::Dashed(LIMIT), LIMIT_WORDS);
    }
    match drawn {
        Drawn::LimitShare => {
            picture.line(vec![(first, 1.0), (last, 1.0)], LIMIT, 1.6, true);
            picture.explain(Sign::Dashed(LIMIT), LIMIT_WORDS);
        }
        Drawn::SpeedUp | Drawn::Efficiency => {
            let (from, to) = (places[0], places[places.len() - 1]);
            let most = if drawn == Drawn::SpeedUp && over.slug == "nodes" { to / from } else { 1.0 };
            picture.line(vec![(from, 1.0), (to, most)], MUTED, 1.2, true);
            picture.explain(Sign::Dashed(MUTED), if most > 1.0 { "ideal" } else { "no change" });
        }
        Drawn::Time => {}
    }
    for (strategy, timed) in best {
        let (style, points) = (of_strategy(strategy), drawn.points(timed));
        if points.is_empty() {
            continue;
        }
        picture.begin(strategy, String::new());
        if let ([(_, [only, ..])], "shards") = (points.as_slice(), over.slug) {
            // This strategy does not depend on M.
            picture.line(vec![(first, *only), (last, *only)], style.colour, 1.2, true);
        }
        picture.line(points.iter().map(|(one, values)| (one.at, values[0])).collect(), style.colour, 1.8, false);
        picture.explain(Sign::Mark(style), strategy);
        for (one, [value, low, high]) in &points {
            let said = drawn.tip(*value, one.at, timed[0].at, over);
            picture.begin(strategy, format!("{strategy}, {} {}: {said}", over.axis, over.unit.text(one.at)));
            if one.cell.ci_low_s.is_some() {
                picture.whisker((one.at, *low), (one.at, *high), style.colour);
            }
            picture.dot((one.at, *value), style, false);
        }
    }
    Some(picture)
}

/// Lines of the limit at each position, at most one per family. A family's line is that of its strategy with the least
/// limit.
fn limits(best: &BTreeMap<&str, Vec<TimedPoint<'_>>>) -> Vec<Vec<(f64, f64)>> {
    let mut of_family: BTreeMap<Family, BTreeMap<u64, &TimedPoint<'_>>> = BTreeMap::new();
    for timed in best.values().flatten().filter(|timed| timed.cell.limit_seconds.is_some()) {
        let least = of_family.entry(timed.cell.family).or_default().entry(timed.at.to_bits()).or_insert(timed);
        if timed.cell.limit_seconds <= least.cell.limit_seconds {
            *least = timed;
        }
    }
    let line = |points: BTreeMap<u64, &TimedPoint<'_>>| {
        let point = |timed: &TimedPoint<'_>| Some((timed.at, timed.cell.limit_seconds?));
        points.into_values().filter_map(point).collect::<Vec<(f64, f64)>>()
    };
    distinct(of_family.into_values().map(line).filter(|line| line.len() > 1))
}
