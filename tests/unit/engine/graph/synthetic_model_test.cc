#include "unit/engine/graph/synthetic_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "base/core/rng.h"

namespace test {
namespace {

constexpr std::uint32_t kVocab = 64;
constexpr std::uint32_t kIds = 24;

/// The sizes of one family member; unset switches are off.
struct Shape {
    std::uint32_t layers = 3, dim = 64, heads = 4, kv_heads = 2, head_dim = 16, ffn = 96;
    bool qkv_bias = false, qk_norm = false, post_norms = false, fused = false, tied = false;
    float embedding_deviation = 1.f;
    std::uint32_t experts = 0, used = 0, expert_ffn = 0, shared_ffn = 0;
    bool qk_norm_whole = false;
};

class TensorList {
public:
    explicit TensorList(const Shape& shape) : s_(shape) {}

    std::vector<SyntheticTensor> decoder() {
        matrix("token_embd.weight", s_.dim, kVocab, s_.embedding_deviation);
        if (!s_.tied) weight("output.weight", s_.dim, kVocab);
        norm("output_norm.weight", s_.dim);
        for (std::uint32_t i = 0; i < s_.layers; ++i) {
            prefix_ = "blk." + std::to_string(i) + ".";
            attention();
            feed_forward();
        }
        return std::move(tensors_);
    }

    std::vector<SyntheticTensor> bert() {
        matrix("token_embd.weight", s_.dim, kVocab, 1.f);
        matrix("position_embd.weight", s_.dim, 256, 0.5f);
        matrix("token_types.weight", s_.dim, 2, 0.5f);
        norm_and_bias("token_embd_norm");
        for (std::uint32_t i = 0; i < s_.layers; ++i) {
            prefix_ = "blk." + std::to_string(i) + ".";
            for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
                linear(name, s_.dim, s_.dim);
            }
            norm_and_bias(prefix_ + "attn_output_norm");
            linear("ffn_up", s_.dim, s_.ffn);
            linear("ffn_down", s_.ffn, s_.dim);
            norm_and_bias(prefix_ + "layer_output_norm");
        }
        return std::move(tensors_);
    }

private:
    void attention() {
        const std::uint32_t q = s_.heads * s_.head_dim, kv = s_.kv_heads * s_.head_dim;
        norm(prefix_ + "attn_norm.weight", s_.dim);
        if (s_.fused) {
            weight(prefix_ + "attn_qkv.weight", s_.dim, q + 2 * kv);
        } else {
            weight(prefix_ + "attn_q.weight", s_.dim, q);
            weight(prefix_ + "attn_k.weight", s_.dim, kv);
            weight(prefix_ + "attn_v.weight", s_.dim, kv);
        }
        if (s_.qkv_bias) {
            bias(prefix_ + "attn_q.bias", q);
            bias(prefix_ + "attn_k.bias", kv);
            bias(prefix_ + "attn_v.bias", kv);
        }
        if (s_.qk_norm) {
            norm(prefix_ + "attn_q_norm.weight", s_.qk_norm_whole ? q : s_.head_dim);
            norm(prefix_ + "attn_k_norm.weight", s_.qk_norm_whole ? kv : s_.head_dim);
        }
        weight(prefix_ + "attn_output.weight", q, s_.dim);
        if (s_.post_norms) norm(prefix_ + "post_attention_norm.weight", s_.dim);
    }

    void feed_forward() {
        norm(prefix_ + "ffn_norm.weight", s_.dim);
        if (s_.experts > 0) return expert_stacks();
        if (!s_.fused) weight(prefix_ + "ffn_gate.weight", s_.dim, s_.ffn);
        weight(prefix_ + "ffn_up.weight", s_.dim, s_.fused ? 2 * s_.ffn : s_.ffn);
        weight(prefix_ + "ffn_down.weight", s_.ffn, s_.dim);
        if (s_.post_norms) norm(prefix_ + "post_ffw_norm.weight", s_.dim);
    }

