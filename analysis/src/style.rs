//! Colours and marks. One colour and one mark a strategy, everywhere; light and dark.
//!
//! So many colours cannot all be told apart by everyone. So the mark tells too: strategies with the same mark have colours
//! that stay apart under the common forms of colour blindness, which a test computes. Colours are after Okabe and Ito
//! (Color Universal Design, 2008) and Paul Tol's muted scheme, lightened for the dark page.

/// A colour on a light and on a dark ground, `#RRGGBB`, and its name as a CSS variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Name of the CSS variable, without the dashes before it.
    pub name: &'static str,
    /// On white, and in the pictures that are files of their own.
    pub light: &'static str,
    /// On the dark page.
    pub dark: &'static str,
}

const fn colour(name: &'static str, light: &'static str, dark: &'static str) -> Colour {
    Colour { name, light, dark }
}

/// Text and axes.
pub const INK: Colour = colour("ink", "#1C2126", "#E6E9EC");
/// Secondary text.
pub const MUTED: Colour = colour("muted", "#5A636B", "#A3ACB4");
/// Grid lines.
pub const GRID: Colour = colour("grid", "#E2E5E8", "#343A40");
/// The ground.
pub const GROUND: Colour = colour("ground", "#FFFFFF", "#16191C");
/// What cannot be passed: the machine's limit, a ceiling.
pub const LIMIT: Colour = colour("limit", "#A0002A", "#FF8095");
/// A stretch within which differences do not count.
pub const BAND: Colour = colour("band", "#DCE9F5", "#22384D");
/// What got worse.
pub const WORSE: Colour = colour("worse", "#B8261A", "#FF8A75");
/// What got better.
pub const BETTER: Colour = colour("better", "#10689A", "#6BB8EE");
/// Strategies that this list does not know.
pub const OTHER: Colour = colour("other", "#6B7178", "#9AA2AA");

/// The colours that are not a strategy's.
pub const PLAIN: [Colour; 9] = [INK, MUTED, GRID, GROUND, LIMIT, BAND, WORSE, BETTER, OTHER];

/// The form of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Of sharded strategies.
    Circle,
    /// Of trees.
    Square,
    /// Of the MPI library's collectives.
    Triangle,
    /// Of none: what was not carried out.
    Cross,
    /// Of more trees.
    Diamond,
}

/// How a strategy is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Its colour.
    pub colour: Colour,
    /// Its mark.
    pub shape: Shape,
}

/// Every strategy with its style.
pub const STRATEGIES: [(&str, Style); 17] = [
    ("sharded-direct", style("sharded-direct", "#0072B2", "#4FB3F0", Shape::Circle)),
    ("sharded-ring", style("sharded-ring", "#1F8A7A", "#D8FFF6", Shape::Diamond)),
    ("sharded-halving", style("sharded-halving", "#8C6D00", "#E8C840", Shape::Circle)),
    ("sharded-node-aware", style("sharded-node-aware", "#003F33", "#B8F5DF", Shape::Circle)),
    ("tree-central", style("tree-central", "#C77700", "#F5B041", Shape::Square)),
    ("tree-lambda-fl", style("tree-lambda-fl", "#7A1F00", "#D9481A", Shape::Square)),
    ("tree-lifl", style("tree-lifl", "#D070B8", "#E07AC0", Shape::Diamond)),
    ("tree-binomial", style("tree-binomial", "#3D2A8C", "#A79BFF", Shape::Square)),
    ("tree-kary", style("tree-kary", "#4A0A30", "#A8447C", Shape::Diamond)),
    ("native-reduce-scatter", style("native-reduce-scatter", "#2F3640", "#F2F4F6", Shape::Triangle)),
    ("native-reduce-scatter-block", style("native-reduce-scatter-block", "#2F78C4", "#6F9BFF", Shape::Triangle)),
    ("native-ireduce-scatter", style("native-ireduce-scatter", "#8A8F95", "#8A9199", Shape::Triangle)),
    ("native-reduce", style("native-reduce", "#9A5B00", "#E0A030", Shape::Triangle)),
    ("native-allreduce", style("native-allreduce", "#5E1A8A", "#C98BF5", Shape::Cross)),
    ("native-reduce-then-scatter", style("native-reduce-then-scatter", "#9A7B00", "#E0B020", Shape::Cross)),
    (
        "native-reduce-scatter-then-gather",
        style("native-reduce-scatter-then-gather", "#7A8A99", "#708090", Shape::Cross),
    ),
    (
        "native-reduce-scatter-then-allgather",
        style("native-reduce-scatter-then-allgather", "#0F3D2E", "#E6FFF4", Shape::Cross),
    ),
];

