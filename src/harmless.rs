//! Makes text of strangers harmless before it is shown: names of models and files, reasons, messages of libraries. A
//! terminal obeys control characters, marks of direction show a text in another order, and a spreadsheet carries out a cell
//! that looks like a formula.

/// True for a character that changes how other text is shown.
fn acts(symbol: char) -> bool {
    let directs =
        matches!(symbol, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    symbol.is_control() || directs || matches!(symbol, '\u{2028}' | '\u{2029}')
}

/// Returns the text with control characters, line separators and marks of direction written out, such as `\u{1b}` and `\n`.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for symbol in text.chars() {
        if acts(symbol) {
            shown.extend(symbol.escape_default());
        } else {
            shown.push(symbol);
        }
    }
    shown
}

/// Returns JSON with the same symbols as JSON's escapes, such as `\u009b`: serialisers escape only those below a space. Line feeds
/// between values stay.
pub fn json_text(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for symbol in json.chars() {
        if acts(symbol) && symbol != '\n' {
            // All of them are below 2^16, where an escape is one number.
            shown.push_str(&format!("\\u{:04x}", u32::from(symbol)));
        } else {
            shown.push(symbol);
        }
    }
    shown
}

/// Returns the text of a spreadsheet's cell: printable, and with an apostrophe before what would be a formula. Numbers stay
/// as they are.
pub fn cell(text: &str) -> String {
    let shown = printable(text);
    let is_formula = shown.starts_with(['=', '+', '-', '@']) && shown.parse::<f64>().is_err();
    if is_formula { format!("'{shown}") } else { shown }
}

/// Returns a field of a CSV file: a [`cell`], in quotes if it has a comma or a quote, with its own quotes doubled (RFC 4180).
pub fn csv_field(text: &str) -> String {
    let cell = cell(text);
    if cell.contains([',', '"']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_values() {
        let value = serde_json::json!({"flow": "\u{7f}\u{9b}2J\u{202e}\u{2028}\u{1b}\n ä🚀"});
        let text = json_text(&format!("{value:#}\n"));
        assert!(!text.contains(|symbol| acts(symbol) && symbol != '\n'), "{text:?}");
        assert!(text.contains("\\u007f\\u009b2J\\u202e\\u2028"), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(printable("a\x1b[2J\nb\u{9b}c\td\u{7f}"), "a\\u{1b}[2J\\nb\\u{9b}c\\td\\u{7f}");
        assert_eq!(printable("abc\u{202e}fed\u{2066}\u{200f}"), "abc\\u{202e}fed\\u{2066}\\u{200f}");
        assert_eq!(printable("λ-FL, 5 µs – ½ √N 模型"), "λ-FL, 5 µs – ½ √N 模型");
    }

    #[test]
    fn formulas_become_text_and_numbers_stay() {
        for formula in ["=1+2", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "=", "-", "\u{2d}x"] {
            assert_eq!(cell(formula), format!("'{formula}"));
        }
        for number in ["-0.5", "+3", "-1e-9", "-inf", "0"] {
            assert_eq!(cell(number), number);
        }
        assert_eq!(cell("\t=1"), "\\t=1");
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(csv_field("plain text"), "plain text");
        assert_eq!(csv_field("a,b"), "\"a,b\"");
        assert_eq!(csv_field("say \"no\""), "\"say \"\"no\"\"\"");
        assert_eq!(csv_field("two\nlines"), "two\\nlines");
        assert_eq!(csv_field("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"");
    }
}
