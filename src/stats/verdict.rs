//! Verdicts on pairs of strategies.

use crate::stats::holm::holm;
use crate::stats::{Alpha, LogRatios, Look};

/// The claim about the first of two strategies, compared with the second.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    strum::Display,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    /// The first strategy takes less time.
    Faster,
    /// The first strategy takes more time.
    Slower,
    /// Their ratio lies between 1 / (1 + margin) and 1 + margin. Never claimed without a stated margin.
    Same,
    /// Nothing may be claimed: neither a difference nor equality has been shown.
    #[default]
    Undecided,
}

/// The evidence in the blocks of two strategies, before the rest of the family is taken into account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Hodges-Lehmann estimate of the ratio.
    pub estimate: f64,
    /// p-value of the hypothesis that both are equally fast, valid for all looks together.
    pub difference_p: f64,
    /// p-value of the hypothesis that the ratio lies outside the margin, valid for all looks together.
    pub equality_p: f64,
}

impl Evidence {
    /// Computes the evidence in `ratios` at `look`, where all looks share `alpha`. Returns None if no block contains
    /// both strategies.
    pub fn at(ratios: &LogRatios, margin: f64, look: &Look, alpha: Alpha) -> Option<Self> {
        let ratio = ratios.ratio(look.alpha)?;
        Some(Evidence {
            estimate: ratio.estimate,
            difference_p: look.for_all_looks(ratios.difference_p(), alpha),
            equality_p: look.for_all_looks(ratios.equality_p(margin), alpha),
        })
    }
}

/// A verdict with its p-values, which are adjusted for the looks and for the family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// p-value of the hypothesis that both are equally fast.
    pub difference_p: f64,
    /// p-value of the hypothesis that the ratio lies outside the margin.
    pub equality_p: f64,
}

/// Judges a family of pairs. The probability of claiming any difference that does not exist is at most `alpha`.
/// Separately, the probability of claiming any equality although the ratio lies outside `margin` is at most `alpha`
/// too. (Holm's adjustment is applied to each of the two kinds of claim.)
///
/// A ratio that is shown to lie inside the margin is `Same` even if it is shown to differ from 1, as the margin states
/// which differences do not matter. Without a margin above 0 no verdict is `Same`.
pub fn judge(family: &[Evidence], margin: f64, alpha: Alpha) -> Vec<Judgement> {
    let differences = holm(&family.iter().map(|evidence| evidence.difference_p).collect::<Vec<f64>>());
    let equalities = holm(&family.iter().map(|evidence| evidence.equality_p).collect::<Vec<f64>>());
    let judged = family.iter().zip(differences).zip(equalities);
    judged
        .map(|((evidence, difference_p), equality_p)| {
            let verdict = if margin > 0.0 && equality_p <= alpha.get() {
                Verdict::Same
            } else if difference_p > alpha.get() {
                Verdict::Undecided
            } else if evidence.estimate < 1.0 {
                Verdict::Faster
            } else {
                Verdict::Slower
            };
            Judgement { verdict, difference_p, equality_p }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(estimate: f64, difference_p: f64, equality_p: f64) -> Evidence {
        Evidence { estimate, difference_p, equality_p }
    }

    fn verdicts(family: &[Evidence], margin: f64) -> Vec<Verdict> {
        judge(family, margin, Alpha::FIVE_PERCENT).into_iter().map(|judged| judged.verdict).collect()
    }

    /// The p-values of Wikipedia's example of Holm's method: alone all four would be claimed, together two are.
    #[test]
    fn a_family_claims_less_than_each_alone() {
        let family = [(0.9, 0.01), (0.9, 0.04), (1.1, 0.03), (1.1, 0.005)].map(|(r, p)| evidence(r, p, 1.0));
        assert_eq!(verdicts(&family, 0.01), [Verdict::Faster, Verdict::Undecided, Verdict::Undecided, Verdict::Slower]);
        let alone: Vec<Verdict> = family.iter().flat_map(|one| verdicts(&[*one], 0.01)).collect();
        assert_eq!(alone, [Verdict::Faster, Verdict::Faster, Verdict::Slower, Verdict::Slower]);
    }

    #[test]
    fn equality_needs_a_margin_and_a_test_that_passes() {
        assert_eq!(verdicts(&[evidence(1.0, 0.9, 0.001)], 0.01), [Verdict::Same]);
        // No difference shown is not equality shown.
        assert_eq!(verdicts(&[evidence(1.0, 0.9, 0.2)], 0.01), [Verdict::Undecided]);
        assert_eq!(verdicts(&[evidence(1.0, 0.9, 0.0)], 0.0), [Verdict::Undecided]);
        // A difference that is shown, and shown not to count.
        assert_eq!(verdicts(&[evidence(1.004, 0.001, 0.001)], 0.01), [Verdict::Same]);
        // Equalities are a family too.
        let two = [evidence(1.0, 0.9, 0.03), evidence(1.0, 0.9, 0.2)];
        assert_eq!(verdicts(&two, 0.01), [Verdict::Undecided, Verdict::Undecided]);
    }

    #[test]
    fn verdicts_have_names() {
        let all = [Verdict::Faster, Verdict::Slower, Verdict::Same, Verdict::Undecided];
        assert_eq!(all.map(|verdict| verdict.to_string()), ["faster", "slower", "same", "undecided"]);
    }
}
