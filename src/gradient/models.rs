//! The model catalogue: real models with the number of their trainable parameters, |θ|, and their layers.
//!
//! The counts are published figures. Tests of this module compare them with the sum over the layers that follow from
//! the architecture.

use layers::Layers;

mod attention;
mod convolution;
mod layers;

pub use layers::Layer;

/// A model of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Name in experiments and results.
    pub name: &'static str,
    /// Number of trainable parameters, |θ|.
    pub elements: u64,
    /// Architecture and publisher of the count.
    pub about: &'static str,
    /// Alternative names.
    aliases: &'static [&'static str],
    /// Writes the model's layers; None if it has none.
    rule: Option<fn(&mut Layers)>,
}

/// The error of a name that no model has.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no model is called \"{name}\"{}; known are {}", did_you_mean(.nearest), known())]
pub struct UnknownModel {
    /// The name requested.
    pub name: String,
    /// The most similar name of the catalogue, if any is similar.
    pub nearest: Option<&'static str>,
}

/// Returns the part of the message that suggests `nearest`.
fn did_you_mean(nearest: &Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default()
}

fn known() -> String {
    CATALOGUE.iter().map(|model| model.name).collect::<Vec<_>>().join(", ")
}

/// Returns all models, grouped by family.
pub fn catalogue() -> &'static [Model] {
    CATALOGUE
}

/// Finds a model by name or alias. Case, hyphens, underscores, points, slashes and spaces are ignored.
pub fn find(name: &str) -> Result<&'static Model, UnknownModel> {
    let wanted = plain(name);
    let names = |model: &'static Model| std::iter::once(model.name).chain(model.aliases.iter().copied());
    if let Some(model) = CATALOGUE.iter().find(|model| names(model).any(|name| plain(name) == wanted)) {
        return Ok(model);
    }
    let near = CATALOGUE.iter().flat_map(|model| names(model).map(move |name| (model.name, name)));
    let near = near.map(|(model, name)| (strsim::damerau_levenshtein(&plain(name), &wanted), model)).min();
    // A name is suggested if at most a third of the characters differ.
    let nearest = near.filter(|(distance, _)| distance * 3 <= wanted.len()).map(|(_, model)| model);
    Err(UnknownModel { name: name.into(), nearest })
}

impl Model {
    const fn about(self, about: &'static str) -> Model {
        Model { about, ..self }
    }

    const fn known_as(self, aliases: &'static [&'static str]) -> Model {
        Model { aliases, ..self }
    }

    /// Returns the layers in the order and with the names of the library's parameters; None if the model has none.
    pub fn layers(&self) -> Option<Vec<Layer>> {
        let rule = self.rule?;
        let mut layers = Layers::default();
        rule(&mut layers);
        Some(layers.finish())
    }
}

/// Normalises a name for comparison.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ' | '/')).flat_map(char::to_lowercase).collect()
}

const fn model(name: &'static str, elements: u64, rule: fn(&mut Layers)) -> Model {
    Model { name, elements, about: "", aliases: &[], rule: Some(rule) }
}

