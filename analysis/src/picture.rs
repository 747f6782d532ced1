//! A picture as data: axes, marks, a legend. What is drawn is decided here; how, in [`render`](crate::render).

use crate::axis::Axis;
use crate::style::{Colour, MarkShape, Style};

/// Something drawn. Coordinates are values of the axes; rows are at 0, −1, −2 …
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
        /// Whether it is broken, as limits are.
        dashed: bool,
    },
    /// A mark of a strategy.
    Dot {
        /// Where.
        at: (f64, f64),
        /// Colour and form.
        style: Style,
        /// Its radius in pixels.
        radius: f64,
        /// Whether only its outline is drawn.
        hollow: bool,
    },
    /// An interval: a line with a bar at each end.
    Whisker {
        /// One end.
        from: (f64, f64),
        /// The other end, straight right of it or above it.
        to: (f64, f64),
        /// Its colour.
        colour: Colour,
    },
    /// A filled rectangle.
    Area {
        /// One corner.
        from: (f64, f64),
        /// The corner across.
        to: (f64, f64),
        /// Its colour.
        colour: Colour,
    },
    /// A word beside a place.
    Word {
        /// Where it stands.
        at: (f64, f64),
        /// The word.
        text: String,
        /// Its colour.
        colour: Colour,
        /// Whether it ends there instead of beginning.
        ends: bool,
    },
}

/// A line of the legend.
#[derive(Clone, Debug, PartialEq)]
pub struct LegendEntry {
    /// What is shown beside the text.
    pub sign: Sign,
    /// The text.
    pub text: String,
}

/// What stands before a text of the legend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sign {
    /// A strategy's mark.
    Mark(Style),
    /// A strategy's mark in outline.
    Hollow(Style),
    /// A broken line.
    Dashed(Colour),
    /// A filled patch.
    Patch(Colour),
}

/// A picture without its words around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// What is drawn, in this order.
    pub marks: Vec<Mark>,
    /// What its signs mean.
    pub legend: Vec<LegendEntry>,
    /// Height of the field in pixels.
    pub height: u32,
}

/// Height of a row in pixels: its name above, its marks below.
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

    /// Adds a line through the points with a mark at each, and the strategy to the legend.
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

    /// Adds a mark.
    pub fn dot(&mut self, at: (f64, f64), style: Style, hollow: bool) {
        self.marks.push(Mark::Dot { at, style, radius: 4.0, hollow });
    }

    /// Adds a small mark, for one of many.
    pub fn speck(&mut self, at: (f64, f64), colour: Colour) {
        self.marks.push(Mark::Dot {
            at,
            style: Style { colour, shape: MarkShape::Circle },
            radius: 1.6,
            hollow: false,
        });
    }

    /// Adds an interval.
    pub fn whisker(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.marks.push(Mark::Whisker { from, to, colour });
    }

    /// Adds a rectangle.
    pub fn area(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.marks.push(Mark::Area { from, to, colour });
    }

    /// Adds a word that begins, or ends, at a place.
    pub fn word(&mut self, at: (f64, f64), text: String, colour: Colour, ends: bool) {
        self.marks.push(Mark::Word { at, text, colour, ends });
    }

    /// Adds a line to the legend, once.
    pub fn explain(&mut self, sign: Sign, text: &str) {
        if !self.legend.iter().any(|entry| entry.text == text) {
            self.legend.push(LegendEntry { sign, text: text.to_owned() });
        }
    }
}
