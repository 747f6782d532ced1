//! Collects the layers that the rules of architectures write.

use crate::gradient::models::Layer;

/// The layers of a model, collected while its rule runs.
#[derive(Debug, Default)]
pub(super) struct Layers(Vec<Layer>);

impl Layers {
    /// Returns all layers.
    pub(super) fn finish(self) -> Vec<Layer> {
        self.0
    }

    /// Adds a parameter tensor.
    pub(super) fn tensor(&mut self, name: impl Into<String>, shape: &[u64]) {
        self.0.push(Layer { name: name.into(), shape: shape.to_vec() });
    }

    /// Adds a weight without bias.
    pub(super) fn weight(&mut self, name: &str, shape: &[u64]) {
        self.tensor(format!("{name}.weight"), shape);
    }

    /// Adds a weight, and a bias of its first dimension.
    pub(super) fn biased(&mut self, name: &str, shape: &[u64]) {
        self.weight(name, shape);
        self.tensor(format!("{name}.bias"), &shape[..1]);
    }

    /// Adds a fully connected layer from `inputs` to `outputs`.
    pub(super) fn linear(&mut self, name: &str, outputs: u64, inputs: u64) {
        self.biased(name, &[outputs, inputs]);
    }

    /// Adds scale and shift of a batch or layer normalisation over `width`. Running statistics are not trained and do
    /// not count.
    pub(super) fn norm(&mut self, name: &str, width: u64) {
        self.biased(name, &[width]);
    }
}