    void expert_stacks() {
        // Small enough that the keys' half precision moves no choice and little weight.
        matrix(prefix_ + "ffn_gate_inp.weight", s_.dim, s_.experts, 0.2f);
        const auto stack = [&](const char* name, std::uint64_t in, std::uint64_t out) {
            tensors_.push_back({prefix_ + name,
                                {in, out, s_.experts},
                                0.f,
                                1.5f / std::sqrt(static_cast<float>(in))});
        };
        stack("ffn_gate_exps.weight", s_.dim, s_.expert_ffn);
        stack("ffn_up_exps.weight", s_.dim, s_.expert_ffn);
        stack("ffn_down_exps.weight", s_.expert_ffn, s_.dim);
        if (s_.shared_ffn == 0) return;
        tensors_.push_back({prefix_ + "ffn_gate_inp_shexp.weight", {s_.dim}, 0.f, 0.2f});
        weight(prefix_ + "ffn_gate_shexp.weight", s_.dim, s_.shared_ffn);
        weight(prefix_ + "ffn_up_shexp.weight", s_.dim, s_.shared_ffn);
        weight(prefix_ + "ffn_down_shexp.weight", s_.shared_ffn, s_.dim);
    }

    void linear(const std::string& name, std::uint64_t in, std::uint64_t out) {
        weight(prefix_ + name + ".weight", in, out);
        bias(prefix_ + name + ".bias", out);
    }
    void norm_and_bias(const std::string& name) {
        norm(name + ".weight", s_.dim);
        bias(name + ".bias", s_.dim);
    }
    void weight(const std::string& name, std::uint64_t in, std::uint64_t out) {
        matrix(name, in, out, 1.5f / std::sqrt(static_cast<float>(in)));
    }
    void matrix(const std::string& name, std::uint64_t in, std::uint64_t out, float deviation) {
        tensors_.push_back({name, {in, out}, 0.f, deviation});
    }
    void norm(const std::string& name, std::uint64_t dim) {
        tensors_.push_back({name, {dim}, 1.f, 0.2f});
    }
    void bias(const std::string& name, std::uint64_t dim) {
        tensors_.push_back({name, {dim}, 0.f, 0.3f});
    }

