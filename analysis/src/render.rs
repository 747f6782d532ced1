//! Draws a picture as SVG, by plotters.
//!
//! plotters rounds positions to whole pixels. Therefore everything is drawn [`FINE`] times larger and shown smaller.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::axis::Axis;
use crate::picture::{Mark, Picture, Sign};
use crate::style::{Colour, GRID, GROUND, INK, MUTED, MarkShape, OTHER, Style, colours};

/// Displayed width of a picture in pixels. It fits on a phone, so texts keep their size there.
pub const WIDTH: u32 = 440;
/// Factor by which a picture is drawn larger than shown.
const FINE: f64 = 4.0;
/// Size of texts in pixels.
const TEXT: f64 = 12.0;
/// Height of a line of text in pixels.
const LINE: u32 = 17;
/// Characters of a line across the picture in a wide font.
const LINE_CHARACTERS: usize = 66;

/// A picture could not be drawn. This would be a fault of this program.
#[derive(Debug, thiserror::Error)]
#[error("the picture {title:?} could not be drawn: {detail}")]
pub struct RenderError {
    title: String,
    detail: String,
}

/// The texts around a picture in a file of its own.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Title above the picture.
    pub title: &'a str,
    /// Paragraphs below the picture.
    pub notes: &'a [String],
}

type Area<'b> = DrawingArea<SVGBackend<'b>, Shift>;
type Axes<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

fn fine(pixels: f64) -> i32 {
    (pixels * FINE).round() as i32
}

fn rgb(colour: Colour) -> RGBColor {
    let part = |at: usize| u8::from_str_radix(colour.light.get(at..at + 2).unwrap_or("00"), 16).unwrap_or(0);
    RGBColor(part(1), part(3), part(5))
}

/// A font of this size in pixels. plotters divides font sizes by 1.24 in its output, which is undone here.
fn font(colour: Colour, size: f64, bold: bool) -> TextStyle<'static> {
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    let font = FontDesc::new(FontFamily::SansSerif, size * FINE * 1.24, style);
    TextStyle { color: rgb(colour).to_backend_color(), ..TextStyle::from(font) }
}

/// The picture as SVG. With a frame it is a complete file in light colours. Without a frame it is for a page: colours
/// are CSS variables, and the font is the page's.
///
/// # Errors
/// The errors of the drawing library, which does not fail on a string.
pub fn svg(picture: &Picture, frame: Option<Frame<'_>>) -> Result<String, RenderError> {
    let title = frame.map(|frame| frame.title).unwrap_or_default();
    let failed = |detail: DrawingAreaErrorKind<_>| RenderError { title: title.to_owned(), detail: detail.to_string() };
    let mut text = String::new();
    let height = draw(picture, frame, &mut text).map_err(failed)?;
    let drawn = format!("width=\"{}\" height=\"{}\"", fine(WIDTH.into()), fine(height.into()));
    let shown = format!("width=\"{WIDTH}\" height=\"{height}\"");
    text = text.replacen(&drawn, &shown, 1).replace(" opacity=\"1\"", "");
    if frame.is_none() {
        text = text.replace(" font-family=\"sans-serif\"", "");
        for colour in colours() {
            text = text.replace(&format!("\"{}\"", colour.light), &format!("\"var(--{})\"", colour.name));
        }
    }
    Ok(text)
}

