//! A picture as data: axes, marks, a legend. [`render`](crate::render) draws it.

use gradshard::results::distinct::distinct;

use crate::axis::Axis;
use crate::style::{Colour, MarkShape, Style};

/// An element of the picture. Coordinates are values of the axes.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A line through points.
    Line {
        /// The points, as (x, y).
        points: Vec<(f64, f64)>,
        /// Its colour.
        colour: Colour,
        /// Its width in pixels.
        width: f64,
        /// True if it is dashed, as limits are.
        dashed: bool,
    },
    /// A mark of a strategy.
    Dot {
        /// Its position.
        at: (f64, f64),
        /// Its colour and shape.
        style: Style,
        /// Its radius in pixels.
        radius: f64,
        /// True if only its outline is drawn.
        hollow: bool,
    },
    /// An interval: a line with a bar at each end.
    Whisker {
        /// One end.
        from: (f64, f64),
        /// The other end, directly to the right of it or above it.
        to: (f64, f64),
        /// Its colour.
        colour: Colour,
    },
    /// A filled rectangle.
    Area {
        /// One corner.
        from: (f64, f64),
        /// The opposite corner.
        to: (f64, f64),
        /// Its colour.
        colour: Colour,
    },
}

/// Marks that belong together: those of a strategy, or of one of its values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MarkGroup {
    /// The strategy, by which pictures are filtered; empty for marks of none.
    pub strategy: String,
    /// The text that is shown when the pointer is on a mark; may be empty.
    pub tip: String,
    /// The marks in drawing order.
    pub marks: Vec<Mark>,
}

/// A named row. Its marks are between its name and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedRow {
    /// The name.
    pub name: String,
    /// The value as text.
    pub value: String,
    /// Colour of the value.
    pub colour: Colour,
    /// The strategy.
    pub strategy: String,
}

/// A line of the legend.
#[derive(Clone, Debug, PartialEq)]
pub struct LegendLine {
    /// The sign.
    pub sign: Sign,
    /// The text after it.
    pub text: String,
    /// The strategy that it explains; may be empty.
    pub strategy: String,
}

/// A sign before a text of the legend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// A strategy's mark.
    Mark(Style),
    /// The outline of a strategy's mark.
    Hollow(Style),
    /// A dashed line.
    Dashed(Colour),
    /// A filled patch.
    Patch(Colour),
}

/// A picture without title and caption.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Horizontal axis, from left to right.
    pub x: Axis,
    /// Vertical axis, from bottom to top.
    pub y: Axis,
    /// Named rows from the top, at 0, −1, −2 …; empty in a picture with two axes of values.
    pub rows: Vec<NamedRow>,
    /// The marks in drawing order.
    pub groups: Vec<MarkGroup>,
    /// The lines of the legend.
    pub legend: Vec<LegendLine>,
    /// Height of the plotting area in pixels, if there are no named rows.
    pub height: u32,
}

/// Largest number of values that a description names.
const DESCRIBED: usize = 40;

impl Picture {
    /// An empty picture with two axes of values.
    pub fn new(x: Axis, y: Axis) -> Picture {
        Picture { x, y, rows: Vec::new(), groups: vec![MarkGroup::default()], legend: Vec::new(), height: 250 }
    }

    /// An empty picture with named rows.
    pub fn rows(x: Axis, rows: Vec<NamedRow>) -> Picture {
        Picture { rows: rows.clone(), ..Picture::new(x, Axis::rows(rows.len())) }
    }

    /// Begins a group. Marks and lines of the legend that are added from now on belong to it.
    pub fn begin(&mut self, strategy: &str, tip: String) {
        self.groups.push(MarkGroup { strategy: strategy.to_owned(), tip, marks: Vec::new() });
    }

    fn add(&mut self, mark: Mark) {
        if let Some(group) = self.groups.last_mut() {
            group.marks.push(mark);
        }
    }

    /// Adds a line.
    pub fn line(&mut self, points: Vec<(f64, f64)>, colour: Colour, width: f64, dashed: bool) {
        self.add(Mark::Line { points, colour, width, dashed });
    }

    /// Adds a strategy's mark.
    pub fn dot(&mut self, at: (f64, f64), style: Style, hollow: bool) {
        self.add(Mark::Dot { at, style, radius: 4.0, hollow });
    }

    /// Adds a small circle, for one of many points.
    pub fn speck(&mut self, at: (f64, f64), colour: Colour) {
        let style = Style { colour, shape: MarkShape::Circle };
        self.add(Mark::Dot { at, style, radius: 1.6, hollow: false });
    }

    /// Adds an interval.
    pub fn whisker(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.add(Mark::Whisker { from, to, colour });
    }

    /// Adds a rectangle.
    pub fn area(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.add(Mark::Area { from, to, colour });
    }

    /// Adds a line to the legend, unless it has one with the same text.
    pub fn explain(&mut self, sign: Sign, text: &str) {
        if !self.legend.iter().any(|line| line.text == text) {
            let strategy = self.groups.last().map_or(String::new(), |group| group.strategy.clone());
            self.legend.push(LegendLine { sign, text: text.to_owned(), strategy });
        }
    }

    /// The data in words, for those who do not see the picture: each row with its value, or the first and the last
    /// value of each strategy.
    pub fn description(&self) -> String {
        let mut said: Vec<String> = self.rows.iter().map(|row| format!("{}: {}", row.name, row.value)).collect();
        if said.is_empty() {
            let tips = |strategy: &str| {
                let of_it = self.groups.iter().filter(|group| group.strategy == strategy && !group.tip.is_empty());
                of_it.map(|group| group.tip.clone()).collect::<Vec<String>>()
            };
            for strategy in distinct(self.groups.iter().map(|group| group.strategy.as_str())) {
                said.extend(match tips(strategy).as_slice() {
                    [] => None,
                    [only] => Some(only.clone()),
                    [first, .., last] => Some(format!("{first}, to {last}")),
                });
            }
        }
        let left_out = said.len().saturating_sub(DESCRIBED);
        said.truncate(DESCRIBED);
        let more = if left_out > 0 { format!("; and {left_out} more") } else { String::new() };
        let across = if self.y.title.is_empty() { String::new() } else { format!("{} over ", self.y.title) };
        format!("{across}{}. {}{more}.", self.x.title, said.join("; "))
    }
}
