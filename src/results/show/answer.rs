//! What the page says first: in each comparison the best sharded strategy against the best tree, and the gradient sizes at
//! which their order changes.

use std::collections::BTreeMap;

use super::number::{about, mebibytes};
use super::page::{paragraph, printable};
use super::view::View;
use crate::gradient::element::Dtype;
use crate::measure::autocorrelation::threshold;
use crate::measure::{Crossover, Interval, SizedRatio, crossovers};
use crate::results::ResultFile;
use crate::results::row::{CellRow, RatioRow, Status};

/// The families that are set against each other: the name in a cell's row, and in a sentence.
const SHARDED: (&str, &str) = ("sharded", "sharded strategy");
const TREE: (&str, &str) = ("tree", "tree");

/// What comparisons may differ in besides the model.
type Fact = fn(&CellRow) -> String;
const FACTS: [Fact; 7] = [
    |cell| printable(&cell.dtype),
    |cell| format!("N {}", cell.clients),
    |cell| format!("{} ranks", cell.ranks),
    |cell| format!("{} nodes", cell.nodes),
    |cell| printable(&cell.roles),
    |cell| printable(&cell.phase),
    |cell| printable(&cell.residency),
];

/// One comparison, as far as the answer goes.
struct Contest<'f> {
    cells: Vec<&'f CellRow>,
    ratios: Vec<&'f RatioRow>,
    /// Jobs that the ratios are pooled over; None for a single one.
    jobs: Option<u64>,
}

impl<'f> Contest<'f> {
    /// The cell of a family with the least median.
    fn best(&self, (family, _): (&str, &str)) -> Option<&'f CellRow> {
        self.fastest_of(|cell| cell.family == family)
    }

    fn fastest_of(&self, counts: impl Fn(&CellRow) -> bool) -> Option<&'f CellRow> {
        let timed = self.cells.iter().filter(|cell| cell.status == Status::Ok && counts(cell));
        let timed = timed.filter_map(|cell| Some((cell.median_s?, *cell)));
        timed.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, cell)| cell)
    }

    /// The ratio of two cells, of which one is the fastest of all.
    fn ratio(&self, one: &CellRow, other: &CellRow) -> Option<&'f RatioRow> {
        let of = |ratio: &RatioRow| [ratio.cell, ratio.baseline];
        self.ratios
            .iter()
            .find(|ratio| of(ratio) == [one.cell, other.cell] || of(ratio) == [other.cell, one.cell])
            .copied()
    }

    /// The strategy, with what tells it from other cells of the same strategy.
    fn name(&self, cell: &CellRow) -> String {
        let same: Vec<&&CellRow> = self.cells.iter().filter(|other| other.strategy == cell.strategy).collect();
        let told: [(bool, String); 5] = [
            (same.iter().any(|other| other.shards != cell.shards), format!("M {}", cell.shards)),
            (same.iter().any(|other| other.flow != cell.flow), printable(&cell.flow)),
            (same.iter().any(|other| other.order != cell.order), printable(&cell.order)),
            (same.iter().any(|other| other.intra_node != cell.intra_node), printable(&cell.intra_node)),
            (same.iter().any(|other| other.ceiling_bytes != cell.ceiling_bytes), ceiling(cell)),
        ];
        let told: Vec<String> = told.into_iter().filter(|(differs, _)| *differs).map(|(_, text)| text).collect();
        let name = printable(&cell.strategy);
        if told.is_empty() { name } else { format!("{name} ({})", told.join(", ")) }
    }

    /// The answer in a sentence.
    fn sentence(&self) -> String {
        match (self.best(SHARDED), self.best(TREE)) {
            (Some(sharded), Some(tree)) => {
                let sharded_first = sharded.median_s <= tree.median_s;
                let (first, second) = if sharded_first { (sharded, tree) } else { (tree, sharded) };
                let (_, family) = if sharded_first { TREE } else { SHARDED };
                match self.ratio(first, second) {
                    Some(ratio) => self.verdict(first, second, ratio, &format!(", the best {family}")),
                    None => format!("{} has the least median; nothing more is known", self.name(first)),
                }
            }
            (Some(only), None) => self.among(only, SHARDED, TREE),
            (None, Some(only)) => self.among(only, TREE, SHARDED),
            (None, None) => "no cell was timed".to_owned(),
        }
    }

    /// Where one family alone was timed: its best against its second.
    fn among(&self, best: &CellRow, (_, family): (&str, &str), (_, lacking): (&str, &str)) -> String {
        let without = format!("no {lacking} was timed");
        match self.fastest_of(|cell| cell.cell != best.cell) {
            None => format!("{} alone was timed", self.name(best)),
            Some(second) => match self.ratio(best, second) {
                Some(ratio) => format!("{}; {without}", self.verdict(best, second, ratio, "")),
                None => format!("{} is the {family} with the least median; {without}", self.name(best)),
            },
        }
    }

    /// What may be claimed of `first`, the fastest by its median, and `second`, which `apposition` describes.
    fn verdict(&self, first: &CellRow, second: &CellRow, ratio: &RatioRow, apposition: &str) -> String {
        let (one, other) = (self.name(first), self.name(second));
        let times = times(&Factor::of(ratio, second));
        let measured = match self.jobs {
            Some(jobs) => format!("{jobs} jobs"),
            None => format!("{} blocks", ratio.blocks),
        };
        match ratio.verdict.as_str() {
            "slower" => format!("{one} is fastest: {times} faster than {other}{apposition}"),
            // The median and the pairs of blocks need not agree.
            "faster" => {
                let times = self::times(&Factor::of(ratio, first));
                format!(
                    "{other}{apposition}, is faster block by block: {times} faster than {one}, whose median is less"
                )
            }
            "same" => {
                format!("{one} and {other}{apposition}, are equally fast within {} %: {times}", percent(ratio.margin))
            }
            _ => format!("{one} or {other}{apposition}: undecided after {measured}, {times}"),
        }
    }
}