    Shape s_;
    std::string prefix_;
    std::vector<SyntheticTensor> tensors_;
};

using Keys = std::function<void(engine::GgufWriter&)>;

SyntheticModel make_decoder(std::string name, const std::string& arch, const Shape& s, Keys more) {
    SyntheticModel model;
    model.name = std::move(name);
    model.architecture = arch;
    model.tensors = TensorList(s).decoder();
    model.keys = [=](engine::GgufWriter& w) {
        w.set_u32(arch + ".block_count", s.layers);
        w.set_u32(arch + ".context_length", 1024);
        w.set_u32(arch + ".embedding_length", s.dim);
        w.set_u32(arch + ".feed_forward_length", s.ffn);
        w.set_u32(arch + ".attention.head_count", s.heads);
        w.set_u32(arch + ".attention.head_count_kv", s.kv_heads);
        if (s.head_dim != s.dim / s.heads) {
            w.set_u32(arch + ".attention.key_length", s.head_dim);
            w.set_u32(arch + ".attention.value_length", s.head_dim);
        }
        w.set_u32(arch + ".rope.dimension_count", s.head_dim);
        w.set_f32(arch + ".attention.layer_norm_rms_epsilon", 1e-5f);
        if (s.experts > 0) {
            w.set_u32(arch + ".expert_count", s.experts);
            w.set_u32(arch + ".expert_used_count", s.used);
        }
        if (s.experts > 0 && s.expert_ffn != s.ffn) {
            w.set_u32(arch + ".expert_feed_forward_length", s.expert_ffn);
        }
        if (s.shared_ffn > 0) {
            w.set_u32(arch + ".expert_shared_feed_forward_length", s.shared_ffn);
        }
        more(w);
    };
    return model;
}

void set_yarn(engine::GgufWriter& w, const std::string& arch, float factor,
              std::uint32_t original) {
    w.set_string(arch + ".rope.scaling.type", "yarn");
    w.set_f32(arch + ".rope.scaling.factor", factor);
    w.set_u32(arch + ".rope.scaling.original_context_length", original);
}

std::vector<SyntheticModel> decoders() {
    std::vector<SyntheticModel> models;
    models.push_back(make_decoder("llama", "llama", {}, [](auto&) {}));
    models.push_back(make_decoder("llama-linear-tied", "llama", {.tied = true}, [](auto& w) {
        w.set_string("llama.rope.scaling.type", "linear");
        w.set_f32("llama.rope.scaling.factor", 4.f);
        w.set_f32("llama.rope.freq_base", 500'000.f);
    }));
    models.push_back(make_decoder("llama3-rope", "llama", {}, [](auto&) {}));
    models.back().tensors.push_back({"rope_freqs.weight", {8}, 3.f, 0.7f});
    models.push_back(make_decoder("llama-yarn", "llama", {.head_dim = 16},
                                  [](auto& w) { set_yarn(w, "llama", 8.f, 32); }));
    models.push_back(
        make_decoder("qwen2-yarn", "qwen2", {.qkv_bias = true, .tied = true}, [](auto& w) {
            w.set_f32("qwen2.rope.freq_base", 1e6f);
            set_yarn(w, "qwen2", 4.f, 64);
        }));
    models.push_back(make_decoder("qwen3", "qwen3", {.head_dim = 32, .qk_norm = true},
                                  [](auto& w) { w.set_f32("qwen3.rope.freq_base", 1e6f); }));
    models.push_back(make_decoder("gemma3", "gemma3",
                                  {.layers = 7,
                                   .head_dim = 32,
                                   .qk_norm = true,
                                   .post_norms = true,
                                   .tied = true,
                                   .embedding_deviation = 0.125f},
                                  [](auto& w) {
                                      w.set_f32("gemma3.rope.freq_base", 1e6f);
                                      w.set_string("gemma3.rope.scaling.type", "linear");
                                      w.set_f32("gemma3.rope.scaling.factor", 8.f);
                                      w.set_u32("gemma3.attention.sliding_window", 8);
                                      w.set_f32("gemma3.final_logit_softcapping", 4.f);
                                  }));
    const auto longrope = [](std::uint32_t original) {
        return [=](engine::GgufWriter& w) {
            w.set_string("phi3.rope.scaling.type", "longrope");
            w.set_u32("phi3.rope.scaling.original_context_length", original);
            w.set_f32("phi3.rope.scaling.attn_factor", 1.19f);
        };
    };
    for (const auto& [name, original] :
         {std::pair{"phi3-long", 64u}, std::pair{"phi3-short", 512u}}) {
        models.push_back(
            make_decoder(name, "phi3", {.kv_heads = 4, .fused = true}, longrope(original)));
        models.back().tensors.push_back({"rope_factors_long.weight", {8}, 4.f, 1.f});
        models.back().tensors.push_back({"rope_factors_short.weight", {8}, 1.3f, 0.1f});
    }
    return models;
}

/// Last in the list: the ids of those before must stay what their goldens were made with.
std::vector<SyntheticModel> with_experts() {
    std::vector<SyntheticModel> models;
    // Widths that are no multiple of 16, so that experts do not begin at a panel of their stack.
    models.push_back(make_decoder("mixtral", "llama", {.experts = 5, .used = 2, .expert_ffn = 96},
                                  [](auto&) {}));
    models.push_back(make_decoder("qwen2moe", "qwen2moe",
                                  {.kv_heads = 4,
                                   .qkv_bias = true,
                                   .experts = 11,
                                   .used = 4,
                                   .expert_ffn = 40,
                                   .shared_ffn = 72},
                                  [](auto&) {}));
    models.push_back(
        make_decoder("qwen3moe", "qwen3moe",
                     {.head_dim = 32, .qk_norm = true, .experts = 12, .used = 3, .expert_ffn = 56},
                     [](auto&) {}));
    models.push_back(make_decoder("olmoe", "olmoe",
                                  {.kv_heads = 4,
                                   .qk_norm = true,
                                   .experts = 8,
                                   .used = 3,
                                   .expert_ffn = 96,
                                   .qk_norm_whole = true},
                                  [](auto&) {}));
    return models;
}

SyntheticModel make_bert(const std::string& name, std::uint32_t pooling) {
    SyntheticModel model;
    model.name = name;
    model.architecture = "bert";
    model.encoder = true;
    const Shape s{.kv_heads = 4};
    model.tensors = TensorList(s).bert();
    model.keys = [=](engine::GgufWriter& w) {
        w.set_u32("bert.block_count", s.layers);
        w.set_u32("bert.context_length", 256);
        w.set_u32("bert.embedding_length", s.dim);
        w.set_u32("bert.feed_forward_length", s.ffn);
        w.set_u32("bert.attention.head_count", s.heads);
        w.set_f32("bert.attention.layer_norm_epsilon", 1e-12f);
        w.set_bool("bert.attention.causal", false);
        w.set_u32("bert.pooling_type", pooling);
        w.set_u32("tokenizer.ggml.token_type_count", 2);
    };
    return model;
}

/// Roughly normal: the sum of four uniform numbers.
float noise(base::Rng& rng) {
    double sum = -2.;
    for (int i = 0; i < 4; ++i) sum += rng.uniform();
    return static_cast<float>(sum * std::sqrt(3.));
}

}  // namespace

std::vector<SyntheticModel> synthetic_models() {
    std::vector<SyntheticModel> models = decoders();
    models.push_back(make_bert("bert-mean", 1));
    models.push_back(make_bert("bert-cls", 2));
    std::ranges::move(with_experts(), std::back_inserter(models));
    base::Rng rng(7);
    for (SyntheticModel& model : models) {
        for (std::uint32_t i = 0; i < kIds; ++i) {
            model.ids.push_back(static_cast<std::int32_t>(rng.below(kVocab)));
        }
    }
    return models;
}

SyntheticModel synthetic_ranker() {
    SyntheticModel model = make_bert("bert-rank", 4);
    const std::uint64_t dim = model.tensors.at(0).dims.at(0);
    model.tensors.push_back({"cls.weight", {dim, dim}, 0.f, 0.3f});
    model.tensors.push_back({"cls.bias", {dim}, 0.f, 0.3f});
    model.tensors.push_back({"cls.output.weight", {dim, 1}, 0.f, 0.3f});
    model.tensors.push_back({"cls.output.bias", {1}, 0.1f, 0.f});
    return model;
}

SyntheticModel synthetic(const std::string& name) {
    for (const SyntheticModel& model : synthetic_models()) {
        if (model.name == name) return model;
    }
    ADD_FAILURE() << "no synthetic model is called " << name;
    return {};
}

void write_synthetic(const SyntheticModel& model, const std::string& path) {
    auto writer = engine::GgufWriter::create(path);
    ASSERT_TRUE(writer.has_value()) << writer.error().message;
    writer->set_string("general.architecture", model.architecture);
    writer->set_string("general.name", model.name);
    writer->set_string("tokenizer.ggml.model", "no_vocab");
    writer->set_u32(model.architecture + ".vocab_size", kVocab);
    model.keys(*writer);
    for (const SyntheticTensor& tensor : model.tensors) {
        std::array<std::uint64_t, 4> dims{1, 1, 1, 1};
        std::ranges::copy(tensor.dims, dims.begin());
        writer->add_tensor(tensor.name, engine::TensorType::f32, dims);
    }
    ASSERT_TRUE(writer->begin().has_value());
    base::Rng rng(1234);
    for (const SyntheticTensor& tensor : model.tensors) {
        std::uint64_t count = 1;
        for (const std::uint64_t dim : tensor.dims) count *= dim;
        std::vector<float> values(count);
        for (float& value : values) value = tensor.mean + tensor.deviation * noise(rng);
        ASSERT_TRUE(writer->write_tensor_data(std::as_bytes(std::span(values))).has_value());
    }
    ASSERT_TRUE(writer->commit().has_value());
}

}  // namespace test
