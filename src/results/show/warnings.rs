//! Warnings about cells whose numbers are less reliable than they look.

use std::collections::BTreeMap;

use super::number::gigabytes;
use super::page::{Page, printable};
use super::pauses::pauses;
use crate::results::ResultFile;
use crate::results::host::{HostDependence, host_dependences};
use crate::results::row::{CellRow, Fingerprint, Status};
use crate::stats::TwoSpeeds;
use crate::stats::autocorrelation::threshold;

/// A warm-up is long from one in this number of samples on.
const LONG_WARM_UP: f64 = 4.0;
/// Least number of jobs, and least number of hours between the first and the last, for intervals over jobs.
const ENOUGH_JOBS: usize = 5;
const ENOUGH_HOURS: f64 = 2.0;

/// Appends all warnings.
pub fn warnings(page: &mut Page, file: &ResultFile) {
    unsettled(page, file);
    interference(page, file);
    pauses(page, file);
    jobs(page, file);
    host(page, file);
    beaten_limits(page, file);
    without_effect(page, file);
}

/// Appends a line for cells whose samples are autocorrelated, one for cells with a long warm-up, and one for cells that drift.
pub(super) fn unsettled(page: &mut Page, file: &ResultFile) {
    let cells = || file.cells.iter().filter(|cell| cell.status == Status::Ok);
    let remembers = |cell: &&CellRow| cell.lag1_autocorrelation.is_some_and(|lag1| lag1 > threshold(cell.samples));
    let remembering: Vec<&CellRow> = cells().filter(remembers).collect();
    if let Some(most) = remembering.iter().filter_map(|cell| cell.lag1_autocorrelation).reduce(f64::max) {
        let text = format!(
            "! AUTOCORRELATION: samples of {} resemble the ones before (lag 1 up to {most:.2}), so each says less than an \
             independent one; intervals are wider accordingly.",
            listed(&remembering)
        );
        page.paragraph(&text, 2);
    }
    let most = |cell: &&CellRow| LONG_WARM_UP * cell.warm_up_samples as f64 > cell.samples as f64 && !cell.drifts;
    let warming: Vec<&CellRow> = cells().filter(most).collect();
    if let Some(longest) = warming.iter().max_by_key(|cell| cell.warm_up_samples) {
        let text = format!(
            "! WARM-UP: the first samples of {} differ from the rest by MSER, {} of {} in cell {}; they count like all others.",
            listed(&warming),
            longest.warm_up_samples,
            longest.samples,
            longest.cell
        );
        page.paragraph(&text, 2);
    }
    let drifting: Vec<&CellRow> = cells().filter(|cell| cell.drifts).collect();
    if !drifting.is_empty() {
        let text = format!("! DRIFT: samples of {} had not settled by the middle of them.", listed(&drifting));
        page.paragraph(&text, 2);
    }
}

/// The cells' strategies and numbers, or only their count if there are more than 8.
fn listed(cells: &[&CellRow]) -> String {
    const NAMED: usize = 8;
    let name = |cell: &&CellRow| format!("{} (cell {})", printable(&cell.formed()), cell.cell);
    if cells.len() > NAMED {
        return format!("{} cells", cells.len());
    }
    cells.iter().map(name).collect::<Vec<String>>().join(", ")
}

/// Appends a line for each comparison that was disturbed too much to be reliable: the number of disturbed cells, and
/// the disturbance of the cell that is disturbed most.
fn interference(page: &mut Page, file: &ResultFile) {
    let mut comparisons: BTreeMap<u64, (usize, Vec<&CellRow>)> = BTreeMap::new();
    for cell in file.cells.iter().filter(|cell| cell.status == Status::Ok) {
        let (all, disturbed) = comparisons.entry(cell.comparison).or_default();
        *all += 1;
        if cell.interference.is_some() {
            disturbed.push(cell);
        }
    }
    for (comparison, (all, disturbed)) in comparisons {
        let worst = disturbed.iter().max_by(|one, other| one.disturbed_share().total_cmp(&other.disturbed_share()));
        let Some(worst) = worst else { continue };
        let text = format!(
            "! INTERFERENCE: comparison {comparison}, {} of {all} cells: {} (cell {}). Measure it again on a quiet machine.",
            disturbed.len(),
            worst.disturbance().unwrap_or_default(),
            worst.cell
        );
        page.paragraph(&text, 2);
    }
}

