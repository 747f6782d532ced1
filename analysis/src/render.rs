//! Draws a picture as SVG.

use maud::{Markup, PreEscaped, html};

use crate::axis::Axis;
use crate::picture::{Mark, Picture, Sign};
use crate::style::{Colour, GRID, GROUND, INK, MUTED, MarkShape, OTHER, Style};

/// Displayed width of a picture in pixels. It fits on a phone, so texts keep their size there.
const WIDTH: f64 = 440.0;
/// Size of texts in pixels.
const TEXT: f64 = 12.0;
/// Height of a line of text in pixels.
const LINE: f64 = 17.0;
/// Height of the ticks and the title of the x axis in pixels.
const BELOW: f64 = 2.0 * LINE + 12.0;
/// Characters of a line across the picture in a wide font.
const LINE_CHARACTERS: usize = 66;
/// The style of a cell that was not carried out.
pub const NOT_DONE: Style = Style { colour: OTHER, shape: MarkShape::Cross };

/// A point or a size in pixels.
type Pixels = (f64, f64);

/// The place of a text relative to its point: its anchor and its shift downwards.
type TextPlace = (&'static str, &'static str);

const TOP_LEFT: TextPlace = ("start", "0.76em");
const TOP: TextPlace = ("middle", "0.76em");
const LEFT: TextPlace = ("start", "0.5ex");
const RIGHT: TextPlace = ("end", "0.5ex");

/// The picture as SVG. With notes, which are paragraphs below it, it is a complete file in light colours with its title.
/// Without notes it is for a page: colours are CSS variables, and the font is the page's.
pub fn svg(picture: &Picture, title: &str, notes: Option<&[String]>) -> String {
    let titles = notes.map(|_| wrapped(title, LINE_CHARACTERS - 14)).unwrap_or_default();
    let lines: Vec<String> = notes.into_iter().flatten().flat_map(|note| wrapped(note, LINE_CHARACTERS)).collect();
    let rows = legend_rows(picture);
    let top = LINE * titles.len() as f64 + if titles.is_empty() { 6.0 } else { 12.0 };
    let legend = top + f64::from(picture.height) + BELOW;
    let below = legend + LINE * rows.len() as f64 + 4.0;
    let height = below + if lines.is_empty() { 2.0 } else { LINE * lines.len() as f64 + 10.0 };
    let mut drawing = SvgDrawing { svg: String::new(), is_bare: notes.is_none() };
    if notes.is_some() {
        drawing.rectangle((0.0, 0.0), (WIDTH, height), GROUND);
    }
    for (index, line) in titles.iter().enumerate() {
        drawing.text(line, (10.0, 8.0 + LINE * index as f64), TOP_LEFT, INK, 13.5);
    }
    let bottom = top + f64::from(picture.height);
    let above = if picture.y.title.is_empty() { 4.0 } else { 20.0 };
    MarkField { picture, x: [6.0 + left_of(&picture.y), WIDTH - 24.0], y: [bottom, top + above] }
        .draw(&mut drawing, top);
    for (index, row) in rows.iter().enumerate() {
        let wide = (WIDTH - 20.0) / row.len().max(if rows.len() > 1 { 2 } else { 1 }) as f64;
        for (column, (sign, text)) in row.iter().enumerate() {
            let at = (14.0 + wide * column as f64, legend + LINE * (index as f64 + 0.5));
            drawing.sign(*sign, at);
            drawing.text(text, (at.0 + 12.0, at.1 - 6.0), TOP_LEFT, INK, TEXT);
        }
    }
    for (index, line) in lines.iter().enumerate() {
        drawing.text(line, (10.0, below + 6.0 + LINE * index as f64), TOP_LEFT, MUTED, 11.0);
    }
    let [namespace, font] = ["http://www.w3.org/2000/svg", "sans-serif"].map(|text| notes.map(|_| text));
    let view = format!("0 0 {WIDTH} {height}");
    html! {
        svg width=(WIDTH) height=(height) viewBox=(view) xmlns=[namespace] role="img" aria-label=(title) font-family=[font] {
            (PreEscaped(drawing.svg))
        }
    }
    .into_string()
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

/// Width of the texts of the y axis in pixels.
fn left_of(axis: &Axis) -> f64 {
    let widest = axis.ticks.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0);
    if axis.rows.is_empty() { 12.0 + 7.0 * widest as f64 } else { 6.0 }
}

