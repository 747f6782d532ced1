//! Tests that names from files of others reach neither a terminal nor a spreadsheet as commands.

#![allow(clippy::unwrap_used)]

mod harness;

use gradshard::results::row::{CellRow, Status};
use gradshard::results::{Environment, Output, ResultFile};
use harness::Place;

/// Clears the screen, turns the direction of text, breaks the line, and is a formula.
const HOSTILE: &str = "=cmd|' /C calc'!A0\u{1b}[2J\u{202e}\nx\u{9b}1m";

fn hostile_file(place: &Place) {
    let environment = serde_json::json!({"transport": HOSTILE, "machines": [{"environment": {"hostname": HOSTILE}}]});
    let name = serde_json::json!({"name": HOSTILE}).to_string();
    let mut file = ResultFile::new(name, Environment::of(&environment).unwrap());
    for (cell, status) in (0..).zip([Status::Ok, Status::Failed]) {
        let hostile = || HOSTILE.to_owned();
        let row = CellRow {
            cell,
            status,
            strategy: hostile(),
            model: hostile(),
            flow: hostile(),
            reason: hostile(),
            enforced_by: hostile(),
            median_s: Some(1.0),
            ..CellRow::default()
        };
        file.push(row, vec![], vec![]);
    }
    Output::create(place.path("h.h5"), false).unwrap().save(&file).unwrap();
}

/// Asserts that nothing but line ends acts on a terminal.
fn is_harmless(text: &str) {
    let acts = |symbol: char| symbol.is_control() && symbol != '\n' || ('\u{202a}'..='\u{202e}').contains(&symbol);
    assert!(!text.contains(acts), "{text:?}");
}

#[test]
fn tables_and_csv_write_them_out() {
    let place = Place::new();
    hostile_file(&place);
    for arguments in
        [&["show", "h.h5"][..], &["show", "h.h5", "--scaling"], &["compare", "h.h5", "h.h5"], &["cost", "h.h5"]]
    {
        let shown = place.gradshard().args(arguments).run();
        is_harmless(shown.success());
    }
    let table = place.gradshard().args(["show", "h.h5"]).run();
    assert!(table.success().contains("\\u{1b}[2J\\u{202e}"), "{table:#?}");
    for arguments in [["show", "h.h5", "--format", "csv"], ["cost", "h.h5", "--format", "csv"]] {
        let shown = place.gradshard().args(arguments).run();
        let text = shown.success();
        is_harmless(text);
        // A header and two cells; no cell begins as a formula does.
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.contains("'=cmd|") && !text.contains(",=") && !text.contains("\"="), "{text}");
    }
}

#[test]
fn messages_write_them_out() {
    let place = Place::new();
    let name = "a\u{1b}[2J\u{202e}\nb";
    for arguments in [&["run", name, "--threads", "2"][..], &["show", name], &["merge", "m.h5", name], &["cost", name]]
    {
        let refused = place.gradshard().args(arguments).run();
        refused.refused(&["a\\u{1b}[2J\\u{202e}\\nb"]);
        is_harmless(&refused.stderr);
    }
}
