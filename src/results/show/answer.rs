//! The first lines of the page. They compare the best strategies of the families in each comparison, and give the
//! gradient sizes at which the order of sharding and the others changes.

use std::collections::BTreeMap;

use super::number::about;
use super::page::{Page, printable};
use super::view::View;
use crate::plan::Family;
use crate::results::ResultFile;
use crate::results::advice::{Advice, Answered};
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

/// The comparisons of a view. With several jobs, their ratios are the pooled ones.
fn contests_of<'v>(view: &'v View<'_>) -> Vec<Contest<'v>> {
    let mut contests = contests(view.file());
    for contest in &mut contests {
        contest.jobs = view.jobs(contest.number);
        let transport = contest.cells.first().and_then(|cell| view.transport(cell));
        contest.facts.extend(transport.map(printable));
    }
    contests
}

/// Appends the answers, one paragraph each.
pub(super) fn answer(page: &mut Page, view: &View<'_>) {
    for sentence in sentences(&contests_of(view)) {
        page.paragraph(&sentence, 2);
    }
}

/// The answers alone, as text.
pub fn answers(file: &ResultFile, width: usize) -> String {
    let mut page = Page::new(width);
    answer(&mut page, &View::of(file));
    page.into_text()
}

/// The advice of each comparison.
pub fn advice_of(file: &ResultFile) -> Vec<Advice> {
    answered(&View::of(file)).into_iter().map(|(_, answered)| answered.advice).collect()
}

/// Each comparison of a view with its answer.
pub(super) fn answered<'v>(view: &'v View<'_>) -> Vec<(Contest<'v>, Answered)> {
    let with_answer = |contest: Contest<'v>| {
        let answered = contest.answered();
        (contest, answered)
    };
    contests_of(view).into_iter().map(with_answer).collect()
}

