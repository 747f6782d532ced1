//! Findings and the effect of rules, for people and for programs.

use serde_json::{Value, json};

use super::{Finding, Verified};
use crate::plan::Algorithm;
use crate::results::show::page::{Align, Grid, Page, WIDTH};
use crate::results::show::{about_mebibytes, number::TimeUnit};

/// A table for each collective and shape: the message size, the default's time, the algorithm with the greatest gain, and
/// whether it becomes a rule.
pub fn findings_text(findings: &[Finding], margin: f64) -> String {
    let mut page = Page::new(WIDTH);
    for series in findings.chunk_by(|one, two| (one.collective, one.shape) == (two.collective, two.shape)) {
        let rules = series.iter().filter(|finding| finding.rule(margin).is_some()).count();
        let head =
            format!("{}, {}: {rules} of {} sizes have a rule", series[0].collective, series[0].shape, series.len());
        page.paragraph(&head, 2);
        let mut grid = Grid::new(vec![
            ("  MiB", Align::Right),
            ("default", Align::Right),
            ("fastest other", Align::Left),
            ("gain over the default", Align::Left),
            ("rule", Align::Left),
        ]);
        for finding in series {
            let unit = TimeUnit::of(finding.default_seconds);
            let rule = finding.rule(margin);
            let shown = rule.or(finding.candidates.first());
            grid.push(vec![
                about_mebibytes(finding.bytes),
                format!("{} {}", unit.show(finding.default_seconds), unit.name),
                shown.map_or("-".to_owned(), |candidate| candidate.algorithm.to_string()),
                shown.map_or(String::new(), |candidate| gain(candidate.gain, candidate.low, candidate.high)),
                rule.map_or("not known".to_owned(), |candidate| candidate.algorithm.to_string()),
            ]);
        }
        page.grid(&grid);
    }
    page.into_text()
}

/// The findings as a JSON array, each with its `rule`, null where nothing is known.
///
/// # Errors
/// The errors of serialisation.
pub fn findings_json(findings: &[Finding], margin: f64) -> serde_json::Result<Value> {
    let one = |finding: &Finding| {
        let mut value = serde_json::to_value(finding)?;
        value["rule"] = json!(finding.rule(margin).map(|candidate| candidate.algorithm));
        Ok(value)
    };
    findings.iter().map(one).collect()
}

/// A table of calls with and without rules.
pub fn verified_text(verified: &[Verified]) -> String {
    let mut grid = Grid::new(vec![
        ("collective", Align::Left),
        ("shape", Align::Left),
        ("MiB", Align::Right),
        ("rule", Align::Left),
        ("without over with rules", Align::Left),
        ("effect", Align::Left),
    ]);
    for Verified { collective, shape, bytes, rule, gain: estimate, low, high, effect, .. } in verified {
        grid.push(vec![
            collective.to_string(),
            shape.to_string(),
            about_mebibytes(*bytes),
            rule.as_ref().map_or("-".to_owned(), Algorithm::to_string),
            gain(*estimate, *low, *high),
            effect.to_string(),
        ]);
    }
    let mut page = Page::new(WIDTH);
    page.grid(&grid);
    page.into_text()
}

fn gain(estimate: f64, low: Option<f64>, high: Option<f64>) -> String {
    match low.zip(high) {
        Some((low, high)) => format!("{estimate:.3}× [{low:.3}, {high:.3}]"),
        None => format!("{estimate:.3}× (no interval)"),
    }
}
