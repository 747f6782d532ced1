//! Derives the catalogue's layers from the architectures, and tests the names by which models are found.

#[path = "attention_tests.rs"]
mod attention;
#[path = "convolution_tests.rs"]
mod convolution;
#[path = "layers_tests.rs"]
mod layers;

use self::layers::Layers;
use super::*;

/// Writes the layers of a model.
type Rule = fn(&mut Layers);

/// Every model of the catalogue that has layers, and the rule of its architecture.
const RULES: &[(&str, Rule)] = &[
    ("digits-mlp", convolution::digits_mlp),
    ("fedavg-2nn", convolution::fedavg_2nn),
    ("fedavg-cnn", convolution::fedavg_cnn),
    ("mobilenet-v2", convolution::mobilenet_v2),
    ("resnet18", |to| convolution::resnet_basic(to, [2, 2, 2, 2], 10)),
    ("resnet50", |to| convolution::resnet_bottleneck(to, [3, 4, 6, 3], 1000)),
    ("vit-b-16", attention::vit_b_16),
    ("vgg16", |to| convolution::vgg16(to, 10)),
    ("distilbert", attention::distilbert),
    ("bert-base", |to| attention::bert(to, 768, 12)),
    ("bert-large", |to| attention::bert(to, 1024, 24)),
    ("gpt2", |to| attention::gpt2(to, 768, 12)),
    ("gpt2-medium", |to| attention::gpt2(to, 1024, 24)),
    ("gpt2-large", |to| attention::gpt2(to, 1280, 36)),
    ("gpt2-xl", |to| attention::gpt2(to, 1600, 48)),
    ("lora-llama-3-8b", attention::lora_llama_3_8b),
    ("qwen2.5-0.5b", |to| attention::llama(to, &attention::QWEN_2_5_0_5B)),
    ("tinyllama-1.1b", |to| attention::llama(to, &attention::TINYLLAMA)),
    ("llama-3.2-1b", |to| attention::llama(to, &attention::LLAMA_3_2_1B)),
    ("llama-3-8b", |to| attention::llama(to, &attention::LLAMA_3_8B)),
];

#[test]
fn the_catalogue_has_the_layers_of_the_architectures() {
    for (name, rule) in RULES {
        let mut derived = Layers::default();
        rule(&mut derived);
        assert_eq!(find(name).unwrap().layers(), Some(derived.finish()), "{name}");
    }
    let with_layers: Vec<&str> = catalogue().iter().filter(|m| m.layers().is_some()).map(|model| model.name).collect();
    assert_eq!(with_layers, RULES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

fn layers_of(name: &str) -> Option<Vec<Layer>> {
    find(name).ok()?.layers()
}

#[test]
fn layers_sum_to_the_published_counts() {
    for model in catalogue() {
        let Some(layers) = model.layers() else {
            assert_eq!(model.name, "synthetic-5gib");
            continue;
        };
        assert_eq!(layers.iter().map(Layer::elements).sum::<u64>(), model.elements, "{}", model.name);
        let mut names: Vec<_> = layers.iter().map(|layer| &layer.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), layers.len(), "{}: layers of one name", model.name);
    }
    assert_eq!(find("synthetic-5gib").unwrap().elements * 4, 5 << 30);
}

/// Parameter tensors: len(list(model.parameters())) in torchvision for ResNet-18, MobileNetV2 and ViT-B/16; the
/// safetensors headers (290 and 291) for Qwen2.5-0.5B and Llama 3 8B.
#[test]
fn layers_are_as_many_as_the_libraries_have() {
    let count = |name| layers_of(name).unwrap().len();
    assert_eq!(count("resnet18"), 62);
    assert_eq!(count("resnet50"), 161);
    assert_eq!(count("mobilenet-v2"), 158);
    assert_eq!(count("vit-b-16"), 152);
    assert_eq!(count("vgg16"), 32);
    assert_eq!(count("bert-base"), 199);
    assert_eq!(count("gpt2"), 148);
    assert_eq!(count("qwen2.5-0.5b"), 290);
    assert_eq!(count("llama-3-8b"), 291);
}

#[test]
fn layers_have_the_libraries_names_and_shapes() {
    let shape = |model, name: &str| layers_of(model).unwrap().into_iter().find(|l| l.name == name).map(|l| l.shape);
    assert_eq!(shape("resnet18", "layer2.0.downsample.0.weight"), Some(vec![128, 64, 1, 1]));
    assert_eq!(shape("resnet50", "layer4.2.conv3.weight"), Some(vec![2048, 512, 1, 1]));
    assert_eq!(shape("vgg16", "classifier.6.weight"), Some(vec![10, 4096]));
    assert_eq!(shape("mobilenet-v2", "features.1.conv.1.weight"), Some(vec![16, 32, 1, 1]));
    assert_eq!(shape("vit-b-16", "encoder.pos_embedding"), Some(vec![1, 197, 768]));
    assert_eq!(shape("bert-base", "encoder.layer.11.output.dense.weight"), Some(vec![768, 3072]));
    assert_eq!(shape("gpt2-large", "transformer.h.35.attn.c_attn.weight"), Some(vec![1280, 3840]));
    assert_eq!(shape("qwen2.5-0.5b", "model.layers.0.self_attn.k_proj.bias"), Some(vec![128]));
    assert_eq!(shape("llama-3.2-1b", "lm_head.weight"), None);
    assert_eq!(layers_of("synthetic-5gib"), None);
    assert_eq!(layers_of("no such model"), None);
}

#[test]
fn names_are_read_generously() {
    for (asked, name) in [
        ("vgg-16", "vgg16"),
        ("gpt2_large", "gpt2-large"),
        ("GPT-2-Large", "gpt2-large"),
        ("ResNet18", "resnet18"),
        ("synthetic_5gb", "synthetic-5gib"),
        ("bert-base-uncased", "bert-base"),
        ("Llama 3.2 1B", "llama-3.2-1b"),
    ] {
        assert_eq!(find(asked).unwrap().name, name);
    }
    let mut names: Vec<_> =
        catalogue().iter().flat_map(|m| m.aliases.iter().chain([&m.name])).map(|name| plain(name)).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "two models of one name");
}

#[test]
fn unknown_names_are_answered() {
    let error = find("resnet81").unwrap_err();
    assert_eq!(error.nearest, Some("resnet18"));
    assert!(error.to_string().contains("did you mean \"resnet18\"?"));
    assert!(error.to_string().contains("gpt2-xl"));
    assert_eq!(find("mobilenetv3").unwrap_err().nearest, Some("mobilenet-v2"));
    assert_eq!(find("quicksort").unwrap_err().nearest, None);
    assert_eq!(find("").unwrap_err().nearest, None);
}
