#include "engine/graph/architecture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace engine {
namespace {

constexpr std::uint32_t kLayersMax = 1024;
constexpr std::uint32_t kWidthMax = 1u << 20;
constexpr std::uint32_t kContextMax = 1u << 28;
constexpr std::uint32_t kExpertsMax = 1u << 12;
constexpr float kAnyPositive = 1e30f;

constexpr std::array<Architecture, 10> kArchitectures = {{
    {"llama", &describe_llama},
    {"qwen2", &describe_qwen2},
    {"qwen3", &describe_qwen3},
    {"qwen2moe", &describe_qwen2moe},
    {"qwen3moe", &describe_qwen3moe},
    {"olmoe", &describe_olmoe},
    {"gemma3", &describe_gemma3},
    {"phi3", &describe_phi3},
    {"bert", &describe_bert},
    {"use-lite", &describe_use_lite},
}};

base::Result<RopeScaling> read_rope_scaling(const Hparams& h) {
    const std::string name = DG_TRY(h.text_or("rope.scaling.type", "linear"));
    if (name == "none") return RopeScaling::none;
    if (name == "linear") return RopeScaling::linear;
    if (name == "yarn") return RopeScaling::yarn;
    if (name == "longrope") return RopeScaling::longrope;
    return base::fail_on(h.key("rope.scaling.type"), base::Code::unimplemented,
                         "key {} is \"{}\"; known are none, linear, yarn, longrope",
                         h.key("rope.scaling.type"), name);
}

/// Frequency divisors: one tensor for all layers (llama3), or one of two by context (longrope).
base::Result<std::vector<float>> read_divisors(const Hparams& h, const RopeSpec& spec,
                                               std::uint32_t context_tokens) {
    const bool is_long = context_tokens > spec.context_original;
    const std::string name = h.file().find_tensor("rope_freqs.weight") != nullptr
                                 ? "rope_freqs.weight"
                             : is_long ? "rope_factors_long.weight"
                                       : "rope_factors_short.weight";
    if (h.file().find_tensor(name) == nullptr) return std::vector<float>();
    TensorSet tensors(h.file().tensors());
    const float* values = DG_TRY(tensors.vector(name, spec.rot_dim / 2));
    std::vector<float> divisors(values, values + spec.rot_dim / 2);
    for (const float divisor : divisors) {
        if (divisor > 0.f && std::isfinite(divisor)) continue;
        return base::fail_on(name, base::Code::data_loss,
                             "tensor {} holds {}; every value must be above 0", name, divisor);
    }
    return divisors;
}

base::Result<RopeSpec> read_rope(const Hparams& h, const DecoderConfig& c,
                                 std::uint32_t context_tokens) {
    RopeSpec rope;
    rope.rot_dim = DG_TRY(h.count_or("rope.dimension_count", c.head_dim, 2, c.head_dim));
    if (rope.rot_dim % 2 != 0) {
        return base::fail_on(h.key("rope.dimension_count"), base::Code::data_loss,
                             "key {} is {}; rotations need an even number",
                             h.key("rope.dimension_count"), rope.rot_dim);
    }
    rope.base = DG_TRY(h.real_or("rope.freq_base", 10'000.f, 1.f, kAnyPositive));
    rope.ntk_alpha = DG_TRY(h.real_or("rope.scaling.alpha", 0.f, 0.f, kAnyPositive));
    rope.scaling = DG_TRY(read_rope_scaling(h));
    const float linear = DG_TRY(h.real_or("rope.scale_linear", 1.f, 0.f, kAnyPositive));
    rope.factor = DG_TRY(h.real_or("rope.scaling.factor", linear, 0.f, kAnyPositive));
    if (rope.factor == 0.f) rope.factor = 1.f;  // how some converters write "none"
    rope.context_original = DG_TRY(
        h.count_or("rope.scaling.original_context_length", c.context_trained, 1, kContextMax));
    rope.attention_factor =
        DG_TRY(h.real_or("rope.scaling.attn_factor", 1.f, 0.f, kAnyPositive)) *
        DG_TRY(h.real_or("rope.scaling.yarn_attn_factor", 1.f, 0.f, kAnyPositive));
    rope.yarn_ext_factor = DG_TRY(h.real_or("rope.scaling.yarn_ext_factor", 1.f, 0.f, 1.f));
    rope.yarn_beta_fast = DG_TRY(h.real_or("rope.scaling.yarn_beta_fast", 32.f, 0.f, 1e6f));
    rope.yarn_beta_slow = DG_TRY(h.real_or("rope.scaling.yarn_beta_slow", 1.f, 0.f, 1e6f));
    rope.yarn_log_multiplier =
        DG_TRY(h.real_or("rope.scaling.yarn_log_multiplier", 0.f, 0.f, 1e6f));
    rope.divisors = DG_TRY(read_divisors(h, rope, context_tokens));
    return rope;
}

}  // namespace

base::Result<Architecture> find_architecture(std::string_view name) {
    std::string known;
    for (const Architecture& architecture : kArchitectures) {
        if (architecture.name == name) return architecture;
        known += (known.empty() ? "" : ", ") + std::string(architecture.name);
    }
    return base::fail_on("general.architecture", base::Code::unimplemented,
                         "the model's architecture is \"{}\"; known are {}", name, known);
}

base::Result<void> refuse_experts(const Hparams& h) {
    const std::uint32_t experts = DG_TRY(h.count_or("expert_count", 0, 0, kExpertsMax));
    if (experts == 0) return {};
    return base::fail_on(h.key("expert_count"), base::Code::unimplemented,
                         "key {} is {}; {} models with experts are not known",
                         h.key("expert_count"), experts, h.architecture());
}

base::Result<ExpertsConfig> read_experts(const Hparams& h, std::uint32_t ffn_dim) {
    ExpertsConfig experts;
    experts.count = DG_TRY(h.count_or("expert_count", 0, 0, kExpertsMax));
    if (experts.count == 0) return experts;
    experts.used = DG_TRY(h.count("expert_used_count", experts.count));
    const std::uint32_t share = std::max(1u, ffn_dim / experts.used);
    experts.ffn_dim = DG_TRY(h.count_or("expert_feed_forward_length", share, 1, kWidthMax));
    constexpr std::uint32_t kSoftmax = 1;
    const std::uint32_t gating = DG_TRY(h.count_or("expert_gating_func", kSoftmax, 0, 255));
    if (gating > kSoftmax) {
        return base::fail_on(h.key("expert_gating_func"), base::Code::unimplemented,
                             "key {} is {}; only 1 (softmax) is known", h.key("expert_gating_func"),
                             gating);
    }
    return experts;
}

base::Result<ExpertsConfig> require_experts(const Hparams& h, std::uint32_t ffn_dim) {
    DG_TRY(h.count("expert_count", kExpertsMax));
    return read_experts(h, ffn_dim);
}

base::Result<std::uint32_t> read_vocab_size(const Hparams& h) {
    const TensorView embedding = DG_TRY(h.file().tensor("token_embd.weight"));
    if (embedding.dims[1] < 1 || embedding.dims[1] > kWidthMax * 4u) {
        return base::fail_on("token_embd.weight", base::Code::data_loss,
                             "tensor token_embd.weight has {} rows; expected 1 to {}",
                             embedding.dims[1], kWidthMax * 4u);
    }
    return static_cast<std::uint32_t>(embedding.dims[1]);
}

base::Result<DecoderConfig> read_decoder_basics(const Hparams& h, std::uint32_t context_tokens) {
    DecoderConfig c;
    c.architecture = h.architecture();
    c.layers = DG_TRY(h.count("block_count", kLayersMax));
    c.dim = DG_TRY(h.count("embedding_length", kWidthMax));
    c.heads = DG_TRY(h.uniform_count_or("attention.head_count", 0, c.layers, c.dim));
    c.kv_heads = DG_TRY(h.uniform_count_or("attention.head_count_kv", c.heads, c.layers, c.heads));
    if (c.heads % c.kv_heads != 0) {
        return base::fail_on(h.key("attention.head_count_kv"), base::Code::data_loss,
                             "key {} is {}; it must divide the {} query heads",
                             h.key("attention.head_count_kv"), c.kv_heads, c.heads);
    }
    c.head_dim = DG_TRY(h.count_or("attention.key_length", c.dim / c.heads, 2, 4096));
    const std::uint32_t value_dim =
        DG_TRY(h.count_or("attention.value_length", c.head_dim, 2, 4096));
    if (value_dim != c.head_dim) {
        return base::fail_on(h.key("attention.value_length"), base::Code::unimplemented,
                             "key {} is {}, keys are {} wide; different widths are not supported",
                             h.key("attention.value_length"), value_dim, c.head_dim);
    }
    c.ffn_dim = DG_TRY(h.uniform_count_or("feed_forward_length", 0, c.layers, kWidthMax));
    c.context_trained = DG_TRY(h.count("context_length", kContextMax));
    c.norm_eps = DG_TRY(h.real("attention.layer_norm_rms_epsilon", 0.f, 1.f));
    c.vocab_size = DG_TRY(read_vocab_size(h));
    c.attention_scale = DG_TRY(
        h.real_or("attention.scale", 1.f / std::sqrt(static_cast<float>(c.head_dim)), 1e-6f, 1e3f));
    c.attention_soft_cap = DG_TRY(h.real_or("attn_logit_softcapping", 0.f, 0.f, 1e6f));
    c.logit_soft_cap = DG_TRY(h.real_or("final_logit_softcapping", 0.f, 0.f, 1e6f));
    c.rope = DG_TRY(read_rope(h, c, context_tokens));
    return c;
}

std::vector<std::uint32_t> windows_except_every(std::uint32_t period, std::uint32_t window,
                                                std::uint32_t layers) {
    std::vector<std::uint32_t> windows(layers, window);
    for (std::uint32_t i = period; period > 0 && i <= layers; i += period) windows[i - 1] = 0;
    return windows;
}

}  // namespace engine
