//! Draws a picture as SVG.

use maud::{Markup, PreEscaped, html};

use crate::axis::Axis;
use crate::picture::{LegendLine, Mark, NamedRow, Picture, Sign};
use crate::style::{Colour, GRID, GROUND, INK, MUTED, MarkShape, OTHER, Style};

/// Width of a picture in pixels, at which texts have their size.
const WIDTH: f64 = 580.0;
/// Width of a picture on a phone in pixels.
const NARROW: f64 = 360.0;
/// Least width of the marks of named rows, and of those in a picture over the whole page, in pixels.
const MARKS: [f64; 2] = [220.0, 420.0];
/// Size of texts in pixels.
const TEXT: f64 = 12.0;
/// Width of a character of such a text in a wide font in pixels.
const CHARACTER: f64 = 6.6;
/// Height of a line of text in pixels.
const LINE: f64 = 17.0;
/// Height of the marks of a named row in pixels.
const ROW: f64 = 23.0;
/// Height of the ticks and the title of the x axis in pixels.
const BELOW: f64 = 2.0 * LINE + 12.0;
/// Characters of a line across the picture on a phone.
const NARROW_CHARACTERS: usize = (NARROW / 7.1) as usize;
/// The style of a cell that was not carried out.
pub const NOT_DONE: Style = Style { colour: OTHER, shape: MarkShape::Cross };

/// The arrangement of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// Names of rows stand to the left of their marks, and values to the right.
    Wide,
    /// For a phone: name and value of a row stand above its marks.
    Narrow,
}

/// A point or a size in pixels.
type Pixels = (f64, f64);

/// The place of a text relative to its point: its anchor and its shift downwards.
type TextPlace = (&'static str, &'static str);

const TOP_LEFT: TextPlace = ("start", "0.76em");
const TOP_RIGHT: TextPlace = ("end", "0.76em");
const TOP: TextPlace = ("middle", "0.76em");
const LEFT: TextPlace = ("start", "0.5ex");
const RIGHT: TextPlace = ("end", "0.5ex");

/// The picture as SVG. With notes, which are paragraphs below it, it is a complete file in light colours with its title.
/// Without notes it is for a page: colours are CSS variables, the font is the page's, and the page's script finds the axes.
pub fn svg(picture: &Picture, title: &str, notes: Option<&[String]>, layout: Arrangement) -> String {
    let field = MarkField::of(picture, layout);
    let width = field.width;
    let line_characters = (width / 6.7) as usize;
    let titles = notes.map(|_| wrapped(title, line_characters * 4 / 5)).unwrap_or_default();
    let lines: Vec<String> = notes.into_iter().flatten().flat_map(|note| wrapped(note, line_characters)).collect();
    let rows = legend_rows(picture, line_characters);
    let top = LINE * titles.len() as f64 + if titles.is_empty() { 6.0 } else { 12.0 };
    let field = MarkField { y: field.y.map(|y| y + top), ..field };
    let legend = field.y[0] + BELOW;
    let below = legend + LINE * rows.len() as f64 + 4.0;
    let height = below + if lines.is_empty() { 2.0 } else { LINE * lines.len() as f64 + 10.0 };
    let mut drawing = SvgDrawing { svg: String::new(), is_bare: notes.is_none() };
    if notes.is_some() {
        drawing.rectangle((0.0, 0.0), (width, height), GROUND);
    }
    for (index, line) in titles.iter().enumerate() {
        drawing.text(line, (10.0, 8.0 + LINE * index as f64), TOP_LEFT, INK, 13.5);
    }
    field.draw(&mut drawing, top);
    for (index, row) in rows.iter().enumerate() {
        let wide = (width - 20.0) / row.len().max(if rows.len() > 1 { 2 } else { 1 }) as f64;
        for (column, LegendLine { sign, text, strategy }) in row.iter().enumerate() {
            let at = (14.0 + wide * column as f64, legend + LINE * (index as f64 + 0.5));
            drawing.open(strategy, "");
            drawing.sign(*sign, at);
            drawing.text(text, (at.0 + 12.0, at.1 - 6.0), TOP_LEFT, INK, TEXT);
            drawing.close();
        }
    }
    for (index, line) in lines.iter().enumerate() {
        drawing.text(line, (10.0, below + 6.0 + LINE * index as f64), TOP_LEFT, MUTED, 11.0);
    }
    let [namespace, font] = ["http://www.w3.org/2000/svg", "sans-serif"].map(|text| notes.map(|_| text));
    let view = format!("0 0 {width} {height}");
    let said = format!("{title}. {}", picture.description());
    let class = notes.is_none().then_some(if layout == Arrangement::Wide { "wide" } else { "narrow" });
    let axis = |axis: &Axis| {
        let kind = if axis.log { "log" } else { "linear" };
        notes.is_none().then(|| format!("{kind} {} {} {}", axis.low, axis.high, axis.unit))
    };
    let (x, y) = (axis(&picture.x), axis(&picture.y).filter(|_| picture.rows.is_empty()));
    let sides = [field.x[0], field.y[1], field.x[1], field.y[0]].map(|side| fine(side).to_string()).join(" ");
    let sides = notes.is_none().then_some(sides);
    html! {
        svg width=(width) height=(height) viewBox=(view) xmlns=[namespace] class=[class] role="img" aria-label=(said)
            font-family=[font] data-x=[x] data-y=[y] data-field=[sides] {
            (PreEscaped(drawing.svg))
        }
    }
    .into_string()
}

