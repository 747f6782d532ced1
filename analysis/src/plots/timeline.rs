//! Draws the start and the end of every rank in one round.

use gradshard::plan::Family;
use gradshard::results::row::{CellRow, Sample};

use super::Context;
use crate::axis::{Axis, Unit};
use crate::caveat::{Caveat, caveats};
use crate::figure::Figure;
use crate::number::seconds;
use crate::picture::{Picture, Sign};
use crate::source::Compared;
use crate::style::{MUTED, OTHER, of_strategy};

/// Largest number of ranks with a row. With more ranks, this many at even distances have one.
const RANKS: usize = 24;

/// One round of the best sharded strategy and one of the best tree. Each is the round whose time is nearest to the
/// median.
pub fn timelines(comparison: &Compared<'_>, context: &Context) -> Vec<Figure> {
    let of = |family| comparison.contest.best(family).and_then(|cell| timeline(comparison, cell, context));
    [of(Family::Sharded), of(Family::Tree)].into_iter().flatten().collect()
}

fn timeline(comparison: &Compared<'_>, cell: &CellRow, context: &Context) -> Option<Figure> {
    let median = cell.median_s?;
    let samples: &[&Sample] = comparison.samples.get(&cell.cell)?;
    let off = |sample: &Sample| (sample.seconds - median).abs();
    let sample = samples.iter().min_by(|one, other| off(one).total_cmp(&off(other)))?;
    let ranks = sample.rank_seconds.len();
    if ranks == 0 {
        return None;
    }
    let drawn = ranks.min(RANKS);
    let shown: Vec<usize> = (0..drawn).map(|row| if drawn > 1 { row * (ranks - 1) / (drawn - 1) } else { 0 }).collect();
    // Older files lack the starts of ranks.
    let start = |rank: usize| sample.rank_start_seconds.get(rank).copied().filter(|start| start.is_finite());
    let starts_known = (0..ranks).all(|rank| start(rank).is_some());
    let ends = (0..ranks).map(|rank| start(rank).unwrap_or(0.0) + sample.rank_seconds[rank]);
    let longest = ends.fold(sample.seconds, f64::max);
    let x = Axis::linear(
        if starts_known { "time since the common start" } else { "time since the rank began" },
        0.0,
        longest * 1.02,
        Unit::Time,
    );
    let mut picture = Picture::new(x, Axis::rows(drawn));
    picture.y.low = -(drawn as f64) + 0.4;
    picture.y.high = 0.6;
    picture.y.ticks = shown.iter().enumerate().map(|(row, rank)| (-(row as f64), format!("rank {rank}"))).collect();
    picture.height = 20 + 17 * drawn as u32;
    let style = of_strategy(&cell.strategy);
    let produces = sample.rank_producing_seconds.iter().any(|seconds| *seconds > 0.0);
    for (row, rank) in shown.iter().enumerate() {
        let (y, begin) = (-(row as f64), start(*rank).unwrap_or(0.0));
        let end = begin + sample.rank_seconds[*rank];
        picture.begin(&cell.strategy, format!("rank {rank}: {} to {}", seconds(begin), seconds(end)));
        picture.area((begin, y - 0.32), (end, y + 0.32), style.colour);
        if let Some(producing) = sample.rank_producing_seconds.get(*rank).filter(|seconds| **seconds > 0.0) {
            picture.area((begin, y - 0.32), ((begin + producing).min(end), y - 0.1), OTHER);
        }
    }
    picture.begin("", String::new());
    picture.explain(Sign::Patch(style.colour), "in the round");
    if produces {
        picture.explain(Sign::Patch(OTHER), "of it producing gradients, in all");
    }
    picture.line(vec![(sample.seconds, 0.6), (sample.seconds, picture.y.low)], MUTED, 1.4, true);
    picture.explain(Sign::Dashed(MUTED), "the round's time, the last rank's end");
    let thinned = if drawn < ranks { format!(" {drawn} of {ranks} ranks, at even distances.") } else { String::new() };
    let mut caveats = caveats(&[comparison], context.jobs);
    caveats.push(Caveat::OneRound);
    let caption = format!(
        "The time that each rank spent in the round of block {}. The round took {}, which is nearest to the median \
         of n = {} rounds. A single round has no interval.{thinned}",
        sample.block,
        seconds(sample.seconds),
        samples.len()
    );
    let title = format!("One round of {}, rank by rank", comparison.contest.name(cell));
    Some(context.figure(&format!("timeline-{}", cell.family), &title, picture, caption, caveats))
}
