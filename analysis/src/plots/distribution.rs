//! Draws the samples of each strategy.

use gradshard::results::row::Status;

use super::Context;
use crate::axis::{Axis, Unit};
use crate::caveat::caveats;
use crate::figure::Figure;
use crate::number::{interval, seconds};
use crate::picture::{NamedRow, Picture};
use crate::source::Compared;
use crate::style::{INK, MUTED, of_strategy};

/// Largest number of samples of a strategy that are drawn. With more samples, this many order statistics are drawn.
const SPECKS: usize = 100;

/// One row per strategy: the timed rounds of its fastest cell, the median, and its interval. None without samples.
pub fn distribution(comparison: &Compared<'_>, context: &Context) -> Option<Figure> {
    let rows: Vec<_> = comparison.best_of_each().into_iter().filter(|cell| cell.status == Status::Ok).collect();
    let samples: Vec<Vec<f64>> = rows.iter().map(|cell| comparison.seconds(cell)).collect();
    let x = Axis::log("time of a round (logarithmic)", samples.iter().flatten().copied(), Unit::Time)?;
    let names = rows.iter().zip(&samples).map(|(cell, samples)| {
        let value = cell.median_s.map_or(String::new(), |median| format!("{}, n = {}", seconds(median), samples.len()));
        NamedRow { name: comparison.contest.name(cell), value, colour: MUTED, strategy: cell.strategy.clone() }
    });
    let mut picture = Picture::rows(x, names.collect());
    let most = samples.iter().map(Vec::len).max().unwrap_or(0);
    for (index, (cell, samples)) in rows.iter().zip(&samples).enumerate() {
        let (y, style) = (-(index as f64), of_strategy(&cell.strategy));
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let drawn = sorted.len().min(SPECKS);
        for speck in 0..drawn {
            let at = if drawn > 1 { speck * (sorted.len() - 1) / (drawn - 1) } else { 0 };
            // A fixed pattern of offsets keeps equal times from hiding each other.
            let offset = [0.0, 0.11, -0.11, 0.055, -0.055][speck % 5];
            picture.begin(&cell.strategy, seconds(sorted[at]));
            picture.speck((sorted[at], y + offset), style.colour);
        }
        let Some(median) = cell.median_s else { continue };
        let ends = cell.ci_low_s.zip(cell.ci_high_s);
        let ends = ends.map_or(String::new(), |(low, high)| format!(" [{}]", interval(low, high, median)));
        picture.begin(&cell.strategy, format!("{}: median {}{ends}", cell.formed(), seconds(median)));
        if let Some((low, high)) = cell.ci_low_s.zip(cell.ci_high_s) {
            picture.whisker((low, y), (high, y), INK);
        }
        picture.line(vec![(median, y - 0.3), (median, y + 0.3)], INK, 2.2, false);
    }
    let (title, drawn) = if most > SPECKS {
        let drawn = format!(
            "Points: {SPECKS} of each strategy's up to {most} rounds, at even distances in the order of their times"
        );
        ("Timed rounds", drawn)
    } else {
        ("Every timed round", "One point per round of each strategy's fastest cell".to_owned())
    };
    let caption = format!("{drawn}; bar: median, line: its 95 % interval; {}.", comparison.counts());
    let caveats = caveats(&[comparison], context.jobs);
    Some(context.figure("distribution", title, picture, caption, caveats))
}