/// True if the names and values of its rows need the width of the whole page.
pub fn is_broad(picture: &Picture) -> bool {
    MarkField::of(picture, Arrangement::Wide).width > WIDTH
}

/// Width of a text in pixels.
fn width_of(text: &str) -> f64 {
    CHARACTER * text.chars().count() as f64
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

/// Lines of the legend by row of the picture, two in a row if they are short enough.
fn legend_rows(picture: &Picture, line_characters: usize) -> Vec<Vec<&LegendLine>> {
    let mut rows: Vec<Vec<&LegendLine>> = Vec::new();
    let is_short = |line: &&LegendLine| line.text.chars().count() <= line_characters / 2 - 4;
    for line in &picture.legend {
        match rows.last_mut() {
            Some(row) if row.len() == 1 && row.iter().all(is_short) && is_short(&line) => row.push(line),
            _ => rows.push(vec![line]),
        }
    }
    rows
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

    /// Draws a shape of a fixed size around a point, from the data of a path.
    fn shape(&mut self, (x, y): Pixels, path: &str, [fill, stroke]: [String; 2], width: f64) {
        let (place, width) = (format!("translate({},{})", fine(x), fine(y)), (stroke != "none").then_some(width));
        let stroke = width.map(|_| stroke);
        self.add(html! { path transform=(place) d=(path) fill=(fill) stroke=[stroke] stroke-width=[width] {} });
    }

    /// Begins a group of a strategy with a text for the pointer.
    fn open(&mut self, strategy: &str, tip: &str) {
        let strategy = (!strategy.is_empty()).then(|| html! { (strategy) }.into_string());
        let strategy = strategy.map_or(String::new(), |name| format!(" data-strategy=\"{name}\""));
        self.svg.push_str(&format!("<g{strategy}>"));
        if !tip.is_empty() {
            self.add(html! { title { (tip) } });
        }
    }

    fn close(&mut self) {
        self.svg.push_str("</g>");
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
        let paint = self.paint(colour, hollow);
        let path = match shape {
            MarkShape::Circle => {
                let ([fill, stroke], x, y) = (paint, fine(x), fine(y));
                let (stroke, width) = (hollow.then_some(stroke), hollow.then_some("1.4"));
                return self
                    .add(html! { circle cx=(x) cy=(y) r=(r) fill=(fill) stroke=[stroke] stroke-width=[width] {} });
            }
            MarkShape::Square => {
                let h = 0.9 * r;
                format!("M-{h},-{h}H{h}V{h}H-{h}Z")
            }
            MarkShape::Diamond => {
                let h = 1.25 * r;
                format!("M0,-{h}L{h},0L0,{h}L-{h},0Z")
            }
            MarkShape::Triangle => {
                let (h, low) = (1.2 * r, 0.96 * r);
                format!("M0,-{h}L{h},{low}L-{h},{low}Z")
            }
            MarkShape::Cross => {
                return self.shape(
                    (x, y),
                    &format!("M-{r},-{r}L{r},{r}M-{r},{r}L{r},-{r}"),
                    self.paint(colour, true),
                    2.0,
                );
            }
        };
        self.shape((x, y), &path, paint, 1.4);
    }
}

/// A length rounded to a hundredth of a pixel.
fn fine(pixels: f64) -> f64 {
    (pixels * 100.0).round() / 100.0
}

fn joined(points: &[Pixels]) -> String {
    points.iter().map(|(x, y)| format!("{},{}", fine(*x), fine(*y))).collect::<Vec<String>>().join(" ")
}

/// The place of named rows.
#[derive(Clone, Copy, Debug, Default)]
struct RowPlaces {
    /// Lines of text above the marks of each row.
    lines: usize,
    /// True if values stand on a line of their own.
    own_line: bool,
}

impl RowPlaces {
    /// Height of the texts above the marks, and of the whole row.
    fn heights(self) -> (f64, f64) {
        let texts = if self.lines == 0 { 0.0 } else { LINE * self.lines as f64 + 5.0 };
        (texts, texts + if self.lines == 0 { ROW } else { ROW - 3.0 })
    }
}

/// The area of the marks.
struct MarkField<'p> {
    picture: &'p Picture,
    /// Width of the picture.
    width: f64,
    /// Pixels of the ends of the x axis.
    x: [f64; 2],
    /// Pixels of the ends of the y axis, from the bottom.
    y: [f64; 2],
    places: RowPlaces,
}

