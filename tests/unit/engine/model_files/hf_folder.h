#pragma once
// Makes small model folders as authors publish them.

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "support/temp_dir.h"

namespace test {

struct SafeEntry {
    std::vector<std::uint64_t> shape;
    std::vector<float> values;
};

/// A safetensors file with F32 tensors.
inline std::string safetensors_bytes(const std::map<std::string, SafeEntry>& tensors) {
    base::json::object header{{"__metadata__", base::json::object{{"format", "pt"}}}};
    std::string data;
    for (const auto& [name, tensor] : tensors) {
        base::json::array shape;
        for (const std::uint64_t dim : tensor.shape) shape.push_back(dim);
        const std::size_t begin = data.size();
        data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * 4);
        header[name] = base::json::object{{"dtype", "F32"},
                                          {"shape", std::move(shape)},
                                          {"data_offsets", base::json::array{begin, data.size()}}};
    }
    const std::string text = base::json::serialize(header);
    const std::uint64_t size = text.size();
    std::string out(sizeof(size), '\0');
    std::memcpy(out.data(), &size, sizeof(size));
    return out + text + data;
}

/// Values that tell every element of every tensor apart: first + index.
inline SafeEntry counted(std::vector<std::uint64_t> shape, float first) {
    std::uint64_t elements = 1;
    for (const std::uint64_t dim : shape) elements *= dim;
    SafeEntry entry{std::move(shape), {}};
    for (std::uint64_t i = 0; i < elements; ++i) {
        entry.values.push_back(first + static_cast<float>(i));
    }
    return entry;
}

/// A one-layer decoder: dim 8, 2 heads and 1 key-value head of 4, ffn 12, 6 tokens.
inline std::map<std::string, SafeEntry> tiny_decoder() {
    const std::string layer = "model.layers.0.";
    return {{"model.embed_tokens.weight", counted({6, 8}, 0)},
            {"model.norm.weight", counted({8}, 100)},
            {"lm_head.weight", counted({6, 8}, 200)},
            {layer + "input_layernorm.weight", counted({8}, 300)},
            {layer + "post_attention_layernorm.weight", counted({8}, 400)},
            {layer + "self_attn.q_proj.weight", counted({8, 8}, 500)},
            {layer + "self_attn.k_proj.weight", counted({4, 8}, 600)},
            {layer + "self_attn.v_proj.weight", counted({4, 8}, 700)},
            {layer + "self_attn.o_proj.weight", counted({8, 8}, 800)},
            {layer + "mlp.gate_proj.weight", counted({12, 8}, 900)},
            {layer + "mlp.up_proj.weight", counted({12, 8}, 1000)},
            {layer + "mlp.down_proj.weight", counted({8, 12}, 1100)}};
}

inline base::json::object tiny_config(std::string_view model_type) {
    return {{"model_type", model_type},      {"hidden_size", 8},
            {"num_hidden_layers", 1},        {"num_attention_heads", 2},
            {"num_key_value_heads", 1},      {"intermediate_size", 12},
            {"max_position_embeddings", 64}, {"rms_norm_eps", 1e-5},
            {"rope_theta", 5000.0},          {"vocab_size", 6},
            {"tie_word_embeddings", false}};
}

/// A byte-level BPE of five tokens; `pattern` is its pre-tokenizer's rule.
inline base::json::object bpe_tokenizer(std::string_view pattern) {
    const base::json::object split{{"type", "Split"},
                                   {"pattern", base::json::object{{"Regex", pattern}}}};
    return {
        {"pre_tokenizer",
         base::json::object{{"type", "Sequence"},
                            {"pretokenizers",
                             base::json::array{split, base::json::object{{"type", "ByteLevel"}}}}}},
        {"added_tokens", base::json::array{base::json::object{
                             {"id", 4}, {"content", "<|im_end|>"}, {"special", true}}}},
        {"model",
         base::json::object{{"type", "BPE"},
                            {"vocab", base::json::object{{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}}},
                            {"merges", base::json::array{"a b"}}}}};
}

constexpr std::string_view kQwenPattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

inline void write_json(const std::string& path, const base::json::value& value) {
    write_text(path, base::json::serialize(value));
}

inline void write_model_folder(const TempDir& dir, const base::json::object& config,
                               const std::map<std::string, SafeEntry>& tensors) {
    write_json(dir.file("config.json"), config);
    write_text(dir.file("model.safetensors"), safetensors_bytes(tensors));
    write_json(dir.file("tokenizer.json"), bpe_tokenizer(kQwenPattern));
    write_json(dir.file("tokenizer_config.json"),
               base::json::object{{"eos_token", base::json::object{{"content", "<|im_end|>"}}},
                                  {"add_bos_token", false},
                                  {"chat_template", "{{ messages }}"}});
}

}  // namespace test
