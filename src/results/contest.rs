//! States the outcome of one comparison in a sentence: the best sharded strategy against the best tree or single
//! server, and the library's best call if it is faster than both.

use std::collections::BTreeMap;

use super::contents::ResultFile;
use super::row::{CellRow, RatioRow};
use super::show::number::{about, about_mebibytes};
use super::show::page::printable;
use crate::plan::{End, Family};
use crate::stats::{Alpha, Interval, SizedRatio, Verdict, least_blocks};

/// The noun for a family's strategies in a sentence.
pub fn spoken(family: Family) -> &'static str {
    match family {
        Family::Sharded => "sharded strategy",
        Family::Tree => "tree",
        Family::Server => "single server",
        Family::Library => "call of the MPI library",
    }
}

/// The advice to follow if a family wins.
fn advice(family: Family) -> &'static str {
    match family {
        Family::Sharded => "shard",
        Family::Tree => "build a tree",
        Family::Server => "use one server",
        Family::Library => "leave it to the library",
    }
}

/// A property in which comparisons may differ besides the model.
type Fact = fn(&CellRow) -> String;
const FACTS: [Fact; 7] = [
    |cell| cell.dtype.to_string(),
    |cell| format!("N {}", cell.clients),
    |cell| format!("{} ranks", cell.ranks),
    |cell| format!("{} node{}", cell.nodes, if cell.nodes == 1 { "" } else { "s" }),
    |cell| cell.roles.to_string(),
    |cell| format!("end {}", cell.end),
    |cell| cell.residency.to_string(),
];

/// One comparison: the cells and ratios that the answer is made from.
#[derive(Clone, Debug)]
pub struct Contest<'f> {
    /// The comparison's number.
    pub number: u64,
    /// Its cells, in the order of their numbers.
    pub cells: Vec<&'f CellRow>,
    /// Their ratios to the fastest.
    pub ratios: Vec<&'f RatioRow>,
    /// Number of jobs over which the ratios are pooled; None for a single job.
    pub jobs: Option<u64>,
    /// The properties besides the model in which it differs from other comparisons of its file.
    pub facts: Vec<String>,
}

/// The comparisons of a file, in the order of their numbers. Cells of different ends are never compared: a comparison
/// of an older file that mixes them is one contest for each end.
pub fn contests(file: &ResultFile) -> Vec<Contest<'_>> {
    let differing: Vec<Fact> =
        FACTS.into_iter().filter(|fact| file.cells.windows(2).any(|two| fact(&two[0]) != fact(&two[1]))).collect();
    let mut contests: BTreeMap<(u64, End), Contest<'_>> = BTreeMap::new();
    for cell in &file.cells {
        let contest = contests.entry((cell.comparison, cell.end)).or_insert_with(|| Contest {
            number: cell.comparison,
            cells: Vec::new(),
            ratios: Vec::new(),
            jobs: None,
            facts: differing.iter().map(|fact| fact(cell)).collect(),
        });
        contest.cells.push(cell);
    }
    for contest in contests.values_mut() {
        let has = |cell: u64| contest.cells.iter().any(|row| row.cell == cell);
        let counts = |ratio: &&RatioRow| ratio.comparison == contest.number && has(ratio.cell) && has(ratio.baseline);
        contest.ratios = file.ratios.iter().filter(counts).collect();
    }
    let mut contests: Vec<Contest<'_>> = contests.into_values().collect();
    // The file lists a cell that a job died of before the cells of the same blocks.
    contests.iter_mut().for_each(|contest| contest.cells.sort_by_key(|cell| cell.cell));
    contests
}

