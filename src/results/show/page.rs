//! Text on a page 100 columns wide: wrapped paragraphs and aligned rows.

pub use crate::harmless::printable;

/// Columns of the page.
pub const WIDTH: usize = 100;

/// Appends a paragraph with line breaks between words. Lines after the first are indented by `indent`. A word longer
/// than a line gets a line of its own.
pub fn paragraph(page: &mut String, text: &str, indent: usize) {
    let words: Vec<String> = text.split_whitespace().map(printable).collect();
    broken(page, words.iter().map(String::as_str), "", indent);
}

/// Appends a list with `separator` after every item but the last. Lines break between items, as those of a paragraph
/// break between words.
pub fn list(page: &mut String, items: &[String], separator: &str, indent: usize) {
    let items: Vec<String> = items.iter().map(|item| printable(item)).collect();
    broken(page, items.iter().map(String::as_str), separator, indent);
}

fn broken<'a>(page: &mut String, pieces: impl Iterator<Item = &'a str>, separator: &str, indent: usize) {
    let mut column = 0;
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let separator = if pieces.peek().is_some() { separator } else { "" };
        let length = piece.chars().count() + separator.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            page.push('\n');
            page.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > 0 {
            page.push(' ');
            column += 1;
        }
        page.push_str(piece);
        page.push_str(separator);
        column += length;
    }
    page.push('\n');
}

/// Alignment of a column's texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At the left, for words.
    Left,
    /// At the right, for numbers.
    Right,
}

/// Rows of texts under a header, padded to the widest of each column.
#[derive(Debug)]
pub struct Grid {
    columns: Vec<(Align, usize)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A grid with its header.
    pub fn new(header: Vec<(&str, Align)>) -> Self {
        let mut grid = Grid { columns: header.iter().map(|(_, align)| (*align, 0)).collect(), rows: Vec::new() };
        grid.push(header.into_iter().map(|(name, _)| name.to_owned()).collect());
        grid
    }

    /// Adds a row with a text for each column.
    pub fn push(&mut self, row: Vec<String>) {
        for ((_, width), text) in self.columns.iter_mut().zip(&row) {
            *width = (*width).max(text.chars().count());
        }
        self.rows.push(row);
    }

    /// Appends the rows to a page, one line each, without blanks at their ends.
    pub fn print(&self, page: &mut String) {
        for row in &self.rows {
            let mut line = String::new();
            for (index, ((align, width), text)) in self.columns.iter().zip(row).enumerate() {
                if index > 0 {
                    line.push(' ');
                }
                match align {
                    Align::Left => line.push_str(&format!("{text:<width$}")),
                    Align::Right => line.push_str(&format!("{text:>width$}")),
                }
            }
            page.push_str(line.trim_end());
            page.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_aligns_by_characters_not_bytes() {
        let mut grid = Grid::new(vec![("unit", Align::Left), ("n", Align::Right)]);
        grid.push(vec!["µs".into(), "10".into()]);
        grid.push(vec!["ms".into(), "9".into()]);
        let mut page = String::new();
        grid.print(&mut page);
        assert_eq!(page, "unit  n\nµs   10\nms    9\n");
    }

    #[test]
    fn paragraph_breaks_between_words_at_the_width() {
        let word = "x".repeat(49);
        let mut page = String::new();
        // 49 + 1 + 49 = 99, so no other word fits.
        paragraph(&mut page, &format!("{word} {word} z y"), 4);
        assert_eq!(page, format!("{word} {word}\n    z y\n"));
        let mut page = String::new();
        paragraph(&mut page, &format!("{word} {word}z y"), 4);
        assert_eq!(page, format!("{word} {word}z\n    y\n"));
        let mut page = String::new();
        paragraph(&mut page, &"w".repeat(200), 4);
        assert_eq!(page, format!("{}\n", "w".repeat(200)));
    }

    #[test]
    fn list_keeps_items_whole() {
        let item = "two words ".repeat(4) + &"x".repeat(9);
        let mut page = String::new();
        // 49 + 1 + 1 + 49 = 100.
        list(&mut page, &[item.clone(), item.clone(), "last one".into()], ";", 2);
        assert_eq!(page, format!("{item};\n  {item}; last one\n"));
        let mut page = String::new();
        list(&mut page, &[item.clone(), item.clone()], ";", 2);
        assert_eq!(page, format!("{item}; {item}\n"));
    }

    #[test]
    fn terminal_sequences_are_disarmed() {
        let mut page = String::new();
        paragraph(&mut page, "a\x1b[2J\nb\u{9b}c", 0);
        assert_eq!(page, "a\\u{1b}[2J b\\u{9b}c\n");
    }
}
