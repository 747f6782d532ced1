//! The effect of rules: launches with them against launches without, in turn.

use std::collections::BTreeMap;

use serde::Serialize;
use strum::Display;

use super::{Collective, CommunicatorShape, Rules};
use crate::plan::Algorithm;
use crate::results::ResultFile;
use crate::stats::{Alpha, pool};

/// The effect of rules on one call, as launches show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Display)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The whole interval of the gain lies above 1.
    #[strum(to_string = "faster")]
    Faster,
    /// The call is slower by no more than the margin.
    #[strum(to_string = "not slower")]
    NotSlower,
    /// The call is slower by more than the margin.
    #[strum(to_string = "SLOWER")]
    Slower,
    /// The interval allows both.
    #[strum(to_string = "not shown")]
    NotShown,
}

/// One call with and without rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verified {
    /// The collective.
    pub collective: Collective,
    /// Ranks and nodes.
    pub shape: CommunicatorShape,
    /// Message size as the library counts it, bytes.
    pub bytes: u64,
    /// The algorithm that the rules choose; None leaves the choice to the library.
    pub rule: Option<Algorithm>,
    /// Pairs of launches.
    pub launches: u64,
    /// Time without rules divided by the time with them.
    pub gain: f64,
    /// Lower end of the gain's interval (Student's t over pairs of launches); None for a single pair. All intervals hold
    /// together with a probability of 95 %.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
    /// The effect.
    pub effect: Effect,
}

/// Compares launches with and without `rules`. Launch i of `plain` and launch i of `ruled` followed one another.
///
/// `margin` is the slow-down that is allowed, 0.03 for 3 %.
pub fn verified(plain: &[ResultFile], ruled: &[ResultFile], rules: &[Rules], margin: f64) -> Vec<Verified> {
    let mut ratios: BTreeMap<(Collective, CommunicatorShape, u64), Vec<f64>> = BTreeMap::new();
    for (plain, ruled) in plain.iter().zip(ruled) {
        let ruled = medians(ruled);
        for (call, seconds) in medians(plain) {
            if let Some(with_rules) = ruled.get(&call) {
                ratios.entry(call).or_default().push(seconds / with_rules);
            }
        }
    }
    let alpha = Alpha::new(Alpha::FIVE_PERCENT.get() / ratios.len().max(1) as f64).unwrap_or(Alpha::FIVE_PERCENT);
    let of_call = |((collective, shape, bytes), ratios): ((Collective, CommunicatorShape, u64), Vec<f64>)| {
        let pooled = pool(&ratios, alpha)?;
        let (low, high) = pooled.interval.map(|interval| (interval.low, interval.high)).unzip();
        let effect = match (low, high) {
            (Some(low), _) if low > 1.0 => Effect::Faster,
            (Some(low), _) if low >= 1.0 / (1.0 + margin) => Effect::NotSlower,
            (_, Some(high)) if high < 1.0 / (1.0 + margin) => Effect::Slower,
            _ => Effect::NotShown,
        };
        let rule = rules.iter().find(|rules| (rules.collective, rules.shape) == (collective, shape));
        let rule = rule.and_then(|rules| rules.at(bytes));
        let launches = ratios.len() as u64;
        Some(Verified { collective, shape, bytes, rule, launches, gain: pooled.estimate, low, high, effect })
    };
    ratios.into_iter().filter_map(of_call).collect()
}

/// The median of the library's default for each call, seconds.
fn medians(file: &ResultFile) -> BTreeMap<(Collective, CommunicatorShape, u64), f64> {
    let timed = file.cells.iter().filter(|row| row.is_the_librarys_choice());
    let calls = timed.filter_map(|row| {
        let collective = Collective::timed_by(&row.strategy, row.end)?;
        let bytes = collective.message_bytes(row.elements, row.dtype.size() as u64, row.ranks);
        Some(((collective, CommunicatorShape { ranks: row.ranks, nodes: row.nodes }, bytes), row.timed()?))
    });
    calls.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::End;
    use crate::results::Environment;
    use crate::results::row::{CellRow, Status};

    fn launch(seconds: &[f64]) -> ResultFile {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        for (cell, seconds) in (0..).zip(seconds) {
            let row = CellRow {
                cell,
                elements: 1 << cell,
                strategy: "native-reduce".into(),
                end: End::Root,
                ranks: 2,
                nodes: 1,
                median_s: Some(*seconds),
                status: Status::Ok,
                ..CellRow::default()
            };
            file.push(row, vec![], vec![]);
        }
        file
    }

    #[test]
    fn effects_follow_from_the_intervals_over_launches() {
        let plain = [[1.0, 1.0, 1.0, 1.0], [1.2, 1.2, 1.2, 1.2], [0.9, 0.9, 0.9, 0.9]];
        // Twice as fast, 0.1 % slower, 10 % slower, and anything between.
        let factors = [[0.5, 1.001, 1.1, 0.7], [0.51, 1.0012, 1.101, 1.3], [0.49, 1.0008, 1.099, 1.0]];
        let ruled = std::array::from_fn::<_, 3, _>(|i| {
            launch(&std::array::from_fn::<_, 4, _>(|k| plain[i][k] * factors[i][k]))
        });
        let found = verified(&plain.map(|seconds| launch(&seconds)), &ruled, &[], 0.03);
        let effects: Vec<Effect> = found.iter().map(|call| call.effect).collect();
        assert_eq!(effects, [Effect::Faster, Effect::NotSlower, Effect::Slower, Effect::NotShown]);
        assert!(found.iter().all(|call| call.launches == 3 && call.rule.is_none()));
    }
}
