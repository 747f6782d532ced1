//! Rules by message size, which say no more than the findings.

use super::{Collective, CommunicatorShape, Finding};
use crate::plan::Algorithm;

/// The algorithm for messages from a size on, up to the next step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleStep {
    /// Least message size, bytes.
    pub from: u64,
    /// The algorithm; None leaves the choice to the library.
    pub algorithm: Option<Algorithm>,
}

/// The rules for one collective on one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The collective.
    pub collective: Collective,
    /// The shape.
    pub shape: CommunicatorShape,
    /// Steps by ascending size. The first begins at 0; neighbours have different algorithms.
    pub steps: Vec<RuleStep>,
}

impl Rules {
    /// Makes rules for every collective and shape of which an algorithm is known to be faster than the default by more
    /// than `margin`.
    ///
    /// A measured size has the algorithm of its finding. A size between two measured ones has an algorithm if both
    /// neighbours have the same. All other sizes are left to the library.
    pub fn of(findings: &[Finding], margin: f64) -> Vec<Rules> {
        let mut sorted: Vec<&Finding> = findings.iter().collect();
        sorted.sort_by_key(|finding| (finding.collective, finding.shape, finding.bytes));
        let series = sorted.chunk_by(|one, two| (one.collective, one.shape) == (two.collective, two.shape));
        series.filter_map(|series| Rules::of_series(series, margin)).collect()
    }

    /// The rules for one collective on one shape, from findings by ascending size; None if nothing is known.
    fn of_series(series: &[&Finding], margin: f64) -> Option<Rules> {
        let first = series.first()?;
        let mut steps = vec![RuleStep { from: 0, algorithm: None }];
        let mut step = |from: u64, algorithm: Option<Algorithm>| {
            // A step of no length gives way to the one after it.
            if steps.last().is_some_and(|last| last.from == from) {
                steps.pop();
            }
            if steps.last().is_none_or(|last| last.algorithm != algorithm) {
                steps.push(RuleStep { from, algorithm });
            }
        };
        let algorithm = |finding: &Finding| finding.rule(margin).map(|candidate| candidate.algorithm);
        for (at, finding) in series.iter().enumerate() {
            let here = algorithm(finding);
            step(finding.bytes, here);
            if series.get(at + 1).is_none_or(|next| algorithm(next) != here) {
                step(finding.bytes.saturating_add(1), None);
            }
        }
        let known = steps.iter().any(|step| step.algorithm.is_some());
        known.then_some(Rules { collective: first.collective, shape: first.shape, steps })
    }

    /// The algorithm for messages of this size; None leaves the choice to the library.
    pub fn at(&self, bytes: u64) -> Option<Algorithm> {
        self.steps.iter().rev().find(|step| step.from <= bytes)?.algorithm
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    /// A finding whose only candidate is faster, or one that shows nothing.
    fn finding(bytes: u64, algorithm: Option<&str>) -> Finding {
        Finding::made(bytes, &[algorithm.map_or(("ring", 1.0, 0.9), |name| (name, 1.5, 1.4))])
    }

    proptest! {
        /// A measured size has its own algorithm, one element less or more has it only towards an equal neighbour.
        #[test]
        fn rules_say_no_more_than_the_findings(
            sizes in btree_map(1u64..40, prop::option::of(prop::sample::select(vec!["ring", "binary"])), 1..8)
        ) {
            let sizes: Vec<(u64, Option<&str>)> = sizes.into_iter().map(|(size, name)| (size * 4, name)).collect();
            let findings: Vec<Finding> = sizes.iter().map(|(bytes, name)| finding(*bytes, *name)).collect();
            let rules = Rules::of(&findings, 0.03);
            let at = |bytes: u64| rules.first().and_then(|rules| rules.at(bytes)).map(|found| found.to_string());
            for bytes in 0..=sizes[sizes.len() - 1].0 + 8 {
                let below = sizes.iter().rev().find(|(size, _)| *size <= bytes);
                let above = sizes.iter().find(|(size, _)| *size >= bytes);
                let expected = match (below, above) {
                    (Some((_, one)), Some((_, other))) if one == other => one.map(str::to_owned),
                    _ => None,
                };
                prop_assert_eq!(at(bytes), expected, "{} bytes of {:?}", bytes, sizes);
            }
            for rules in &rules {
                prop_assert!(rules.steps[0].from == 0);
                prop_assert!(rules.steps.windows(2).all(|two| two[0].from < two[1].from && two[0].algorithm != two[1].algorithm));
            }
        }
    }

    #[test]
    fn nothing_known_makes_no_rules() {
        assert!(Rules::of(&[finding(4, None), finding(8, None)], 0.03).is_empty());
        assert!(Rules::of(&[finding(4, Some("ring"))], 0.5).is_empty(), "the interval begins at 1.4");
    }
}