const CATALOGUE: &[Model] = &[
    model("digits-mlp", 85_002, convolution::digits_mlp)
        .known_as(&["digits"])
        .about("perceptron 64-256-256-10 of the updates in configs/data/digits; count by its make_digits.py"),
    model("fedavg-2nn", 199_210, convolution::fedavg_2nn)
        .known_as(&["mnist-2nn", "2nn"])
        .about("MNIST perceptron 784-200-200-10; count by McMahan et al., FedAvg, 2017"),
    model("fedavg-cnn", 1_663_370, convolution::fedavg_cnn)
        .known_as(&["mnist-cnn"])
        .about("MNIST network of two 5x5 convolutions; count by McMahan et al., FedAvg, 2017"),
    model("mobilenet-v2", 3_504_872, convolution::mobilenet_v2)
        .about("MobileNetV2, 1000 classes; count by torchvision (mobilenet_v2, num_params)"),
    model("resnet18", 11_181_642, |to| convolution::resnet_basic(to, [2, 2, 2, 2], 10))
        .about("ResNet-18, 10 classes; count by torchvision (resnet18, num_params 11689512) less 990 of 1000 classes"),
    model("resnet50", 25_557_032, |to| convolution::resnet_bottleneck(to, [3, 4, 6, 3], 1000))
        .about("ResNet-50, 1000 classes; count by torchvision (resnet50, num_params)"),
    model("vit-b-16", 86_567_656, attention::vit_b_16)
        .known_as(&["vit-base-16", "vit-base-patch16-224"])
        .about("Vision Transformer B/16, 224x224, 1000 classes; count by torchvision (vit_b_16, num_params)"),
    model("vgg16", 134_301_514, |to| convolution::vgg16(to, 10))
        .about("VGG-16, 10 classes; count by torchvision (vgg16, num_params 138357544) less 990 of 1000 classes"),
    model("distilbert", 66_362_880, attention::distilbert)
        .known_as(&["distilbert-base", "distilbert-base-uncased"])
        .about(
            "DistilBERT base uncased without a head; count by keras-hub (distil_bert_base_en_uncased) and transformers",
        ),
    model("bert-base", 109_482_240, |to| attention::bert(to, 768, 12)).known_as(&["bert-base-uncased"]).about(
        "BERT base uncased with pooler, without a head; count by keras-hub (bert_base_en_uncased) and transformers",
    ),
    model("bert-large", 335_141_888, |to| attention::bert(to, 1024, 24)).known_as(&["bert-large-uncased"]).about(
        "BERT large uncased with pooler, without a head; count by keras-hub (bert_large_en_uncased) and transformers",
    ),
    model("gpt2", 124_439_808, |to| attention::gpt2(to, 768, 12))
        .known_as(&["gpt2-small"])
        .about("GPT-2 small, tied head; count by keras-hub (gpt2_base_en) and transformers"),
    model("gpt2-medium", 354_823_168, |to| attention::gpt2(to, 1024, 24))
        .about("GPT-2 medium, tied head; count by keras-hub (gpt2_medium_en) and transformers"),
    model("gpt2-large", 774_030_080, |to| attention::gpt2(to, 1280, 36))
        .about("GPT-2 large, tied head; count by keras-hub (gpt2_large_en) and transformers"),
    model("gpt2-xl", 1_557_611_200, |to| attention::gpt2(to, 1600, 48))
        .about("GPT-2 XL, tied head; count by keras-hub (gpt2_extra_large_en) and transformers"),
    model("lora-llama-3-8b", 6_815_744, attention::lora_llama_3_8b).known_as(&["llama-3-8b-lora"]).about(
        "LoRA adapters of rank 16 on q_proj and v_proj of Llama 3 8B; count by peft (print_trainable_parameters)",
    ),
    model("qwen2.5-0.5b", 494_032_768, |to| attention::llama(to, &attention::QWEN_2_5_0_5B))
        .about("Qwen2.5 0.5B, tied head; count by its safetensors header on Hugging Face"),
    model("tinyllama-1.1b", 1_100_048_384, |to| attention::llama(to, &attention::TINYLLAMA))
        .known_as(&["tinyllama"])
        .about("TinyLlama 1.1B; count by its safetensors header on Hugging Face"),
    model("llama-3.2-1b", 1_235_814_400, |to| attention::llama(to, &attention::LLAMA_3_2_1B))
        .about("Llama 3.2 1B, tied head; count by its safetensors header on Hugging Face"),
    model("llama-3-8b", 8_030_261_248, |to| attention::llama(to, &attention::LLAMA_3_8B))
        .known_as(&["llama-3.1-8b"])
        .about("Llama 3 8B; count by its safetensors header on Hugging Face"),
    Model {
        name: "synthetic-5gib",
        elements: 1_342_177_280,
        about: "no model: 5 GiB of f32",
        aliases: &["synthetic-5gb"],
        rule: None,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(name: &str) -> Option<Vec<Layer>> {
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
        let count = |name| layers(name).unwrap().len();
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
        let shape = |model, name: &str| layers(model).unwrap().into_iter().find(|l| l.name == name).map(|l| l.shape);
        assert_eq!(shape("resnet18", "layer2.0.downsample.0.weight"), Some(vec![128, 64, 1, 1]));
        assert_eq!(shape("resnet50", "layer4.2.conv3.weight"), Some(vec![2048, 512, 1, 1]));
        assert_eq!(shape("vgg16", "classifier.6.weight"), Some(vec![10, 4096]));
        assert_eq!(shape("mobilenet-v2", "features.1.conv.1.weight"), Some(vec![16, 32, 1, 1]));
        assert_eq!(shape("vit-b-16", "encoder.pos_embedding"), Some(vec![1, 197, 768]));
        assert_eq!(shape("bert-base", "encoder.layer.11.output.dense.weight"), Some(vec![768, 3072]));
        assert_eq!(shape("gpt2-large", "transformer.h.35.attn.c_attn.weight"), Some(vec![1280, 3840]));
        assert_eq!(shape("qwen2.5-0.5b", "model.layers.0.self_attn.k_proj.bias"), Some(vec![128]));
        assert_eq!(shape("llama-3.2-1b", "lm_head.weight"), None);
        assert_eq!(layers("synthetic-5gib"), None);
        assert_eq!(layers("no such model"), None);
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
}