impl<'p> MarkField<'p> {
    /// The area in a picture that begins at 0.
    fn of(picture: &'p Picture, layout: Arrangement) -> MarkField<'p> {
        let Picture { y, rows, height, .. } = picture;
        let widest = |of: fn(&NamedRow) -> &String| rows.iter().map(|row| width_of(of(row))).fold(0.0, f64::max);
        let (name, value) = (widest(|row| &row.name), widest(|row| &row.value));
        if rows.is_empty() {
            let ticks = y.ticks.iter().map(|(_, text)| width_of(text)).fold(0.0, f64::max);
            let width = if layout == Arrangement::Wide { WIDTH } else { NARROW };
            let above = if y.title.is_empty() { 4.0 } else { 20.0 };
            let (x, y) = ([18.0 + ticks, width - 24.0], [f64::from(*height), above]);
            return MarkField { picture, width, x, y, places: RowPlaces::default() };
        }
        let texts = name + value + 44.0;
        let (width, x, places) = match layout {
            Arrangement::Wide => {
                let least = texts + MARKS[0];
                let width = if least > WIDTH { (texts + MARKS[1]).max(860.0) } else { WIDTH };
                (width, [name + 20.0, width - value - 24.0], RowPlaces::default())
            }
            Arrangement::Narrow => {
                let lines = rows.iter().map(|row| wrapped(&row.name, NARROW_CHARACTERS).len()).max().unwrap_or(1);
                let own_line = texts > NARROW || lines > 1;
                (NARROW, [14.0, NARROW - 24.0], RowPlaces { lines: lines + usize::from(own_line), own_line })
            }
        };
        let bottom = 4.0 + places.heights().1 * rows.len() as f64;
        MarkField { picture, width, x, y: [bottom, 4.0], places }
    }

    /// Pixels of a point on the axes; a point beyond an axis is at its end.
    fn at(&self, (x, y): (f64, f64)) -> Pixels {
        let on = |axis: &Axis, value: f64, [begin, end]: [f64; 2]| {
            let (low, high, place) = (axis.place(axis.low), axis.place(axis.high), axis.place(value));
            begin + ((place - low) / (high - low)).clamp(0.0, 1.0) * (end - begin)
        };
        let rows = self.picture.rows.len();
        let y = if rows == 0 {
            on(&self.picture.y, y, self.y)
        } else {
            let (texts, whole) = self.places.heights();
            let row = (-y).round().clamp(0.0, rows as f64 - 1.0);
            self.y[1] + row * whole + texts + (0.5 - y - row).clamp(0.0, 1.0) * (whole - texts)
        };
        (on(&self.picture.x, x, self.x), y)
    }

    fn draw(&self, drawing: &mut SvgDrawing, top: f64) {
        let Picture { x, y, rows, groups, .. } = self.picture;
        let ([left, right], [bottom, upper]) = (self.x, self.y);
        if !y.title.is_empty() {
            drawing.text(&y.title, (6.0, top), TOP_LEFT, MUTED, TEXT);
        }
        drawing.svg.push_str("<g class=\"ticks\">");
        for (value, text) in &x.ticks {
            let (at, _) = self.at((*value, 0.0));
            drawing.line(&[(at, bottom), (at, upper)], GRID, 1.0, None);
            drawing.text(text, (at, bottom + 5.0), TOP, MUTED, TEXT);
        }
        for (value, text) in &y.ticks {
            let (_, at) = self.at((x.low, *value));
            drawing.line(&[(left, at), (right, at)], GRID, 1.0, None);
            drawing.text(text, (left - 5.0, at), RIGHT, MUTED, TEXT);
        }
        drawing.close();
        drawing.line(&[(left, bottom), (right, bottom)], MUTED, 1.0, None);
        if rows.is_empty() {
            drawing.line(&[(left, bottom), (left, upper)], MUTED, 1.0, None);
        }
        let middle = if rows.is_empty() { self.width / 2.0 } else { (left + right) / 2.0 };
        drawing.text(&x.title, (middle, bottom + BELOW - LINE - 4.0), TOP, MUTED, TEXT);
        drawing.svg.push_str("<g class=\"marks\">");
        // Groups of one strategy in succession are one element, which keeps the page small.
        for of_strategy in groups.chunk_by(|one, next| one.strategy == next.strategy) {
            drawing.open(&of_strategy[0].strategy, "");
            for group in of_strategy.iter().filter(|group| !group.marks.is_empty()) {
                if !group.tip.is_empty() {
                    drawing.open("", &group.tip);
                }
                group.marks.iter().for_each(|mark| self.draw_mark(drawing, mark));
                if !group.tip.is_empty() {
                    drawing.close();
                }
            }
            drawing.close();
        }
        drawing.close();
        for (index, row) in rows.iter().enumerate() {
            self.draw_texts(drawing, index, row);
        }
    }

    /// Writes the name and the value of a row. On a phone they cover the bands and lines that all rows share.
    fn draw_texts(&self, drawing: &mut SvgDrawing, index: usize, row: &NamedRow) {
        let (texts, whole) = self.places.heights();
        let begin = self.y[1] + whole * index as f64;
        drawing.open(&row.strategy, "");
        if self.places.lines == 0 {
            let middle = begin + whole / 2.0;
            drawing.text(&row.name, (6.0, middle), LEFT, INK, TEXT);
            drawing.text(&row.value, (self.x[1] + 14.0, middle), LEFT, row.colour, TEXT);
        } else {
            drawing.rectangle((0.0, begin), (self.width, begin + texts), GROUND);
            let names = wrapped(&row.name, NARROW_CHARACTERS);
            for (line, name) in names.iter().enumerate() {
                drawing.text(name, (6.0, begin + 7.0 + LINE * line as f64), TOP_LEFT, INK, TEXT);
            }
            if self.places.own_line {
                let under = begin + 7.0 + LINE * names.len() as f64;
                drawing.text(&row.value, (14.0, under), TOP_LEFT, row.colour, TEXT);
            } else {
                drawing.text(&row.value, (self.width - 6.0, begin + 7.0), TOP_RIGHT, row.colour, TEXT);
            }
        }
        drawing.close();
    }

    fn draw_mark(&self, drawing: &mut SvgDrawing, mark: &Mark) {
        match mark {
            Mark::Line { points, colour, width, dashed } => {
                let points: Vec<Pixels> = points.iter().map(|point| self.at(*point)).collect();
                drawing.line(&points, *colour, *width, dashed.then_some("6 4"));
            }
            Mark::Dot { at, style, radius, hollow } => drawing.mark(self.at(*at), *style, *radius, *hollow),
            Mark::Whisker { from, to, colour } => {
                let (from, to) = (self.at(*from), self.at(*to));
                drawing.line(&[from, to], *colour, 1.4, None);
                let end = if (from.1 - to.1).abs() < 0.01 { "M0,-3.5V3.5" } else { "M-3.5,0H3.5" };
                for at in [from, to] {
                    drawing.shape(at, end, drawing.paint(*colour, true), 1.4);
                }
            }
            Mark::Area { from, to, colour } => {
                // An area over all rows of a phone's picture spans their texts, which cover it.
                drawing.rectangle(self.at(*from), self.at(*to), *colour);
            }
        }
    }
}
