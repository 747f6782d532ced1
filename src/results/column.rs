//! Columns of the file's tables. A table is defined once, by `table!`; the definition drives writing, reading, the
//! attributes that document it and the CSV form, so that a column is one line.

use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, H5Type};
use serde_json::Value;

use super::error::told;
use super::row::Status;

/// What a column means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in the file and in CSV.
    pub name: &'static str,
    /// Unit; `1` for counts and numbers without one, `text` for words, `bool` for yes or no.
    pub unit: &'static str,
    /// Schema version that brought the column. Older files lack it, and its field keeps the default when they are read.
    pub since: u32,
    /// What the column holds.
    pub meaning: &'static str,
}

/// A field's type, and how it is represented in a column.
pub trait Stored: Sized {
    /// The type within the file.
    type Raw: H5Type;
    /// As the file holds it.
    fn store(&self) -> Self::Raw;
    /// Back from the file. The error says what was found and what would be right.
    fn load(raw: &Self::Raw) -> Result<Self, String>;
    /// What the file holds where there is no value.
    fn missing() -> Self::Raw;
    /// As CSV has it, before quoting; empty where there is no value.
    fn text(&self) -> String;
}

impl Stored for u64 {
    type Raw = u64;
    fn store(&self) -> u64 {
        *self
    }
    fn load(raw: &u64) -> Result<Self, String> {
        Ok(*raw)
    }
    fn missing() -> u64 {
        // Not 0, which would read as "no element differs".
        u64::MAX
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Stored for bool {
    type Raw = bool;
    fn store(&self) -> bool {
        *self
    }
    fn load(raw: &bool) -> Result<Self, String> {
        Ok(*raw)
    }
    fn missing() -> bool {
        false
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Stored for f64 {
    type Raw = f64;
    fn store(&self) -> f64 {
        *self
    }
    fn load(raw: &f64) -> Result<Self, String> {
        Ok(*raw)
    }
    fn missing() -> f64 {
        f64::NAN
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

/// None is NaN in the file. A NaN that was measured is no number either, and is read as None.
impl Stored for Option<f64> {
    type Raw = f64;
    fn store(&self) -> f64 {
        self.unwrap_or(f64::NAN)
    }
    fn load(raw: &f64) -> Result<Self, String> {
        Ok(Some(*raw).filter(|value| !value.is_nan()))
    }
    fn missing() -> f64 {
        f64::NAN
    }
    fn text(&self) -> String {
        self.map_or_else(String::new, |value| value.to_string())
    }
}

impl Stored for String {
    type Raw = VarLenUnicode;
    fn store(&self) -> VarLenUnicode {
        unicode(self)
    }
    fn load(raw: &VarLenUnicode) -> Result<Self, String> {
        // The bytes come from a file and may be anything, so `as_str`, which trusts them, is not for us.
        std::str::from_utf8(raw.as_bytes()).map(str::to_owned).map_err(|error| format!("not UTF-8: {error}"))
    }
    fn missing() -> VarLenUnicode {
        VarLenUnicode::new()
    }
    fn text(&self) -> String {
        self.clone()
    }
}

/// A JSON text.
impl Stored for Value {
    type Raw = VarLenUnicode;
    fn store(&self) -> VarLenUnicode {
        unicode(&self.to_string())
    }
    fn load(raw: &VarLenUnicode) -> Result<Self, String> {
        serde_json::from_str(&String::load(raw)?).map_err(|error| format!("not JSON: {error}"))
    }
    fn missing() -> VarLenUnicode {
        unicode("null")
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Stored for Status {
    type Raw = VarLenUnicode;
    fn store(&self) -> VarLenUnicode {
        unicode(self.name())
    }
    fn load(raw: &VarLenUnicode) -> Result<Self, String> {
        let name = String::load(raw)?;
        Status::from_name(&name)
            .ok_or_else(|| format!("{name:?} is none of {}", Status::ALL.map(Status::name).join(", ")))
    }
    fn missing() -> VarLenUnicode {
        VarLenUnicode::new()
    }
    fn text(&self) -> String {
        self.name().to_owned()
    }
}

/// A string as the file holds it. HDF5 ends strings at a NUL, so a NUL is replaced by its picture, `␀`.
pub(super) fn unicode(text: &str) -> VarLenUnicode {
    // The only error the conversion knows is the NUL just replaced.
    text.replace('\0', "\u{2400}").parse().unwrap_or_else(|_| VarLenUnicode::new())
}

/// A table of the file: rows of a type, and how each field lies in a compound dataset.
pub trait Table {
    /// A row in memory.
    type Row: Default;
    /// A row as HDF5 holds it.
    type Record: H5Type;
    /// The columns, in the order of the file.
    const COLUMNS: &'static [Column];
    /// A row as HDF5 holds it.
    fn record(row: &Self::Row) -> Self::Record;
    /// The texts of a row for CSV, in the order of the columns, not quoted.
    fn texts(row: &Self::Row) -> Vec<String>;
    /// Reads every column that the stored table has into `rows`, one row for each row of it.
    fn load(stored: &StoredTable, rows: &mut [Self::Row]) -> Result<(), String>;
}

/// A table as found in a file.
pub struct StoredTable {
    dataset: Dataset,
    names: Vec<String>,
    schema_version: u32,
}

impl StoredTable {
    /// Wraps a one-dimensional compound dataset of a file of the given schema version. The error says what else it is.
    pub fn new(dataset: Dataset, schema_version: u32) -> Result<Self, String> {
        let described = dataset.dtype().and_then(|dtype| dtype.to_descriptor()).map_err(|error| told(&error))?;
        let hdf5::types::TypeDescriptor::Compound(compound) = described else {
            return Err(format!("a table with named columns was expected, not elements of type {described}"));
        };
        let shape = dataset.shape();
        if shape.len() != 1 {
            return Err(format!("one dimension was expected, not the shape {shape:?}"));
        }
        Ok(StoredTable {
            dataset,
            names: compound.fields.into_iter().map(|field| field.name).collect(),
            schema_version,
        })
    }

    /// Reads all rows of a table.
    pub fn rows<T: Table>(&self) -> Result<Vec<T::Row>, String> {
        let mut rows: Vec<T::Row> = (0..self.dataset.shape()[0]).map(|_| T::Row::default()).collect();
        T::load(self, &mut rows)?;
        Ok(rows)
    }

    /// Whether the file has a column; an error if it lacks one that its schema version had.
    pub fn has(&self, column: &Column) -> Result<bool, String> {
        if self.names.iter().any(|name| name == column.name) {
            return Ok(true);
        }
        if column.since <= self.schema_version {
            return Err(format!("column {} is missing", column.name));
        }
        Ok(false)
    }

    /// Reads the fields of `R`, a record of one or several of the columns.
    pub fn read<R: H5Type>(&self) -> Result<Vec<R>, String> {
        self.dataset.read_raw().map_err(|error| told(&error))
    }
}

/// Defines a table: its marker type, the row type in memory and the record type in the file, then one line a column:
///
/// `name: type = [place], "unit", since VERSION, "meaning";`
///
/// The place is a path of fields (`[memory.resident]`), a field of an optional part (`[verification ? max_ulp]`), or
/// whether there is that part (`[some verification]`), which must come before the part's fields.
macro_rules! table {
    (
        $(#[$meta:meta])*
        $table:ident: $row:ty as $record:ident {
            $( $name:ident: $type:ty = [$($place:tt)+], $unit:literal, since $since:literal, $meaning:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $table;

        #[doc = concat!("A row of [`", stringify!($table), "`] as HDF5 holds it.")]
        #[repr(C)]
        #[derive(hdf5::H5Type)]
        pub struct $record {
            $( #[doc = $meaning] pub $name: <$type as $crate::results::column::Stored>::Raw, )+
        }

        impl $crate::results::column::Table for $table {
            type Row = $row;
            type Record = $record;
            const COLUMNS: &'static [$crate::results::column::Column] = &[ $(
                $crate::results::column::Column {
                    name: stringify!($name), unit: $unit, since: $since, meaning: $meaning,
                },
            )+ ];

            fn record(row: &$row) -> $record {
                $record { $( $name: $crate::results::column::place!(store row, $type, $($place)+), )+ }
            }

            fn texts(row: &$row) -> Vec<String> {
                vec![ $( $crate::results::column::place!(text row, $type, $($place)+), )+ ]
            }

            fn load(stored: &$crate::results::column::StoredTable, rows: &mut [$row]) -> Result<(), String> {
                let mut columns = Self::COLUMNS.iter();
                $(
                    // Column by column, so that a file may lack some or have them in another order.
                    if let Some(column) = columns.next() && stored.has(column)? {
                        #[repr(C)]
                        #[derive(hdf5::H5Type)]
                        struct Only { $name: <$type as $crate::results::column::Stored>::Raw }
                        for (index, (row, only)) in rows.iter_mut().zip(stored.read::<Only>()?).enumerate() {
                            let value = $crate::results::column::place!(load only.$name, $type, $($place)+)
                                .map_err(|problem| format!("column {}, row {index}: {problem}", column.name))?;
                            $crate::results::column::place!(set row, value, $($place)+);
                        }
                    }
                )+
                Ok(())
            }
        }
    };
}

/// How the field at a place of a row is stored, written as text, loaded and set; see `table!`.
macro_rules! place {
    (store $row:ident, $type:ty, some $part:ident) => {
        $crate::results::column::Stored::store(&$row.$part.is_some())
    };
    (store $row:ident, $type:ty, $part:ident ? $field:ident) => {
        $row.$part.as_ref().map_or_else(<$type as $crate::results::column::Stored>::missing, |part| {
            <$type as $crate::results::column::Stored>::store(&part.$field)
        })
    };
    (store $row:ident, $type:ty, $($path:ident).+) => {
        <$type as $crate::results::column::Stored>::store(&$row.$($path).+)
    };
    (text $row:ident, $type:ty, some $part:ident) => {
        $crate::results::column::Stored::text(&$row.$part.is_some())
    };
    (text $row:ident, $type:ty, $part:ident ? $field:ident) => {
        $row.$part.as_ref().map_or_else(String::new, |part| $crate::results::column::Stored::text(&part.$field))
    };
    (text $row:ident, $type:ty, $($path:ident).+) => {
        <$type as $crate::results::column::Stored>::text(&$row.$($path).+)
    };
    (load $only:ident . $name:ident, $type:ty, $($place:tt)+) => {
        <$type as $crate::results::column::Stored>::load(&$only.$name)
    };
    (set $row:ident, $value:ident, some $part:ident) => {
        $row.$part = $value.then(Default::default)
    };
    (set $row:ident, $value:ident, $part:ident ? $field:ident) => {
        if let Some(part) = &mut $row.$part {
            part.$field = $value;
        }
    };
    (set $row:ident, $value:ident, $($path:ident).+) => {
        $row.$($path).+ = $value
    };
}

pub(crate) use {place, table};
