//! Makes the page, one HTML file that needs no other file.

use gradshard::results::contest::Factor;
use gradshard::results::distinct::distinct;
use gradshard::results::row::{CellRow, Status};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::caveat::Caveat;
use crate::compare::Pair;
use crate::figure::Figure;
use crate::functions_table::functions_table;
use crate::html_table::{HtmlCell, HtmlRow, HtmlTable};
use crate::matrix::{Matrix, MatrixCell};
use crate::number::{NONE, bytes, counted, grouped, interval, percent, rate, seconds};
use crate::render::{Arrangement, is_broad, svg};
use crate::report::{Answer, Mood, Report, Section, cell_place};
use crate::source::{Compared, OpenFile};
use crate::style::variables;

/// Largest number of cells in a comparison's table. With more cells, it shows the best of each strategy.
const CELLS: usize = 40;
/// Largest number of rows in all these tables together. With more rows, all show only the best of each strategy.
const ROWS: usize = 400;
/// Largest number of rows in the table that compares files.
const PAIRS: usize = 200;
/// Largest number of characters of the environment's JSON on the page.
const JSON: usize = 30_000;

/// Makes the page.
pub fn page(report: &Report<'_>, sources: &[OpenFile], baseline: &[OpenFile]) -> String {
    let labels = distinct(sources.iter().map(|source| source.label.as_str()));
    let title = if labels.len() > 3 { counted(labels.len(), "file") } else { labels.join(", ") };
    let colours = |dark| variables(dark);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "gradshard: " (title) }
                style {
                    (PreEscaped(format!(
                        ":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}@media print{{:root{{{light}}}}}{css}",
                        light = colours(false),
                        dark = colours(true),
                        css = include_str!("style.css"),
                    )))
                }
            }
            body {
                a.skip href="#answer" { "Skip to the answer" }
                main {
                    h1 { "Shard the gradient, or build a tree? " (title) }
                    (contents(report))
                    div #answer tabindex="-1" { (answers(report)) }
                    (warnings(report, sources))
                    @for (index, part) in report.sections.iter().enumerate() { (section(report, index, part)) }
                    @if !report.pairs.is_empty() { (pairs(&report.pairs)) }
                    @if let Some(table) = functions_table(sources) { (functions(&table)) }
                    (tables(report))
                    h2 id="environment" { "Environment" }
                    @for source in baseline.iter().chain(sources) { (environment(source)) }
                    p.note { "Written by gradshard-report " (env!("CARGO_PKG_VERSION"))
                        ". Each picture lies beside this page as SVG and PNG, the tables as CSV." }
                }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    }
    .into_string()
}

/// Links to the parts of the page.
fn contents(report: &Report<'_>) -> Markup {
    let parts =
        report.sections.iter().enumerate().map(|(index, part)| (format!("section-{index}"), part.title.clone()));
    let pairs =
        (!report.pairs.is_empty()).then(|| ("side-by-side-table".to_owned(), "Side by side, cell by cell".to_owned()));
    let rest =
        [("tables", "Tables"), ("environment", "Environment")].map(|(id, name)| (id.to_owned(), name.to_owned()));
    html! {
        nav aria-label="Contents" { ul {
            @for (id, name) in parts.chain(pairs).chain(rest) { li { a href={ "#" (id) } { (name) } } }
        } }
    }
}

/// The answers: each in a box, or those of many comparisons in a sentence and a matrix.
fn answers(report: &Report<'_>) -> Markup {
    let item = |answer: &Answer| {
        let class = match answer.mood {
            Mood::Sure => "sure",
            Mood::Open => "open",
            Mood::Bad => "bad",
        };
        html! { li class=(class) { @if !answer.of.is_empty() { b { (answer.of) } " " } (answer.text) } }
    };
    let is_folded = |answer: &&Answer| report.matrix.is_some() && answer.is_of_one;
    let (folded, shown): (Vec<&Answer>, Vec<&Answer>) = report.answers.iter().partition(is_folded);
    html! {
        @if let Some(matrix) = &report.matrix { p.sentence { (matrix.sentence) } }
        @if !shown.is_empty() { ul.answers { @for answer in shown { (item(answer)) } } }
        @if let Some(matrix) = &report.matrix {
            (answer_matrix(matrix, report))
            details { summary { (counted(folded.len(), "answer")) ", in sentences" }
                ul.answers { @for answer in folded { (item(answer)) } } }
        }
        @if report.answers.is_empty() { p { "The files hold no cell: there is no answer about ranks." } }
    }
}

