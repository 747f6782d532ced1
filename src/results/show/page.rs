//! A page of text: wrapped paragraphs and aligned rows.

pub use crate::harmless::printable;

/// Columns of a page that goes to a file or a pipe.
pub const WIDTH: usize = 100;
/// Columns of the narrowest page. Narrower terminals break its lines.
const NARROWEST: usize = 60;

/// A page that is being written.
#[derive(Debug)]
pub struct Page {
    text: String,
    width: usize,
}

impl Page {
    /// An empty page of `width` columns.
    pub fn new(width: usize) -> Page {
        Page { text: String::new(), width: width.max(NARROWEST) }
    }

    /// Columns of the page.
    pub fn width(&self) -> usize {
        self.width
    }

    /// True if nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Appends an empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Appends a paragraph with line breaks between words. Lines after the first are indented by `indent`. A word longer
    /// than a line gets a line of its own.
    pub fn paragraph(&mut self, text: &str, indent: usize) {
        let words: Vec<String> = text.split_whitespace().map(printable).collect();
        self.broken(words.iter().map(String::as_str), "", indent);
    }

    /// Appends a list with `separator` after every item but the last. Lines break between items, as those of a paragraph
    /// break between words.
    pub fn list(&mut self, items: &[String], separator: &str, indent: usize) {
        let items: Vec<String> = items.iter().map(|item| printable(item)).collect();
        self.broken(items.iter().map(String::as_str), separator, indent);
    }

    fn broken<'a>(&mut self, pieces: impl Iterator<Item = &'a str>, separator: &str, indent: usize) {
        let mut column = 0;
        let mut pieces = pieces.peekable();
        while let Some(piece) = pieces.next() {
            let separator = if pieces.peek().is_some() { separator } else { "" };
            let length = piece.chars().count() + separator.chars().count();
            if column > 0 && column + 1 + length > self.width {
                self.text.push('\n');
                self.text.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            } else if column > 0 {
                self.text.push(' ');
                column += 1;
            }
            self.text.push_str(piece);
            self.text.push_str(separator);
            column += length;
        }
        self.text.push('\n');
    }

    /// Appends the rows of a grid, one line each, without blanks at their ends.
    pub fn grid(&mut self, grid: &Grid) {
        for row in &grid.rows {
            let mut line = String::new();
            for (index, ((align, width), text)) in grid.columns.iter().zip(row).enumerate() {
                if index > 0 {
                    line.push(' ');
                }
                match align {
                    Align::Left => line.push_str(&format!("{text:<width$}")),
                    Align::Right => line.push_str(&format!("{text:>width$}")),
                }
            }
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text that `write` puts on a page of the usual width.
    fn written(write: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::new(WIDTH);
        write(&mut page);
        page.into_text()
    }

    #[test]
    fn grid_aligns_by_characters_not_bytes() {
        let mut grid = Grid::new(vec![("unit", Align::Left), ("n", Align::Right)]);
        grid.push(vec!["µs".into(), "10".into()]);
        grid.push(vec!["ms".into(), "9".into()]);
        assert_eq!(written(|page| page.grid(&grid)), "unit  n\nµs   10\nms    9\n");
    }

    #[test]
    fn paragraph_breaks_between_words_at_the_width() {
        let word = "x".repeat(49);
        // 49 + 1 + 49 = 99, so no other word fits.
        let text = written(|page| page.paragraph(&format!("{word} {word} z y"), 4));
        assert_eq!(text, format!("{word} {word}\n    z y\n"));
        let text = written(|page| page.paragraph(&format!("{word} {word}z y"), 4));
        assert_eq!(text, format!("{word} {word}z\n    y\n"));
        let text = written(|page| page.paragraph(&"w".repeat(200), 4));
        assert_eq!(text, format!("{}\n", "w".repeat(200)));
    }

    #[test]
    fn list_keeps_items_whole() {
        let item = "two words ".repeat(4) + &"x".repeat(9);
        // 49 + 1 + 1 + 49 = 100.
        let text = written(|page| page.list(&[item.clone(), item.clone(), "last one".into()], ";", 2));
        assert_eq!(text, format!("{item};\n  {item}; last one\n"));
        let text = written(|page| page.list(&[item.clone(), item.clone()], ";", 2));
        assert_eq!(text, format!("{item}; {item}\n"));
    }

    #[test]
    fn terminal_sequences_are_disarmed() {
        assert_eq!(written(|page| page.paragraph("a\x1b[2J\nb\u{9b}c", 0)), "a\\u{1b}[2J b\\u{9b}c\n");
    }
}
