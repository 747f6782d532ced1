//! Holm's adjustment of p-values for a family of claims.

/// Adjusts the p-values of a family of tests, in the given order. If each adjusted value is compared with α, the
/// probability of rejecting any true hypothesis of the family is at most α, whatever the dependence between the tests.
///
/// This is Holm's step-down procedure (Holm, A simple sequentially rejective multiple test procedure, Scandinavian
/// Journal of Statistics 6, 1979): of m values the i-th smallest, from 1, is multiplied by m − i + 1. An adjusted value
/// is at least the one before it and at most 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut before = 0.0f64;
    for (place, index) in order.into_iter().enumerate() {
        let remaining = p_values.len() - place;
        before = before.max(p_values[index] * remaining as f64).min(1.0);
        adjusted[index] = before;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12), "{found:?}, not {expected:?}");
    }

    /// The example of Wikipedia's article on the Holm-Bonferroni method: at 0.05 the first and the fourth are rejected.
    /// statsmodels.stats.multitest.multipletests([.01, .04, .03, .005], method='holm').
    #[test]
    fn four_hypotheses() {
        assert_near(&holm(&[0.01, 0.04, 0.03, 0.005]), &[0.03, 0.06, 0.06, 0.02]);
    }

    /// The fifteen p-values of Benjamini and Hochberg, Controlling the false discovery rate (1995), of which
    /// methods like this one reject three: statsmodels, as above.
    #[test]
    fn fifteen_hypotheses() {
        let p_values = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0,
        ];
        let expected =
            [0.0015, 0.0056, 0.0247, 0.114, 0.2211, 0.278, 0.278, 0.278, 0.3213, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert_near(&holm(&p_values), &expected);
    }

    #[test]
    fn one_claim_is_its_own_family() {
        assert_eq!(holm(&[0.04]), [0.04]);
        assert_eq!(holm(&[]), [0.0; 0]);
    }
}
