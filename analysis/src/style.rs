//! Colours and marks. Each strategy has one colour and one mark in all figures, on light and dark backgrounds.
//!
//! Not everyone can distinguish so many colours, so strategies also differ in their marks. Strategies with the same
//! mark have colours that remain distinct under the common forms of colour blindness, which a test computes. A
//! strategy's style follows from its position in the list of strategies, so a new strategy needs no edit here.

use std::sync::LazyLock;

use gradshard::plan::strategies::names;

/// A colour on a light and on a dark background, `#RRGGBB`, and the name of its CSS variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Name of the CSS variable, without the dashes before it.
    pub name: &'static str,
    /// Colour on white, and in separate picture files.
    pub light: &'static str,
    /// Colour on the dark page.
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
/// The background.
pub const GROUND: Colour = colour("ground", "#FFFFFF", "#16191C");
/// Limits of the machine, and ceilings.
pub const LIMIT: Colour = colour("limit", "#A0002A", "#FF8095");
/// A range within which differences do not count.
pub const BAND: Colour = colour("band", "#DCE9F5", "#22384D");
/// Regressions.
pub const WORSE: Colour = colour("worse", "#B8261A", "#FF8A75");
/// Improvements.
pub const BETTER: Colour = colour("better", "#10689A", "#6BB8EE");
/// Strategies that this list does not know.
pub const OTHER: Colour = colour("other", "#6B7178", "#9AA2AA");

/// The colours that do not belong to a strategy.
pub const PLAIN: [Colour; 9] = [INK, MUTED, GRID, GROUND, LIMIT, BAND, WORSE, BETTER, OTHER];

/// The shape of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkShape {
    /// A filled circle.
    Circle,
    /// A square standing on a side.
    Square,
    /// A triangle.
    Triangle,
    /// A square standing on a corner.
    Diamond,
    /// A cross. It is also the mark of cells that were not carried out.
    Cross,
}

const SHAPES: [MarkShape; 5] =
    [MarkShape::Circle, MarkShape::Square, MarkShape::Triangle, MarkShape::Diamond, MarkShape::Cross];

/// A strategy's colour and mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Its colour.
    pub colour: Colour,
    /// Its mark.
    pub shape: MarkShape,
}

/// Hues in degrees of the strategies with the same mark, each with its lightness on the light and the dark page. The
/// lightness differs between hues, as this difference is visible with every form of colour blindness.
const HUES: [(f64, [f64; 2]); 5] =
    [(235.0, [0.34, 0.82]), (5.0, [0.48, 0.54]), (170.0, [0.34, 0.80]), (245.0, [0.10, 0.64]), (5.0, [0.10, 0.74])];

/// Colours by the number of a strategy. They repeat for larger numbers.
static COLOURS: LazyLock<Vec<Colour>> = LazyLock::new(|| (0..HUES.len() * SHAPES.len()).map(generated).collect());

/// The colour of the strategy with this number. Consecutive strategies have different marks, and the hue changes after
/// a cycle of all marks. The hue also depends slightly on the mark, so that no two colours are the same.
fn generated(number: usize) -> Colour {
    let (shape, step) = (number % SHAPES.len(), number / SHAPES.len());
    let (hue, lightness) = HUES[step % HUES.len()];
    let leak = |text: String| -> &'static str { text.leak() };
    let [light, dark] = lightness.map(|lightness| leak(hex(hue + 3.0 * shape as f64, 0.75, lightness)));
    colour(leak(format!("strategy-{number}")), light, dark)
}

/// The colour of a hue in degrees, a saturation and a lightness (HSL), as `#RRGGBB`.
fn hex(hue: f64, saturation: f64, lightness: f64) -> String {
    let part = |n: f64| {
        let k = (n + hue / 30.0).rem_euclid(12.0);
        let value = lightness - saturation * lightness.min(1.0 - lightness) * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (value * 255.0).round() as u8
    };
    format!("#{:02X}{:02X}{:02X}", part(0.0), part(8.0), part(4.0))
}

/// The style of a strategy by its position in the list of strategies, or by its letters if the list lacks it.
pub fn of_strategy(strategy: &str) -> Style {
    let names = names();
    let others = || names.len() + strategy.bytes().map(usize::from).sum::<usize>();
    style_of(names.iter().position(|name| *name == strategy).unwrap_or_else(others))
}

/// The style of the strategy at a position of the list.
pub fn style_of(position: usize) -> Style {
    Style { colour: COLOURS[position % COLOURS.len()], shape: SHAPES[position % SHAPES.len()] }
}

/// Every colour that pictures use.
pub fn colours() -> impl Iterator<Item = Colour> {
    PLAIN.into_iter().chain(COLOURS.iter().copied())
}

/// The colours as CSS variables; `dark` selects the dark ones.
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

    /// Contrast ratio of WCAG 2.1, which asks for 3:1 between graphics and background, and 4.5:1 for text.
    fn contrast(one: &str, other: &str) -> f64 {
        let (a, b) = (luminance(one), luminance(other));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Matrices for protanopia, deuteranopia and tritanopia (Machado, Oliveira and Fernandes 2009, severity 1), and
    /// normal sight.
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

    fn all() -> Vec<Style> {
        (0..COLOURS.len()).map(style_of).collect()
    }

    /// There are more colours than strategies, and no two are the same.
    #[test]
    fn every_strategy_has_a_style_and_no_two_the_same() {
        assert!(names().len() <= COLOURS.len(), "{} strategies: HUES needs another one", names().len());
        let names: BTreeSet<&str> = colours().map(|colour| colour.name).collect();
        assert_eq!(names.len(), colours().count());
        for of in [|c: Colour| c.light, |c: Colour| c.dark] {
            assert_eq!(colours().map(of).collect::<BTreeSet<&str>>().len(), colours().count());
        }
        assert_eq!(of_strategy("of-somebody-else"), of_strategy("of-somebody-else"));
    }

    #[test]
    fn marks_and_text_stand_out_from_their_ground() {
        for Style { colour, .. } in all() {
            let (light, dark) = (contrast(colour.light, GROUND.light), contrast(colour.dark, GROUND.dark));
            assert!(light >= 3.0 && dark >= 3.0, "{colour:?}: {light:.2}, {dark:.2}");
        }
        for text in [INK, MUTED, LIMIT, WORSE, BETTER] {
            assert!(contrast(text.light, GROUND.light) >= 4.5, "{}", text.name);
            assert!(contrast(text.dark, GROUND.dark) >= 4.5, "{}", text.name);
        }
    }

    /// The distance is ΔE of CIE 1976. A distance of 2.3 is just noticeable; 10 is clear.
    #[test]
    fn strategies_of_one_mark_are_told_apart_by_everyone() {
        let all = all();
        for (index, a) in all.iter().enumerate() {
            for b in all.iter().skip(index + 1).filter(|b| a.shape == b.shape) {
                for (at, sight) in SIGHTS.iter().enumerate() {
                    for (from, to) in [(a.colour.light, b.colour.light), (a.colour.dark, b.colour.dark)] {
                        let (p, q) = (lab(from, sight), lab(to, sight));
                        let distance = (0..3).map(|k| (p[k] - q[k]).powi(2)).sum::<f64>().sqrt();
                        assert!(distance > 15.0, "{a:?} and {b:?}, sight {at}: {distance:.1}");
                    }
                }
            }
        }
    }
}
