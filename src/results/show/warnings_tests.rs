use super::*;
use crate::results::row::BlockRow;
use crate::results::show::page::WIDTH;
use crate::results::show::samples;
use crate::stats::interference::Interference;

#[test]
fn disturbed_comparisons_are_named_once() {
    let mut file = samples::file();
    let said = |file: &ResultFile| {
        let mut page = Page::new(WIDTH);
        interference(&mut page, file);
        page.into_text().replace("\n  ", " ")
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
    // Time of the cores that others took counts as much as lost cores.
    file.cells[1].other_load = Some(0.72);
    let worst = "other programs or the host took 72 % of a node's cores (cell 1)";
    assert!(said(&file).contains(worst), "{}", said(&file));
    file.cells[1].other_load = Some(0.125);
    file.cells[0].interference = None;
    assert!(said(&file).contains("1 of 2 cells: other programs or the host took 12 % of a node's cores (cell 1)."));
}

#[test]
fn cells_that_beat_their_limit_are_told_and_others_not() {
    let mut file = samples::file();
    let said = |file: &ResultFile| {
        let mut page = Page::new(WIDTH);
        beaten_limits(&mut page, file);
        page.into_text().replace("\n  ", " ")
    };
    file.cells[0].share_of_limit = Some(1.05);
    assert_eq!(said(&file), "");
    file.cells[0].share_of_limit = Some(1.06);
    file.cells[1].share_of_limit = Some(1.6);
    let all = file.cells.len();
    let right =
        format!("! LIMIT: 2 of {all} cells were faster than the measured limits allow, cell 1 (tree-lambda-fl) ");
    assert!(said(&file).starts_with(&right), "{}", said(&file));
    assert!(said(&file).contains("1.60 times"), "{}", said(&file));
    // The interval counts if the limits were measured in the same blocks.
    file.cells[1].share_low = Some(1.02);
    assert!(said(&file).starts_with("! LIMIT: 1 of"), "{}", said(&file));
    file.cells[1].share_low = Some(1.03);
    assert!(said(&file).starts_with("! LIMIT: 2 of"), "{}", said(&file));
}

#[test]
fn jobs_that_are_few_or_close_together_are_told() {
    let mut file = samples::file();
    file.jobs = vec![file.jobs[0].clone(); 5];
    file.blocks.clear();
    for (job, row) in (0..).zip(&mut file.jobs) {
        row.job = job;
        file.blocks.push(BlockRow { job, began_unix_s: 1e9 + job as f64 * 120.0, ..BlockRow::default() });
    }
    let said = |file: &ResultFile| {
        let mut page = Page::new(WIDTH);
        jobs(&mut page, file);
        page.into_text().replace("\n  ", " ")
    };
    assert!(said(&file).contains("the 5 jobs of 0 ranks on 0 node(s) began within 8 minutes"), "{}", said(&file));
    file.blocks[4].began_unix_s += 7200.0;
    assert_eq!(said(&file), "");
    file.jobs.pop();
    assert!(said(&file).starts_with("! JOBS: the 4 jobs"), "{}", said(&file));
    file.jobs.truncate(1);
    assert_eq!(said(&file), "");
}

#[test]
fn a_long_warm_up_is_told() {
    let mut file = samples::file();
    let said = |file: &ResultFile| {
        let mut page = Page::new(WIDTH);
        unsettled(&mut page, file);
        page.into_text().replace("\n  ", " ")
    };
    for cell in &mut file.cells {
        (cell.samples, cell.warm_up_samples, cell.drifts, cell.lag1_autocorrelation) = (100, 25, false, None);
    }
    assert_eq!(said(&file), "");
    file.cells[0].warm_up_samples = 49;
    let right =
        "! WARM-UP: the first samples of sharded-direct (cell 0) differ from the rest by MSER, 49 of 100 in cell 0;";
    assert!(said(&file).starts_with(right), "{}", said(&file));
}

#[test]
fn choices_of_the_library_without_effect_are_told() {
    let mut file = samples::file();
    let said = |file: &ResultFile| {
        let mut page = Page::new(WIDTH);
        without_effect(&mut page, file);
        page.into_text().replace("\n  ", " ")
    };
    (file.cells[0].fingerprint, file.cells[1].fingerprint) = (Some(Fingerprint::Memory), None);
    assert_eq!(said(&file), "");
    file.cells[1].fingerprint = Some(Fingerprint::None);
    file.cells[1].component = "han".parse().expect("a name");
    let right =
        "! EFFECT: neither time, memory nor wire tells tree-lambda-fl, component han (cell 1) from the library's own";
    assert!(said(&file).starts_with(right), "{}", said(&file));
}