fn ceiling(cell: &CellRow) -> String {
    cell.ceiling_bytes.map_or("no ceiling".to_owned(), |bytes| format!("ceiling {} MiB", mebibytes(bytes as u64)))
}

fn percent(part: f64) -> String {
    format!("{:.3}", part * 100.0).trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A ratio of times with its interval.
struct Factor {
    estimate: f64,
    interval: Option<Interval>,
}

impl Factor {
    /// The time of `above` divided by the time of the other one of the two.
    fn of(ratio: &RatioRow, above: &CellRow) -> Factor {
        let interval = ratio.ci_low.zip(ratio.ci_high).map(|(low, high)| Interval { low, high });
        if ratio.cell == above.cell {
            return Factor { estimate: ratio.estimate, interval };
        }
        let inverse = interval.map(|Interval { low, high }| Interval { low: 1.0 / high, high: 1.0 / low });
        Factor { estimate: 1.0 / ratio.estimate, interval: inverse }
    }
}

/// `1.52× [1.49, 1.56]`.
fn times(factor: &Factor) -> String {
    let Factor { estimate, interval } = factor;
    // Near 1 the third decimal is the one that matters.
    let digits = if (0.9..1.1).contains(estimate) { 3 } else { 2 };
    match interval {
        Some(Interval { low, high }) => format!("{estimate:.digits$}× [{low:.digits$}, {high:.digits$}]"),
        None => format!("{estimate:.digits$}× (too few blocks for an interval)"),
    }
}

/// Bytes of the gradient, MiB; None for a type that this version does not know.
fn size(cell: &CellRow) -> Option<f64> {
    let dtype = Dtype::ALL.into_iter().find(|dtype| dtype.name() == cell.dtype)?;
    Some(cell.elements as f64 * dtype.size() as f64 / f64::from(1 << 20))
}

/// Appends a line for each comparison and one for each change of order.
pub fn answer(page: &mut String, view: &View<'_>) {
    let file = view.file();
    let mut contests: BTreeMap<u64, Contest<'_>> = BTreeMap::new();
    for cell in &file.cells {
        let contest = contests.entry(cell.comparison).or_insert_with(|| Contest {
            cells: Vec::new(),
            ratios: Vec::new(),
            jobs: view.jobs(cell.comparison),
        });
        contest.cells.push(cell);
    }
    for ratio in &file.ratios {
        if let Some(contest) = contests.get_mut(&ratio.comparison) {
            contest.ratios.push(ratio);
        }
    }
    let differing: Vec<Fact> =
        FACTS.into_iter().filter(|fact| file.cells.windows(2).any(|two| fact(&two[0]) != fact(&two[1]))).collect();
    let facts = |cell: &CellRow| {
        let transport = view.transport(cell).map(printable);
        differing.iter().map(|fact| fact(cell)).chain(transport).collect::<Vec<String>>()
    };
    // Comparisons that differ in the model alone.
    let mut series: BTreeMap<Vec<String>, Vec<&Contest<'_>>> = BTreeMap::new();
    for contest in contests.values() {
        let Some(first) = contest.cells.first() else { continue };
        let mut what = vec![printable(&first.model)];
        what.extend(facts(first));
        paragraph(page, &format!("{}: {}", what.join(", "), contest.sentence()), 2);
        series.entry(facts(first)).or_default().push(contest);
    }
    for (facts, contests) in &series {
        order_by_size(page, facts, contests);
    }
}

/// Where the order of the best sharded strategy and the best tree changes with the size of the gradient.
fn order_by_size(page: &mut String, facts: &[String], contests: &[&Contest<'_>]) {
    let mut ratios: Vec<SizedRatio> = contests.iter().filter_map(|contest| sharded_to_tree(contest)).collect();
    ratios.sort_by(|one, other| one.size.total_cmp(&other.size));
    // Of several models of one size the first.
    ratios.dedup_by(|one, other| one.size == other.size);
    let [first, .., last] = ratios.as_slice() else { return };
    let of = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    match crossovers(&ratios) {
        Err(error) => paragraph(page, &format!("Crossover{of}: {error}"), 2),
        Ok(found) if found.is_empty() => {
            let winner = if first.estimate < 1.0 || last.estimate < 1.0 { SHARDED } else { TREE };
            let (low, high) = (about(first.size), about(last.size));
            let text = format!("No crossover{of} from {low} to {high} MiB: the best {} is ahead throughout.", winner.1);
            paragraph(page, &text, 2);
        }
        Ok(found) => {
            let known = (first.size, last.size);
            found.iter().for_each(|crossover| paragraph(page, &change(crossover, &of, known), 2));
        }
    }
}

/// The best sharded strategy's time over the best tree's, at the comparison's gradient size.
fn sharded_to_tree(contest: &Contest<'_>) -> Option<SizedRatio> {
    let (sharded, tree) = (contest.best(SHARDED)?, contest.best(TREE)?);
    let Factor { estimate, interval } = Factor::of(contest.ratio(sharded, tree)?, sharded);
    Some(SizedRatio { size: size(sharded)?, estimate, interval })
}

fn change(crossover: &Crossover, of: &str, (least, most): (f64, f64)) -> String {
    let (below, above) = if crossover.first_wins_below { (SHARDED, TREE) } else { (TREE, SHARDED) };
    let low = crossover.low.map_or(format!("below {}", about(least)), about);
    let high = crossover.high.map_or(format!("above {}", about(most)), about);
    let size = about(crossover.size);
    format!(
        "Crossover{of} at {size} MiB [{low}, {high}]: below it the best {} is ahead, above it the best {}.",
        below.1, above.1
    )
}

/// Appends a line for cells whose samples remember each other, and one for those that have not settled.
pub fn warnings(page: &mut String, file: &ResultFile) {
    let cells = || file.cells.iter().filter(|cell| cell.status == Status::Ok);
    let remembers = |cell: &&CellRow| cell.lag1_autocorrelation.is_some_and(|lag1| lag1 > threshold(cell.samples));
    let remembering: Vec<&CellRow> = cells().filter(remembers).collect();
    if let Some(most) = remembering.iter().filter_map(|cell| cell.lag1_autocorrelation).reduce(f64::max) {
        let text = format!(
            "! AUTOCORRELATION: samples of {} resemble the ones before (lag 1 up to {most:.2}), so intervals of medians may \
             be too narrow; ratios compare within blocks.",
            listed(&remembering)
        );
        paragraph(page, &text, 2);
    }
    let drifting: Vec<&CellRow> = cells().filter(|cell| cell.drifts).collect();
    if !drifting.is_empty() {
        let text = format!("! DRIFT: samples of {} had not settled by the middle of them.", listed(&drifting));
        paragraph(page, &text, 2);
    }
}

/// The cells' numbers; of many, how many there are.
fn listed(cells: &[&CellRow]) -> String {
    const NAMED: usize = 8;
    let name = |cell: &&CellRow| format!("{} (cell {})", printable(&cell.strategy), cell.cell);
    if cells.len() > NAMED {
        return format!("{} cells", cells.len());
    }
    cells.iter().map(name).collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;

    fn said(file: &ResultFile) -> String {
        let mut page = String::new();
        answer(&mut page, &View::of(file));
        page
    }

    /// The best tree against the best sharded strategy: `ratio` is the tree's time over the other's.
    fn file(sizes: &[(u64, f64)], verdict: &str) -> ResultFile {
        let mut file = ResultFile::new("{}".into(), serde_json::json!({}));
        for (comparison, (elements, ratio)) in (0..).zip(sizes) {
            let cell = |cell: u64, family: &str, strategy: &str, median| CellRow {
                cell,
                comparison,
                strategy: strategy.into(),
                family: family.into(),
                model: format!("of-{elements}"),
                elements: *elements,
                dtype: "f32".into(),
                median_s: Some(median),
                status: Status::Ok,
                ..CellRow::default()
            };
            let (sharded, tree) = (2 * comparison, 2 * comparison + 1);
            file.push(cell(sharded, "sharded", "sharded-direct", 1.0), vec![], vec![]);
            file.push(cell(tree, "tree", "tree-lambda-fl", *ratio), vec![], vec![]);
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
                verdict: verdict.into(),
                ..RatioRow::default()
            });
        }
        file
    }

    #[test]
    fn a_difference_that_is_shown_is_said_with_its_interval() {
        let text = said(&file(&[(1 << 18, 1.52)], "slower"));
        let expected =
            "of-262144: sharded-direct is fastest: 1.52× [1.38, 1.67] faster than tree-lambda-fl, the best tree\n";
        assert_eq!(text, expected);
        let text = said(&file(&[(1 << 18, 0.5)], "slower"));
        let expected =
            "tree-lambda-fl is fastest: 2.00× [1.82, 2.20] faster than sharded-direct, the best sharded strategy\n";
        assert_eq!(text, format!("of-262144: {expected}"));
        let text = said(&file(&[(1 << 18, 1.25)], "faster"));
        assert!(text.contains("tree-lambda-fl, the best tree, is faster block by block: 0.80×"), "{text}");
    }

    #[test]
    fn what_is_not_shown_is_not_claimed() {
        let text = said(&file(&[(1 << 18, 1.01)], "undecided"));
        let expected =
            "sharded-direct or tree-lambda-fl, the best tree: undecided after 20 blocks, 1.010× [0.918, 1.111]\n";
        assert_eq!(text, format!("of-262144: {expected}"));
        let text = said(&file(&[(1 << 18, 1.01)], "same"));
        assert!(text.contains("are equally fast within 2 %: 1.010× [0.918, 1.111]"), "{text}");
        // A file without ratios, as older ones are.
        let mut old = file(&[(1 << 18, 1.52)], "slower");
        old.ratios.clear();
        assert!(said(&old).contains("sharded-direct has the least median; nothing more is known"), "{}", said(&old));
        assert_eq!(said(&ResultFile::new("{}".into(), serde_json::Value::Null)), "");
    }

    #[test]
    fn one_family_alone_has_no_other_to_be_compared_with() {
        let mut alone = file(&[(1 << 18, 1.52)], "slower");
        alone.cells[1].family = "sharded".into();
        let text = said(&alone);
        assert!(text.ends_with("faster than tree-lambda-fl; no tree was timed\n"), "{text}");
        alone.cells[1].status = Status::Failed;
        assert!(said(&alone).ends_with("sharded-direct alone was timed\n"), "{}", said(&alone));
        alone.cells[0].status = Status::Infeasible;
        assert!(said(&alone).ends_with("no cell was timed\n"), "{}", said(&alone));
    }

    #[test]
    fn cells_of_one_strategy_are_told_apart() {
        let mut two = file(&[(1 << 18, 1.52)], "slower");
        let other = CellRow { cell: 9, shards: 16, flow: "1MiB".into(), median_s: Some(3.0), ..two.cells[0].clone() };
        two.push(other, vec![], vec![]);
        assert!(said(&two).contains("sharded-direct (M 0, ) is fastest"), "{}", said(&two));
    }

    /// Ratios 1 / 2 at 1 MiB and 2 at 4 MiB cross at 2 MiB, on the line in log-log.
    #[test]
    fn the_order_changes_where_the_ratio_passes_1() {
        let text = said(&file(&[(1 << 18, 2.0), (1 << 20, 0.5)], "slower"));
        let line = text.lines().find(|line| line.starts_with("Crossover")).unwrap_or_else(|| panic!("{text}"));
        assert!(line.starts_with("Crossover at 2.00 MiB [1."), "{line}");
        assert!(text.contains("below it the best sharded strategy is ahead, above it the"), "{text}");
        let text = said(&file(&[(1 << 18, 0.5), (1 << 20, 2.0)], "slower"));
        assert!(text.contains("below it the best tree is ahead, above it"), "{text}");
        let text = said(&file(&[(1 << 18, 0.5), (1 << 20, 0.4)], "slower"));
        assert!(text.contains("No crossover from 1.00 to 4.00 MiB: the best tree is ahead throughout."), "{text}");
    }

    #[test]
    fn memory_of_samples_and_drift_are_warned_of() {
        let mut file = samples::file();
        let warned = |file: &ResultFile| {
            let mut page = String::new();
            warnings(&mut page, file);
            page
        };
        assert_eq!(warned(&file), "");
        // Ten samples: 1.96 / √10 is 0.62.
        file.cells[0].lag1_autocorrelation = Some(0.61);
        assert_eq!(warned(&file), "");
        file.cells[0].lag1_autocorrelation = Some(0.63);
        assert!(warned(&file).starts_with("! AUTOCORRELATION: samples of sharded-direct (cell 0) resemble"));
        file.cells[1].drifts = true;
        assert!(warned(&file).contains("! DRIFT: samples of tree-lambda-fl (cell 1) had not"));
        // A cell that failed has nothing that could be misread.
        file.cells[3].drifts = true;
        assert!(!warned(&file).contains("cell 3"));
        assert!(warned(&file).lines().all(|line| line.chars().count() <= super::super::page::WIDTH));
    }
}
