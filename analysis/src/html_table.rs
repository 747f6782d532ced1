//! A table of the page. The page's script sorts it by a column and hides the rows of strategies.

use maud::{Markup, html};

use crate::number::NONE;

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HtmlCell {
    /// The text.
    pub text: String,
    /// The value by which rows are sorted; None to sort by the text.
    pub value: Option<f64>,
}

impl HtmlCell {
    /// A cell with a text.
    pub fn text(text: impl ToString) -> HtmlCell {
        HtmlCell { text: text.to_string(), value: None }
    }

    /// A cell with a number, or with a dash if it is not known.
    pub fn number(value: Option<f64>, text: impl Fn(f64) -> String) -> HtmlCell {
        HtmlCell { text: value.map_or(NONE.to_owned(), text), value }
    }
}

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HtmlRow {
    /// Its class; may be empty.
    pub class: &'static str,
    /// The strategy by which it is filtered; may be empty.
    pub strategy: String,
    /// Its cells. The first one is its heading.
    pub cells: Vec<HtmlCell>,
}

/// A table whose first column has the headings of the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HtmlTable {
    /// The name, for those who do not see the table.
    pub name: String,
    /// The headings of the columns.
    pub columns: Vec<&'static str>,
    /// The columns of longer texts.
    pub wrapped: Vec<usize>,
    /// The rows.
    pub rows: Vec<HtmlRow>,
}

impl HtmlTable {
    /// The table as HTML. If it is wider than the window, it scrolls, and the keyboard reaches it.
    pub fn markup(&self) -> Markup {
        let value = |cell: &HtmlCell| cell.value.filter(|value| value.is_finite()).map(|value| value.to_string());
        html! {
            p.sideways { (self.columns.len()) " columns: scroll sideways if some are out of sight." }
            div.scroll role="region" aria-label=(self.name) tabindex="0" { table.sortable {
                thead { tr { @for (column, name) in self.columns.iter().enumerate() {
                    th scope="col" class=[self.wrapped.contains(&column).then_some("text")] { (name) }
                } } }
                tbody { @for row in &self.rows {
                    tr class=[(!row.class.is_empty()).then_some(row.class)]
                        data-strategy=[(!row.strategy.is_empty()).then_some(&row.strategy)] {
                        @for (column, cell) in row.cells.iter().enumerate() {
                            @if column == 0 { th scope="row" { (cell.text) } }
                            @else if self.wrapped.contains(&column) { td.text { (cell.text) } }
                            @else { td data-value=[value(cell)] { (cell.text) } }
                        }
                    }
                } }
            } }
        }
    }
}