impl<'f> Contest<'f> {
    /// The cell of a family with the least median.
    pub fn best(&self, family: Family) -> Option<&'f CellRow> {
        self.fastest_of(|cell| cell.family == family)
    }

    /// The cell with the least median.
    pub fn fastest(&self) -> Option<&'f CellRow> {
        self.fastest_of(|_| true)
    }

    /// The cell with the least median of those that finish the whole result on one rank: trees and single servers.
    pub fn best_rooted(&self) -> Option<&'f CellRow> {
        self.fastest_of(|cell| matches!(cell.family, Family::Tree | Family::Server))
    }

    fn fastest_of(&self, counts: impl Fn(&CellRow) -> bool) -> Option<&'f CellRow> {
        let timed = self.cells.iter().filter(|cell| counts(cell)).filter_map(|cell| Some((cell.timed()?, *cell)));
        timed.min_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, cell)| cell)
    }

    /// The ratio of two cells, one of which is the fastest of the comparison. None if it was not measured.
    pub fn ratio(&self, one: &CellRow, other: &CellRow) -> Option<&'f RatioRow> {
        let of = |ratio: &RatioRow| [ratio.cell, ratio.baseline];
        self.ratios
            .iter()
            .find(|ratio| of(ratio) == [one.cell, other.cell] || of(ratio) == [other.cell, one.cell])
            .copied()
    }

    /// The cell's strategy, with the properties that distinguish it from other cells of the same strategy.
    pub fn name(&self, cell: &CellRow) -> String {
        let same: Vec<&&CellRow> = self.cells.iter().filter(|other| other.formed() == cell.formed()).collect();
        let told: [(bool, String); 7] = [
            (same.iter().any(|other| other.shards != cell.shards), format!("M {}", cell.shards)),
            (same.iter().any(|other| other.flow != cell.flow), printable(&cell.flow)),
            (same.iter().any(|other| other.order != cell.order), cell.order.to_string()),
            (same.iter().any(|other| other.intra_node != cell.intra_node), cell.intra_node.to_string()),
            (same.iter().any(|other| other.ready != cell.ready), format!("ready {}", cell.ready)),
            (same.iter().any(|other| other.caches != cell.caches), format!("caches {}", cell.caches)),
            (same.iter().any(|other| other.ceiling_bytes != cell.ceiling_bytes), ceiling(cell)),
        ];
        let told: Vec<String> = told.into_iter().filter(|(differs, _)| *differs).map(|(_, text)| text).collect();
        let name = printable(&cell.formed());
        if told.is_empty() { name } else { format!("{name} ({})", told.join(", ")) }
    }

    /// The model, and the properties that distinguish this comparison from the others of its file.
    pub fn title(&self) -> String {
        let model = self.cells.first().map(|cell| printable(&cell.model));
        model.into_iter().chain(self.facts.iter().cloned()).collect::<Vec<String>>().join(", ")
    }

    /// The answer in a sentence, without the model.
    pub fn sentence(&self) -> String {
        let (sharded, tree) = (self.best(Family::Sharded), self.best_rooted());
        let Some(fastest) = self.fastest() else { return "no cell was timed".to_owned() };
        match (sharded, tree) {
            _ if fastest.family == Family::Library => self.library_first(fastest, [sharded, tree]),
            (Some(sharded), Some(tree)) => {
                let (first, second) = if sharded.median_s <= tree.median_s { (sharded, tree) } else { (tree, sharded) };
                match self.ratio(first, second) {
                    Some(ratio) => self.verdict(first, second, ratio, true),
                    None => format!("{} has the least median; nothing more is known", self.name(first)),
                }
            }
            (Some(only), _) => self.among(only, Family::Tree),
            (_, only) => self.among(only.unwrap_or(fastest), Family::Sharded),
        }
    }

    /// The sentence if a call of the MPI library has the least median. It compares the call with the best rival of the
    /// other families.
    fn library_first(&self, library: &CellRow, rivals: [Option<&CellRow>; 2]) -> String {
        let mut rivals: Vec<&CellRow> = rivals.into_iter().flatten().collect();
        rivals.sort_by(|one, other| one.median_s.unwrap_or(f64::NAN).total_cmp(&other.median_s.unwrap_or(f64::NAN)));
        let Some(first) = rivals.first() else {
            return format!("{}; no sharded strategy and no tree was timed", self.name(library));
        };
        let Some(ratio) = self.ratio(library, first) else {
            return format!("{} has the least median; nothing more is known", self.name(library));
        };
        let beside = rivals.get(1).and_then(|second| {
            let times = Factor::of(self.ratio(library, second)?, second).times();
            Some(format!("; {}, the best {}, takes {times} as long", self.name(second), spoken(second.family)))
        });
        self.verdict(library, first, ratio, true) + &beside.unwrap_or_default()
    }

    /// The sentence if only one family was timed. It compares the best cell with the second best.
    fn among(&self, best: &CellRow, lacking: Family) -> String {
        let without = format!("no {} was timed", spoken(lacking));
        match self.fastest_of(|cell| cell.cell != best.cell) {
            None => format!("{} alone was timed", self.name(best)),
            Some(second) => match self.ratio(best, second) {
                Some(ratio) => format!("{}; {without}", self.verdict(best, second, ratio, false)),
                None => format!("{} is the {} with the least median; {without}", self.name(best), spoken(best.family)),
            },
        }
    }

    /// The claim about `first`, which has the smaller median, and `second`. If they are of different families
    /// (`across`), it contains advice.
    fn verdict(&self, first: &CellRow, second: &CellRow, ratio: &RatioRow, across: bool) -> String {
        let (one, other) = (self.name(first), self.name(second));
        let advice = |cell: &CellRow| if across { format!("{}. ", advice(cell.family)) } else { String::new() };
        let apposition = if across { format!(", the best {}", spoken(second.family)) } else { String::new() };
        let (times, memory) = (Factor::of(ratio, second).times(), memory(first, second));
        match ratio.verdict {
            Verdict::Slower => {
                format!("{}{one} is fastest: {times} faster than {other}{apposition}{memory}", advice(first))
            }
            // The medians and the ratios within blocks may disagree.
            Verdict::Faster => format!(
                "{}{other}{apposition}, is faster block by block: {} faster than {one}, whose median is less{}",
                advice(second),
                Factor::of(ratio, first).times(),
                self::memory(second, first)
            ),
            Verdict::Same => {
                let within = percent(ratio.margin);
                format!("either. {one} and {other}{apposition}, are equally fast within {within} %: {times}{memory}")
            }
            Verdict::Undecided => {
                let measured = match (self.jobs, ratio.blocks) {
                    (Some(jobs), _) => format!("{jobs} jobs"),
                    (None, 1) => "1 block".to_owned(),
                    (None, blocks) => format!("{blocks} blocks"),
                };
                let more = match (self.jobs, needed_blocks(ratio)) {
                    (None, Some(blocks)) => format!("; a verdict needs about {blocks} blocks"),
                    _ => String::new(),
                };
                format!("undecided after {measured}{more}. {one} or {other}{apposition}: {times}{memory}")
            }
        }
    }

    /// Time of the best sharded strategy divided by that of the best tree, at the comparison's gradient size in MiB.
    /// None if they were not compared.
    pub fn sharded_to_tree(&self) -> Option<SizedRatio> {
        let (sharded, tree) = (self.best(Family::Sharded)?, self.best_rooted()?);
        let Factor { estimate, interval } = Factor::of(self.ratio(sharded, tree)?, sharded);
        Some(SizedRatio { size: size(sharded), estimate, interval })
    }
}