fn answer_matrix(matrix: &Matrix, report: &Report<'_>) -> Markup {
    let several = report.has_several_files();
    let cell = |cell: &MatrixCell| {
        let title = report.comparisons[cell.comparison].title(several);
        let drawn = report.sections.iter().position(|section| section.title == title);
        let address = drawn.map_or(format!("#table-{}", cell.comparison), |index| format!("#section-{index}"));
        html! {
            td class=(cell.advice.to_string()) {
                a href=(address) aria-label={ (cell.advice.spoken()) ": " (title) } { (cell.advice.spoken()) }
                span { (cell.fastest) } span { (cell.times) }
            }
        }
    };
    html! {
        div.scroll role="region" aria-label="Answers by place and model" tabindex="0" { table.matrix {
            thead { tr { td {} @for column in &matrix.columns { th scope="col" { (column) } } } }
            tbody { @for row in &matrix.rows { tr {
                th scope="row" { @if row.name.is_empty() { "all" } @else { (row.name) } }
                @for one in &row.cells { @if let Some(one) = one { (cell(one)) } @else { td { (NONE) } } }
            } } }
        } }
        p.note { "In each field: the answer, the strategy with the least median, and how many times as long the best of the next family "
            "takes, with its 95 % interval. The fields lead to pictures or tables." }
    }
}

/// The limits on the use of the numbers, each said once. Figures refer to them by number.
fn warnings(report: &Report<'_>, sources: &[OpenFile]) -> Markup {
    let cells: usize = sources.iter().map(|source| source.file.cells.len()).sum();
    let rounds: usize = sources.iter().map(|source| source.file.samples.len()).sum();
    let of = |status: Status| sources.iter().flat_map(|s| &s.file.cells).filter(|cell| cell.status == status).count();
    html! {
        @if !report.caveats.is_empty() {
            ol.warn aria-label="Limits on the use of the numbers" {
                @for (index, caveat) in report.caveats.iter().enumerate() { li id={ "limit-" (index + 1) } { (caveat) "." } }
            }
        }
        p.muted {
            (counted(cells, "cell")) ", " (of(Status::Infeasible)) " infeasible, " (of(Status::Failed)) " failed; "
            (counted(rounds, "timed round")) "; " (counted(sources.len(), "file")) ". "
            "Times are medians with 95 % intervals; ratios are paired within blocks."
        }
    }
}

fn section(report: &Report<'_>, index: usize, section: &Section) -> Markup {
    let figures = html! { div.figures { @for one in &section.figures { (figure(report, one)) } } };
    html! {
        h2 id={ "section-" (index) } { (section.title) }
        @if !section.note.is_empty() { p.note { (section.note) } }
        @if section.is_folded {
            details { summary { (counted(section.figures.len(), "picture")) } (figures) }
        } @else { (figures) }
    }
}

fn figure(report: &Report<'_>, figure: &Figure) -> Markup {
    let ends =
        |caveat: &Caveat| report.caveats.iter().position(|other| other.is_of_kind(caveat)).map(|index| index + 1);
    let mut limits: Vec<usize> = figure.caveats.iter().filter_map(ends).collect();
    limits.sort_unstable();
    html! {
        figure id=(figure.name) class=[is_broad(&figure.picture).then_some("broad")] {
            h3 { (figure.title) }
            @for arrangement in [Arrangement::Wide, Arrangement::Narrow] {
                (PreEscaped(svg(&figure.picture, &figure.title, None, arrangement)))
            }
            figcaption {
                p { (figure.caption) }
                p {
                    @if !limits.is_empty() { "Limits: " }
                    @for (place, limit) in limits.iter().enumerate() {
                        @if place > 0 { ", " }
                        a href={ "#limit-" (limit) } aria-label={ "limit " (limit) } { (limit) }
                    }
                    @if !limits.is_empty() { ". " }
                    @for ending in ["svg", "png"] {
                        @let name = ending.to_uppercase();
                        a href={ (figure.name) "." (ending) } aria-label={ (figure.title) ", as " (name) } { (name) } " "
                    }
                }
            }
        }
    }
}

/// The rounds on functions.
fn functions(table: &HtmlTable) -> Markup {
    html! {
        h2 id="functions" { (table.name) }
        p.note { "Each calculated value is that of gradshard cost, for functions that take equally long, and stands behind the measured "
            "one. Where no time is kept to, functions are as fast as the machine. Every column: function-rounds.csv." }
        (table.markup())
    }
}

