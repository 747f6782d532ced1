//! A table that can be printed as text, CSV or JSON with the same names and numbers.

use serde_json::{Map, Value, json};

use crate::cost::Usd;
use crate::harmless::{csv_field, printable};

/// Number of significant digits in text.
const DIGITS: i32 = 4;

/// One value of a table: a text, a number, true or false, or null for a missing value. A number that is not finite becomes
/// null.
pub type Field = Value;

/// Dollars become a number with the decimals of [`Usd::plain`], as far as a double holds them (15 digits).
impl From<Usd> for Value {
    fn from(usd: Usd) -> Value {
        usd.plain().parse::<f64>().map_or(Value::Null, Value::from)
    }
}

/// Formats a value for a person: numbers have four significant digits, and a missing value is `-`.
fn shown(field: &Field) -> String {
    match field {
        Value::Null | Value::Bool(false) => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::String(text) => printable(text),
        Value::Number(number) if number.is_f64() => significant(number.as_f64().unwrap_or(f64::NAN)),
        _ => exact(field),
    }
}

/// Formats a value for a CSV file: numbers have all digits, and texts are quoted and harmless.
fn exact(field: &Field) -> String {
    match field {
        Value::Null => String::new(),
        Value::String(text) => csv_field(text),
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or(f64::NAN).to_string(),
        other => other.to_string(),
    }
}

/// Formats a number with four significant digits, and with all digits before the point.
fn significant(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let magnitude = number.abs().log10().floor() as i32;
    let decimals = (DIGITS - 1 - magnitude).clamp(0, 12) as usize;
    format!("{number:.decimals$}")
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// Name of the table, for the option `--table`.
    pub name: &'static str,
    /// Title in one sentence.
    pub title: String,
    /// Names of the columns, with units.
    pub columns: Vec<&'static str>,
    /// The rows. Each has one value for every column.
    pub rows: Vec<Vec<Field>>,
    /// Notes for the reader.
    pub notes: Vec<String>,
}

impl Sheet {
    /// Creates a table without columns and rows.
    pub fn new(name: &'static str, title: impl Into<String>) -> Sheet {
        Sheet { name, title: title.into(), columns: Vec::new(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a column with the value of each row. `rows` must be the same for all columns.
    pub fn column<'r, R, F: Into<Field>>(&mut self, name: &'static str, rows: &'r [R], value: impl Fn(&'r R) -> F) {
        self.columns.push(name);
        self.rows.resize(rows.len(), Vec::new());
        for (fields, row) in self.rows.iter_mut().zip(rows) {
            fields.push(value(row).into());
        }
    }

    /// Adds a note for the reader.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Formats the table for a person: the title, aligned columns, the notes. A column with the same value in every row
    /// is printed once, above the table, and an empty column is left out.
    pub fn text(&self) -> String {
        let shown: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        let same = |column: &usize| shown.len() > 1 && shown.iter().all(|row| row[*column] == shown[0][*column]);
        let (alike, columns): (Vec<usize>, Vec<usize>) = (0..self.columns.len()).partition(same);
        let width = |column: usize| {
            let cells = shown.iter().map(|row| row[column].chars().count());
            cells.chain([self.columns[column].chars().count()]).max().unwrap_or(0)
        };
        let left = |column: usize| self.rows.iter().all(|row| matches!(row[column], Value::String(_) | Value::Null));
        let line = |cell: &dyn Fn(usize) -> String| {
            let aligned = columns.iter().map(|column| {
                let (cell, width) = (cell(*column), width(*column));
                if left(*column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            format!("  {}", aligned.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
        };
        let said: Vec<String> = alike
            .iter()
            .filter(|column| shown[0][**column] != "-")
            .map(|column| format!("{} {}", self.columns[*column], shown[0][*column]))
            .collect();
        let mut text = format!("{}\n", printable(&self.title));
        if !said.is_empty() {
            text += &format!("  all: {}\n", said.join(", "));
        }
        text += &line(&|column| self.columns[column].to_owned());
        for row in &shown {
            text += &line(&|column| row[column].clone());
        }
        for note in &self.notes {
            text += &format!("  {}\n", printable(note));
        }
        text
    }

    /// Formats the table as CSV: a header and the rows, quoted as RFC 4180 says, with line feeds as line ends. A
    /// missing value is an empty field.
    pub fn csv(&self) -> String {
        let mut text = self.columns.join(",") + "\n";
        for row in &self.rows {
            text += &(row.iter().map(exact).collect::<Vec<_>>().join(",") + "\n");
        }
        text
    }

    /// Formats the table as a JSON object with the title, the rows as objects, and the notes.
    pub fn json(&self) -> Value {
        let row = |row: &Vec<Field>| {
            let fields = self.columns.iter().map(|name| (*name).to_owned()).zip(row.iter().cloned());
            Value::Object(fields.collect::<Map<_, _>>())
        };
        json!({"title": self.title, "rows": self.rows.iter().map(row).collect::<Vec<_>>(), "notes": self.notes})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let mut sheet = Sheet::new("prices", "Prices");
        sheet.columns = vec!["strategy", "usd", "latency_s", "count", "best"];
        let usd = |text| Field::from(Usd::parse(text).unwrap());
        sheet.rows.push(vec!["a,b".into(), usd("0.0002625441682734"), 7.898_95.into(), 4u64.into(), true.into()]);
        sheet.rows.push(vec!["c".into(), usd("84.8"), f64::NAN.into(), 8u64.into(), Field::Null]);
        sheet.notes.push("a note".to_owned());
        sheet
    }

    #[test]
    fn text_is_aligned_and_short() {
        assert_eq!(
            sheet().text(),
            "Prices\n  strategy        usd  latency_s  count  best\n  a,b       0.0002625      7.899      4   yes\n  \
             c             84.80          -      8     -\n  a note\n"
        );
    }

    #[test]
    fn what_is_the_same_is_said_once_in_text() {
        let mut sheet = Sheet::new("s", "S");
        let rows = [1u64, 2];
        sheet.column("model", &rows, |_| "vgg16");
        sheet.column("n", &rows, |_| 20u64);
        sheet.column("why", &rows, |_| Field::Null);
        sheet.column("x", &rows, |x| *x);
        assert_eq!(sheet.text(), "S\n  all: model vgg16, n 20\n  x\n  1\n  2\n");
        assert_eq!(sheet.csv().lines().next(), Some("model,n,why,x"));
    }

    #[test]
    fn csv_has_all_digits_and_quotes() {
        assert_eq!(
            sheet().csv(),
            "strategy,usd,latency_s,count,best\n\"a,b\",0.000262544168,7.89895,4,true\nc,84.8,,8,\n"
        );
    }

    #[test]
    fn json_has_the_same_numbers() {
        let rows = &sheet().json()["rows"];
        assert_eq!(
            rows[0].to_string(),
            r#"{"strategy":"a,b","usd":0.000262544168,"latency_s":7.89895,"count":4,"best":true}"#
        );
        assert_eq!(rows[1]["latency_s"], Value::Null);
    }
}
