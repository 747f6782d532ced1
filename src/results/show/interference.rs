//! Warnings about disturbances of the machine while comparisons ran.

use std::collections::BTreeMap;

use super::page::paragraph;
use crate::results::ResultFile;
use crate::results::row::{CellRow, Status};

/// Appends a line for each comparison that was disturbed too much to be reliable: the number of disturbed cells, and
/// the disturbance of the cell with the most disturbed samples.
pub fn interference(page: &mut String, file: &ResultFile) {
    let mut comparisons: BTreeMap<u64, (usize, Vec<&CellRow>)> = BTreeMap::new();
    for cell in file.cells.iter().filter(|cell| cell.status == Status::Ok) {
        let (all, disturbed) = comparisons.entry(cell.comparison).or_default();
        *all += 1;
        if cell.interference.is_some() {
            disturbed.push(cell);
        }
    }
    for (comparison, (all, disturbed)) in comparisons {
        let share = |cell: &&&CellRow| cell.disturbed_samples.unwrap_or(0.0);
        let Some(worst) = disturbed.iter().max_by(|one, other| share(one).total_cmp(&share(other))) else { continue };
        let text = format!(
            "! INTERFERENCE: comparison {comparison}, {} of {all} cells: {} (cell {}). Measure it again on a quiet machine.",
            disturbed.len(),
            worst.disturbance().unwrap_or_default(),
            worst.cell
        );
        paragraph(page, &text, 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;
    use crate::stats::interference::Interference;

    #[test]
    fn disturbed_comparisons_are_named_once() {
        let mut file = samples::file();
        let said = |file: &ResultFile| {
            let mut page = String::new();
            interference(&mut page, file);
            page.replace("\n  ", " ")
        };
        assert_eq!(said(&file), "");
        // The third and the fourth cell do not have the status ok.
        for cell in &mut file.cells {
            cell.interference = Some(if cell.cell == 0 { Interference::OffCore } else { Interference::OtherLoad });
            cell.disturbed_samples = Some(if cell.cell == 0 { 0.5 } else { 0.25 });
            cell.other_load = Some(0.125);
        }
        let right = "! INTERFERENCE: comparison 0, 2 of 2 cells: in 50 % of the samples a rank was put off its core (cell 0). Measure it again on a quiet machine.\n";
        assert_eq!(said(&file), right);
        file.cells[0].interference = None;
        assert!(said(&file).contains("1 of 2 cells: other programs or the host took 12 % of a node's cores (cell 1)."));
    }
}
