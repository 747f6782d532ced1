//! Draws samples in the order in which they were taken.

use gradshard::results::row::Status;

use super::Context;
use crate::axis::{Axis, Unit};
use crate::caveat::caveats;
use crate::figure::Figure;
use crate::number::seconds;
use crate::picture::{Picture, Sign};
use crate::source::Compared;
use crate::style::of_strategy;

/// Largest number of strategies in one picture.
const LINES: usize = 8;
/// Largest number of points of a line. With more blocks, only every k-th is drawn.
const POINTS: usize = 300;

/// Times over blocks, with one line per strategy, which shows drift and interference. None with fewer than three
/// blocks.
pub fn rounds(comparison: &Compared<'_>, context: &Context) -> Option<Figure> {
    let mut rows: Vec<_> = comparison.best_of_each().into_iter().filter(|cell| cell.status == Status::Ok).collect();
    let of_all = rows.len();
    rows.truncate(LINES);
    let samples = |cell: u64| comparison.samples.get(&cell).into_iter().flatten();
    let last = rows.iter().flat_map(|cell| samples(cell.cell)).map(|sample| sample.block).max()?;
    if last < 2 {
        return None;
    }
    let all = rows.iter().flat_map(|cell| samples(cell.cell)).map(|sample| sample.seconds);
    let y = Axis::log("time of a round (logarithmic)", all, Unit::Time)?;
    let x = Axis::linear("block, in the order of time", 0.0, last as f64, Unit::Count);
    let mut picture = Picture::new(x, y);
    let every = (last as usize + 1).div_ceil(POINTS);
    for cell in &rows {
        let style = of_strategy(&cell.strategy);
        let points: Vec<(f64, f64)> =
            samples(cell.cell).step_by(every).map(|sample| (sample.block as f64, sample.seconds)).collect();
        let name = comparison.contest.name(cell);
        picture.begin(&cell.strategy, String::new());
        picture.line(points.clone(), style.colour, 1.2, false);
        picture.explain(Sign::Mark(style), &name);
        // Twelve marks per line are sufficient to identify it.
        for at in points.iter().step_by(points.len().div_ceil(12).max(1)) {
            picture.begin(&cell.strategy, format!("{name}, block {}: {}", at.0, seconds(at.1)));
            picture.dot(*at, style, false);
        }
    }
    let left_out = match of_all - rows.len() {
        0 => String::new(),
        1 => " The slowest strategy is left out.".to_owned(),
        more => format!(" The {more} slowest strategies are left out."),
    };
    let thinned = if every > 1 { format!(" One block of {every} is drawn.") } else { String::new() };
    let caption = format!(
        "Each round of each strategy's fastest cell; within a block the order is random; {}.{left_out}{thinned} \
         Steps and slopes that all strategies share come from the machine.",
        comparison.counts()
    );
    let caveats = caveats(&[comparison], context.jobs);
    Some(context.figure("over-time", "Rounds in the order of time", picture, caption, caveats))
}
