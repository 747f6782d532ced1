//! Draws the samples of each strategy.

use gradshard::results::row::Status;

use super::Context;
use crate::axis::Axis;
use crate::caveat::caveats;
use crate::figure::Figure;
use crate::number::{seconds, time};
use crate::picture::Picture;
use crate::source::Compared;
use crate::style::{INK, MUTED, of_strategy};

/// Largest number of samples of a strategy that are drawn. With more samples, this many order statistics are drawn.
const SPECKS: usize = 60;

/// One row per strategy: the timed rounds of its fastest cell, the median, and its interval. None without samples.
pub fn distribution(comparison: &Compared<'_>, context: &Context) -> Option<Figure> {
    let rows: Vec<_> = comparison.best_of_each().into_iter().filter(|cell| cell.status == Status::Ok).collect();
    let samples: Vec<Vec<f64>> = rows.iter().map(|cell| comparison.seconds(cell)).collect();
    let x = Axis::log("time of a round (logarithmic)", samples.iter().flatten().copied(), time)?;
    let right = x.high;
    let mut picture = Picture::rows(x, rows.iter().map(|cell| comparison.contest.name(cell)).collect());
    let mut thinned = false;
    for (index, (cell, samples)) in rows.iter().zip(&samples).enumerate() {
        let (y, style) = (-(index as f64), of_strategy(&cell.strategy));
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let drawn = sorted.len().min(SPECKS);
        thinned |= drawn < sorted.len();
        for speck in 0..drawn {
            let at = if drawn > 1 { speck * (sorted.len() - 1) / (drawn - 1) } else { 0 };
            // A fixed pattern of offsets keeps equal times from hiding each other.
            let offset = [0.0, 0.11, -0.11, 0.055, -0.055][speck % 5];
            picture.speck((sorted[at], y + offset), style.colour);
        }
        if let Some((low, high)) = cell.ci_low_s.zip(cell.ci_high_s) {
            picture.whisker((low, y), (high, y), INK);
        }
        if let Some(median) = cell.median_s {
            picture.line(vec![(median, y - 0.22), (median, y + 0.22)], INK, 2.2, false);
            picture.word((right, y + 0.6), format!("{}, n = {}", seconds(median), samples.len()), MUTED, true);
        }
    }
    let of_them = if thinned { format!(" ({SPECKS} evenly spaced ones where there are more)") } else { String::new() };
    let caption = format!(
        "One point per round of each strategy's fastest cell{of_them}; bar: median, line: its 95 % interval; {}.",
        comparison.counts()
    );
    let caveats = caveats(&[comparison], context.jobs);
    Some(context.figure("distribution", "Every timed round", picture, caption, caveats))
}
