//! The kinds of figures, one file each. A kind yields no figure if the data do not contain what it shows.

mod agreement;
mod cost;
mod distribution;
mod memory;
mod over;
mod ratios;
mod rounds;
mod share;
mod timeline;

pub use agreement::agreement;
pub use cost::{Prices, cost};
pub use distribution::distribution;
pub use memory::{memory_over_shards, memory_over_size};
pub use over::{over_nodes, over_shards, over_size};
pub use ratios::{ForestRow, forest};
pub use rounds::rounds;
pub use share::share;
pub use timeline::timelines;

use crate::caveat::Caveat;
use crate::figure::Figure;
use crate::picture::Picture;

/// The context of a figure: parts of its title and file name, and the number of jobs.
#[derive(Clone, Debug)]
pub struct Context {
    /// End of the title: the model, or the file.
    pub of: String,
    /// Beginning of the file name.
    pub prefix: String,
    /// Number of jobs with the same label.
    pub jobs: usize,
}

impl Context {
    /// A figure whose title ends, and whose name begins, as the context says.
    fn figure(&self, name: &str, title: &str, picture: Picture, caption: String, caveats: Vec<Caveat>) -> Figure {
        let name = if self.prefix.is_empty() { name.to_owned() } else { format!("{}-{name}", self.prefix) };
        let title = if self.of.is_empty() { title.to_owned() } else { format!("{title}: {}", self.of) };
        Figure { name, title, picture, caption, caveats }
    }
}
