//! Layers of convolutional networks and perceptrons.

use super::layers::Layers;

/// A square convolution without bias, followed by batch normalisation.
fn conv_norm(to: &mut Layers, conv: &str, norm: &str, outputs: u64, inputs: u64, size: u64) {
    to.weight(conv, &[outputs, inputs, size, size]);
    to.norm(norm, outputs);
}

/// The perceptron of configs/data/digits: 64-256-256-10.
pub(super) fn digits_mlp(to: &mut Layers) {
    to.linear("fc1", 256, 64);
    to.linear("fc2", 256, 256);
    to.linear("fc3", 10, 256);
}

/// The 2NN of the FedAvg paper: two hidden layers of 200 units.
pub(super) fn fedavg_2nn(to: &mut Layers) {
    to.linear("fc1", 200, 28 * 28);
    to.linear("fc2", 200, 200);
    to.linear("fc3", 10, 200);
}

/// The CNN of the FedAvg paper: 5x5 convolutions with 32 and 64 channels and "same" padding, each followed by 2x2
/// pooling.
pub(super) fn fedavg_cnn(to: &mut Layers) {
    to.biased("conv1", &[32, 1, 5, 5]);
    to.biased("conv2", &[64, 32, 5, 5]);
    to.linear("fc1", 512, 64 * 7 * 7);
    to.linear("fc2", 10, 512);
}

/// ResNet of basic blocks (18, 34): two 3x3 convolutions a block.
pub(super) fn resnet_basic(to: &mut Layers, blocks: [u64; 4], classes: u64) {
    resnet(to, blocks, classes, 1, |to, block, inputs, width| {
        conv_norm(to, &format!("{block}.conv1"), &format!("{block}.bn1"), width, inputs, 3);
        conv_norm(to, &format!("{block}.conv2"), &format!("{block}.bn2"), width, width, 3);
    });
}

/// ResNet of bottleneck blocks (50, 101, 152): 1x1, 3x3 and 1x1 convolutions, the last one four times as wide.
pub(super) fn resnet_bottleneck(to: &mut Layers, blocks: [u64; 4], classes: u64) {
    resnet(to, blocks, classes, 4, |to, block, inputs, width| {
        conv_norm(to, &format!("{block}.conv1"), &format!("{block}.bn1"), width, inputs, 1);
        conv_norm(to, &format!("{block}.conv2"), &format!("{block}.bn2"), width, width, 3);
        conv_norm(to, &format!("{block}.conv3"), &format!("{block}.bn3"), 4 * width, width, 1);
    });
}

/// The layers that all ResNets share. `block` writes a block's convolutions, given its name, input channels and width.
fn resnet(
    to: &mut Layers,
    blocks: [u64; 4],
    classes: u64,
    expansion: u64,
    block: impl Fn(&mut Layers, &str, u64, u64),
) {
    conv_norm(to, "conv1", "bn1", 64, 3, 7);
    let mut inputs = 64;
    for (stage, count) in blocks.into_iter().enumerate() {
        let width = 64 << stage;
        for index in 0..count {
            let name = format!("layer{}.{index}", stage + 1);
            block(to, &name, inputs, width);
            let outputs = width * expansion;
            // The shortcut needs a convolution if the number of channels or the stride changes; the stride only changes
            // with it.
            if inputs != outputs {
                conv_norm(to, &format!("{name}.downsample.0"), &format!("{name}.downsample.1"), outputs, inputs, 1);
            }
            inputs = outputs;
        }
    }
    to.linear("fc", classes, inputs);
}

/// VGG-16, configuration D: 3x3 convolutions with bias. A width of 0 stands for pooling.
pub(super) fn vgg16(to: &mut Layers, classes: u64) {
    let widths = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0];
    let (mut inputs, mut index) = (3, 0);
    for width in widths {
        if width == 0 {
            index += 1;
            continue;
        }
        to.biased(&format!("features.{index}"), &[width, inputs, 3, 3]);
        inputs = width;
        // The activation takes an index too.
        index += 2;
    }
    to.linear("classifier.0", 4096, 512 * 7 * 7);
    to.linear("classifier.3", 4096, 4096);
    to.linear("classifier.6", classes, 4096);
}

/// MobileNetV2 of width 1: inverted residuals with (expansion, channels, repeats) from table 2 of its paper.
pub(super) fn mobilenet_v2(to: &mut Layers) {
    conv_norm(to, "features.0.0", "features.0.1", 32, 3, 3);
    let (mut inputs, mut index) = (32, 1);
    for (expansion, outputs, repeats) in
        [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
    {
        for _ in 0..repeats {
            let at = |part: &str| format!("features.{index}.conv.{part}");
            let width = inputs * expansion;
            let mut part = 0;
            if expansion != 1 {
                conv_norm(to, &at("0.0"), &at("0.1"), width, inputs, 1);
                part = 1;
            }
            conv_norm(to, &at(&format!("{part}.0")), &at(&format!("{part}.1")), width, 1, 3);
            conv_norm(to, &at(&format!("{}", part + 1)), &at(&format!("{}", part + 2)), outputs, width, 1);
            inputs = outputs;
            index += 1;
        }
    }
    conv_norm(to, "features.18.0", "features.18.1", 1280, inputs, 1);
    to.linear("classifier.1", 1000, 1280);
}