/// Breaks a text between words into lines of at most `most` characters.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Draws the picture into `text`. Returns its height in pixels.
fn draw(picture: &Picture, frame: Option<Frame<'_>>, text: &mut String) -> Drawn<u32> {
    let titles = frame.map(|frame| wrapped(frame.title, LINE_CHARACTERS - 14)).unwrap_or_default();
    let notes: Vec<String> =
        frame.map(|f| f.notes.iter().flat_map(|note| wrapped(note, LINE_CHARACTERS)).collect()).unwrap_or_default();
    let rows = legend_rows(picture);
    let top = LINE * titles.len() as u32 + if titles.is_empty() { 6 } else { 12 };
    let below = 2 * LINE + 12;
    let field = picture.height + below;
    let legend = LINE * rows.len() as u32 + 4;
    let bottom = if notes.is_empty() { 2 } else { LINE * notes.len() as u32 + 10 };
    let height = top + field + legend + bottom;
    let root =
        SVGBackend::with_string(text, (fine(WIDTH.into()) as u32, fine(height.into()) as u32)).into_drawing_area();
    if frame.is_some() {
        root.fill(&rgb(GROUND))?;
    }
    for (index, line) in titles.iter().enumerate() {
        write(&root, line, (10.0, 8.0 + f64::from(LINE) * index as f64), font(INK, 13.5, true))?;
    }
    let (_, rest) = root.split_vertically(fine(top.into()));
    let (field, rest) = rest.split_vertically(fine(field.into()));
    draw_field(picture, &root, &field, below)?;
    for (index, row) in rows.iter().enumerate() {
        for (column, (sign, text)) in row.iter().enumerate() {
            let wide = f64::from(WIDTH - 20) / row.len().max(if rows.len() > 1 { 2 } else { 1 }) as f64;
            let at = (14.0 + wide * column as f64, f64::from(LINE) * (index as f64 + 0.5));
            draw_sign(&rest, *sign, at)?;
            write(&rest, text, (at.0 + 12.0, at.1 - 6.0), font(INK, TEXT, false))?;
        }
    }
    for (index, line) in notes.iter().enumerate() {
        let at = (10.0, f64::from(legend) + 6.0 + f64::from(LINE) * index as f64);
        write(&rest, line, at, font(MUTED, 11.0, false))?;
    }
    root.present()?;
    drop((field, rest));
    Ok(height)
}

/// Entries of the legend by row, two per row if they are short enough.
fn legend_rows(picture: &Picture) -> Vec<Vec<&(Sign, String)>> {
    let mut rows: Vec<Vec<&(Sign, String)>> = Vec::new();
    let is_short = |entry: &&(Sign, String)| entry.1.chars().count() <= LINE_CHARACTERS / 2 - 4;
    for entry in &picture.legend {
        match rows.last_mut() {
            Some(row) if row.len() == 1 && row.iter().all(is_short) && is_short(&entry) => row.push(entry),
            _ => rows.push(vec![entry]),
        }
    }
    rows
}

fn write(area: &Area<'_>, text: &str, at: (f64, f64), style: TextStyle<'_>) -> Drawn {
    area.draw(&Text::new(text.to_owned(), (fine(at.0), fine(at.1)), style))
}

fn draw_sign(area: &Area<'_>, sign: Sign, (x, y): (f64, f64)) -> Drawn {
    let at = (fine(x), fine(y));
    let reach = fine(7.0);
    match sign {
        Sign::Mark(style) => area.draw(&mark(at, style, 4.0, false)),
        Sign::Hollow(style) => area.draw(&mark(at, style, 4.0, true)),
        Sign::Patch(colour) => {
            let half = reach * 2 / 3;
            area.draw(&Rectangle::new([(at.0 - half, at.1 - half), (at.0 + half, at.1 + half)], rgb(colour).filled()))
        }
        Sign::Dashed(colour) => {
            let style = rgb(colour).stroke_width(fine(1.6) as u32);
            area.draw(&PathElement::new(vec![(at.0 - reach, at.1), (at.0 - fine(1.5), at.1)], style))?;
            area.draw(&PathElement::new(vec![(at.0 + fine(1.5), at.1), (at.0 + reach, at.1)], style))
        }
    }
}

/// Width of the texts of the y axis in pixels.
fn left_of(axis: &Axis) -> f64 {
    let widest = axis.ticks.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0);
    if axis.rows.is_empty() { 12.0 + 7.0 * widest as f64 } else { 6.0 }
}