/// Sentences on the gradient sizes at which the order of the best sharded strategy and the best tree or single server
/// changes.
fn order_by_size(facts: &[String], contests: &[&Contest<'_>]) -> Vec<String> {
    let mut ratios: Vec<SizedRatio> = contests.iter().filter_map(|contest| contest.sharded_to_tree()).collect();
    ratios.sort_by(|one, other| one.size.total_cmp(&other.size));
    // If several models have the same size, the first one counts.
    ratios.dedup_by(|one, other| one.size == other.size);
    let [first, .., last] = ratios.as_slice() else { return Vec::new() };
    let of = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    let is_server = |contest: &&Contest<'_>| contest.best_rooted().is_some_and(|cell| cell.family == Family::Server);
    let rooted = if contests.iter().any(is_server) { "tree or single server" } else { spoken(Family::Tree) };
    match crossovers(&ratios) {
        Err(error) => vec![format!("Crossover{of}: {error}")],
        Ok(found) if found.is_empty() => {
            let sharded = first.estimate < 1.0 || last.estimate < 1.0;
            let winner = if sharded { spoken(Family::Sharded) } else { rooted };
            let (low, high) = (about(first.size), about(last.size));
            vec![format!("No crossover{of} from {low} to {high} MiB: the best {winner} is ahead throughout.")]
        }
        Ok(found) => found.iter().map(|crossover| change(crossover, &of, rooted, (first.size, last.size))).collect(),
    }
}

fn change(crossover: &Crossover, of: &str, rooted: &str, (least, most): (f64, f64)) -> String {
    let sharded = spoken(Family::Sharded);
    let (below, above) = if crossover.first_wins_below { (sharded, rooted) } else { (rooted, sharded) };
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
        "Crossover{of} at {size} MiB [{low}, {high}]: below it the best {below} is ahead, above it the best {above}."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Environment;
    use crate::results::row::{CellRow, RatioRow, Status};
    use crate::results::show::page::WIDTH;
    use crate::results::show::samples;
    use crate::results::show::warnings::unsettled;
    use crate::stats::Verdict;
    use crate::stats::interference::Interference;

    fn said(file: &ResultFile) -> String {
        // Joins wrapped lines, so the width does not matter.
        answers(file, WIDTH).replace("\n  ", " ")
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

    /// 72 % of the cores is more than the estimate bears, 12 % is not. The disturbance of a cell that the answer does not
    /// compare does not count.
    #[test]
    fn an_answer_of_a_disturbed_machine_is_not_established() {
        let mut two = file(&[(1 << 18, 1.52)], Verdict::Slower);
        for cell in &mut two.cells {
            (cell.interference, cell.other_load) = (Some(Interference::OtherLoad), Some(0.12));
        }
        assert!(said(&two).contains(": shard. sharded-direct is fastest"), "{}", said(&two));
        assert_eq!(advice_of(&two), [Advice::Shard]);
        two.cells.iter_mut().for_each(|cell| cell.other_load = Some(0.72));
        let expected = "of-262144: not established: the machine was disturbed (other programs or the host took 72 % of a \
                        node's cores). sharded-direct or tree-lambda-fl, the best tree: 1.52× [1.38, 1.67]\n";
        assert_eq!(said(&two), expected);
        assert_eq!(advice_of(&two), [Advice::NotEstablished]);
        // 1 − (1 − 0.2)² = 36 % of the pairs are hit; beside a quiet cell 20 % are.
        for cell in &mut two.cells {
            (cell.interference, cell.other_load) = (Some(Interference::OffCore), Some(0.0));
            cell.disturbed_samples = Some(0.2);
        }
        assert_eq!(advice_of(&two), [Advice::NotEstablished]);
        (two.cells[0].interference, two.cells[0].disturbed_samples) = (None, Some(0.0));
        assert_eq!(advice_of(&two), [Advice::Shard]);
        two.cells[1].interference = None;
        let third = CellRow {
            cell: 2,
            median_s: Some(3.0),
            interference: Some(Interference::OffCore),
            disturbed_samples: Some(1.0),
            ..two.cells[0].clone()
        };
        two.push(third, vec![], vec![]);
        assert_eq!(advice_of(&two), [Advice::Shard]);
    }

    /// A single server is neither sharded nor a tree.
    #[test]
    fn an_ordinary_server_that_is_fastest_is_kept() {
        let mut three = file(&[(1 << 18, 1.52)], Verdict::Slower);
        let server = CellRow {
            cell: 2,
            strategy: "tree-central".into(),
            family: Family::Server,
            median_s: Some(0.5),
            ..three.cells[0].clone()
        };
        three.push(server, vec![], vec![]);
        let against = |cell, estimate| RatioRow { cell, baseline: 2, estimate, ..three.ratios[0].clone() };
        three.ratios = vec![against(0, 2.0), against(1, 3.04)];
        let expected = "of-262144: keep one server. tree-central is fastest: 2.00× [1.38, 1.67] faster than sharded-direct, the \
                        best sharded strategy; tree-lambda-fl, the best tree, takes 3.04× [1.38, 1.67] as long\n";
        assert_eq!(said(&three), expected);
        assert_eq!(advice_of(&three), [Advice::KeepOneServer]);
        // Second to a sharded strategy it is the rival, as it is faster than the tree.
        three.cells[2].median_s = Some(1.1);
        three.ratios = vec![
            RatioRow { cell: 2, baseline: 0, estimate: 1.1, ..three.ratios[0].clone() },
            RatioRow { cell: 1, baseline: 0, estimate: 1.52, ..three.ratios[0].clone() },
        ];
        assert!(
            said(&three).contains(
                "shard. sharded-direct is fastest: 1.10× [1.38, 1.67] faster than tree-central, the best \
                                       single server\n"
            ),
            "{}",
            said(&three)
        );
    }

    /// A rank that hosts two aggregators of 10.7 MiB needs 21.3 MiB.
    #[test]
    fn memory_is_that_of_the_rank() {
        let mut two = file(&[(1 << 18, 1.52)], Verdict::Slower);
        (two.cells[0].aggregator.result, two.cells[0].aggregating_bytes) = (10 << 20, 20 << 20);
        (two.cells[1].aggregator.result, two.cells[1].aggregating_bytes) = (40 << 20, 40 << 20);
        let text = said(&two);
        assert!(text.contains("; its rank needs 20.0 MiB, the other's 40.0 MiB\n"), "{text}");
        two.cells[1].aggregating_bytes = 20 << 20;
        assert!(!said(&two).contains("MiB"), "{}", said(&two));
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
        // A comparison that was disturbed has no place in the order.
        let mut disturbed = file(&[(1 << 18, 0.5), (1 << 20, 0.4)], Verdict::Slower);
        for cell in &mut disturbed.cells {
            (cell.interference, cell.other_load) = (Some(Interference::OtherLoad), Some(0.72));
        }
        assert!(!said(&disturbed).contains("rossover"), "{}", said(&disturbed));
    }

    #[test]
    fn memory_of_samples_and_drift_are_warned_of() {
        let mut file = samples::file();
        let warned = |file: &ResultFile| {
            let mut page = Page::new(WIDTH);
            unsettled(&mut page, file);
            page.into_text()
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
        assert!(warned(&file).lines().all(|line| line.chars().count() <= WIDTH));
    }
}
