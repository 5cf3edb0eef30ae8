#include "engine/model_files/hf_tensors.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <tuple>

namespace engine {

using base::Code;
using base::fail;
using base::Result;

namespace {

struct NamePair {
    std::string_view theirs, ours;
};

// Names after the prefixes are gone. Parts of a layer follow its number.
constexpr NamePair kDecoderGlobals[] = {
    {"embed_tokens", "token_embd"}, {"norm", "output_norm"}, {"lm_head", "output"}};
constexpr NamePair kDecoderParts[] = {
    {"input_layernorm", "attn_norm"},        {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},          {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},     {"self_attn.qkv_proj", "attn_qkv"},
    {"self_attn.q_norm", "attn_q_norm"},     {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},           {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},           {"mlp.gate_up_proj", "ffn_up"},
    {"post_attention_layernorm", "ffn_norm"}};
// Gemma norms both sides of a block, so one name means something else.
constexpr NamePair kGemmaParts[] = {{"post_attention_layernorm", "post_attention_norm"},
                                    {"pre_feedforward_layernorm", "ffn_norm"},
                                    {"post_feedforward_layernorm", "post_ffw_norm"}};
constexpr NamePair kBertGlobals[] = {{"embeddings.word_embeddings", "token_embd"},
                                     {"embeddings.position_embeddings", "position_embd"},
                                     {"embeddings.token_type_embeddings", "token_types"},
                                     {"embeddings.LayerNorm", "token_embd_norm"}};
constexpr NamePair kRankHead[] = {{"pooler.dense", "cls"}, {"classifier", "cls.output"}};
constexpr NamePair kBertParts[] = {{"attention.self.query", "attn_q"},
                                   {"attention.self.key", "attn_k"},
                                   {"attention.self.value", "attn_v"},
                                   {"attention.output.dense", "attn_output"},
                                   {"attention.output.LayerNorm", "attn_output_norm"},
                                   {"intermediate.dense", "ffn_up"},
                                   {"output.dense", "ffn_down"},
                                   {"output.LayerNorm", "layer_output_norm"}};
constexpr std::string_view kPrefixes[] = {"model.language_model.", "language_model.model.",
                                          "language_model.", "model.", "bert."};
// Other parts of a checkpoint that a text model's inference does not use.
constexpr std::string_view kLeftOut[] = {
    "rotary_emb.inv_freq", "position_ids",          "pooler.", "cls.",
    "vision_tower.",       "multi_modal_projector."};

std::string_view find_name(std::span<const NamePair> names, std::string_view theirs) {
    const auto found = std::ranges::find(names, theirs, &NamePair::theirs);
    return found == names.end() ? std::string_view() : found->ours;
}

std::string_view part_name(const std::string& architecture, std::string_view part) {
    if (architecture == "bert") return find_name(kBertParts, part);
    if (architecture == "gemma3") {
        const std::string_view ours = find_name(kGemmaParts, part);
        if (!ours.empty()) return ours;
    }
    return find_name(kDecoderParts, part);
}

bool is_left_out(std::string_view name) {
    return std::ranges::any_of(
        kLeftOut, [&](std::string_view part) { return name.find(part) != std::string_view::npos; });
}

std::string_view without_prefix(std::string_view name) {
    for (const std::string_view prefix : kPrefixes) {
        if (name.starts_with(prefix)) return name.substr(prefix.size());
    }
    return name;
}

/// Splits "layers.12.self_attn.q_proj" at its number.
struct LayerName {
    std::uint32_t layer;
    std::string_view part;
};
std::optional<LayerName> split_layer(std::string_view name) {
    for (const std::string_view prefix : {"layers.", "encoder.layer."}) {
        if (!name.starts_with(prefix)) continue;
        name.remove_prefix(prefix.size());
        LayerName out{};
        const auto [end, error] =
            std::from_chars(name.data(), name.data() + name.size(), out.layer);
        const auto digits = static_cast<std::size_t>(end - name.data());
        if (error != std::errc() || digits >= name.size() || name[digits] != '.') break;
        out.part = name.substr(digits + 1);
        return out;
    }
    return std::nullopt;
}

/// Globals first, then layers by number, so that a file reads in the order of use.
std::tuple<int, std::uint32_t, std::string_view> output_order(const SourceTensor& tensor) {
    const std::string_view name = tensor.name;
    std::uint32_t layer = 0;
    if (!name.starts_with("blk.")) return {0, 0, name};
    std::from_chars(name.data() + 4, name.data() + name.size(), layer);
    return {1, layer, name};
}

/// The rows of a query or key projection in llama's file order: within a head, row i of the first
/// half and row i of the second become neighbours, because GGUF's llama rotates adjacent pairs.
Result<void> permute_heads(const SafeTensor& tensor, std::uint32_t heads, SourceTensor& out) {
    if (tensor.shape.empty() || tensor.shape.size() > 2) {
        return fail(Code::data_loss, "tensor {} has {} dimensions, expected a matrix or a bias",
                    tensor.name, tensor.shape.size());
    }
    const bool bias = tensor.shape.size() == 1;
    const std::uint64_t rows = tensor.shape[0];
    const std::uint64_t columns = bias ? 1 : out.dims[0];
    if (heads == 0 || rows % (2 * std::uint64_t{heads}) != 0) {
        return fail(Code::data_loss, "tensor {} has {} rows, which {} heads do not divide evenly",
                    tensor.name, rows, heads);
    }
    const std::uint64_t head_rows = rows / heads;
    const auto source_row = [head_rows](std::uint64_t row) {
        const std::uint64_t in_head = row % head_rows;
        return row - in_head + in_head % 2 * (head_rows / 2) + in_head / 2;
    };
    out.read_rows = [&tensor, columns, bias, source_row](std::uint64_t first, std::uint64_t count,
                                                         float* values) {
        // A bias is one row of output; its elements are the rows of the matrix.
        const std::uint64_t n = bias ? tensor.shape[0] : count;
        for (std::uint64_t i = 0; i < n; ++i) {
            const std::uint64_t row = source_row(bias ? i : first + i);
            read_values(tensor, row * columns, columns, values + i * columns);
        }
    };
    return {};
}

void add_one(SourceTensor& tensor) {
    auto read = std::move(tensor.read_rows);
    const std::uint64_t columns = tensor.dims[0];
    tensor.read_rows = [read = std::move(read), columns](std::uint64_t first, std::uint64_t rows,
                                                         float* values) {
        read(first, rows, values);
        for (std::uint64_t i = 0; i < rows * columns; ++i) values[i] += 1.f;
    };
}

Result<SourceTensor> map_tensor(const SafeTensor& tensor, const std::string& name,
                                const TensorRules& rules) {
    SourceTensor out = DG_TRY(plain_tensor(tensor, name));
    const bool query = name.find(".attn_q.") != std::string::npos;
    const bool key = name.find(".attn_k.") != std::string::npos;
    if (rules.permute_qk && (query || key)) {
        DG_TRY(permute_heads(tensor, query ? rules.heads : rules.kv_heads, out));
    }
    if (rules.norms_plus_one && name.ends_with("norm.weight")) add_one(out);
    return out;
}

}  // namespace

std::optional<std::string> gguf_tensor_name(std::string_view hf_name, const TensorRules& rules) {
    const std::string_view name = without_prefix(hf_name);
    const std::size_t dot = name.rfind('.');
    if (rules.ranks && dot != std::string_view::npos) {
        const std::string_view head = find_name(kRankHead, name.substr(0, dot));
        if (!head.empty()) return fmt::format("{}{}", head, name.substr(dot));
    }
    if (is_left_out(hf_name)) return std::string();
    if (dot == std::string_view::npos) return std::nullopt;
    const std::string_view stem = name.substr(0, dot), suffix = name.substr(dot);
    if (suffix != ".weight" && suffix != ".bias") return std::nullopt;
    if (const auto layer = split_layer(stem)) {
        const std::string_view ours = part_name(rules.architecture, layer->part);
        if (ours.empty()) return std::nullopt;
        return fmt::format("blk.{}.{}{}", layer->layer, ours, suffix);
    }
    const bool bert = rules.architecture == "bert";
    const std::string_view ours =
        bert ? find_name(kBertGlobals, stem) : find_name(kDecoderGlobals, stem);
    if (ours.empty()) return std::nullopt;
    if (ours == "output" && rules.tied_embeddings) return std::string();
    return fmt::format("{}{}", ours, suffix);
}

Result<std::vector<SourceTensor>> map_tensors(const Safetensors& weights,
                                              const TensorRules& rules) {
    std::vector<SourceTensor> tensors;
    for (const SafeTensor& tensor : weights.tensors()) {
        const auto name = gguf_tensor_name(tensor.name, rules);
        if (!name) {
            return fail(Code::unimplemented,
                        "tensor {} is not part of architecture {} as known here", tensor.name,
                        rules.architecture);
        }
        if (name->empty()) continue;
        tensors.push_back(DG_TRY(map_tensor(tensor, *name, rules)));
    }
    std::ranges::sort(tensors, {}, output_order);
    const auto twice = std::ranges::adjacent_find(tensors, {}, &SourceTensor::name);
    if (twice != tensors.end()) {
        return fail(Code::data_loss, "two tensors of the checkpoint become {}", twice->name);
    }
    return tensors;
}

}  // namespace engine