fn draw_field(picture: &Picture, root: &Area<'_>, area: &Area<'_>, below: u32) -> Drawn {
    let (x, y) = (&picture.x, &picture.y);
    let range = |axis: &Axis| axis.place(axis.low)..axis.place(axis.high);
    let has_title = !y.title.is_empty();
    if has_title {
        write(area, &y.title, (6.0, 0.0), font(MUTED, TEXT, false))?;
    }
    let field: Axes<'_, '_> = ChartBuilder::on(area)
        .margin_top(fine(if has_title { 20.0 } else { 4.0 }))
        .margin_right(fine(24.0))
        .margin_left(fine(6.0))
        .margin_bottom(fine(f64::from(LINE)))
        .x_label_area_size(fine(f64::from(below - LINE)))
        .y_label_area_size(fine(left_of(y)))
        .build_cartesian_2d(range(x), range(y))?;
    draw_ticks(&field, picture)?;
    let middle = f64::from(WIDTH) / 2.0;
    let under = f64::from(picture.height + below) - f64::from(LINE) - 4.0;
    let centred = font(MUTED, TEXT, false).pos(Pos::new(HPos::Center, VPos::Top));
    write(area, &x.title, (middle, under), centred)?;
    for (index, name) in y.rows.iter().enumerate() {
        let at = (x.place(x.low), -(index as f64) + 0.46);
        field.plotting_area().draw(&Text::new(name.clone(), at, font(INK, TEXT, false)))?;
    }
    for mark in &picture.marks {
        draw_mark(root, &field, picture, mark)?;
    }
    Ok(())
}

/// Draws the grid lines with their texts, and the axes.
fn draw_ticks(field: &Axes<'_, '_>, picture: &Picture) -> Drawn {
    let (x, y) = (&picture.x, &picture.y);
    let ends = |axis: &Axis| (axis.place(axis.low), axis.place(axis.high));
    let ((left, right), (bottom, top)) = (ends(x), ends(y));
    let area = field.plotting_area();
    let line = |from, to, colour| {
        let style = rgb(colour).stroke_width(fine(1.0) as u32);
        area.draw(&PathElement::new(vec![from, to], style))
    };
    let word = |at: (f64, f64), off: (f64, f64), text: &str, pos: Pos| {
        let style = font(MUTED, TEXT, false).pos(pos);
        let text = Text::new(text.to_owned(), (fine(off.0), fine(off.1)), style);
        area.draw(&(EmptyElement::at(at) + text))
    };
    for (value, text) in &x.ticks {
        let at = x.place(*value);
        line((at, bottom), (at, top), GRID)?;
        word((at, bottom), (0.0, 5.0), text, Pos::new(HPos::Center, VPos::Top))?;
    }
    for (value, text) in &y.ticks {
        let at = y.place(*value);
        line((left, at), (right, at), GRID)?;
        word((left, at), (-5.0, 0.0), text, Pos::new(HPos::Right, VPos::Center))?;
    }
    line((left, bottom), (right, bottom), MUTED)?;
    if y.rows.is_empty() { line((left, bottom), (left, top), MUTED) } else { Ok(()) }
}

