//! The outcomes of the MPI library's performance guidelines, as text and as JSON.

use std::path::Path;

use serde_json::{Value, json};

use super::page::Page;
use crate::results::guidelines::{Findings, Outcome, Tested};

/// Text: the number of violations, each violation, then the undecided, kept and missing guidelines.
pub fn guidelines_text(path: &Path, findings: &Findings, width: usize) -> String {
    let mut page = Page::new(width);
    let of = |outcome| findings.tested.iter().filter(move |tested| tested.outcome == outcome);
    let count = |outcome| of(outcome).count();
    let headline = format!(
        "{}: {} guidelines tested: {} violated, {} undecided, {} kept (95 % for all of them together, by Holm)",
        path.display(),
        findings.tested.len(),
        count(Outcome::Violated),
        count(Outcome::Undecided),
        count(Outcome::Kept)
    );
    page.paragraph(&headline, 2);
    let sections = [(Outcome::Violated, "! VIOLATED"), (Outcome::Undecided, "undecided"), (Outcome::Kept, "kept")];
    for (outcome, word) in sections {
        of(outcome).for_each(|tested| page.paragraph(&format!("{word}: {}", sentence(tested)), 4));
    }
    for missing in &findings.missing {
        page.paragraph(&format!("not tested: {missing}"), 4);
    }
    page.into_text()
}

fn sentence(tested: &Tested) -> String {
    let interval = match (tested.ci_low, tested.ci_high) {
        (Some(low), Some(high)) => format!("[{low:.3}, {high:.3}]"),
        _ => "(too few blocks for an interval)".to_owned(),
    };
    let measured = match tested.jobs {
        1 => format!("{} blocks", tested.blocks),
        jobs => format!("{jobs} jobs"),
    };
    let violated = tested.outcome == Outcome::Violated;
    let cure = tested.cure.filter(|_| violated).map_or(String::new(), |algorithm| {
        format!("; a rule for the algorithm {algorithm} would cure it (gradshard tune)")
    });
    format!(
        "{}: {:.3}× {interval}, {measured}, p {:.2e}; {}; cells {} and {}{cure}",
        tested.guideline, tested.estimate, tested.p_holm, tested.at, tested.cell, tested.than
    )
}

/// A JSON object: `file`, `tested` (rows of [`Tested`]) and `missing`.
///
/// # Errors
/// The errors of serialisation.
pub fn guidelines_json(path: &Path, findings: &Findings) -> serde_json::Result<Value> {
    Ok(json!({
        "file": path.to_string_lossy(),
        "tested": serde_json::to_value(&findings.tested)?,
        "missing": findings.missing,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::page::WIDTH;

    fn findings() -> Findings {
        let tested = Tested {
            guideline: "one not slower than two".into(),
            at: "m (100 f32)".into(),
            cell: 3,
            than: 4,
            ranks: 2,
            nodes: 1,
            jobs: 1,
            blocks: 20,
            estimate: 1.5,
            ci_low: Some(1.4),
            ci_high: Some(1.6),
            p_holm: 0.001,
            margin: 0.02,
            outcome: Outcome::Violated,
            cure: None,
        };
        let undecided = Tested { outcome: Outcome::Undecided, ci_low: None, jobs: 3, ..tested.clone() };
        Findings { tested: vec![tested, undecided], missing: vec!["three: no side".into()] }
    }

    #[test]
    fn violations_come_first_with_ratio_and_interval() {
        let text = guidelines_text(Path::new("r.h5"), &findings(), WIDTH);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("r.h5: 2 guidelines tested: 1 violated, 1 undecided, 0 kept"), "{text}");
        assert!(
            lines[1].starts_with("! VIOLATED: one not slower than two: 1.500× [1.400, 1.600], 20 blocks, p 1.00e-3;"),
            "{text}"
        );
        assert!(
            text.contains("undecided: one not slower than two: 1.500× (too few blocks for an interval), 3 jobs"),
            "{text}"
        );
        assert!(text.ends_with("not tested: three: no side\n"), "{text}");
        let value = guidelines_json(Path::new("r.h5"), &findings()).unwrap();
        assert_eq!(
            (&value["tested"][0]["outcome"], &value["missing"][0]),
            (&json!("violated"), &json!("three: no side"))
        );
    }
}