fn tables(report: &Report<'_>) -> Markup {
    let all: usize = report.comparisons.iter().map(|comparison| comparison.contest.cells.len().min(CELLS)).sum();
    let several = report.has_several_files();
    let few = report.comparisons.len() <= 4;
    html! {
        h2 id="tables" { "Tables" }
        p.note { "Every cell with all its columns: cells.csv; ratios: ratios.csv. M: shards; |θ|/s: bytes of one gradient over the median. Memory of ranks that "
            "aggregate, without clients' gradients: predicted from the plan, seen by the kernel at its peak, and of it what the MPI library took." }
        @for (index, comparison) in report.comparisons.iter().enumerate() {
            @let whole = comparison.contest.cells.len() <= CELLS && all <= ROWS;
            details.cells open[few] id={ "table-" (index) } {
                summary { (comparison.title(several)) }
                (table(comparison, whole, &comparison.title(several)))
            }
        }
    }
}

/// The columns of a comparison's table.
const COLUMNS: [&str; 15] = [
    "strategy",
    "M",
    "flow",
    "median",
    "95 % interval",
    "n",
    "against the fastest",
    "|θ|/s",
    "of the limit",
    "predicted",
    "seen",
    "library",
    "differ",
    "error ≤",
    "status",
];

fn table(comparison: &Compared<'_>, whole: bool, title: &str) -> Markup {
    let contest = &comparison.contest;
    let best = comparison.best_of_each();
    let left_out = if whole { 0 } else { contest.cells.len() - best.len() };
    let cells = if whole { contest.cells.clone() } else { best };
    let fastest = contest.fastest().map(|cell| cell.cell);
    let first = contest.cells.first();
    let stopped = first.and_then(|cell| cell.stopped);
    let rows = cells.into_iter().map(|cell| row(comparison, cell, fastest == Some(cell.cell))).collect();
    let name = format!("Cells of {title}");
    html! {
        p.note {
            @if let Some(cell) = first {
                (grouped(cell.elements)) " elements " (cell.dtype) ", N = " (cell.clients) ", " (cell_place(cell)) ", " (cell.roles)
                ", end " (cell.end) ", " (cell.residency) "; "
            }
            (comparison.counts()) @if let Some(reason) = stopped { "; stopped: " (reason) }
            @if left_out > 0 { "; the best cell of each strategy, " (left_out) " more in cells.csv" } "."
        }
        (HtmlTable { name, columns: COLUMNS.to_vec(), wrapped: vec![COLUMNS.len() - 1], rows }.markup())
    }
}

fn row(comparison: &Compared<'_>, cell: &CellRow, is_best: bool) -> HtmlRow {
    let ends = cell.ci_low_s.zip(cell.ci_high_s).zip(cell.median_s);
    let ends = ends.map_or(NONE.to_owned(), |((low, high), like)| interval(low, high, like));
    let ratio = comparison.contest.ratios.iter().find(|ratio| ratio.cell == cell.cell);
    let against = match ratio.map(|ratio| (Factor::of(ratio, cell), ratio.verdict)) {
        _ if is_best => HtmlCell { text: "fastest".into(), value: Some(1.0) },
        Some((factor, verdict)) => {
            HtmlCell { text: format!("{} {verdict}", factor.times()), value: Some(factor.estimate) }
        }
        None => HtmlCell::text(NONE),
    };
    let memory = |value: u64| HtmlCell::number((value > 0).then_some(value as f64), bytes);
    let verified = cell.verification.as_ref();
    let class = match (is_best, cell.status) {
        (true, _) => "best",
        (_, Status::Ok) => "",
        _ => "bad",
    };
    let reason = if cell.reason.is_empty() { String::new() } else { format!(": {}", cell.reason) };
    let cells = vec![
        HtmlCell::text(cell.formed()),
        HtmlCell::number(Some(cell.shards as f64), |_| cell.shards.to_string()),
        HtmlCell::text(&cell.flow),
        HtmlCell::number(cell.median_s, seconds),
        HtmlCell { text: ends, value: cell.ci_low_s },
        HtmlCell::number(Some(cell.samples as f64), |_| cell.samples.to_string()),
        against,
        HtmlCell::number(cell.gradient_bytes_per_s, rate),
        HtmlCell::number(cell.share_of_limit, percent),
        memory(cell.aggregating_bytes),
        memory(cell.kernel.map_or(0, |kernel| kernel.round)),
        HtmlCell::number(cell.library_bytes, |taken| bytes(taken.max(0.0))),
        HtmlCell::number(verified.map(|found| found.differing_elements as f64), |count| grouped(count as u64)),
        HtmlCell::number(verified.and_then(|found| found.max_backward_error), |error| format!("{error:.1e}")),
        HtmlCell::text(format!("{}{reason}", cell.status)),
    ];
    HtmlRow { class, strategy: cell.strategy.clone(), cells }
}

