//! Rules for MPICH as variables of the environment. A variable holds for all communicators and all sizes.

use std::fmt::Write as _;

use super::Finding;
use crate::plan::Algorithm;

/// The variable of each collective of which one algorithm is known to be faster than the default by more than `margin` at
/// some measured size, and known not to be slower by more than `margin` at any other.
pub fn variables(findings: &[Finding], margin: f64) -> Vec<(&'static str, Algorithm)> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.collective);
    let of_collectives = sorted.chunk_by(|one, two| one.collective == two.collective);
    let variable = |of: &[&Finding]| Some((of[0].collective.mpich_variable(), everywhere(of, margin)?));
    of_collectives.filter_map(variable).collect()
}

/// The variables as lines for a shell.
pub fn environment(variables: &[(&'static str, Algorithm)]) -> String {
    let mut text = String::from("# A variable holds for all communicators and all message sizes.\n");
    for (variable, algorithm) in variables {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "export {variable}={}", algorithm.name());
    }
    text
}

/// The algorithm with the greatest gain somewhere among those that are nowhere slower.
fn everywhere(findings: &[&Finding], margin: f64) -> Option<Algorithm> {
    let faster = findings.iter().flat_map(|finding| finding.faster(margin));
    let no_worse = |algorithm: Algorithm| {
        findings.iter().all(|finding| {
            let here = finding.candidates.iter().find(|candidate| candidate.algorithm == algorithm);
            here.and_then(|candidate| candidate.low).is_some_and(|low| low >= 1.0 / (1.0 + margin))
        })
    };
    let fit = faster.filter(|candidate| no_worse(candidate.algorithm));
    fit.max_by(|one, other| one.gain.total_cmp(&other.gain)).map(|candidate| candidate.algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_needs_a_gain_somewhere_and_no_loss_anywhere() {
        let small = Finding::made(4, &[("binomial", 1.5, 1.4), ("knomial", 1.2, 1.1)]);
        let large = Finding::made(4096, &[("knomial", 1.0, 0.98), ("binomial", 0.7, 0.6)]);
        let chosen = variables(&[small.clone(), large], 0.03);
        assert_eq!(environment(&chosen).lines().last(), Some("export MPIR_CVAR_REDUCE_INTRA_ALGORITHM=knomial"));
        let worse = Finding::made(4096, &[("knomial", 0.95, 0.9)]);
        assert!(variables(&[small, worse], 0.03).is_empty());
    }
}
