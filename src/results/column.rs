//! Columns of the file's tables. The macro `table!` defines a row type once; the definition yields the struct in
//! memory, the compound record in the file, the reader, the attributes that document the columns, and the texts of the
//! CSV form.

use std::collections::HashMap;

use hdf5::types::{TypeDescriptor, VarLenUnicode};
use hdf5::{Dataset, H5Type};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::environment::Environment;

use super::error::told;

/// The description of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in the file and in CSV.
    pub name: &'static str,
    /// Unit; `1` for counts and numbers without one, `text` for words, `bool` for yes or no.
    pub unit: &'static str,
    /// Schema version that brought the column. Older files lack it, and its field keeps the default when they are read.
    pub since: u32,
    /// Meaning of the values.
    pub meaning: &'static str,
}

/// A type of a row's field, and its representation in a column. The default is the initial value of the field, which rows
/// of files that lack the column keep.
pub trait Stored: Default {
    /// The type within the file.
    type Raw: H5Type;
    /// The type that a value from the file has in memory. Every content that a damaged file may have must be a value of it.
    type Read: H5Type;
    /// The value as the file holds it.
    fn store(&self) -> Self::Raw;
    /// Converts a value from the file.
    ///
    /// # Errors
    /// The value in the file is not valid for this type. The error names it and the valid ones.
    fn load(read: &Self::Read) -> Result<Self, String>;
    /// The value in the file if the row lacks the optional part that has this column.
    fn missing() -> Self::Raw {
        Self::default().store()
    }
    /// The value as CSV text before quoting; empty if there is no value.
    fn text(&self) -> String;
}

macro_rules! numbers {
    ($($type:ty, $missing:expr;)+) => { $(
        impl Stored for $type {
            type Raw = $type;
            type Read = $type;
            fn store(&self) -> $type {
                *self
            }
            fn load(raw: &$type) -> Result<Self, String> {
                Ok(*raw)
            }
            fn missing() -> $type {
                $missing
            }
            fn text(&self) -> String {
                self.to_string()
            }
        }
    )+ };
}

// A missing count is not 0, which would mean "no element differs".
numbers! { u64, u64::MAX; f64, f64::NAN; }

