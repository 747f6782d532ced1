//! A warning about cells that were faster than the previously measured limits allow.

use super::page::{paragraph, printable};
use crate::results::ResultFile;
use crate::results::row::CellRow;

/// Appends a line if some cells beat their limit, with their number and the cell that does so by most.
pub fn beaten_limits(page: &mut String, file: &ResultFile) {
    let beaten: Vec<&CellRow> = file.cells.iter().filter(|cell| cell.beats_its_limit()).collect();
    let share = |cell: &CellRow| cell.share_of_limit.unwrap_or(0.0);
    let Some(most) = beaten.iter().max_by(|one, other| share(one).total_cmp(&share(other))) else { return };
    let text = format!(
        "! LIMIT: {} of {} cells were faster than the limits measured before them allow, cell {} ({}) {:.2} times: the machine \
         gave more meanwhile. Shares of the limit say nothing there.",
        beaten.len(),
        file.cells.len(),
        most.cell,
        printable(&most.strategy),
        share(most)
    );
    paragraph(page, &text, 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::show::samples;

    #[test]
    fn cells_that_beat_their_limit_are_told_and_others_not() {
        let mut file = samples::file();
        let said = |file: &ResultFile| {
            let mut page = String::new();
            beaten_limits(&mut page, file);
            page.replace("\n  ", " ")
        };
        file.cells[0].share_of_limit = Some(1.05);
        assert_eq!(said(&file), "");
        file.cells[0].share_of_limit = Some(1.06);
        file.cells[1].share_of_limit = Some(1.6);
        let all = file.cells.len();
        let right = format!(
            "! LIMIT: 2 of {all} cells were faster than the limits measured before them allow, cell 1 (tree-lambda-fl) "
        );
        assert!(said(&file).starts_with(&right), "{}", said(&file));
        assert!(said(&file).contains("1.60 times"), "{}", said(&file));
    }
}