/// Draws a dashed line with dashes of 6 pixels and gaps of 4.
fn draw_dashed(field: &Axes<'_, '_>, points: &[(f64, f64)], style: ShapeStyle) -> Drawn {
    let area = field.plotting_area();
    for two in points.windows(2) {
        let (from, to) = (two[0], two[1]);
        let (a, b) = (field.backend_coord(&from), field.backend_coord(&to));
        let length = f64::from(b.0 - a.0).hypot(f64::from(b.1 - a.1));
        let (dash, period) = (6.0 * FINE / length.max(1.0), 10.0 * FINE / length.max(1.0));
        let at = |part: f64| (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
        let mut begin = 0.0;
        while begin < 1.0 {
            let piece = vec![at(begin), at((begin + dash).min(1.0))];
            area.draw(&PathElement::new(piece, style))?;
            begin += period;
        }
    }
    Ok(())
}

fn draw_mark(root: &Area<'_>, field: &Axes<'_, '_>, picture: &Picture, what: &Mark) -> Drawn {
    // The marks of a row are below its name.
    let lower = if picture.y.rows.is_empty() { 0.0 } else { 0.2 };
    let place = |at: &(f64, f64)| (picture.x.place(at.0), picture.y.place(at.1) - lower);
    match what {
        Mark::Line { points, colour, width, dashed } => {
            let points: Vec<(f64, f64)> = points.iter().map(place).collect();
            let style = rgb(*colour).stroke_width(fine(*width) as u32);
            if *dashed {
                return draw_dashed(field, &points, style);
            }
            field.plotting_area().draw(&PathElement::new(points, style))
        }
        Mark::Dot { at, style, radius, hollow } => {
            root.draw(&mark(field.backend_coord(&place(at)), *style, *radius, *hollow))
        }
        Mark::Whisker { from, to, colour } => {
            let (from, to) = (place(from), place(to));
            let style = rgb(*colour).stroke_width(fine(1.4) as u32);
            field.plotting_area().draw(&PathElement::new(vec![from, to], style))?;
            let cap = fine(3.5);
            let bar = if from.1 == to.1 { [(0, -cap), (0, cap)] } else { [(-cap, 0), (cap, 0)] };
            for end in [from, to] {
                let element = EmptyElement::at(end) + PathElement::new(bar.to_vec(), style);
                field.plotting_area().draw(&element)?;
            }
            Ok(())
        }
        Mark::Area { from, to, colour } => {
            let shape = Rectangle::new([place(from), place(to)], rgb(*colour).filled());
            field.plotting_area().draw(&shape)
        }
        Mark::Word { at, text, colour, ends } => {
            let side = if *ends { HPos::Right } else { HPos::Left };
            let style = font(*colour, 11.0, false).pos(Pos::new(side, VPos::Center));
            field.plotting_area().draw(&Text::new(text.clone(), place(at), style))
        }
    }
}

/// A strategy's mark around a pixel.
fn mark<'a, B: DrawingBackend + 'a>(
    (x, y): (i32, i32),
    style: Style,
    radius: f64,
    hollow: bool,
) -> DynElement<'a, B, (i32, i32)> {
    let r = fine(radius);
    let colour = rgb(style.colour);
    let outline = colour.stroke_width(fine(1.4) as u32);
    let corners = |points: Vec<(i32, i32)>| -> DynElement<'a, B, (i32, i32)> {
        if hollow {
            let closed: Vec<(i32, i32)> = points.iter().chain(points.first()).copied().collect();
            PathElement::new(closed, outline).into_dyn()
        } else {
            Polygon::new(points, colour.filled()).into_dyn()
        }
    };
    match style.shape {
        MarkShape::Circle if hollow => Circle::new((x, y), r, outline).into_dyn(),
        MarkShape::Circle => Circle::new((x, y), r, colour.filled()).into_dyn(),
        MarkShape::Square => {
            let h = r * 9 / 10;
            corners(vec![(x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h)])
        }
        MarkShape::Diamond => {
            let h = r * 5 / 4;
            corners(vec![(x, y - h), (x + h, y), (x, y + h), (x - h, y)])
        }
        MarkShape::Triangle => {
            let h = r * 6 / 5;
            corners(vec![(x, y - h), (x + h, y + h * 4 / 5), (x - h, y + h * 4 / 5)])
        }
        MarkShape::Cross => Cross::new((x, y), r, rgb(style.colour).stroke_width(fine(2.0) as u32)).into_dyn(),
    }
}

/// The style of a cell that was not carried out.
pub const NOT_DONE: Style = Style { colour: OTHER, shape: MarkShape::Cross };
