//! Layers, and how a model's rule writes them down.

/// One parameter tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name in the library that the model comes from.
    pub name: String,
    /// Its shape.
    pub shape: Vec<u64>,
}

impl Layer {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }
}

/// The layers of a model as its rule writes them.
#[derive(Debug, Default)]
pub(super) struct Layers(Vec<Layer>);

impl Layers {
    /// All that was written.
    pub(super) fn finish(self) -> Vec<Layer> {
        self.0
    }

    /// A parameter tensor.
    pub(super) fn tensor(&mut self, name: impl Into<String>, shape: &[u64]) {
        self.0.push(Layer { name: name.into(), shape: shape.to_vec() });
    }

    /// A weight alone.
    pub(super) fn weight(&mut self, name: &str, shape: &[u64]) {
        self.tensor(format!("{name}.weight"), shape);
    }

    /// A weight and a bias as long as its first dimension.
    pub(super) fn biased(&mut self, name: &str, shape: &[u64]) {
        self.weight(name, shape);
        self.tensor(format!("{name}.bias"), &shape[..1]);
    }

    /// A fully connected layer from `inputs` to `outputs`.
    pub(super) fn linear(&mut self, name: &str, outputs: u64, inputs: u64) {
        self.biased(name, &[outputs, inputs]);
    }

    /// Scale and shift of a normalisation over `width`: of a batch's (running statistics are not trained) or a layer's.
    pub(super) fn norm(&mut self, name: &str, width: u64) {
        self.biased(name, &[width]);
    }
}
