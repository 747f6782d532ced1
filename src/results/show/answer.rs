//! The first lines of the page. They compare the best sharded strategy with the best tree in each comparison, and give
//! the gradient sizes at which their order changes.

use std::collections::BTreeMap;

use super::number::about;
use super::page::{paragraph, printable};
use super::view::View;
use crate::plan::Family;
use crate::results::contest::{Contest, contests, spoken};
use crate::stats::{Crossover, SizedRatio, crossovers};

/// The answers in sentences: one for each comparison, preceded by its model, then one for each change of order with
/// the gradient size.
pub fn sentences(contests: &[Contest<'_>]) -> Vec<String> {
    let mut said: Vec<String> =
        contests.iter().map(|contest| format!("{}: {}", contest.title(), contest.sentence())).collect();
    // Comparisons that differ only in the model.
    let mut series: BTreeMap<&[String], Vec<&Contest<'_>>> = BTreeMap::new();
    for contest in contests {
        series.entry(&contest.facts).or_default().push(contest);
    }
    said.extend(series.iter().flat_map(|(facts, contests)| order_by_size(facts, contests)));
    said
}

/// Appends the answers, one paragraph each. With several jobs, the answers are those of the pooled ratios.
pub fn answer(page: &mut String, view: &View<'_>) {
    let mut contests = contests(view.file());
    for contest in &mut contests {
        contest.jobs = view.jobs(contest.number);
        let transport = contest.cells.first().and_then(|cell| view.transport(cell));
        contest.facts.extend(transport.map(printable));
    }
    for sentence in sentences(&contests) {
        paragraph(page, &sentence, 2);
    }
}

/// Sentences on the gradient sizes at which the order of the best sharded strategy and the best tree changes.
fn order_by_size(facts: &[String], contests: &[&Contest<'_>]) -> Vec<String> {
    let mut ratios: Vec<SizedRatio> = contests.iter().filter_map(|contest| contest.sharded_to_tree()).collect();
    ratios.sort_by(|one, other| one.size.total_cmp(&other.size));
    // If several models have the same size, the first one counts.
    ratios.dedup_by(|one, other| one.size == other.size);
    let [first, .., last] = ratios.as_slice() else { return Vec::new() };
    let of = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    match crossovers(&ratios) {
        Err(error) => vec![format!("Crossover{of}: {error}")],
        Ok(found) if found.is_empty() => {
            let winner = if first.estimate < 1.0 || last.estimate < 1.0 { Family::Sharded } else { Family::Tree };
            let (low, high) = (about(first.size), about(last.size));
            vec![format!("No crossover{of} from {low} to {high} MiB: the best {} is ahead throughout.", spoken(winner))]
        }
        Ok(found) => found.iter().map(|crossover| change(crossover, &of, (first.size, last.size))).collect(),
    }
}

fn change(crossover: &Crossover, of: &str, (least, most): (f64, f64)) -> String {
    let (below, above) =
        if crossover.first_wins_below { (Family::Sharded, Family::Tree) } else { (Family::Tree, Family::Sharded) };
    let low = crossover.low.map_or(format!("below {}", about(least)), about);
    let high = crossover.high.map_or(format!("above {}", about(most)), about);
    let size = about(crossover.size);
    if crossover.low.is_none() && crossover.high.is_none() {
        return format!(
            "No crossover{of} is established from {} to {} MiB: medians change their order near {size} MiB, within intervals.",
            about(least),
            about(most)
        );
    }
    format!(
        "Crossover{of} at {size} MiB [{low}, {high}]: below it the best {} is ahead, above it the best {}.",
        spoken(below),
        spoken(above)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::row::{CellRow, RatioRow, Status};
    use crate::results::show::samples;
    use crate::results::show::warnings::unsettled;
    use crate::results::{Environment, ResultFile};
    use crate::stats::Verdict;

    fn said(file: &ResultFile) -> String {
        let mut page = String::new();
        answer(&mut page, &View::of(file));
        // Joins wrapped lines, so the width does not matter.
        page.replace("\n  ", " ")
    }

    /// A file with one comparison for each pair of elements and ratio. The ratio is the time of the best tree divided
    /// by that of the best sharded strategy.
    fn file(sizes: &[(u64, f64)], verdict: Verdict) -> ResultFile {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        for (comparison, (elements, ratio)) in (0..).zip(sizes) {
            let cell = |cell: u64, family: Family, strategy: &str, median| CellRow {
                cell,
                comparison,
                strategy: strategy.into(),
                family,
                model: format!("of-{elements}"),
                elements: *elements,
                median_s: Some(median),
                status: Status::Ok,
                ..CellRow::default()
            };
            let (sharded, tree) = (2 * comparison, 2 * comparison + 1);
            file.push(cell(sharded, Family::Sharded, "sharded-direct", 1.0), vec![], vec![]);
            file.push(cell(tree, Family::Tree, "tree-lambda-fl", *ratio), vec![], vec![]);
            let (cell, baseline, estimate) =
                if *ratio < 1.0 { (sharded, tree, 1.0 / ratio) } else { (tree, sharded, *ratio) };
            file.ratios.push(RatioRow {
                comparison,
                cell,
                baseline,
                blocks: 20,
                estimate,
                ci_low: Some(estimate / 1.1),
                ci_high: Some(estimate * 1.1),
                margin: 0.02,
                verdict,
                ..RatioRow::default()
            });
        }
        file
    }

    #[test]
    fn a_difference_that_is_shown_is_said_with_its_interval() {
        let text = said(&file(&[(1 << 18, 1.52)], Verdict::Slower));
        let expected = "of-262144: shard. sharded-direct is fastest: 1.52× [1.38, 1.67] faster than tree-lambda-fl, the best tree\n";
        assert_eq!(text, expected);
        let text = said(&file(&[(1 << 18, 0.5)], Verdict::Slower));
        let expected = "build a tree. tree-lambda-fl is fastest: 2.00× [1.82, 2.20] faster than sharded-direct, the best sharded strategy\n";
        assert_eq!(text, format!("of-262144: {expected}"));
        let text = said(&file(&[(1 << 18, 1.25)], Verdict::Faster));
        assert!(text.contains("tree-lambda-fl, the best tree, is faster block by block: 0.80×"), "{text}");
    }

    #[test]
    fn what_is_not_shown_is_not_claimed() {
        let text = said(&file(&[(1 << 18, 1.01)], Verdict::Undecided));
        // 20 (ln 1.1 / ln 1.01)² is 1,835.
        let expected = "undecided after 20 blocks; a verdict needs about 1900 blocks. sharded-direct or tree-lambda-fl, \
                        the best tree: 1.010× [0.918, 1.111]\n";
        assert_eq!(text, format!("of-262144: {expected}"));
        // Two sides of 45 pairs: 2 · 2⁻¹¹ is the first below 0.05 / 45.
        let mut few = file(&[(1 << 18, 1.01)], Verdict::Undecided);
        few.ratios[0] =
            RatioRow { ci_low: None, ci_high: None, alpha: 0.05 / 45.0, blocks: 10, ..few.ratios[0].clone() };
        assert!(said(&few).contains("undecided after 10 blocks; a verdict needs about 11 blocks. "), "{}", said(&few));
        let text = said(&file(&[(1 << 18, 1.01)], Verdict::Same));
        assert!(text.contains("are equally fast within 2 %: 1.010× [0.918, 1.111]"), "{text}");
        // Older files have no ratios.
        let mut old = file(&[(1 << 18, 1.52)], Verdict::Slower);
        old.ratios.clear();
        assert!(said(&old).contains("sharded-direct has the least median; nothing more is known"), "{}", said(&old));
        assert_eq!(said(&ResultFile::new("{}".into(), Environment::default())), "");
    }

    #[test]
    fn one_family_alone_has_no_other_to_be_compared_with() {
        let mut alone = file(&[(1 << 18, 1.52)], Verdict::Slower);
        alone.cells[1].family = Family::Sharded;
        let text = said(&alone);
        assert!(text.ends_with("faster than tree-lambda-fl; no tree was timed\n"), "{text}");
        alone.cells[1].status = Status::Failed;
        assert!(said(&alone).ends_with("sharded-direct alone was timed\n"), "{}", said(&alone));
        alone.cells[0].status = Status::Infeasible;
        assert!(said(&alone).ends_with("no cell was timed\n"), "{}", said(&alone));
    }

    #[test]
    fn the_library_is_named_where_it_is_fastest_and_not_counted_for_a_side() {
        let mut three = file(&[(1 << 18, 1.52)], Verdict::Slower);
        let call = CellRow {
            cell: 2,
            strategy: "native-allreduce".into(),
            family: Family::Library,
            median_s: Some(1.2),
            ..three.cells[0].clone()
        };
        three.push(call, vec![], vec![]);
        assert!(said(&three).contains("shard. sharded-direct is fastest: 1.52×"), "{}", said(&three));
        three.cells[2].median_s = Some(0.5);
        let against = |cell, estimate| RatioRow { cell, baseline: 2, estimate, ..three.ratios[0].clone() };
        three.ratios = vec![against(0, 2.0), against(1, 3.04)];
        assert_eq!(
            said(&three),
            "of-262144: leave it to the library. native-allreduce is fastest: 2.00× (too few blocks for an interval) faster \
             than sharded-direct, the best sharded strategy; tree-lambda-fl, the best tree, takes 3.04× (too few blocks for an \
             interval) as long\n"
                .replace(" (too few blocks for an interval)", " [1.38, 1.67]")
        );
    }

    /// Cells of different ends are never compared, even if they ran in the same blocks.
    #[test]
    fn each_end_has_an_answer_of_its_own() {
        let mut mixed = file(&[(1 << 18, 1.52)], Verdict::Slower);
        mixed.cells[1].end = crate::plan::End::Root;
        let text = said(&mixed);
        assert!(text.contains("end everywhere: sharded-direct alone was timed"), "{text}");
        assert!(text.contains("end root: tree-lambda-fl alone was timed"), "{text}");
    }

    #[test]
    fn cells_of_one_strategy_are_told_apart() {
        let mut two = file(&[(1 << 18, 1.52)], Verdict::Slower);
        let other = CellRow { cell: 9, shards: 16, flow: "1MiB".into(), median_s: Some(3.0), ..two.cells[0].clone() };
        two.push(other, vec![], vec![]);
        assert!(said(&two).contains("sharded-direct (M 0, ) is fastest"), "{}", said(&two));
    }

    /// The ratios 1 / 2 at 1 MiB and 2 at 4 MiB cross 1 at 2 MiB, by linear interpolation of the logarithms.
    #[test]
    fn the_order_changes_where_the_ratio_passes_1() {
        let text = said(&file(&[(1 << 18, 2.0), (1 << 20, 0.5)], Verdict::Slower));
        let line = text.lines().find(|line| line.starts_with("Crossover")).unwrap_or_else(|| panic!("{text}"));
        assert!(line.starts_with("Crossover at 2.00 MiB [1."), "{line}");
        assert!(text.contains("below it the best sharded strategy is ahead, above it the"), "{text}");
        let text = said(&file(&[(1 << 18, 0.5), (1 << 20, 2.0)], Verdict::Slower));
        assert!(text.contains("below it the best tree is ahead, above it"), "{text}");
        let text = said(&file(&[(1 << 18, 0.5), (1 << 20, 0.4)], Verdict::Slower));
        assert!(text.contains("No crossover from 1.00 to 4.00 MiB: the best tree is ahead throughout."), "{text}");
    }

    #[test]
    fn memory_of_samples_and_drift_are_warned_of() {
        let mut file = samples::file();
        let warned = |file: &ResultFile| {
            let mut page = String::new();
            unsettled(&mut page, file);
            page
        };
        assert_eq!(warned(&file), "");
        // The threshold for ten samples is 1.96 / √10 = 0.62.
        file.cells[0].lag1_autocorrelation = Some(0.61);
        assert_eq!(warned(&file), "");
        file.cells[0].lag1_autocorrelation = Some(0.63);
        assert!(warned(&file).starts_with("! AUTOCORRELATION: samples of sharded-direct (cell 0) resemble"));
        file.cells[1].drifts = true;
        assert!(warned(&file).contains("! DRIFT: samples of tree-lambda-fl (cell 1) had not"));
        // A failed cell shows no times, so it needs no warning.
        file.cells[3].drifts = true;
        assert!(!warned(&file).contains("cell 3"));
        assert!(warned(&file).lines().all(|line| line.chars().count() <= super::super::page::WIDTH));
    }
}