/// Appends a line for each set of repeated jobs that are too few, or too close together, to stand for other hours.
fn jobs(page: &mut Page, file: &ResultFile) {
    let mut sets: BTreeMap<(u64, u64, &str), Vec<f64>> = BTreeMap::new();
    for job in &file.jobs {
        let begun = file.blocks.iter().filter(|block| block.job == job.job).map(|block| block.began_unix_s);
        let of = sets.entry((job.nodes, job.ranks, &job.transport)).or_default();
        of.extend(begun.reduce(f64::min));
    }
    for ((nodes, ranks, _), begun) in sets.into_iter().filter(|(_, begun)| begun.len() > 1) {
        let spread = begun.iter().copied().fold(f64::MIN, f64::max) - begun.iter().copied().fold(f64::MAX, f64::min);
        if begun.len() >= ENOUGH_JOBS && spread >= ENOUGH_HOURS * 3600.0 {
            continue;
        }
        let text = format!(
            "! JOBS: the {} jobs of {ranks} ranks on {nodes} node(s) began within {:.0} minutes, so their interval may not hold for \
             other hours. Run at least {ENOUGH_JOBS}, spread over hours.",
            begun.len(),
            (spread / 60.0).ceil()
        );
        page.paragraph(&text, 2);
    }
}

/// Appends a line if the machine ran at two speeds and some ratio depends on them, with the ratio that does so most.
fn host(page: &mut Page, file: &ResultFile) {
    let found = host_dependences(file);
    let Some(HostDependence { ratio, speeds }) = found.first() else { return };
    let name = |cell: u64| {
        let row = file.cells.iter().find(|row| (row.job, row.cell) == (ratio.job, cell));
        format!("{} (cell {cell})", row.map(|row| printable(&row.formed())).unwrap_or_default())
    };
    let TwoSpeeds { slow, fast, .. } = speeds;
    let more = match found.len() {
        1 => String::new(),
        all => format!(" {} more ratios depend on it too.", all - 1),
    };
    let text = format!(
        "! HOST: the machine ran at two speeds, {} and {} GB/s, and not all strategies follow it: {} takes {:.2} times as long as \
         {} in {} slow blocks and {:.2} times in {} fast ones. One number for both holds for neither.{more}",
        gigabytes(slow.state),
        gigabytes(fast.state),
        name(ratio.cell),
        slow.ratio,
        name(ratio.baseline),
        slow.blocks,
        fast.ratio,
        fast.blocks
    );
    page.paragraph(&text, 2);
}

/// Appends a line if some cells beat their limit, with their number and the cell that does so by most.
fn beaten_limits(page: &mut Page, file: &ResultFile) {
    let beaten: Vec<&CellRow> = file.cells.iter().filter(|cell| cell.beats_its_limit()).collect();
    let share = |cell: &CellRow| cell.share_of_limit.unwrap_or(0.0);
    let Some(most) = beaten.iter().max_by(|one, other| share(one).total_cmp(&share(other))) else { return };
    let text = format!(
        "! LIMIT: {} of {} cells were faster than the measured limits allow, cell {} ({}) {:.2} times: the machine gave them \
         more. Shares of the limit say nothing there.",
        beaten.len(),
        file.cells.len(),
        most.cell,
        printable(&most.strategy),
        share(most)
    );
    page.paragraph(&text, 2);
}

/// Appends a line for cells that nothing tells from the one in which the MPI library chose.
fn without_effect(page: &mut Page, file: &ResultFile) {
    let alike: Vec<&CellRow> = file.cells.iter().filter(|cell| cell.fingerprint == Some(Fingerprint::None)).collect();
    if !alike.is_empty() {
        let text = format!(
            "! EFFECT: neither time, memory nor wire tells {} from the library's own choice: it may be the same, or the choice had \
             no effect.",
            listed(&alike)
        );
        page.paragraph(&text, 2);
    }
}

#[cfg(test)]
#[path = "warnings_tests.rs"]
mod tests;
