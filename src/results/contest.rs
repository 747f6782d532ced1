//! States the outcome of one comparison in a sentence: the best sharded strategy, the best tree and the single server
//! against each other, and the library's best call if it is faster than all of them.

use std::collections::BTreeMap;

use super::advice::{Advice, Answered};
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

/// A property in which comparisons may differ besides the model.
type Fact = fn(&CellRow) -> String;
const FACTS: [Fact; 7] = [
    |cell| cell.dtype.to_string(),
    |cell| format!("N {}", cell.clients),
    |cell| format!("{} rank{}", cell.ranks, if cell.ranks == 1 { "" } else { "s" }),
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
    /// The state in which its rounds end; None without cells.
    pub fn end(&self) -> Option<End> {
        self.cells.first().map(|cell| cell.end)
    }

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
        self.answered().sentence
    }

    /// The answer: advice, and the sentence with its reason, without the model.
    pub fn answered(&self) -> Answered {
        let Some(fastest) = self.fastest() else { return not_compared("no cell was timed".to_owned()) };
        // The library's calls stand beside the question, so that they answer it only if they are faster than all others.
        let families = [Family::Sharded, Family::Tree, Family::Server];
        let mut best: Vec<&CellRow> = families.into_iter().filter_map(|family| self.best(family)).collect();
        best.sort_by(|one, other| one.median_s.unwrap_or(f64::NAN).total_cmp(&other.median_s.unwrap_or(f64::NAN)));
        if fastest.family == Family::Library {
            return self.library_first(fastest, &best);
        }
        let (Some(first), Some(second)) = (best.first(), best.get(1)) else {
            return self.among(fastest, if fastest.family == Family::Sharded { Family::Tree } else { Family::Sharded });
        };
        let Some(ratio) = self.ratio(first, second) else {
            return not_compared(format!("{} has the least median; nothing more is known", self.name(first)));
        };
        let mut answered = self.verdict(first, second, ratio, true);
        for family in [Family::Sharded, Family::Tree].into_iter().filter(|family| self.best(*family).is_none()) {
            answered.sentence += &format!("; no {} was timed", spoken(family));
        }
        // Two of the three families do not answer for the third.
        if let (Family::Server, Some(third)) = (first.family, best.get(2)) {
            answered.sentence += &self.beside(answered.advice, first, third);
        }
        if let Some(library) = self.best(Family::Library) {
            answered.sentence += &self.beside(answered.advice, first, library);
        }
        answered
    }

    /// The answer if a call of the MPI library has the least median. It compares the call with the best of the other
    /// families, in the order of their medians.
    fn library_first(&self, library: &CellRow, rivals: &[&CellRow]) -> Answered {
        let Some(first) = rivals.first() else {
            return not_compared(format!("{}; no sharded strategy and no tree was timed", self.name(library)));
        };
        let Some(ratio) = self.ratio(library, first) else {
            return not_compared(format!("{} has the least median; nothing more is known", self.name(library)));
        };
        let mut answered = self.verdict(library, first, ratio, true);
        if let Some(second) = rivals.get(1) {
            answered.sentence += &self.beside(answered.advice, library, second);
        }
        answered
    }

    /// Text on a cell that is neither of the two that led to `advice`, compared with the fastest. Empty if nothing is
    /// established.
    fn beside(&self, advice: Advice, fastest: &CellRow, other: &CellRow) -> String {
        match self.ratio(fastest, other) {
            Some(ratio) if advice != Advice::NotEstablished => {
                let times = Factor::of(ratio, other).times();
                format!("; {}, the best {}, takes {times} as long", self.name(other), spoken(other.family))
            }
            _ => String::new(),
        }
    }

    /// The answer if only one family was timed. It compares the best cell with the second best.
    fn among(&self, best: &CellRow, lacking: Family) -> Answered {
        let without = format!("no {} was timed", spoken(lacking));
        let ratio = self.fastest_of(|cell| cell.cell != best.cell).map(|second| (second, self.ratio(best, second)));
        let sentence = match ratio {
            None => format!("{} alone was timed", self.name(best)),
            Some((second, Some(ratio))) => {
                let Answered { advice, sentence } = self.verdict(best, second, ratio, false);
                let sentence = format!("{sentence}; {without}");
                if advice == Advice::NotEstablished {
                    return Answered { advice, sentence };
                }
                sentence
            }
            Some((_, None)) => {
                format!("{} is the {} with the least median; {without}", self.name(best), spoken(best.family))
            }
        };
        not_compared(sentence)
    }

    /// The claim about `first`, which has the smaller median, and `second`. If they are of different families
    /// (`across`), it contains advice.
    fn verdict(&self, first: &CellRow, second: &CellRow, ratio: &RatioRow, across: bool) -> Answered {
        let (one, other) = (self.name(first), self.name(second));
        let advised = |cell: &CellRow| if across { Advice::from(cell.family) } else { Advice::NotCompared };
        let so = |advice: Advice| if across { format!("{}. ", advice.spoken()) } else { String::new() };
        let apposition = if across { format!(", the best {}", spoken(second.family)) } else { String::new() };
        let (times, memory) = (Factor::of(ratio, second).times(), memory(first, second));
        if let Some(disturbance) = CellRow::overwhelming_disturbance(first, second) {
            let sentence = format!(
                "not established: the machine was disturbed ({disturbance}). {one} or {other}{apposition}: {times}{memory}"
            );
            return Answered { advice: Advice::NotEstablished, sentence };
        }
        match ratio.verdict {
            Verdict::Slower => {
                let advice = advised(first);
                let sentence =
                    format!("{}{one} is fastest: {times} faster than {other}{apposition}{memory}", so(advice));
                Answered { advice, sentence }
            }
            // The medians and the ratios within blocks may disagree.
            Verdict::Faster => {
                let (advice, times) = (advised(second), Factor::of(ratio, first).times());
                let memory = self::memory(second, first);
                let sentence = format!(
                    "{}{other}{apposition}, is faster block by block: {times} faster than {one}, whose median is \
                     less{memory}",
                    so(advice)
                );
                Answered { advice, sentence }
            }
            Verdict::Same => {
                let within = percent(ratio.margin);
                let sentence = format!(
                    "either. {one} and {other}{apposition}, are equally fast within {within} %: {times}{memory}"
                );
                Answered { advice: Advice::Either, sentence }
            }
            Verdict::Undecided => {
                let sentence = format!("{}. {one} or {other}{apposition}: {times}{memory}", self.undecided(ratio));
                Answered { advice: Advice::Undecided, sentence }
            }
        }
    }

    /// Text on how much was measured, and how much a verdict needs.
    fn undecided(&self, ratio: &RatioRow) -> String {
        let measured = match (self.jobs, ratio.blocks) {
            (Some(jobs), _) => format!("{jobs} jobs"),
            (None, 1) => "1 block".to_owned(),
            (None, blocks) => format!("{blocks} blocks"),
        };
        match (self.jobs, needed_blocks(ratio)) {
            (None, Some(blocks)) if blocks <= ratio.blocks => {
                format!("undecided after {measured}; a verdict needs a few more")
            }
            (None, Some(blocks)) => format!("undecided after {measured}; a verdict needs about {blocks} blocks"),
            _ => format!("undecided after {measured}"),
        }
    }

    /// Time of the best sharded strategy divided by that of the best tree or single server, at the comparison's gradient size in MiB.
    /// None if they were not compared, or the machine was disturbed too much.
    pub fn sharded_to_tree(&self) -> Option<SizedRatio> {
        let (sharded, tree) = (self.best(Family::Sharded)?, self.best_rooted()?);
        if CellRow::overwhelming_disturbance(sharded, tree).is_some() {
            return None;
        }
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

/// Text on the predicted memory of both cells' aggregating ranks, without clients' gradients, as in the table's column `own`:
/// `; its rank needs 21.3 MiB, the other's 42.7 MiB`. Empty if a prediction is missing, as in older files, or if both are
/// equal.
fn memory(one: &CellRow, other: &CellRow) -> String {
    let [first, second] = [one, other].map(|cell| cell.aggregating_bytes);
    if first == 0 || second == 0 || first == second {
        return String::new();
    }
    let [first, second] = [first, second].map(about_mebibytes);
    format!("; its rank needs {first} MiB, the other's {second} MiB")
}

fn not_compared(sentence: String) -> Answered {
    Answered { advice: Advice::NotCompared, sentence }
}

fn ceiling(cell: &CellRow) -> String {
    cell.ceiling_bytes.map_or("no ceiling".to_owned(), |bytes| format!("ceiling {} MiB", about(bytes / 1_048_576.0)))
}

fn percent(part: f64) -> String {
    format!("{:.3}", part * 100.0).trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Most decimals of a factor.
const MOST_DIGITS: i32 = 5;

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

    /// The factor as text, such as `1.52× [1.49, 1.56]`. A bound beside 1 has as many decimals as show its side.
    pub fn times(&self) -> String {
        let Factor { estimate, interval } = self;
        // Near 1 two decimals do not show a difference of a few per mille.
        let least = if (0.9..1.1).contains(estimate) { 3 } else { 2 };
        match interval {
            Some(Interval { low, high }) => {
                let rounds_to_1 =
                    |bound: f64, digits: i32| bound != 1.0 && (bound - 1.0).abs() <= 0.5 * 0.1f64.powi(digits);
                let shows = |digits: &i32| ![*low, *high].iter().any(|bound| rounds_to_1(*bound, *digits));
                let digits = (least..MOST_DIGITS).find(shows).unwrap_or(MOST_DIGITS) as usize;
                format!("{estimate:.digits$}× [{low:.digits$}, {high:.digits$}]")
            }
            None => format!("{estimate:.digits$}× (too few blocks for an interval)", digits = least as usize),
        }
    }
}

/// Size of the gradient in MiB.
pub fn size(cell: &CellRow) -> f64 {
    cell.gradient_bytes() as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_beside_1_shows_its_side() {
        let text = |estimate, low, high| Factor { estimate, interval: Some(Interval { low, high }) }.times();
        assert_eq!(text(1.52, 1.49, 1.56), "1.52× [1.49, 1.56]");
        assert_eq!(text(1.01, 0.92, 1.11), "1.010× [0.920, 1.110]");
        assert_eq!(text(1.13, 1.0023, 1.25), "1.130× [1.002, 1.250]");
        assert_eq!(text(1.13, 0.9968, 1.25), "1.130× [0.997, 1.250]");
        assert_eq!(text(1.13, 1.00002, 1.25), "1.13000× [1.00002, 1.25000]");
        assert_eq!(text(1.2, 1.0, 1.3), "1.20× [1.00, 1.30]");
    }
}
