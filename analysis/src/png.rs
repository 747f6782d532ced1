//! Converts SVG to PNG by resvg, with an embedded font, as a login node may have none.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Pixels of the PNG per pixel of the picture, in each direction.
const SCALE: f32 = 2.0;

/// An SVG could not be converted. This would be a fault of this program.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// The SVG is not valid.
    #[error("the SVG is not well-formed: {0}")]
    Svg(#[from] resvg::usvg::Error),
    /// The picture does not fit into memory, or has no size.
    #[error("a picture of {0} x {1} pixels cannot be held")]
    Size(u32, u32),
    /// The PNG could not be encoded.
    #[error("PNG: {0}")]
    Encoding(String),
}

/// Converts SVGs to PNGs, and loads the font once.
pub struct Rasteriser {
    options: Options<'static>,
}

impl Default for Rasteriser {
    fn default() -> Self {
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        fonts.load_font_data(dejavu::sans::bold().to_vec());
        fonts.set_sans_serif_family("DejaVu Sans");
        let options = Options { fontdb: Arc::new(fonts), font_family: "DejaVu Sans".to_owned(), ..Options::default() };
        Rasteriser { options }
    }
}

impl Rasteriser {
    /// Converts an SVG to a PNG of twice the size.
    ///
    /// # Errors
    /// See [`PngError`].
    pub fn png(&self, svg: &str) -> Result<Vec<u8>, PngError> {
        let tree = Tree::from_str(svg, &self.options)?;
        let [width, height] = [tree.size().width(), tree.size().height()].map(|side| (side * SCALE).ceil() as u32);
        let mut pixels = Pixmap::new(width, height).ok_or(PngError::Size(width, height))?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| PngError::Encoding(error.to_string()))
    }
}
