//! A picture as data: axes, marks, a legend. [`render`](crate::render) draws it.

use crate::axis::Axis;
use crate::style::{Colour, MarkShape, Style};

/// An element of the picture. Coordinates are values of the axes. Rows are at 0, −1, −2 …
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
    /// A short text.
    Word {
        /// Its position.
        at: (f64, f64),
        /// The text.
        text: String,
        /// Its colour.
        colour: Colour,
        /// True if the text ends at the position, false if it begins there.
        ends: bool,
    },
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
    /// The elements in drawing order.
    pub marks: Vec<Mark>,
    /// The lines of the legend: each sign, and the text after it.
    pub legend: Vec<(Sign, String)>,
    /// Height of the plotting area in pixels.
    pub height: u32,
}

/// Height of a row in pixels. It has the name above and the marks below.
const ROW: u32 = 38;

impl Picture {
    /// An empty picture with two axes of values.
    pub fn new(x: Axis, y: Axis) -> Picture {
        Picture { x, y, marks: Vec::new(), legend: Vec::new(), height: 230 }
    }

    /// An empty picture with named rows.
    pub fn rows(x: Axis, names: Vec<String>) -> Picture {
        let height = ROW * names.len().max(1) as u32;
        Picture { x, y: Axis::rows(names), marks: Vec::new(), legend: Vec::new(), height }
    }

    /// Adds a line through the points with a mark at each, and an entry in the legend.
    pub fn curve(&mut self, points: &[(f64, f64)], style: Style, text: &str) {
        self.line(points.to_vec(), style.colour, 1.8, false);
        for at in points {
            self.dot(*at, style, false);
        }
        self.explain(Sign::Mark(style), text);
    }

    /// Adds a line.
    pub fn line(&mut self, points: Vec<(f64, f64)>, colour: Colour, width: f64, dashed: bool) {
        self.marks.push(Mark::Line { points, colour, width, dashed });
    }

    /// Adds a strategy's mark.
    pub fn dot(&mut self, at: (f64, f64), style: Style, hollow: bool) {
        self.marks.push(Mark::Dot { at, style, radius: 4.0, hollow });
    }

    /// Adds a small circle, for one of many points.
    pub fn speck(&mut self, at: (f64, f64), colour: Colour) {
        let style = Style { colour, shape: MarkShape::Circle };
        self.marks.push(Mark::Dot { at, style, radius: 1.6, hollow: false });
    }

    /// Adds an interval.
    pub fn whisker(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.marks.push(Mark::Whisker { from, to, colour });
    }

    /// Adds a rectangle.
    pub fn area(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.marks.push(Mark::Area { from, to, colour });
    }

    /// Adds a short text that begins, or with `ends` ends, at a position.
    pub fn word(&mut self, at: (f64, f64), text: String, colour: Colour, ends: bool) {
        self.marks.push(Mark::Word { at, text, colour, ends });
    }

    /// Adds an entry to the legend, unless it has one with the same text.
    pub fn explain(&mut self, sign: Sign, text: &str) {
        if !self.legend.iter().any(|(_, other)| other == text) {
            self.legend.push((sign, text.to_owned()));
        }
    }
}