/// The elements drawn so far.
struct SvgDrawing {
    svg: String,
    is_bare: bool,
}

impl SvgDrawing {
    fn add(&mut self, element: Markup) {
        self.svg.push_str(&element.into_string());
    }

    fn ink(&self, colour: Colour) -> String {
        if self.is_bare { format!("var(--{})", colour.name) } else { colour.light.to_owned() }
    }

    /// Writes a text. Larger ones are bold.
    fn text(&mut self, text: &str, at: Pixels, (anchor, shift): TextPlace, colour: Colour, size: f64) {
        let ink = self.ink(colour);
        let weight = (size > TEXT).then_some("bold");
        self.add(html! {
            text x=(fine(at.0)) y=(fine(at.1)) dy=(shift) text-anchor=(anchor) font-size=(size) font-weight=[weight] fill=(ink) {
                (text)
            }
        });
    }

    /// Draws a line with the given lengths of dashes and gaps, or a continuous one.
    fn line(&mut self, points: &[Pixels], colour: Colour, width: f64, dashes: Option<&str>) {
        let (points, ink) = (joined(points), self.ink(colour));
        self.add(html! {
            polyline points=(points) fill="none" stroke=(ink) stroke-width=(width) stroke-dasharray=[dashes] {}
        });
    }

    fn polygon(&mut self, corners: &[Pixels], colour: Colour, hollow: bool) {
        let (points, [fill, stroke]) = (joined(corners), self.paint(colour, hollow));
        self.add(html! { polygon points=(points) fill=(fill) stroke=(stroke) stroke-width="1.4" {} });
    }

    /// Draws a rectangle between two opposite corners.
    fn rectangle(&mut self, (x0, y0): Pixels, (x1, y1): Pixels, colour: Colour) {
        let ([x, y], [width, height]) =
            ([x0.min(x1), y0.min(y1)].map(fine), [(x1 - x0).abs(), (y1 - y0).abs()].map(fine));
        let ink = self.ink(colour);
        self.add(html! { rect x=(x) y=(y) width=(width) height=(height) fill=(ink) {} });
    }

    /// The paints of a shape's inside and outline.
    fn paint(&self, colour: Colour, hollow: bool) -> [String; 2] {
        let (ink, none) = (self.ink(colour), "none".to_owned());
        if hollow { [none, ink] } else { [ink, none] }
    }

    fn sign(&mut self, sign: Sign, (x, y): Pixels) {
        match sign {
            Sign::Mark(style) => self.mark((x, y), style, 4.0, false),
            Sign::Hollow(style) => self.mark((x, y), style, 4.0, true),
            Sign::Patch(colour) => self.rectangle((x - 4.7, y - 4.7), (x + 4.7, y + 4.7), colour),
            Sign::Dashed(colour) => self.line(&[(x - 7.0, y), (x + 7.0, y)], colour, 1.6, Some("5.5 3")),
        }
    }

    /// Draws a strategy's mark around a point.
    fn mark(&mut self, (x, y): Pixels, Style { colour, shape }: Style, r: f64, hollow: bool) {
        match shape {
            MarkShape::Circle => {
                let ([fill, stroke], x, y) = (self.paint(colour, hollow), fine(x), fine(y));
                self.add(html! { circle cx=(x) cy=(y) r=(r) fill=(fill) stroke=(stroke) stroke-width="1.4" {} });
            }
            MarkShape::Square => {
                let h = 0.9 * r;
                self.polygon(&[(x - h, y - h), (x + h, y - h), (x + h, y + h), (x - h, y + h)], colour, hollow);
            }
            MarkShape::Diamond => {
                let h = 1.25 * r;
                self.polygon(&[(x, y - h), (x + h, y), (x, y + h), (x - h, y)], colour, hollow);
            }
            MarkShape::Triangle => {
                let h = 1.2 * r;
                self.polygon(&[(x, y - h), (x + h, y + 0.8 * h), (x - h, y + 0.8 * h)], colour, hollow);
            }
            MarkShape::Cross => {
                self.line(&[(x - r, y - r), (x + r, y + r)], colour, 2.0, None);
                self.line(&[(x - r, y + r), (x + r, y - r)], colour, 2.0, None);
            }
        }
    }
}

