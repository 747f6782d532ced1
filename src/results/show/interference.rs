//! Warnings of what the machine did while comparisons ran.

use std::collections::BTreeMap;

use super::page::{paragraph, printable};
use crate::results::ResultFile;
use crate::results::row::Status;

/// Appends a line for each comparison that was disturbed too much to be trusted: which cells, and by what.
pub fn interference(page: &mut String, file: &ResultFile) {
    let mut found: BTreeMap<(u64, String), Vec<String>> = BTreeMap::new();
    for cell in file.cells.iter().filter(|cell| cell.status == Status::Ok && !cell.interference.is_empty()) {
        let cells = found.entry((cell.comparison, printable(&cell.interference))).or_default();
        cells.push(cell.cell.to_string());
    }
    for ((comparison, what), cells) in found {
        let cells = cells.join(", ");
        let text = format!(
            "! INTERFERENCE: {what} while comparison {comparison} ran (cells {cells}); measure it again on a quiet machine."
        );
        paragraph(page, &text, 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;

    #[test]
    fn disturbed_comparisons_are_named_once() {
        let mut file = samples::file();
        let said = |file: &ResultFile| {
            let mut page = String::new();
            interference(&mut page, file);
            page.replace("\n  ", " ")
        };
        assert_eq!(said(&file), "");
        for cell in &mut file.cells {
            cell.interference = "others took\n12 % of it".into();
        }
        // The third and the fourth cell are not ok.
        let right = "! INTERFERENCE: others took 12 % of it while comparison 0 ran (cells 0, 1); measure it again on a quiet \
                     machine.\n";
        assert_eq!(said(&file), right);
        file.cells[1].interference = "something else".into();
        assert_eq!(said(&file).lines().count(), 2);
    }
}
