//! Makes the contents of a report from the files: answers, figures and comparisons between files.

use std::collections::{BTreeMap, BTreeSet};

use gradshard::gradient::Dtype;
use gradshard::results::distinct::distinct;
use gradshard::results::row::CellRow;
use gradshard::results::show::sentences;
use gradshard::stats::Verdict;

use crate::arguments::Arguments;
use crate::caveat::{Caveat, caveats};
use crate::compare::{Change, Pair, compare, sentence, side};
use crate::figure::{Figure, slug};
use crate::matrix::{Matrix, matrix};
use crate::number::{counted, percent};
use crate::plots::{
    Context, ForestRow, Prices, agreement, cost, distribution, forest, memory_over_shards, memory_over_size,
    over_nodes, over_shards, over_size, rounds, share, timelines,
};
use crate::source::{Compared, OpenFile};
use crate::style::of_strategy;

/// An answer, and its certainty.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The subject; empty if the text contains it.
    pub of: String,
    /// The sentence.
    pub text: String,
    /// The way in which it is shown.
    pub mood: Mood,
    /// True if it is the answer of one comparison, and not one about several.
    pub is_of_one: bool,
}

/// The way in which an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// The data show something.
    Sure,
    /// The data do not show anything.
    Open,
    /// The data show a regression.
    Bad,
}

/// Figures under a heading.
#[derive(Clone, Debug)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// A line below it; may be empty.
    pub note: String,
    /// The figures.
    pub figures: Vec<Figure>,
    /// True if the page shows them on demand only.
    pub is_folded: bool,
}

/// A whole report.
#[derive(Debug)]
pub struct Report<'s> {
    /// Every comparison of the files, without those of the baseline.
    pub comparisons: Vec<Compared<'s>>,
    /// The answers, those about regressions first.
    pub answers: Vec<Answer>,
    /// The answers of many comparisons; None for few.
    pub matrix: Option<Matrix>,
    /// The caveats of all numbers, then those of single figures, each kind once.
    pub caveats: Vec<Caveat>,
    /// The figures.
    pub sections: Vec<Section>,
    /// Compared cells of files; empty with a single label and no baseline.
    pub pairs: Vec<Pair>,
}

impl Report<'_> {
    /// True if its comparisons are of several files.
    pub fn has_several_files(&self) -> bool {
        self.comparisons.iter().any(|one| !std::ptr::eq(one.source, self.comparisons[0].source))
    }
}

/// Number of jobs with each label.
fn jobs(sources: &[OpenFile]) -> BTreeMap<&str, usize> {
    let mut jobs: BTreeMap<&str, usize> = BTreeMap::new();
    sources.iter().for_each(|source| *jobs.entry(&source.label).or_default() += 1);
    jobs
}

/// Makes the report of `sources`. Every label is compared with `baseline`, or without a baseline with the first label.
///
/// # Errors
/// The cost of a cell cannot be calculated.
pub fn report<'s>(
    sources: &'s [OpenFile],
    baseline: &'s [OpenFile],
    arguments: &Arguments,
) -> anyhow::Result<Report<'s>> {
    let comparisons: Vec<Compared<'_>> = sources.iter().flat_map(OpenFile::comparisons).collect();
    let jobs = jobs(sources);
    let several = sources.len() > 1;
    let (pairs, mut answers) = side_by_side(sources, baseline, arguments);
    for source in sources {
        let of_source: Vec<_> = comparisons.iter().filter(|c| std::ptr::eq(c.source, source)).collect();
        let contests: Vec<_> = of_source.iter().map(|comparison| comparison.contest.clone()).collect();
        for (index, text) in sentences(&contests).into_iter().enumerate() {
            let title = contests.get(index).map(|contest| contest.title()).unwrap_or_default();
            let text = text.strip_prefix(&format!("{title}: ")).unwrap_or(&text).to_owned();
            let label = if several { source.label.clone() } else { String::new() };
            let of = of_source.get(index).map_or(label, |comparison| comparison.title(several));
            let open = ["undecided", "not established", "no cell", "Crossover", "No crossover", "either"]
                .iter()
                .any(|word| text.starts_with(word));
            let (mood, is_of_one) = (if open { Mood::Open } else { Mood::Sure }, index < of_source.len());
            answers.push(Answer { of, text: capitalised(&text), mood, is_of_one });
        }
    }
    let fewest = jobs.values().copied().min().unwrap_or(1);
    let mut caveats =
        if comparisons.is_empty() { Vec::new() } else { caveats(&comparisons.iter().collect::<Vec<_>>(), fewest) };
    let mut sections = Vec::new();
    sections.extend(changes(&pairs, baseline, sources, arguments.margin));
    sections.extend(overview(&comparisons, &jobs));
    sections.extend(details(&comparisons, &jobs, several, arguments.comparisons));
    sections.extend(costs(&comparisons)?);
    rename(&mut sections);
    for caveat in sections.iter().flat_map(|section| &section.figures).flat_map(|figure| &figure.caveats) {
        if !caveats.iter().any(|other| other.is_of_kind(caveat)) {
            caveats.push(caveat.clone());
        }
    }
    let matrix = matrix(&comparisons, several);
    Ok(Report { comparisons, answers, matrix, caveats, sections, pairs })
}