/// A Rust `bool` of another byte than 0 or 1 is undefined behaviour, so a byte is read.
impl Stored for bool {
    type Raw = bool;
    type Read = u8;
    fn store(&self) -> bool {
        *self
    }
    fn load(read: &u8) -> Result<Self, String> {
        match read {
            0 | 1 => Ok(*read == 1),
            other => Err(format!("{other} is neither 0 nor 1")),
        }
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

/// None is NaN in the file. A measured NaN is read as None, too.
impl Stored for Option<f64> {
    type Raw = f64;
    type Read = f64;
    fn store(&self) -> f64 {
        self.unwrap_or(f64::NAN)
    }
    fn load(raw: &f64) -> Result<Self, String> {
        Ok(Some(*raw).filter(|value| !value.is_nan()))
    }
    fn text(&self) -> String {
        self.map_or_else(String::new, |value| value.to_string())
    }
}

impl Stored for String {
    type Raw = VarLenUnicode;
    type Read = VarLenUnicode;
    fn store(&self) -> VarLenUnicode {
        unicode(self)
    }
    fn load(raw: &VarLenUnicode) -> Result<Self, String> {
        // The bytes come from a file and may be invalid, so `as_str`, which does not check them, cannot be used.
        std::str::from_utf8(raw.as_bytes()).map(str::to_owned).map_err(|error| format!("not UTF-8: {error}"))
    }
    fn text(&self) -> String {
        self.clone()
    }
}

/// A JSON text.
impl Stored for Environment {
    type Raw = VarLenUnicode;
    type Read = VarLenUnicode;
    fn store(&self) -> VarLenUnicode {
        unicode(&self.to_string())
    }
    fn load(raw: &VarLenUnicode) -> Result<Self, String> {
        serde_json::from_str(&String::load(raw)?).map_err(|error| format!("not JSON: {error}"))
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

/// The word that serde gives a value of an enum.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        // Enums without data are strings.
        _ => String::new(),
    }
}

/// Converts a word to the enum's value. The error names the word and the valid ones.
pub(super) fn of_word<T: DeserializeOwned>(word: &str) -> Result<T, String> {
    serde_json::from_value(Value::from(word)).map_err(|error| {
        let known = error.to_string();
        format!("{word:?} is not known here: {}", known.split_once(", ").map_or(known.as_str(), |(_, known)| known))
    })
}

/// An enum without data, which is stored as the word that serde gives its value. None is stored as the empty text.
pub trait Word: Serialize + DeserializeOwned {
    /// Converts the text of an older file to a word. Keeps a word.
    fn of_older(text: String) -> String {
        text
    }
}

impl<T: Word + Default> Stored for T {
    type Raw = VarLenUnicode;
    type Read = VarLenUnicode;
    fn store(&self) -> VarLenUnicode {
        unicode(&word(self))
    }
    fn load(raw: &VarLenUnicode) -> Result<Self, String> {
        of_word(&String::load(raw)?)
    }
    fn text(&self) -> String {
        word(self)
    }
}

impl<T: Word> Stored for Option<T> {
    type Raw = VarLenUnicode;
    type Read = VarLenUnicode;
    fn store(&self) -> VarLenUnicode {
        unicode(&self.text())
    }
    fn load(raw: &VarLenUnicode) -> Result<Self, String> {
        let word = T::of_older(String::load(raw)?);
        if word.is_empty() { Ok(None) } else { of_word(&word).map(Some) }
    }
    fn text(&self) -> String {
        self.as_ref().map_or_else(String::new, word)
    }
}

/// A string as the file holds it. HDF5 ends strings at a NUL, so a NUL is replaced by its symbol, `␀`.
pub(super) fn unicode(text: &str) -> VarLenUnicode {
    // The conversion fails only on a NUL, and these have been replaced.
    text.replace('\0', "\u{2400}").parse().unwrap_or_else(|_| VarLenUnicode::new())
}

/// A row type of one of the file's tables.
pub trait Row: Default {
    /// A row as HDF5 holds it.
    type Record: H5Type;
    /// The columns, in the order of the file.
    const COLUMNS: &'static [Column];
    /// The row as HDF5 holds it.
    fn record(&self) -> Self::Record;
    /// The texts of the row for CSV, in the order of the columns, not quoted.
    fn texts(&self) -> Vec<String>;
    /// Reads every column that the stored table has into `rows`, one row for each row of it.
    ///
    /// # Errors
    /// A column of the file's schema version is missing, or a value cannot be read. The error names the column.
    fn load(stored: &StoredTable, rows: &mut [Self]) -> Result<(), String>;
}

/// The type in memory of a column with this type in the file; see [`Stored::Read`].
fn as_read(in_file: TypeDescriptor) -> TypeDescriptor {
    if in_file == TypeDescriptor::Boolean { u8::type_descriptor() } else { in_file }
}

/// A table in a file.
pub struct StoredTable {
    dataset: Dataset,
    fields: HashMap<String, TypeDescriptor>,
    schema_version: u32,
}

impl StoredTable {
    /// Wraps a dataset of a file of the given schema version.
    ///
    /// # Errors
    /// The dataset is not one-dimensional, or its elements are not compounds. The error names its shape or type.
    pub fn new(dataset: Dataset, schema_version: u32) -> Result<Self, String> {
        let described = dataset.dtype().and_then(|dtype| dtype.to_descriptor()).map_err(|error| told(&error))?;
        let TypeDescriptor::Compound(compound) = described else {
            return Err(format!("a table with named columns was expected, not elements of type {described}"));
        };
        let shape = dataset.shape();
        if shape.len() != 1 {
            return Err(format!("one dimension was expected, not the shape {shape:?}"));
        }
        Ok(StoredTable {
            dataset,
            fields: compound.fields.into_iter().map(|field| (field.name, as_read(field.ty))).collect(),
            schema_version,
        })
    }

    /// Reads all rows.
    ///
    /// # Errors
    /// The errors of [`Row::load`].
    pub fn rows<R: Row>(&self) -> Result<Vec<R>, String> {
        let mut rows: Vec<R> = (0..self.dataset.shape()[0]).map(|_| R::default()).collect();
        R::load(self, &mut rows)?;
        Ok(rows)
    }

    /// True if the file has the column.
    ///
    /// # Errors
    /// The file lacks the column, although its schema version has it.
    pub fn has(&self, name: &str, since: u32) -> Result<bool, String> {
        if self.fields.contains_key(name) {
            return Ok(true);
        }
        if since <= self.schema_version {
            return Err(format!("column {name} is missing"));
        }
        Ok(false)
    }

    /// True if the file has every field of `R`, with the same type. Then all rows can be read at once.
    pub fn has_all_of<R: H5Type>(&self) -> bool {
        let TypeDescriptor::Compound(wanted) = R::type_descriptor() else { return false };
        wanted.fields.iter().all(|field| self.fields.get(&field.name) == Some(&field.ty))
    }

    /// Reads the columns that are the fields of `R`, for all rows.
    ///
    /// # Errors
    /// A field is missing, which HDF5 would leave uninitialised, or has another type.
    pub fn read<R: H5Type>(&self) -> Result<Vec<R>, String> {
        if let TypeDescriptor::Compound(wanted) = R::type_descriptor() {
            let lacking = wanted.fields.iter().find(|field| !self.fields.contains_key(&field.name));
            if let Some(field) = lacking {
                return Err(format!("column {} is missing", field.name));
            }
        }
        self.dataset.read_raw().map_err(|error| told(&error))
    }
}

/// Defines the row type of a table. A line of the first block is a field and a column of that name:
///
/// `name: type, "unit", since VERSION, "meaning";`
///
/// The blocks after it are optional:
///
/// - `parts`: fields of a struct type whose own fields are columns, each `column = field: type, …`.
/// - `optional`: parts that a row may lack. A column of type bool says whether the row has the part.
/// - `beside`: fields that are not in the table.
/// - `lengths`: columns with the number of elements of a field `beside` the table. They are written but not read.
macro_rules! table {
    (
        $(#[$meta:meta])*
        $row:ident { $( $name:ident: $type:ty, $unit:literal, since $since:literal, $meaning:literal; )+ }
        $( parts { $( $part:ident: $part_type:ty, $part_doc:literal {
            $( $pname:ident = $pfield:ident: $ptype:ty, $punit:literal, since $psince:literal, $pmeaning:literal; )+
        } )+ } )?
        $( optional { $( $opt:ident: $opt_type:ty, if $flag:ident, since $fsince:literal, $fmeaning:literal {
            $( $oname:ident = $ofield:ident: $otype:ty, $ounit:literal, since $osince:literal, $omeaning:literal; )+
        } )+ } )?
        $( beside { $( $beside:ident: $btype:ty, $bdoc:literal; )+ } )?
        $( lengths { $( $length:ident of $list:ident, $lunit:literal, since $lsince:literal, $lmeaning:literal; )+ } )?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
        pub struct $row {
            $( #[doc = concat!("Column, [", $unit, "]: ", $meaning, ".")] pub $name: $type, )+
            $($( #[doc = $part_doc] pub $part: $part_type, )+)?
            $($( #[doc = concat!("None where the column `", stringify!($flag), "` is false: ", $fmeaning, ".")]
                pub $opt: Option<$opt_type>, )+)?
            $($( #[doc = $bdoc] pub $beside: $btype, )+)?
        }

        const _: () = {
            use $crate::results::column::{Column, Row, Stored, StoredTable, load};

            #[repr(C)]
            #[derive(hdf5::H5Type)]
            pub struct Record {
                $( $name: <$type as Stored>::Raw, )+
                $($($( $pname: <$ptype as Stored>::Raw, )+)+)?
                $($( $flag: bool, $( $oname: <$otype as Stored>::Raw, )+ )+)?
                $($( $length: u64, )+)?
            }

            /// A row as it is read.
            #[repr(C)]
            #[derive(hdf5::H5Type)]
            struct ReadRecord {
                $( $name: <$type as Stored>::Read, )+
                $($($( $pname: <$ptype as Stored>::Read, )+)+)?
                $($( $flag: u8, $( $oname: <$otype as Stored>::Read, )+ )+)?
                $($( $length: u64, )+)?
            }

            const fn column(name: &'static str, unit: &'static str, since: u32, meaning: &'static str) -> Column {
                Column { name, unit, since, meaning }
            }

            impl Row for $row {
                type Record = Record;
                const COLUMNS: &'static [Column] = &[
                    $( column(stringify!($name), $unit, $since, $meaning), )+
                    $($($( column(stringify!($pname), $punit, $psince, $pmeaning), )+)+)?
                    $($(
                        column(stringify!($flag), "bool", $fsince, $fmeaning),
                        $( column(stringify!($oname), $ounit, $osince, $omeaning), )+
                    )+)?
                    $($( column(stringify!($length), $lunit, $lsince, $lmeaning), )+)?
                ];

                fn record(&self) -> Record {
                    Record {
                        $( $name: self.$name.store(), )+
                        $($($( $pname: self.$part.$pfield.store(), )+)+)?
                        $($(
                            $flag: self.$opt.is_some(),
                            $( $oname: self.$opt.as_ref().map_or_else(<$otype as Stored>::missing, |p| p.$ofield.store()), )+
                        )+)?
                        $($( $length: self.$list.len() as u64, )+)?
                    }
                }

                fn texts(&self) -> Vec<String> {
                    vec![
                        $( self.$name.text(), )+
                        $($($( self.$part.$pfield.text(), )+)+)?
                        $($(
                            self.$opt.is_some().text(),
                            $( self.$opt.as_ref().map_or_else(String::new, |part| part.$ofield.text()), )+
                        )+)?
                        $($( self.$list.len().to_string(), )+)?
                    ]
                }

                fn load(stored: &StoredTable, rows: &mut [Self]) -> Result<(), String> {
                    // A file of this schema is read at once: HDF5 converts the whole table for every read.
                    let whole = if stored.has_all_of::<ReadRecord>() { Some(stored.read::<ReadRecord>()?) } else { None };
                    let from = (stored, &whole);
                    $( load!(from, rows, $name: $type, $since, |row, value| row.$name = value); )+
                    $($($( load!(from, rows, $pname: $ptype, $psince, |row, value| row.$part.$pfield = value); )+)+)?
                    $($(
                        load!(from, rows, $flag: bool, $fsince, |row, value| row.$opt = value.then(Default::default));
                        $( load!(from, rows, $oname: $otype, $osince, |row, value| if let Some(part) = &mut row.$opt {
                            part.$ofield = value;
                        }); )+
                    )+)?
                    Ok(())
                }
            }
        };
    };
}

/// Takes one column from the rows that were read, or reads it by itself if the file has it: a file may lack columns, and order
/// them differently.
macro_rules! load {
    ($from:ident, $rows:ident, $name:ident: $type:ty, $since:literal, |$row:ident, $value:ident| $set:expr) => {
        let (stored, whole) = $from;
        let mut take = |index: usize, raw: &<$type as Stored>::Read| {
            let ($row, loaded) = (&mut $rows[index], <$type as Stored>::load(raw));
            let $value = loaded.map_err(|problem| format!("column {}, row {index}: {problem}", stringify!($name)))?;
            $set;
            Ok::<(), String>(())
        };
        if let Some(whole) = whole {
            whole.iter().enumerate().try_for_each(|(index, record)| take(index, &record.$name))?;
        } else if stored.has(stringify!($name), $since)? {
            #[repr(C)]
            #[derive(hdf5::H5Type)]
            struct Only {
                $name: <$type as Stored>::Read,
            }
            stored.read::<Only>()?.iter().enumerate().try_for_each(|(index, only)| take(index, &only.$name))?;
        }
    };
}

pub(crate) use {load, table};