fn pairs(pairs: &[Pair]) -> Markup {
    let mut shown: Vec<&Pair> = pairs.iter().collect();
    shown.sort_by_key(|pair| !pair.change.is_regression());
    let left_out = shown.len().saturating_sub(PAIRS);
    shown.truncate(PAIRS);
    let row = |pair: &&Pair| {
        let reason = if pair.reason.is_empty() { String::new() } else { format!(": {}", pair.reason) };
        let ends = pair.interval.map_or(NONE.to_owned(), |i| format!("{:.3}–{:.3}", i.low, i.high));
        let cells = vec![
            HtmlCell::text(&pair.name),
            HtmlCell::text(&pair.place),
            HtmlCell::text(&pair.label),
            HtmlCell::number(pair.medians[0], seconds),
            HtmlCell::number(pair.medians[1], seconds),
            HtmlCell::number(pair.ratio, |ratio| format!("{ratio:.3}×")),
            HtmlCell::text(ends),
            HtmlCell::text(format!("{}, {}", pair.samples[0], pair.samples[1])),
            HtmlCell::text(format!("{}, {}", pair.jobs[0], pair.jobs[1])),
            HtmlCell::text(format!("{}{reason}", pair.change)),
        ];
        let class = if pair.change.is_regression() { "bad" } else { "" };
        HtmlRow { class, strategy: pair.strategy.clone(), cells }
    };
    let columns = vec!["cell", "where", "file", "baseline", "here", "ratio", "95 % interval", "n", "jobs", "change"];
    let name = "Cells side by side".to_owned();
    let table = HtmlTable { name, columns, wrapped: vec![1, 9], rows: shown.iter().map(row).collect() };
    html! {
        h2 id="side-by-side-table" { "Side by side, cell by cell" }
        @if left_out > 0 { p.note { (left_out) " more rows are in side-by-side.csv." } }
        details.cells open[table.rows.len() <= 40] { summary { (counted(pairs.len(), "cell")) } (table.markup()) }
    }
}

fn environment(source: &OpenFile) -> Markup {
    let file = &source.file;
    let mut facts: Vec<(String, String)> = vec![
        (
            "file".into(),
            source.path.file_name().map_or("(left out)".into(), |name| name.to_string_lossy().into_owned()),
        ),
        ("experiment".into(), file.experiment_name().unwrap_or_else(|| "(without a name)".into())),
        ("experiment SHA-256".into(), file.experiment_sha256.clone()),
        ("created".into(), file.created.clone()),
        ("gradshard".into(), format!("{}, schema {}", file.gradshard_version, file.schema_version)),
    ];
    scalars(file.environment.entries(), "", &mut facts);
    // The facts of rank 0; those of the other ranks are in the JSON.
    if let Some(first) = file.environment.machines().first() {
        nested(first, "rank 0", &mut facts);
    }
    let json = serde_json::to_string_pretty(&file.environment).unwrap_or_default();
    let cut: String = json.chars().take(JSON).collect();
    let is_cut = cut.len() < json.len();
    html! {
        h3 { (source.label) }
        div.scroll role="region" aria-label={ "Environment of " (source.label) } tabindex="0" { table.facts { tbody {
            @for (name, value) in &facts { tr { th scope="row" { (name.replace('_', " ")) } td.text { (value) } } }
        } } }
        details { summary { "The experiment of " (source.label) } pre { (file.experiment_json) } }
        details {
            summary { "Everything recorded of " (source.label) @if is_cut { " (the beginning; the rest is in the file)" } }
            pre { (cut) }
        }
    }
}

fn scalars<'e>(
    entries: impl IntoIterator<Item = (&'e String, &'e Value)>,
    before: &str,
    facts: &mut Vec<(String, String)>,
) {
    for (name, value) in entries {
        let name = if before.is_empty() { name.clone() } else { format!("{before}: {name}") };
        match value {
            Value::String(text) if !text.is_empty() => facts.push((name, text.clone())),
            Value::Number(number) => facts.push((name, number.to_string())),
            Value::Bool(truth) => facts.push((name, if *truth { "yes".into() } else { "no".into() })),
            _ => {}
        }
    }
}

fn nested(value: &Value, before: &str, facts: &mut Vec<(String, String)>) {
    scalars(value.as_object().into_iter().flatten(), before, facts);
    for (name, value) in value.as_object().into_iter().flatten() {
        if value.is_object() {
            nested(value, &format!("{before}: {name}"), facts);
        }
    }
}