/// A length rounded to a hundredth of a pixel.
fn fine(pixels: f64) -> f64 {
    (pixels * 100.0).round() / 100.0
}

fn joined(points: &[Pixels]) -> String {
    points.iter().map(|(x, y)| format!("{},{}", fine(*x), fine(*y))).collect::<Vec<String>>().join(" ")
}

/// The area of the marks.
struct MarkField<'p> {
    picture: &'p Picture,
    /// Pixels of the ends of the x axis.
    x: [f64; 2],
    /// Pixels of the ends of the y axis, from the bottom.
    y: [f64; 2],
}

impl MarkField<'_> {
    /// Pixels of positions on the axes; those beyond an axis are at its end.
    fn at(&self, (x, y): (f64, f64)) -> Pixels {
        let on = |axis: &Axis, place: f64, [begin, end]: [f64; 2]| {
            let (low, high) = (axis.place(axis.low), axis.place(axis.high));
            begin + ((place - low) / (high - low)).clamp(0.0, 1.0) * (end - begin)
        };
        (on(&self.picture.x, x, self.x), on(&self.picture.y, y, self.y))
    }

    fn draw(&self, drawing: &mut SvgDrawing, top: f64) {
        let Picture { x, y, height, .. } = self.picture;
        let ([left, right], [bottom, upper]) = (self.x, self.y);
        if !y.title.is_empty() {
            drawing.text(&y.title, (6.0, top), TOP_LEFT, MUTED, TEXT);
        }
        for (value, text) in &x.ticks {
            let (at, _) = self.at((x.place(*value), 0.0));
            drawing.line(&[(at, bottom), (at, upper)], GRID, 1.0, None);
            drawing.text(text, (at, bottom + 5.0), TOP, MUTED, TEXT);
        }
        for (value, text) in &y.ticks {
            let (_, at) = self.at((0.0, y.place(*value)));
            drawing.line(&[(left, at), (right, at)], GRID, 1.0, None);
            drawing.text(text, (left - 5.0, at), RIGHT, MUTED, TEXT);
        }
        drawing.line(&[(left, bottom), (right, bottom)], MUTED, 1.0, None);
        if y.rows.is_empty() {
            drawing.line(&[(left, bottom), (left, upper)], MUTED, 1.0, None);
        }
        let under = top + f64::from(*height) + BELOW - LINE - 4.0;
        drawing.text(&x.title, (WIDTH / 2.0, under), TOP, MUTED, TEXT);
        for (index, name) in y.rows.iter().enumerate() {
            let at = self.at((x.place(x.low), -(index as f64) + 0.46));
            drawing.text(name, at, TOP_LEFT, INK, TEXT);
        }
        self.picture.marks.iter().for_each(|mark| self.draw_mark(drawing, mark));
    }

    fn draw_mark(&self, drawing: &mut SvgDrawing, mark: &Mark) {
        let Picture { x, y, .. } = self.picture;
        // The marks of a row are below its name.
        let lower = if y.rows.is_empty() { 0.0 } else { 0.2 };
        let at = |point: &(f64, f64)| self.at((x.place(point.0), y.place(point.1) - lower));
        match mark {
            Mark::Line { points, colour, width, dashed } => {
                let points: Vec<Pixels> = points.iter().map(at).collect();
                drawing.line(&points, *colour, *width, dashed.then_some("6 4"));
            }
            Mark::Dot { at: point, style, radius, hollow } => drawing.mark(at(point), *style, *radius, *hollow),
            Mark::Whisker { from, to, colour } => {
                let (from, to) = (at(from), at(to));
                drawing.line(&[from, to], *colour, 1.4, None);
                let (across, along) = if from.1 == to.1 { (0.0, 3.5) } else { (3.5, 0.0) };
                for (x, y) in [from, to] {
                    drawing.line(&[(x - across, y - along), (x + across, y + along)], *colour, 1.4, None);
                }
            }
            Mark::Area { from, to, colour } => drawing.rectangle(at(from), at(to), *colour),
            Mark::Word { at: point, text, colour, ends } => {
                drawing.text(text, at(point), if *ends { RIGHT } else { LEFT }, *colour, 11.0);
            }
        }
    }
}
