//! Rounds that functions carried out: a table for each problem, measured beside calculated.

use super::number::{about_mebibytes, mebibytes, significant};
use super::page::{Align, Grid, Page, printable};
use crate::results::ResultFile;
use crate::results::distinct::distinct;
use crate::results::function_row::FunctionRow;
use crate::results::row::Status;

const LEGEND: &str = "calc: what `gradshard cost` calculates for functions that take equally long. $: 1,000 rounds with the clients' \
    requests. GET, PUT: requests of functions and clients, as counted; a round fails if others are calculated. MiB of a function: sum: predicted; seen: the \
    process's peak beside its program; group: the control group's peak. diff: elements whose bits differ from the flat server's.";

/// Appends the rounds on functions; nothing if the file has none.
pub(super) fn functions(page: &mut Page, file: &ResultFile) {
    let rows = &file.function_rounds;
    for title in distinct(rows.iter().map(title)) {
        let of_title: Vec<&FunctionRow> = rows.iter().filter(|row| self::title(row) == title).collect();
        page.gap();
        page.paragraph(&title, 2);
        page.grid(&grid(&of_title));
        for row in &of_title {
            notes(page, row);
        }
    }
    if !rows.is_empty() {
        page.gap();
        page.paragraph(LEGEND, 0);
    }
}

/// The facts that the rows of a table share.
fn title(row: &FunctionRow) -> String {
    let FunctionRow { job, model, elements, dtype, clients, platform, store, kept, cold_start_s, .. } = row;
    let mib = mebibytes(elements.saturating_mul(dtype.size() as u64));
    let kept =
        if kept.is_empty() { "as fast as it goes".to_owned() } else { format!("as slow as the platform: {kept}") };
    let cold = if *cold_start_s > 0.0 { format!("; cold start configured as {cold_start_s} s") } else { String::new() };
    printable(&format!(
        "rounds on functions, job {job}: {model}, {mib} MiB {dtype}, N = {clients}; {platform}; store: {store}; {kept}{cold}"
    ))
}

fn grid(rows: &[&FunctionRow]) -> Grid {
    use Align::{Left, Right};
    let mut grid = Grid::new(vec![
        ("strategy", Left),
        ("M", Right),
        ("flow", Left),
        ("latency s", Right),
        ("calc", Right),
        ("functions s", Right),
        ("calc", Right),
        ("$", Right),
        ("calc", Right),
        ("GET", Right),
        ("PUT", Right),
        ("sum", Right),
        ("seen", Right),
        ("group", Right),
        ("diff", Right),
    ]);
    for row in rows {
        let (measured, calculated) = (row.measured.as_ref(), &row.calculated);
        let known = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), significant);
        let memory = |bytes: Option<f64>| bytes.map_or_else(|| "-".to_owned(), |bytes| about_mebibytes(bytes as u64));
        // Unequal counts fail a round, and its reason names them.
        let requests =
            |of: fn(&[u64; 5]) -> u64| measured.map_or("-".to_owned(), |bill| of(&bill.requests()).to_string());
        grid.push(vec![
            printable(&row.strategy),
            row.shards.to_string(),
            printable(&row.flow),
            known(measured.map(|bill| bill.latency_s)),
            significant(calculated.latency_s),
            known(measured.map(|bill| bill.function_s)),
            significant(calculated.function_s),
            known(measured.and_then(|bill| bill.usd_per_1000_rounds)),
            known(calculated.usd_per_1000_rounds),
            requests(|counts| counts[1] + counts[3]),
            requests(|counts| counts[2] + counts[4]),
            about_mebibytes(row.sum_bytes),
            memory(row.seen_bytes),
            memory(row.group_peak_bytes),
            row.verification.as_ref().map_or("-".to_owned(), |found| found.differing_elements.to_string()),
        ]);
    }
    grid
}

/// Appends whatever a reader must know of a round beside its numbers.
fn notes(page: &mut Page, row: &FunctionRow) {
    let FunctionRow { strategy, flow, status, reason, killed, .. } = row;
    if *status != Status::Ok {
        page.paragraph(&format!("! {strategy}, {flow}: {status}: {reason}"), 2);
    } else if *killed > 0 {
        page.paragraph(&format!("! {strategy}, {flow}: {killed} functions were killed and started again"), 2);
    }
    if let Some(roof) = row.store_limit() {
        let mib = about_mebibytes(roof as u64);
        page.paragraph(
            &format!("! {strategy}, {flow}: the store limits it: it gave {mib} MiB/s to all readers together, less than the platform"),
            2,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::function_row::FunctionBill;
    use crate::results::row::VerificationRow;
    use crate::results::show::{csv, table};
    use crate::results::{Environment, ResultFile};

    /// A file with a round that was carried out and one that failed.
    fn file() -> ResultFile {
        let mut file = ResultFile::new("{}".into(), Environment::default());
        let calculated =
            FunctionBill { gets: 20, client_gets: 80, puts: 4, client_puts: 20, ..FunctionBill::default() };
        let row = FunctionRow {
            strategy: "sharded-direct".into(),
            model: "m\u{1b}[2J".into(),
            elements: 1 << 20,
            flow: "whole".into(),
            limit_bytes: 3 << 20,
            calculated: FunctionBill { latency_s: 7.5, usd_per_1000_rounds: Some(0.25), ..calculated },
            reason: "the store is full".into(),
            ..FunctionRow::default()
        };
        let carried = FunctionRow {
            status: Status::Ok,
            kept: "bandwidth".into(),
            roof_bytes_per_s: Some(7e6),
            needed_bytes_per_s: Some(8e6),
            measured: Some(FunctionBill { latency_s: 8.25, ..calculated }),
            verification: Some(VerificationRow { differing_elements: 31, ..VerificationRow::default() }),
            ..row.clone()
        };
        file.push_function_round(row);
        file.push_function_round(carried);
        file
    }

    #[test]
    fn measured_stands_beside_calculated() {
        let text = table(&file(), 200);
        assert!(text.contains("2 rounds on functions") && !text.contains("no cells"), "{text}");
        assert!(text.contains("m\\u{1b}[2J, 4.000 MiB f32"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let of = |kept: &str| {
            let title = lines.iter().position(|line| line.contains(kept)).unwrap();
            let row = lines[title..].iter().find(|line| line.starts_with("sharded-direct")).unwrap();
            row.split_whitespace().collect::<Vec<_>>()
        };
        assert_eq!(of("as fast as it goes")[3..9], ["-", "7.500", "-", "0", "-", "0.2500"]);
        let carried = of("platform: bandwidth");
        assert_eq!(
            (carried[3], carried[4], &carried[9..11], carried[14]),
            ("8.250", "7.500", &["100", "24"][..], "31")
        );
        assert!(text.contains("! sharded-direct, whole: failed: the store is full"), "{text}");
        assert!(text.contains("the store limits it: it gave 6.68 MiB/s"), "{text}");
    }

    #[test]
    fn a_file_without_cells_has_its_rounds_as_csv() {
        let text = csv(&file());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() == 3 && lines[0].starts_with("job,round,strategy,model,elements,"), "{text}");
        assert!(lines[2].starts_with("0,1,sharded-direct,m\\u{1b}[2J,1048576,"), "{text}");
    }
}
