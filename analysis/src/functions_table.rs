//! The table of rounds that functions carried out: measured beside calculated.

use gradshard::results::function_row::{FunctionBill, FunctionRow};
use gradshard::results::row::Status;

use crate::html_table::{HtmlCell, HtmlRow, HtmlTable};
use crate::number::{bytes, grouped, seconds, trimmed};
use crate::source::OpenFile;

const COLUMNS: [&str; 20] = [
    "strategy",
    "file",
    "model",
    "M",
    "flow",
    "platform",
    "store",
    "time kept to",
    "latency",
    "calculated",
    "functions",
    "calculated",
    "$ for 1,000",
    "calculated",
    "requests",
    "sum predicted",
    "seen",
    "group's peak",
    "differ",
    "status",
];

/// The table; None if no file has such rounds.
pub fn functions_table(sources: &[OpenFile]) -> Option<HtmlTable> {
    let rows = sources.iter().flat_map(|source| source.file.function_rounds.iter().map(|round| row(source, round)));
    let rows: Vec<HtmlRow> = rows.collect();
    let name = "Rounds on functions".to_owned();
    (!rows.is_empty()).then(|| HtmlTable { name, columns: COLUMNS.to_vec(), wrapped: vec![COLUMNS.len() - 1], rows })
}

fn row(source: &OpenFile, round: &FunctionRow) -> HtmlRow {
    let (measured, calculated) = (round.measured.as_ref(), &round.calculated);
    let of = |value: fn(&FunctionBill) -> f64| HtmlCell::number(measured.map(value), seconds);
    let dollars = |bill: Option<&FunctionBill>| {
        HtmlCell::number(bill.and_then(|bill| bill.usd_per_1000_rounds), |usd| trimmed(usd, 4))
    };
    let requests = |bill: &FunctionBill| bill.requests()[1..].iter().sum::<u64>();
    // Rounds whose counts differ from the calculated ones have failed, and their reason has both.
    let counted = HtmlCell::number(measured.map(|bill| requests(bill) as f64), |count| grouped(count as u64));
    let limit = round.store_limit().map_or(String::new(), |_| ", limited by the store".to_owned());
    let reason = if round.reason.is_empty() { String::new() } else { format!(": {}", round.reason) };
    let cells = vec![
        HtmlCell::text(&round.strategy),
        HtmlCell::text(&source.label),
        HtmlCell::text(&round.model),
        HtmlCell::number(Some(round.shards as f64), |_| round.shards.to_string()),
        HtmlCell::text(&round.flow),
        HtmlCell::text(&round.platform),
        HtmlCell::text(&round.store),
        HtmlCell::text(if round.kept.is_empty() { "none" } else { &round.kept }),
        of(|bill| bill.latency_s),
        HtmlCell::number(Some(calculated.latency_s), seconds),
        of(|bill| bill.function_s),
        HtmlCell::number(Some(calculated.function_s), seconds),
        dollars(measured),
        dollars(Some(calculated)),
        counted,
        HtmlCell::number(Some(round.sum_bytes as f64), bytes),
        HtmlCell::number(round.seen_bytes, bytes),
        HtmlCell::number(round.group_peak_bytes, bytes),
        HtmlCell::number(round.verification.as_ref().map(|found| found.differing_elements as f64), |count| {
            grouped(count as u64)
        }),
        HtmlCell::text(format!("{}{limit}{reason}", round.status)),
    ];
    HtmlRow { class: if round.status == Status::Ok { "" } else { "bad" }, strategy: round.strategy.clone(), cells }
}
