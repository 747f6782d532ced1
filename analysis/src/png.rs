//! Converts SVG to PNG by resvg, with an embedded font, as a login node may have none.

use std::sync::Arc;

use anyhow::Context as _;
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Pixels of the PNG per pixel of the picture, in each direction.
const SCALE: f32 = 2.0;

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
    /// The SVG is not valid, or the picture does not fit into memory. This would be a fault of this program.
    pub fn png(&self, svg: &str) -> anyhow::Result<Vec<u8>> {
        let tree = Tree::from_str(svg, &self.options).context("the SVG is not well-formed")?;
        let [width, height] = [tree.size().width(), tree.size().height()].map(|side| (side * SCALE).ceil() as u32);
        let pixels = Pixmap::new(width, height);
        let mut pixels = pixels.with_context(|| format!("a picture of {width} x {height} pixels cannot be held"))?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().context("PNG")
    }
}