fn capitalised(text: &str) -> String {
    let first_word = text.split([' ', '.']).next().unwrap_or_default();
    // Names of strategies keep their spelling.
    if first_word.contains('-') {
        return text.to_owned();
    }
    let mut signs = text.chars();
    signs.next().map_or(String::new(), |first| first.to_uppercase().chain(signs).collect())
}

fn side_by_side(sources: &[OpenFile], baseline: &[OpenFile], arguments: &Arguments) -> (Vec<Pair>, Vec<Answer>) {
    let control = arguments.control.as_deref();
    let labels = distinct(sources.iter().map(|source| source.label.as_str()));
    let of = |label: &str| sources.iter().filter(move |source| source.label == label).collect::<Vec<_>>();
    let (base, name, others) = match (baseline.first(), labels.split_first()) {
        (Some(first), _) => (side(baseline, control), format!("the baseline {}", first.label), labels.as_slice()),
        (None, Some((first, others))) if !others.is_empty() => (side(of(first), control), (*first).to_owned(), others),
        _ => return (Vec::new(), Vec::new()),
    };
    let (mut pairs, mut answers) = (Vec::new(), Vec::new());
    for label in others {
        let mut compared = compare(&base, &side(of(label), control), label, arguments.margin);
        if arguments.subset {
            compared.retain(|pair| pair.change != Change::Lost || pair.jobs[1] > 0);
        }
        let has = |of: fn(Change) -> bool| compared.iter().any(|pair| of(pair.change));
        let mood =
            match (!baseline.is_empty() && has(Change::is_regression), has(|change| change == Change::Undecidable)) {
                (true, _) => Mood::Bad,
                (_, true) => Mood::Open,
                _ => Mood::Sure,
            };
        answers.push(Answer {
            of: String::new(),
            text: sentence(&compared, &name, label, arguments.margin),
            mood,
            is_of_one: false,
        });
        pairs.extend(compared);
    }
    (pairs, answers)
}

/// Largest number of rows of a forest plot between files.
const CHANGES: usize = 24;

fn changes(pairs: &[Pair], baseline: &[OpenFile], sources: &[OpenFile], margin: f64) -> Option<Section> {
    let base = baseline.first().or(sources.first())?.label.clone();
    let mut timed: Vec<&Pair> = pairs.iter().filter(|pair| pair.ratio.is_some()).collect();
    // The cells with the largest changes are first. The table has all cells.
    timed.sort_by(|one, other| {
        let off = |pair: &Pair| {
            (!matches!(pair.change, Change::Slower | Change::Faster), -pair.ratio.unwrap_or(1.0).ln().abs())
        };
        off(one).partial_cmp(&off(other)).unwrap_or(std::cmp::Ordering::Equal)
    });
    let shown = timed.len().min(CHANGES);
    let several = timed.iter().map(|pair| pair.label.as_str()).collect::<BTreeSet<_>>().len() > 1;
    let parts = |pair: &Pair| pair.place.split(", ").map(str::to_owned).collect::<Vec<String>>();
    // The parts of the place in which all cells agree do not tell them apart.
    let is_shared = |part: &String| timed.iter().all(|pair| parts(pair).contains(part));
    let row = |pair: &&Pair| {
        let own: Vec<String> = parts(pair).into_iter().filter(|part| !is_shared(part)).collect();
        let mut name = pair.name.clone();
        if !own.is_empty() {
            name = format!("{}: {name}", own.join(", "));
        }
        if several {
            name = format!("{}, {name}", pair.label);
        }
        let undecided = pair.change == Change::NotShown;
        ForestRow {
            name,
            strategy: pair.strategy.clone(),
            style: of_strategy(&pair.strategy),
            estimate: pair.ratio.unwrap_or(1.0),
            interval: pair.interval,
            verdict: if undecided { Verdict::Undecided.to_string() } else { pair.change.to_string() },
            undecided,
        }
    };
    let rows: Vec<ForestRow> = timed.iter().take(shown).map(row).collect();
    let cells = match timed.len() {
        all if all == shown => "all cells with times".to_owned(),
        all => format!("the {shown} of {all} cells that changed most"),
    };
    let of_jobs = timed.iter().any(|pair| pair.jobs.iter().any(|jobs| *jobs < 2));
    let samples = || timed.iter().flat_map(|pair| pair.samples);
    let (least, most) = (samples().min().unwrap_or(usize::MAX), samples().max().unwrap_or(0));
    let caption = format!(
        "Time divided by that of {base}, cell by cell, with 95 % intervals ({}); n = {least} to {most} rounds per \
         side; {cells}. Outlined: the data show no change of more than {}, with \
         Holm's adjustment over all cells.",
        if of_jobs {
            "of unpaired rounds against their anchors, by a rank test, where a side has one job"
        } else {
            "between jobs, by Welch's t test"
        },
        percent(margin),
    );
    let mut caveats = Vec::new();
    if of_jobs {
        caveats.push(Caveat::OneJobASide);
    }
    let context = Context { of: String::new(), prefix: String::new(), jobs: 2 };
    let title = format!("Time against {base}");
    let figure =
        forest(&rows, margin, "ratio of times (right: slower)", (&context, "side-by-side", &title), caption, caveats)?;
    Some(Section { title: "Side by side".into(), note: String::new(), figures: vec![figure], is_folded: false })
}

