//! Tables of one schema version read by the program of another.

use hdf5::File;
use ndarray::ArrayView1;

use super::column::{StoredTable, Table, table};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    weight: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    count: u64,
    share: Option<f64>,
    name: String,
    part: Option<Part>,
}

table! {
    /// As version 1 had it.
    OldTable: Row as OldRecord {
        name: String = [name], "text", since 1, "name";
        count: u64 = [count], "1", since 1, "count";
    }
}

table! {
    /// As version 2 has it: two columns more, in another order.
    NewTable: Row as NewRecord {
        count: u64 = [count], "1", since 1, "count";
        share: Option<f64> = [share], "1", since 2, "share";
        name: String = [name], "text", since 1, "name";
        weighed: bool = [some part], "bool", since 2, "whether there is a part";
        part_weight: u64 = [part ? weight], "kg", since 2, "weight";
    }
}

fn stored<T: Table>(rows: &[T::Row], schema_version: u32) -> (tempfile::TempDir, StoredTable) {
    let directory = tempfile::tempdir().unwrap();
    let file = File::create(directory.path().join("table.h5")).unwrap();
    let records: Vec<T::Record> = rows.iter().map(T::record).collect();
    let dataset = file.new_dataset_builder().with_data(ArrayView1::from(&records)).create("table").unwrap();
    (directory, StoredTable::new(dataset, schema_version).unwrap())
}

fn rows() -> Vec<Row> {
    vec![
        Row { count: 3, share: Some(0.25), name: "a".into(), part: Some(Part { weight: u64::MAX }) },
        Row { count: 4, share: None, name: String::new(), part: None },
    ]
}

#[test]
fn an_older_file_lacks_newer_columns_and_is_read() {
    let (_directory, stored) = stored::<OldTable>(&rows(), 1);
    let expected: Vec<Row> = rows().into_iter().map(|row| Row { share: None, part: None, ..row }).collect();
    assert_eq!(stored.rows::<NewTable>().unwrap(), expected);
}

#[test]
fn a_file_that_lacks_what_its_version_had_is_not() {
    let (_directory, stored) = stored::<OldTable>(&rows(), 2);
    assert_eq!(stored.rows::<NewTable>().unwrap_err(), "column share is missing");
}

#[test]
fn a_part_that_is_missing_differs_from_one_of_the_same_value() {
    let (_directory, stored) = stored::<NewTable>(&rows(), 2);
    assert_eq!(stored.rows::<NewTable>().unwrap(), rows());
    let record = NewTable::record(&rows()[1]);
    assert_eq!((record.weighed, record.part_weight, record.share.is_nan()), (false, u64::MAX, true));
}

#[test]
fn texts_are_in_the_order_of_the_columns() {
    assert_eq!(NewTable::texts(&rows()[0]), ["3", "0.25", "a", "true", "18446744073709551615"]);
    assert_eq!(NewTable::texts(&rows()[1]), ["4", "", "", "false", ""]);
    let names: Vec<&str> = NewTable::COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(names, ["count", "share", "name", "weighed", "part_weight"]);
}

#[test]
fn a_column_of_another_type_is_an_error() {
    table! {
        /// With text where a number should be.
        WrongTable: Row as WrongRecord {
            name: String = [name], "text", since 1, "name";
            count: String = [name], "text", since 1, "not a count";
        }
    }
    let (_directory, stored) = stored::<WrongTable>(&rows(), 1);
    assert!(stored.rows::<OldTable>().is_err());
}
