//! Layers of transformers and of adapters to them.

use super::layers::Layers;

/// torchvision's Vision Transformer B/16 for 224x224 images: 196 patches and a class token.
pub(super) fn vit_b_16(to: &mut Layers) {
    let width = 768;
    to.tensor("class_token", &[1, 1, width]);
    to.biased("conv_proj", &[width, 3, 16, 16]);
    to.tensor("encoder.pos_embedding", &[1, 14 * 14 + 1, width]);
    for layer in 0..12 {
        let at = |part: &str| format!("encoder.layers.encoder_layer_{layer}.{part}");
        to.norm(&at("ln_1"), width);
        to.tensor(at("self_attention.in_proj_weight"), &[3 * width, width]);
        to.tensor(at("self_attention.in_proj_bias"), &[3 * width]);
        to.linear(&at("self_attention.out_proj"), width, width);
        to.norm(&at("ln_2"), width);
        to.linear(&at("mlp.0"), 4 * width, width);
        to.linear(&at("mlp.3"), width, 4 * width);
    }
    to.norm("encoder.ln", width);
    to.linear("heads.head", 1000, width);
}

/// BertModel of transformers, uncased.
pub(super) fn bert(to: &mut Layers, width: u64, layers: u64) {
    to.weight("embeddings.word_embeddings", &[30522, width]);
    to.weight("embeddings.position_embeddings", &[512, width]);
    to.weight("embeddings.token_type_embeddings", &[2, width]);
    to.norm("embeddings.LayerNorm", width);
    for layer in 0..layers {
        let at = |part: &str| format!("encoder.layer.{layer}.{part}");
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            to.linear(&at(&format!("attention.{part}")), width, width);
        }
        to.norm(&at("attention.output.LayerNorm"), width);
        to.linear(&at("intermediate.dense"), 4 * width, width);
        to.linear(&at("output.dense"), width, 4 * width);
        to.norm(&at("output.LayerNorm"), width);
    }
    to.linear("pooler.dense", width, width);
}

/// DistilBertModel of transformers, uncased: half of BERT's layers, no token types and no pooler.
pub(super) fn distilbert(to: &mut Layers) {
    let width = 768;
    to.weight("embeddings.word_embeddings", &[30522, width]);
    to.weight("embeddings.position_embeddings", &[512, width]);
    to.norm("embeddings.LayerNorm", width);
    for layer in 0..6 {
        let at = |part: &str| format!("transformer.layer.{layer}.{part}");
        for part in ["q_lin", "k_lin", "v_lin", "out_lin"] {
            to.linear(&at(&format!("attention.{part}")), width, width);
        }
        to.norm(&at("sa_layer_norm"), width);
        to.linear(&at("ffn.lin1"), 4 * width, width);
        to.linear(&at("ffn.lin2"), width, 4 * width);
        to.norm(&at("output_layer_norm"), width);
    }
}

/// GPT2LMHeadModel of transformers, whose head is the token embedding.
pub(super) fn gpt2(to: &mut Layers, width: u64, layers: u64) {
    to.weight("transformer.wte", &[50257, width]);
    to.weight("transformer.wpe", &[1024, width]);
    for layer in 0..layers {
        let at = |part: &str| format!("transformer.h.{layer}.{part}");
        // Linear layers of GPT-2 are stored transposed: [inputs, outputs].
        let turned = |to: &mut Layers, part: &str, inputs: u64, outputs: u64| {
            to.weight(&at(part), &[inputs, outputs]);
            to.tensor(format!("{}.bias", at(part)), &[outputs]);
        };
        to.norm(&at("ln_1"), width);
        turned(to, "attn.c_attn", width, 3 * width);
        turned(to, "attn.c_proj", width, width);
        to.norm(&at("ln_2"), width);
        turned(to, "mlp.c_fc", width, 4 * width);
        turned(to, "mlp.c_proj", 4 * width, width);
    }
    to.norm("transformer.ln_f", width);
}

/// The dimensions of a Llama-like model, as in its config.json.
pub(super) struct Llama {
    vocabulary: u64,
    width: u64,
    layers: u64,
    /// Width of the feed-forward layers.
    inner: u64,
    /// Width of keys and values, which have fewer heads than queries.
    keys: u64,
    /// Whether queries, keys and values have a bias (Qwen).
    bias: bool,
    /// Whether the head is the token embedding.
    tied: bool,
}

pub(super) const QWEN_2_5_0_5B: Llama =
    Llama { vocabulary: 151_936, width: 896, layers: 24, inner: 4864, keys: 2 * 64, bias: true, tied: true };
pub(super) const TINYLLAMA: Llama =
    Llama { vocabulary: 32_000, width: 2048, layers: 22, inner: 5632, keys: 4 * 64, bias: false, tied: false };
pub(super) const LLAMA_3_2_1B: Llama =
    Llama { vocabulary: 128_256, width: 2048, layers: 16, inner: 8192, keys: 8 * 64, bias: false, tied: true };
pub(super) const LLAMA_3_8B: Llama =
    Llama { vocabulary: 128_256, width: 4096, layers: 32, inner: 14_336, keys: 8 * 128, bias: false, tied: false };

/// LlamaForCausalLM and Qwen2ForCausalLM of transformers.
pub(super) fn llama(to: &mut Layers, model: &Llama) {
    let (width, keys) = (model.width, model.keys);
    to.weight("model.embed_tokens", &[model.vocabulary, width]);
    for layer in 0..model.layers {
        let at = |part: &str| format!("model.layers.{layer}.{part}");
        for (part, outputs) in [("q_proj", width), ("k_proj", keys), ("v_proj", keys)] {
            let name = at(&format!("self_attn.{part}"));
            if model.bias {
                to.linear(&name, outputs, width);
            } else {
                to.weight(&name, &[outputs, width]);
            }
        }
        to.weight(&at("self_attn.o_proj"), &[width, width]);
        to.weight(&at("mlp.gate_proj"), &[model.inner, width]);
        to.weight(&at("mlp.up_proj"), &[model.inner, width]);
        to.weight(&at("mlp.down_proj"), &[width, model.inner]);
        to.weight(&at("input_layernorm"), &[width]);
        to.weight(&at("post_attention_layernorm"), &[width]);
    }
    to.weight("model.norm", &[width]);
    if !model.tied {
        to.weight("lm_head", &[model.vocabulary, width]);
    }
}

/// LoRA adapters of peft, rank 16, on queries and values of Llama 3 8B: all that is sent if only they are trained.
pub(super) fn lora_llama_3_8b(to: &mut Layers) {
    let (rank, model) = (16, &LLAMA_3_8B);
    for layer in 0..model.layers {
        for (part, outputs) in [("q_proj", model.width), ("v_proj", model.keys)] {
            let name = format!("base_model.model.model.layers.{layer}.self_attn.{part}");
            to.weight(&format!("{name}.lora_A"), &[rank, model.width]);
            to.weight(&format!("{name}.lora_B"), &[outputs, rank]);
        }
    }
}