/// Returns the number of blocks after which an undecided ratio would have a verdict, if it stayed as it is: those for an
/// interval at all, or those after which it excludes 1 or lies inside the margin, as its width falls with the root of
/// their number. Rounded up to two digits. None if a file is too old to tell.
fn needed_blocks(ratio: &RatioRow) -> Option<u64> {
    let interval = ratio.ci_low.zip(ratio.ci_high).map(|(low, high)| Interval { low, high });
    let Some(interval) = interval else { return Some(least_blocks(Alpha::new(ratio.alpha)?) as u64) };
    let distance = ratio.estimate.ln().abs();
    let reach = distance.max(ratio.margin.ln_1p() - distance);
    let blocks = ratio.blocks as f64 * (interval.relative_half_width().ln_1p() / reach).powi(2);
    let unit = 10f64.powf(blocks.log10().floor() - 1.0).max(1.0);
    (blocks < 1e9).then(|| ((blocks / unit).ceil() * unit) as u64)
}

/// Text on the predicted memory of both cells' aggregators, such as
/// `; an aggregator of sharded-direct needs 128 MiB, of tree-central 512 MiB`. Empty if a prediction is missing, as in
/// older files, or if both are equal.
fn memory(one: &CellRow, other: &CellRow) -> String {
    let [first, second] = [one, other].map(|cell| cell.aggregator.total());
    if first == 0 || second == 0 || first == second {
        return String::new();
    }
    let [first, second] = [first, second].map(about_mebibytes);
    format!("; its aggregator needs {first} MiB, the other's {second} MiB")
}

fn ceiling(cell: &CellRow) -> String {
    cell.ceiling_bytes.map_or("no ceiling".to_owned(), |bytes| format!("ceiling {} MiB", about(bytes / 1_048_576.0)))
}

fn percent(part: f64) -> String {
    format!("{:.3}", part * 100.0).trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A ratio of times with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor {
    /// The ratio.
    pub estimate: f64,
    /// Its interval; None with too few blocks.
    pub interval: Option<Interval>,
}

impl Factor {
    /// The time of `above` divided by the time of the ratio's other cell.
    pub fn of(ratio: &RatioRow, above: &CellRow) -> Factor {
        let interval = ratio.ci_low.zip(ratio.ci_high).map(|(low, high)| Interval { low, high });
        if ratio.cell == above.cell {
            return Factor { estimate: ratio.estimate, interval };
        }
        let inverse = interval.map(|Interval { low, high }| Interval { low: 1.0 / high, high: 1.0 / low });
        Factor { estimate: 1.0 / ratio.estimate, interval: inverse }
    }

    /// The factor as text, such as `1.52× [1.49, 1.56]`.
    pub fn times(&self) -> String {
        let Factor { estimate, interval } = self;
        // Near 1 two decimals do not show a difference of a few per mille.
        let digits = if (0.9..1.1).contains(estimate) { 3 } else { 2 };
        match interval {
            Some(Interval { low, high }) => format!("{estimate:.digits$}× [{low:.digits$}, {high:.digits$}]"),
            None => format!("{estimate:.digits$}× (too few blocks for an interval)"),
        }
    }
}

/// Size of the gradient in MiB.
pub fn size(cell: &CellRow) -> f64 {
    cell.gradient_bytes() as f64 / f64::from(1 << 20)
}
