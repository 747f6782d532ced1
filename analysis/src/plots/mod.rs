//! One file a kind of picture. Each yields figures, or none where the data has nothing to show.

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
pub use cost::{PriceError, Prices, cost};
pub use distribution::distribution;
pub use memory::{memory_over_shards, memory_over_size};
pub use over::{over_nodes, over_shards, over_size};
pub use ratios::{ForestRow, forest};
pub use rounds::rounds;
pub use share::share;
pub use timeline::timelines;

/// Who asks for a figure: what its title and its file's name begin with, and how many jobs stand behind it.
#[derive(Clone, Debug)]
pub struct Context {
    /// What the title ends with: the model, or the file.
    pub of: String,
    /// What the file's name begins with.
    pub prefix: String,
    /// Jobs with the same label.
    pub jobs: usize,
}

impl Context {
    fn title(&self, what: &str) -> String {
        if self.of.is_empty() { what.to_owned() } else { format!("{what}: {}", self.of) }
    }

    fn name(&self, what: &str) -> String {
        if self.prefix.is_empty() { what.to_owned() } else { format!("{}-{what}", self.prefix) }
    }
}
