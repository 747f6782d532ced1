//! A figure: a picture with its title, caption and caveats.

use crate::caveat::Caveat;
use crate::picture::Picture;
use crate::render::{Arrangement, svg};

/// A figure of the report.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its files, without ending: lower-case words joined by hyphens.
    pub name: String,
    /// The title.
    pub title: String,
    /// The picture.
    pub picture: Picture,
    /// The drawn quantity, its interval, and the number of samples.
    pub caption: String,
    /// Limits on its use.
    pub caveats: Vec<Caveat>,
}

impl Figure {
    /// The SVG as a separate file, with title, caption and caveats.
    pub fn standalone(&self) -> String {
        let mut notes = vec![self.caption.clone()];
        notes.extend(self.caveats.iter().map(|caveat| format!("! {caveat}.")));
        svg(&self.picture, &self.title, Some(&notes), Arrangement::Wide)
    }
}

/// Converts a text to a part of a file name: lower-case letters, digits and single hyphens.
pub fn slug(text: &str) -> String {
    let words = text.to_lowercase();
    let words = words.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<&str>>().join("-")
}
