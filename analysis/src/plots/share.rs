//! Draws the share of the machine's limit by strategy.

use gradshard::results::row::Status;
use gradshard::roofline::share::Bottleneck;

use super::Context;
use crate::axis::{Axis, Unit};
use crate::caveat::caveats;
use crate::figure::Figure;
use crate::number::percent;
use crate::picture::{NamedRow, Picture, Sign};
use crate::source::Compared;
use crate::style::{INK, LIMIT, MUTED, of_strategy};

/// One bar per strategy: its best cell's share, with the interval of its median. None if no limit is known.
pub fn share(comparison: &Compared<'_>, context: &Context) -> Option<Figure> {
    let mut rows: Vec<_> = comparison.best_of_each();
    rows.retain(|cell| cell.status == Status::Ok && cell.share_of_limit.is_some());
    rows.sort_by(|one, other| other.share_of_limit.unwrap_or(0.0).total_cmp(&one.share_of_limit.unwrap_or(0.0)));
    let shares = rows.iter().filter_map(|cell| cell.share_of_limit);
    let upper = rows.iter().filter_map(|cell| Some(cell.limit_seconds? / cell.ci_low_s?));
    let most = shares.chain(upper).fold(1.0, f64::max);
    let wire = rows.first()?.limit_part == Some(Bottleneck::Wire);
    let what = if wire { "wires" } else { "memory bandwidth" };
    let x = Axis::linear(
        &format!("share of what {what} allow{}", if wire { "" } else { "s" }),
        0.0,
        most * 1.04,
        Unit::Percent,
    );
    let named = rows.iter().map(|cell| NamedRow {
        name: comparison.contest.name(cell),
        value: percent(cell.share_of_limit.unwrap_or(0.0)),
        colour: MUTED,
        strategy: cell.strategy.clone(),
    });
    let named: Vec<NamedRow> = named.collect();
    let mut picture = Picture::rows(x, named.clone());
    for (index, cell) in rows.iter().enumerate() {
        let (y, share) = (-(index as f64), cell.share_of_limit.unwrap_or(0.0));
        let ends = cell.limit_seconds.zip(cell.ci_low_s.zip(cell.ci_high_s));
        let ends = ends.map(|(limit, (low, high))| (limit / high, limit / low));
        let said = ends.map_or(String::new(), |(low, high)| format!(" [{}, {}]", percent(low), percent(high)));
        picture.begin(&cell.strategy, format!("{}: {}{said}", named[index].name, named[index].value));
        picture.area((0.0, y - 0.16), (share, y + 0.16), of_strategy(&cell.strategy).colour);
        if let Some((low, high)) = ends {
            picture.whisker((low, y), (high, y), INK);
        }
    }
    picture.begin("", String::new());
    let bottom = -(rows.len() as f64) + 0.5;
    picture.line(vec![(1.0, 0.5), (1.0, bottom)], LIMIT, 1.6, true);
    picture.explain(Sign::Dashed(LIMIT), "limit of the machine");
    let caption = format!(
        "Least time that {what} allow, as measured on the machine, divided by the median time of each \
         strategy's fastest cell; line: 95 % interval; {}.",
        comparison.counts()
    );
    let caveats = caveats(&[comparison], context.jobs);
    Some(context.figure("share-of-limit", "Share of the machine's limit", picture, caption, caveats))
}