const fn style(name: &'static str, light: &'static str, dark: &'static str, shape: Shape) -> Style {
    Style { colour: colour(name, light, dark), shape }
}

/// The style of a strategy; grey circles for one that is not known.
pub fn of_strategy(strategy: &str) -> Style {
    let known = STRATEGIES.iter().find(|(name, _)| *name == strategy);
    known.map_or(Style { colour: OTHER, shape: Shape::Circle }, |(_, style)| *style)
}

/// Every colour that a picture may have.
pub fn colours() -> impl Iterator<Item = Colour> {
    PLAIN.into_iter().chain(STRATEGIES.into_iter().map(|(_, style)| style.colour))
}

/// The colours as CSS variables; `dark` picks the dark ones.
pub fn variables(dark: bool) -> String {
    let of = |colour: &Colour| if dark { colour.dark } else { colour.light };
    colours().map(|colour| format!("--{}:{};", colour.name, of(&colour))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn linear(hex: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| {
            let part = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn luminance(hex: &str) -> f64 {
        let [r, g, b] = linear(hex);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// WCAG 2.1: graphics need a contrast of 3:1 with their ground, text 4.5:1.
    fn contrast(one: &str, other: &str) -> f64 {
        let (a, b) = (luminance(one), luminance(other));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Machado, Oliveira and Fernandes 2009, severity 1: protanopia, deuteranopia, tritanopia; and normal sight.
    const SIGHTS: [[[f64; 3]; 3]; 4] = [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    ];

    /// CIE L*a*b* (D65) as seen with the given sight.
    fn lab(hex: &str, sight: &[[f64; 3]; 3]) -> [f64; 3] {
        let rgb = linear(hex);
        let [r, g, b] = sight.map(|row| (0..3).map(|k| row[k] * rgb[k]).sum::<f64>().clamp(0.0, 1.0));
        let x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047;
        let y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883;
        let f = |t: f64| if t > 216.0 / 24389.0 { t.cbrt() } else { (24389.0 / 27.0 * t + 16.0) / 116.0 };
        [116.0 * f(y) - 16.0, 500.0 * (f(x) - f(y)), 200.0 * (f(y) - f(z))]
    }

    #[test]
    fn every_strategy_has_a_style_and_no_two_the_same() {
        for strategy in gradshard::plan::strategies::all() {
            assert!(STRATEGIES.iter().any(|(name, _)| *name == strategy.name()), "{} has no style", strategy.name());
        }
        let names: BTreeSet<&str> = colours().map(|colour| colour.name).collect();
        assert_eq!(names.len(), colours().count());
        for of in [|c: Colour| c.light, |c: Colour| c.dark] {
            assert_eq!(colours().map(of).collect::<BTreeSet<&str>>().len(), colours().count());
        }
    }

    #[test]
    fn marks_and_text_stand_out_from_their_ground() {
        for (what, style) in STRATEGIES {
            let (light, dark) = (contrast(style.colour.light, GROUND.light), contrast(style.colour.dark, GROUND.dark));
            assert!(light >= 3.0 && dark >= 3.0, "{what}: {light:.2}, {dark:.2}");
        }
        for text in [INK, MUTED, LIMIT, WORSE, BETTER] {
            assert!(contrast(text.light, GROUND.light) >= 4.5, "{}", text.name);
            assert!(contrast(text.dark, GROUND.dark) >= 4.5, "{}", text.name);
        }
    }

    /// ΔE of 1976: 2.3 is just noticeable; 10 is plain.
    #[test]
    fn strategies_of_one_mark_are_told_apart_by_everyone() {
        for (index, (one, a)) in STRATEGIES.iter().enumerate() {
            for (other, b) in STRATEGIES.iter().skip(index + 1).filter(|(_, b)| a.shape == b.shape) {
                for (at, sight) in SIGHTS.iter().enumerate() {
                    for (from, to) in [(a.colour.light, b.colour.light), (a.colour.dark, b.colour.dark)] {
                        let (p, q) = (lab(from, sight), lab(to, sight));
                        let distance = (0..3).map(|k| (p[k] - q[k]).powi(2)).sum::<f64>().sqrt();
                        assert!(distance > 15.0, "{one} and {other}, sight {at}: {distance:.1}");
                    }
                }
            }
        }
    }
}
