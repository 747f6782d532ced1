//! Tests that read tables of one schema version with the program of another.

use hdf5::File;
use ndarray::ArrayView1;

use super::column::{Row, StoredTable, table};
use crate::stats::{StopReason, Verdict};

#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Weighing {
    weight: u64,
}

table! {
    /// The table in version 1.
    FirstVersion {
        name: String, "text", since 1, "name";
        count: u64, "1", since 1, "count";
    }
}

table! {
    /// The table in version 2: more columns, in another order.
    SecondVersion {
        count: u64, "1", since 1, "count";
        share: Option<f64>, "1", since 2, "share";
        name: String, "text", since 1, "name";
        verdict: Verdict, "text", since 2, "verdict";
        stopped: Option<StopReason>, "text", since 2, "reason";
    }
    optional {
        part: Weighing, if weighed, since 2, "whether there is a part" {
            part_weight = weight: u64, "kg", since 2, "weight";
        }
    }
}

fn stored<R: Row>(rows: &[R], schema_version: u32) -> (tempfile::TempDir, StoredTable) {
    let directory = tempfile::tempdir().unwrap();
    let file = File::create(directory.path().join("table.h5")).unwrap();
    let records: Vec<R::Record> = rows.iter().map(R::record).collect();
    let dataset = file.new_dataset_builder().with_data(ArrayView1::from(&records)).create("table").unwrap();
    (directory, StoredTable::new(dataset, schema_version).unwrap())
}

fn older() -> Vec<FirstVersion> {
    vec![FirstVersion { count: 3, name: "a".into() }, FirstVersion { count: 4, name: String::new() }]
}

fn rows() -> Vec<SecondVersion> {
    let part = Some(Weighing { weight: u64::MAX });
    let (verdict, stopped) = (Verdict::Faster, Some(StopReason::Budget));
    vec![
        SecondVersion { count: 3, share: Some(0.25), name: "a".into(), verdict, stopped, part },
        SecondVersion { count: 4, ..SecondVersion::default() },
    ]
}

#[test]
fn an_older_file_lacks_newer_columns_and_is_read() {
    let (_directory, stored) = stored(&older(), 1);
    let expected =
        rows().into_iter().map(|row| SecondVersion { count: row.count, name: row.name, ..SecondVersion::default() });
    assert_eq!(stored.rows::<SecondVersion>().unwrap(), expected.collect::<Vec<_>>());
}

#[test]
fn a_file_that_lacks_what_its_version_had_is_not() {
    let (_directory, stored) = stored(&older(), 2);
    assert_eq!(stored.rows::<SecondVersion>().unwrap_err(), "column share is missing");
}

#[test]
fn a_part_that_is_missing_differs_from_one_of_the_same_value() {
    let (_directory, stored) = stored(&rows(), 2);
    assert_eq!(stored.rows::<SecondVersion>().unwrap(), rows());
}

#[test]
fn texts_are_in_the_order_of_the_columns() {
    assert_eq!(rows()[0].texts(), ["3", "0.25", "a", "faster", "budget", "true", "18446744073709551615"]);
    assert_eq!(rows()[1].texts(), ["4", "", "", "undecided", "", "false", ""]);
    let names: Vec<&str> = SecondVersion::COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(names, ["count", "share", "name", "verdict", "stopped", "weighed", "part_weight"]);
}

#[test]
fn a_column_of_another_type_is_an_error() {
    table! {
        /// A table with text in place of a number.
        WrongType {
            name: String, "text", since 1, "name";
            count: String, "text", since 1, "not a count";
        }
    }
    let (_directory, stored) = stored(&[WrongType::default()], 1);
    assert!(stored.rows::<FirstVersion>().is_err());
}

/// The error for an unknown word names the word, its column, and the valid words.
#[test]
fn a_word_that_is_not_known_is_an_error() {
    table! {
        /// The table with free text in place of words.
        FreeText {
            verdict: String, "text", since 2, "verdict";
            stopped: String, "text", since 2, "reason";
        }
    }
    table! {
        /// The table with words.
        Words {
            verdict: Verdict, "text", since 2, "verdict";
            stopped: Option<StopReason>, "text", since 2, "reason";
        }
    }
    let read = |verdict: &str, stopped: &str| {
        let (_directory, stored) = stored(&[FreeText { verdict: verdict.into(), stopped: stopped.into() }], 2);
        stored.rows::<Words>()
    };
    assert_eq!(read("same", "").unwrap(), [Words { verdict: Verdict::Same, stopped: None }]);
    let wrong =
        "column verdict, row 0: \"swift\" is not known here: expected one of `faster`, `slower`, `same`, `undecided`";
    assert_eq!(read("swift", "").unwrap_err(), wrong);
    assert!(read("same", "bored").unwrap_err().starts_with("column stopped, row 0: \"bored\" is not known here"));
    assert!(read("", "").unwrap_err().starts_with("column verdict, row 0: \"\" is not known here"));
}
