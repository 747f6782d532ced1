//! Makes the page, one HTML file that needs no other file.

use gradshard::results::contest::Factor;
use gradshard::results::row::{CellRow, Status};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::compare::Pair;
use crate::figure::Figure;
use crate::number::{NONE, bytes, counted, grouped, interval, percent, rate, seconds, trimmed};
use crate::render::svg;
use crate::report::{Answer, Mood, Report, Section};
use crate::source::{Compared, OpenFile};
use crate::style::variables;

/// Number of answers that the page shows at once. The others open on demand.
const ANSWERS: usize = 12;
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
    let labels: Vec<&str> = sources.iter().map(|source| source.label.as_str()).collect();
    let title = if labels.len() > 3 { counted(labels.len(), "file") } else { labels.join(", ") };
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
                        light = variables(false),
                        dark = variables(true),
                        css = include_str!("style.css"),
                    )))
                }
            }
            body { main {
                h1 { "Shard the gradient, or build a tree? " (title) }
                (answers(&report.answers))
                (warnings(report, sources))
                @for part in &report.sections { (section(part)) }
                @if !report.pairs.is_empty() { (pairs(&report.pairs)) }
                (tables(report))
                h2 id="environment" { "Environment" }
                @for source in baseline.iter().chain(sources) { (environment(source)) }
                p.note { "Written by gradshard-report " (env!("CARGO_PKG_VERSION")) ". Each figure lies beside this page as SVG and PNG, the tables as CSV." }
            } }
        }
    }
    .into_string()
}

fn answers(answers: &[Answer]) -> Markup {
    let item = |answer: &Answer| {
        let class = match answer.mood {
            Mood::Sure => "sure",
            Mood::Open => "open",
            Mood::Bad => "bad",
        };
        html! { li class=(class) { @if !answer.of.is_empty() { b { (answer.of) } " " } (answer.text) } }
    };
    let (first, rest) = answers.split_at(answers.len().min(ANSWERS));
    html! {
        ul.answers { @for answer in first { (item(answer)) } }
        @if !rest.is_empty() {
            details { summary { (counted(rest.len(), "more answer")) }
                ul.answers { @for answer in rest { (item(answer)) } } }
        }
        @if answers.is_empty() { p { "The files hold no cell: there is no answer yet." } }
    }
}

fn warnings(report: &Report<'_>, sources: &[OpenFile]) -> Markup {
    let cells: usize = sources.iter().map(|source| source.file.cells.len()).sum();
    let rounds: usize = sources.iter().map(|source| source.file.samples.len()).sum();
    let of = |status: Status| sources.iter().flat_map(|s| &s.file.cells).filter(|cell| cell.status == status).count();
    html! {
        @for caveat in &report.caveats { p.warn { (caveat) "." } }
        p.muted {
            (counted(cells, "cell")) ", " (of(Status::Infeasible)) " infeasible, " (of(Status::Failed)) " failed; "
            (counted(rounds, "timed round")) "; " (counted(sources.len(), "file")) ". "
            "Times are medians with 95 % intervals; ratios are paired within blocks."
        }
    }
}

fn section(section: &Section) -> Markup {
    html! {
        h2 { (section.title) }
        @if !section.note.is_empty() { p.note { (section.note) } }
        div.figures { @for one in &section.figures { (figure(one)) } }
    }
}

fn figure(figure: &Figure) -> Markup {
    let [as_svg, as_png] = ["svg", "png"].map(|ending| format!("{}.{ending}", figure.name));
    html! {
        figure id=(figure.name) {
            h3 { (figure.title) }
            (PreEscaped(svg(&figure.picture, &figure.title, None)))
            figcaption {
                p { (figure.caption) }
                @for caveat in &figure.caveats { p.not { "! " (caveat) "." } }
                p { a href=(as_svg) { "SVG" } " " a href=(as_png) { "PNG" } }
            }
        }
    }
}

fn tables(report: &Report<'_>) -> Markup {
    let all: usize = report.comparisons.iter().map(|comparison| comparison.contest.cells.len().min(CELLS)).sum();
    let several = report.comparisons.iter().any(|one| !std::ptr::eq(one.source, report.comparisons[0].source));
    let few = report.comparisons.len() <= 4;
    html! {
        h2 id="tables" { "Tables" }
        p.note { "Every cell with all its columns: cells.csv; ratios: ratios.csv. M: shards; N·|θ|/s: bytes of all clients' "
            "gradients over the median. Memory of ranks that aggregate, without clients' gradients: predicted from the plan, seen by "
            "the kernel at its peak, and of it what the MPI library took." }
        @for comparison in &report.comparisons {
            @let title = comparison.title(several);
            @let whole = comparison.contest.cells.len() <= CELLS && all <= ROWS;
            details open[few] {
                summary { (title) }
                (table(comparison, whole))
            }
        }
    }
}

