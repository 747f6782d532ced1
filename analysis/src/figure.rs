//! A picture with the words around it.

use crate::caveat::Caveat;
use crate::picture::Picture;
use crate::render::{Frame, RenderError, svg};

/// A figure of the report.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its files, without ending: lower-case words joined by hyphens.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The picture.
    pub picture: Picture,
    /// What is drawn: quantity, interval, sample count.
    pub caption: String,
    /// Limits of its use.
    pub caveats: Vec<Caveat>,
}

impl Figure {
    /// As a file of its own.
    ///
    /// # Errors
    /// Those of [`svg`].
    pub fn standalone(&self) -> Result<String, RenderError> {
        let mut notes = vec![self.caption.clone()];
        notes.extend(self.caveats.iter().map(|caveat| format!("! {caveat}.")));
        svg(&self.picture, Some(Frame { title: &self.title, notes: &notes }))
    }

    /// For the page, which has the words itself.
    ///
    /// # Errors
    /// Those of [`svg`].
    pub fn inline(&self) -> Result<String, RenderError> {
        svg(&self.picture, None)
    }
}

/// A text as a part of a file's name: lower-case letters, digits and single hyphens.
pub fn slug(text: &str) -> String {
    let words = text.to_lowercase();
    let words = words.split(|sign: char| !sign.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<&str>>().join("-")
}