/// The ranks and nodes of a cell, such as `8 ranks on 2 nodes`.
pub fn cell_place(cell: &CellRow) -> String {
    format!("{} on {}", counted(cell.ranks as usize, "rank"), counted(cell.nodes as usize, "node"))
}

type Facts = (String, Vec<String>);

/// Groups comparisons by label and `facts`.
fn series<'c, 's>(
    comparisons: &'c [Compared<'s>],
    facts: impl Fn(&CellRow) -> Vec<String>,
) -> BTreeMap<Facts, Vec<&'c Compared<'s>>> {
    let mut series: BTreeMap<Facts, Vec<&Compared<'_>>> = BTreeMap::new();
    for comparison in comparisons {
        let Some(first) = comparison.contest.cells.first() else { continue };
        series.entry((comparison.source.label.clone(), facts(first))).or_default().push(comparison);
    }
    series
}

/// Largest number of series with figures.
const SERIES: usize = 4;

fn overview(comparisons: &[Compared<'_>], jobs: &BTreeMap<&str, usize>) -> Vec<Section> {
    let terms = |cell: &CellRow| {
        let (dtype, end) = (cell.dtype.to_string(), format!("end {}", cell.end));
        vec![dtype, format!("N {}", cell.clients), cell.roles.to_string(), end, cell.residency.to_string()]
    };
    let place = |cell: &CellRow| {
        let mut facts = terms(cell);
        facts.insert(2, cell_place(cell));
        facts
    };
    let sweep = |cell: &CellRow| [vec![cell.model.clone()], terms(cell)].concat();
    let labels = jobs.len() > 1;
    let context = |(label, facts): &Facts| {
        let label = labels.then(|| label.clone());
        let prefix = slug(label.as_deref().unwrap_or_default());
        let of = label.into_iter().chain(facts.iter().cloned()).collect::<Vec<String>>().join(", ");
        Context { prefix, of, jobs: 1 }
    };
    // In weak scaling the number of clients grows with the number of ranks.
    let weak = |cell: &CellRow| {
        let mut facts = sweep(cell);
        facts[2] = match cell.clients.checked_rem(cell.ranks) {
            Some(0) => format!("N {} a rank", cell.clients / cell.ranks),
            _ => format!("N {}, different numbers per rank", cell.clients),
        };
        facts
    };
    let of = |facts: &Facts| Context { jobs: jobs.get(facts.0.as_str()).copied().unwrap_or(1), ..context(facts) };
    let mut drawn: Vec<Vec<Figure>> = Vec::new();
    for (series, is_weak) in [(series(comparisons, sweep), false), (series(comparisons, weak), true)] {
        drawn.extend(series.into_iter().map(|(facts, members)| over_nodes(&members, &of(&facts), is_weak)));
    }
    for (facts, members) in series(comparisons, place) {
        let mut figures = over_size(&members, &of(&facts));
        figures.extend(memory_over_size(&members, &of(&facts)));
        drawn.push(figures);
    }
    drawn.retain(|figures| !figures.is_empty());
    let left_out = drawn.len().saturating_sub(SERIES);
    drawn.truncate(SERIES);
    let figures: Vec<Figure> = drawn.into_iter().flatten().collect();
    let note = match left_out {
        0 => String::new(),
        more => format!("{more} more series of this kind are not drawn; their numbers are in cells.csv."),
    };
    if figures.is_empty() {
        Vec::new()
    } else {
        vec![Section { title: "Over all sizes and nodes".into(), note, figures, is_folded: false }]
    }
}

fn details(comparisons: &[Compared<'_>], jobs: &BTreeMap<&str, usize>, several: bool, most: usize) -> Vec<Section> {
    let shown = comparisons.len().min(most);
    let chosen = |row: usize| if shown > 1 { row * (comparisons.len() - 1) / (shown - 1) } else { 0 };
    let mut sections: Vec<Section> = (0..shown)
        .filter_map(|row| comparisons.get(chosen(row)))
        .map(|comparison| {
            let title = comparison.title(several);
            let context = Context {
                prefix: slug(&title),
                of: title.clone(),
                jobs: jobs.get(comparison.source.label.as_str()).copied().unwrap_or(1),
            };
            let mut figures: Vec<Figure> = Vec::new();
            figures.extend(distribution(comparison, &context));
            figures.extend(ratios_of(comparison, &context));
            figures.extend(share(comparison, &context));
            figures.extend(over_shards(comparison, &context));
            figures.extend(memory_over_shards(comparison, &context));
            figures.extend(agreement(comparison, &context));
            figures.extend(rounds(comparison, &context));
            figures.extend(timelines(comparison, &context));
            Section { title, note: String::new(), figures, is_folded: false }
        })
        .collect();
    if let (Some(last), true) = (sections.last_mut(), shown < comparisons.len()) {
        last.note = format!(
            "{} of {} comparisons are drawn, at even distances; --comparisons draws more. All are in the tables.",
            shown,
            comparisons.len()
        );
    }
    sections
}

fn ratios_of(comparison: &Compared<'_>, context: &Context) -> Option<Figure> {
    let contest = &comparison.contest;
    let fastest = contest.fastest()?;
    let best = comparison.best_of_each();
    let mut margin: f64 = 0.0;
    let rows: Vec<ForestRow> = best
        .iter()
        .filter_map(|cell| {
            let ratio =
                contest.ratios.iter().find(|ratio| ratio.cell == cell.cell && ratio.baseline == fastest.cell)?;
            margin = margin.max(ratio.margin);
            let factor = gradshard::results::contest::Factor::of(ratio, cell);
            Some(ForestRow {
                name: contest.name(cell),
                strategy: cell.strategy.clone(),
                style: of_strategy(&cell.strategy),
                estimate: factor.estimate,
                interval: factor.interval,
                verdict: ratio.verdict.to_string(),
                undecided: ratio.verdict == Verdict::Undecided,
            })
        })
        .collect();
    let blocks = contest.ratios.iter().map(|ratio| ratio.blocks).max().unwrap_or(0);
    let caption = format!(
        "Time divided by that of {}, the fastest, block by block (Hodges-Lehmann), with the signed-rank interval for all \
         looks together; n = {blocks} blocks. Outlined: undecided, by Holm over all pairs of cells.",
        contest.name(fastest)
    );
    forest(
        &rows,
        margin,
        &format!("time against {} (right: slower)", fastest.strategy),
        (context, "ratios", "How much slower than the fastest"),
        caption,
        caveats(&[comparison], context.jobs),
    )
}

/// Largest number of cost figures, one per number of clients and element type.
const PRICED: usize = 2;

/// The section with the cost of the same strategies on functions. It does not depend on the machine, so there is one
/// for all files.
fn costs(comparisons: &[Compared<'_>]) -> anyhow::Result<Option<Section>> {
    let mut of: BTreeMap<(u64, Dtype), Vec<&CellRow>> = BTreeMap::new();
    for cell in comparisons.iter().flat_map(|comparison| comparison.contest.cells.iter().copied()) {
        of.entry((cell.clients, cell.dtype)).or_default().push(cell);
    }
    if of.is_empty() {
        return Ok(None);
    }
    let prices = Prices::new()?;
    let (mut figures, left_out) = (Vec::new(), of.len().saturating_sub(PRICED));
    for ((clients, dtype), cells) in of.into_iter().take(PRICED) {
        let context = Context { of: format!("{dtype}, N {clients}"), prefix: String::new(), jobs: 1 };
        figures.extend(cost(&cells, &prices, &context)?);
    }
    let note = match left_out {
        0 => String::new(),
        more => format!("{more} more numbers of clients or types are not drawn; `gradshard cost` prices them."),
    };
    let title = "Calculated cost on functions".to_owned();
    Ok((!figures.is_empty()).then_some(Section { title, note, figures, is_folded: true }))
}

/// Makes the names of the figures unique.
fn rename(sections: &mut [Section]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for figure in sections.iter_mut().flat_map(|section| &mut section.figures) {
        let times = seen.entry(figure.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            figure.name = format!("{}-{times}", figure.name);
        }
    }
}
