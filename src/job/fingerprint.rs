//! The proof that a chosen algorithm or component of the MPI library took effect: the cell differs from the one in which
//! the library chose. A setting that reads back as written proves nothing.

use crate::job::contender::Measured;
use crate::job::ratios::TimedCell;
use crate::results::row::{CellRow, Fingerprint, Status};
use crate::stats::{Alpha, LogRatios};

/// Least relative difference of bytes on the wire, which hold envelopes and other programs' traffic, and of memory.
const TENTH: f64 = 0.1;
/// Least difference of the library's memory, bytes: the kernel's figures vary by 0.4 MiB.
const MEMORY: f64 = (1 << 20) as f64;
/// Least relative difference of times, beyond which the whole interval must lie.
const TIME: f64 = 0.02;

/// Fills in the fingerprints of a comparison's cells.
pub fn fill(cells: &mut [Measured], alpha: Alpha) {
    let is_compared = |row: &CellRow| row.status == Status::Ok;
    let chosen = |row: &CellRow| is_compared(row) && !row.is_the_librarys_choice();
    // All fingerprints hold together (Bonferroni).
    let compared = cells.iter().filter(|(row, ..)| chosen(row)).count().max(1);
    let Some(alpha) = Alpha::new(alpha.get() / compared as f64) else { return };
    let found: Vec<Option<Fingerprint>> = cells
        .iter()
        .map(|cell| {
            let usual = |(row, ..): &&Measured| is_compared(row) && is_usual_of(row, &cell.0);
            chosen(&cell.0).then(|| cells.iter().find(usual).map(|usual| difference(cell, usual, alpha)))?
        })
        .collect();
    cells.iter_mut().zip(found).for_each(|((row, ..), found)| row.fingerprint = found);
}

/// True if `usual` is the cell of `chosen` in which the library chose.
fn is_usual_of(usual: &CellRow, chosen: &CellRow) -> bool {
    let settings = |row: &CellRow| {
        let CellRow { shards, order, ready, caches, intra_node, ceiling_bytes, .. } = *row;
        (row.strategy.clone(), row.flow.clone(), shards, order, ready, caches, intra_node, ceiling_bytes)
    };
    usual.is_the_librarys_choice() && settings(usual) == settings(chosen)
}

fn difference((chosen, samples, _): &Measured, (usual, usual_samples, _): &Measured, alpha: Alpha) -> Fingerprint {
    let differ = |of: fn(&CellRow) -> Option<f64>, least: f64| {
        let both = of(chosen).zip(of(usual));
        both.is_some_and(|(one, other)| (one - other).abs() > (TENTH * one.max(other)).max(least))
    };
    if differ(|row| row.wire_bytes_seen, 0.0) {
        return Fingerprint::Wire;
    }
    if differ(|row| row.library_bytes, MEMORY) {
        return Fingerprint::Memory;
    }
    let times = |row: &CellRow, samples| TimedCell::new(row.cell, samples);
    let ratios = LogRatios::pair(times(chosen, samples).blocks(), times(usual, usual_samples).blocks());
    let interval = ratios.ok().and_then(|ratios| ratios.ratio(alpha)?.interval);
    match interval {
        Some(interval) if interval.low > 1.0 + TIME || interval.high < 1.0 / (1.0 + TIME) => Fingerprint::Time,
        _ => Fingerprint::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::row::Sample;

    /// A cell of MPI_Reduce by `component` that took `seconds` in each of 20 blocks.
    fn measured(component: &str, seconds: f64, wire: Option<f64>, library: f64) -> Measured {
        let row = CellRow {
            strategy: "native-reduce".into(),
            component: component.parse().expect("a name"),
            wire_bytes_seen: wire,
            library_bytes: Some(library),
            status: Status::Ok,
            ..CellRow::default()
        };
        // Blocks differ by up to 20 %, alike for all cells.
        let sample = |block: u64| Sample { block, seconds: seconds * (1.0 + 0.01 * block as f64), ..Sample::default() };
        (row, (0..20).map(sample).collect(), Vec::new())
    }

    #[test]
    fn the_strongest_difference_is_named_and_likeness_too() {
        let usual = measured("default", 1.0, Some(3e6), 4e6);
        let wired = measured("a", 1.0, Some(1e6), 4e6);
        let lean = measured("b", 1.0, Some(3.1e6), 1e6);
        let fast = measured("c", 0.9, Some(3e6), 4.5e6);
        let alike = measured("d", 1.01, Some(3e6), 4e6);
        let mut of_another_flow = measured("e", 0.5, Some(1e6), 1e6);
        of_another_flow.0.flow = "1MiB".into();
        let mut cells = [wired, usual, lean, fast, alike, of_another_flow];
        fill(&mut cells, Alpha::FIVE_PERCENT);
        let found = cells.map(|(row, ..)| row.fingerprint);
        let expected = [Fingerprint::Wire, Fingerprint::Memory, Fingerprint::Time, Fingerprint::None].map(Some);
        assert_eq!(found, [expected[0], None, expected[1], expected[2], expected[3], None]);
    }
}