fn table(comparison: &Compared<'_>, whole: bool) -> Markup {
    let contest = &comparison.contest;
    let best = comparison.best_of_each();
    let left_out = if whole { 0 } else { contest.cells.len() - best.len() };
    let cells = if whole { contest.cells.clone() } else { best };
    let fastest = contest.fastest().map(|cell| cell.cell);
    let first = contest.cells.first();
    let stopped = first.and_then(|cell| cell.stopped);
    html! {
        p.note {
            @if let Some(cell) = first {
                (grouped(cell.elements)) " elements " (cell.dtype) ", N = " (cell.clients) ", " (cell.ranks) " ranks on "
                (counted(cell.nodes as usize, "node")) ", " (cell.roles) ", " "end " (cell.end) ", " (cell.residency) "; "
            }
            (comparison.counts()) @if let Some(reason) = stopped { "; stopped: " (reason) }
            @if left_out > 0 { "; the best cell of each strategy, " (left_out) " more in cells.csv" } "."
        }
        div.scroll { table {
            thead { tr {
                th { "strategy" } th { "M" } th { "flow" } th { "median" } th { "95 % interval" } th { "n" }
                th { "against the fastest" } th { "|θ|/s" } th { "N·|θ|/s" } th { "of the limit" } th { "predicted" } th { "seen" }
                th { "library" } th { "differ" } th { "ulp ≤" } th { "status" }
            } }
            tbody { @for cell in cells { (row(comparison, cell, fastest == Some(cell.cell))) } }
        } }
    }
}

fn row(comparison: &Compared<'_>, cell: &CellRow, best: bool) -> Markup {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    let median = or_none(cell.median_s.map(seconds));
    let ends = cell.ci_low_s.zip(cell.ci_high_s).zip(cell.median_s);
    let ends = or_none(ends.map(|((low, high), like)| interval(low, high, like)));
    let ratio = comparison.contest.ratios.iter().find(|ratio| ratio.cell == cell.cell);
    let ratio = ratio.map(|ratio| format!("{} {}", Factor::of(ratio, cell).times(), ratio.verdict));
    let memory = |value: u64| if value == 0 { NONE.to_owned() } else { bytes(value as f64) };
    let verified = cell.verification.as_ref();
    let class = match (best, cell.status) {
        (true, _) => "best",
        (_, Status::Ok) => "",
        _ => "bad",
    };
    html! {
        tr class=(class) {
            td { (cell.formed()) } td { (cell.shards) } td { (cell.flow) } td { (median) } td { (ends) } td { (cell.samples) }
            td { @if best { "fastest" } @else { (or_none(ratio)) } }
            td { (or_none(cell.gradient_bytes_per_s.map(rate))) } td { (or_none(cell.ingest_bytes_per_s.map(rate))) }
            td { (or_none(cell.share_of_limit.map(percent))) }
            td { (memory(cell.aggregating_bytes)) } td { (or_none(cell.kernel.map(|kernel| memory(kernel.round)))) }
            td { (or_none(cell.library_bytes.map(|taken| bytes(taken.max(0.0))))) }
            td { (or_none(verified.map(|found| grouped(found.differing_elements)))) }
            td { (or_none(verified.map(|found| trimmed(found.max_ulp as f64, 3)))) }
            td.text { (cell.status) @if !cell.reason.is_empty() { ": " (cell.reason) } }
        }
    }
}

fn pairs(pairs: &[Pair]) -> Markup {
    let mut shown: Vec<&Pair> = pairs.iter().collect();
    shown.sort_by_key(|pair| !pair.change.is_regression());
    let left_out = shown.len().saturating_sub(PAIRS);
    shown.truncate(PAIRS);
    html! {
        h2 id="side-by-side-table" { "Side by side, cell by cell" }
        @if left_out > 0 { p.note { (left_out) " more rows are in side-by-side.csv." } }
        details open[shown.len() <= 40] { summary { (counted(pairs.len(), "cell")) }
        div.scroll { table {
            thead { tr { th { "cell" } th { "where" } th { "file" } th { "baseline" } th { "here" } th { "ratio" } th { "95 % interval" }
                th { "n" } th { "jobs" } th { "change" } } }
            tbody { @for pair in shown {
                tr class=(if pair.change.is_regression() { "bad" } else { "" }) {
                    td { (pair.name) } td.text { (pair.place) } td { (pair.label) }
                    @for median in pair.medians { td { (median.map_or(NONE.to_owned(), seconds)) } }
                    td { (pair.ratio.map_or(NONE.to_owned(), |ratio| format!("{ratio:.3}×"))) }
                    td { (pair.interval.map_or(NONE.to_owned(), |i| format!("{:.3}–{:.3}", i.low, i.high))) }
                    td { (pair.samples[0]) ", " (pair.samples[1]) } td { (pair.jobs[0]) ", " (pair.jobs[1]) }
                    td.text { (pair.change) @if !pair.reason.is_empty() { ": " (pair.reason) } }
                }
            } }
        } } }
    }
}

fn environment(source: &OpenFile) -> Markup {
    let file = &source.file;
    let mut facts: Vec<(String, String)> = vec![
        ("file".into(), source.path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())),
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
        div.scroll { table { tbody { @for (name, value) in &facts { tr { td { (name.replace('_', " ")) } td.text { (value) } } } } } }
        details { summary { "The experiment as given" } pre { (file.experiment_json) } }
        details { summary { "Everything that was recorded" @if is_cut { " (the beginning; the rest is in the file)" } } pre { (cut) } }
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
