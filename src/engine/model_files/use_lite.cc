// The Universal Sentence Encoder lite: a folder with vocab.json and one safetensors file becomes
// architecture `use-lite` (names in this folder's README).

#include <string>
#include <utility>

#include "base/json/json.h"
#include "engine/model_files/source_model.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::uint32_t kContextTokens = 128;
constexpr std::uint32_t kHeads = 4;
constexpr float kLayerNormEpsilon = 1e-6f;
constexpr float kEmbeddingScale = 2.f;
constexpr std::uint32_t kPoolingMean = 1;
constexpr std::uint32_t kReservedTokens = 6;  // unknown, <s>, </s>, three unused

constexpr std::pair<std::string_view, std::string_view> kGlobalNames[] = {
    {"tok_embeddings.weight", "token_embd.weight"},
    {"timing.inv_timescales", "position_inv_timescales.weight"},
    {"pool.weight", "pooler.weight"},
    {"pool.bias", "pooler.bias"},
};
constexpr std::pair<std::string_view, std::string_view> kLayerNames[] = {
    {"ln1", "attn_norm"},
    {"ln2", "ffn_norm"},
    {"attn_qkv", "attn_qkv"},
    {"attn_out", "attn_output"},
    {"ffn_up", "ffn_up"},
    {"ffn_down", "ffn_down"},
    {"residual_proj", "residual_proj"},
};

std::string gguf_name(std::string_view name) {
    for (const auto& [theirs, ours] : kGlobalNames) {
        if (name == theirs) return std::string(ours);
    }
    if (!name.starts_with("layers.")) return {};
    const std::size_t number_end = name.find('.', 7);
    const std::size_t part_end = name.rfind('.');
    if (number_end == std::string_view::npos || part_end <= number_end) return {};
    const std::string_view part = name.substr(number_end + 1, part_end - number_end - 1);
    for (const auto& [theirs, ours] : kLayerNames) {
        if (part == theirs) {
            return fmt::format("blk.{}.{}{}", name.substr(7, number_end - 7), ours,
                               name.substr(part_end));
        }
    }
    return {};
}

Result<void> set_vocabulary(const std::string& path, GgufWriter& writer) {
    const base::json::value json = DG_TRY(base::parse_json_file(path));
    const base::json::array* pieces = json.if_array();
    if (pieces == nullptr || pieces->size() <= kReservedTokens) {
        return fail_on(path, Code::data_loss, "{}: expected an array of [piece, score] pairs",
                       path);
    }
    std::vector<std::string> tokens;
    std::vector<float> scores;
    std::vector<std::int32_t> kinds;
    for (const base::json::value& pair : *pieces) {
        const base::json::array* fields = pair.if_array();
        if (fields == nullptr || fields->size() != 2 || !(*fields)[0].is_string()) {
            return fail_on(path, Code::data_loss, "{}: element {} is not a [piece, score] pair",
                           path, tokens.size());
        }
        // The scores of some pieces are null, which their authors' program counts as 0.
        const bool scored = (*fields)[1].is_number();
        scores.push_back(scored ? (*fields)[1].to_number<float>() : 0.f);
        tokens.emplace_back((*fields)[0].get_string());
        const std::size_t id = kinds.size();
        kinds.push_back(id == 0 ? 2 : id < 3 ? 3 : id < kReservedTokens ? 5 : 1);
    }
    writer.set_string("tokenizer.ggml.model", "unigram");
    writer.set_string("tokenizer.ggml.pre", "use-lite");
    writer.set_strings("tokenizer.ggml.tokens", tokens);
    writer.set_f32s("tokenizer.ggml.scores", scores);
    writer.set_i32s("tokenizer.ggml.token_type", kinds);
    writer.set_u32("tokenizer.ggml.unknown_token_id", 0);
    writer.set_bool("tokenizer.ggml.add_bos_token", false);
    writer.set_bool("tokenizer.ggml.add_eos_token", false);
    writer.set_bool("tokenizer.ggml.add_space_prefix", true);
    writer.set_bool("tokenizer.ggml.remove_extra_whitespaces", false);
    return {};
}

Result<std::uint64_t> dim_of(const Safetensors& weights, std::string_view name, std::size_t axis) {
    const SafeTensor& tensor = *DG_TRY(weights.tensor(name));
    if (tensor.shape.size() <= axis) {
        return base::fail(Code::data_loss, "tensor {} has {} dimensions, expected 2", name,
                          tensor.shape.size());
    }
    return tensor.shape[axis];
}

}  // namespace

Result<SourceModel> load_use_lite_model(const std::string& folder, GgufWriter& writer) {
    SourceModel model;
    model.architecture = "use-lite";
    model.weights = std::make_shared<const Safetensors>(DG_TRY(Safetensors::open_folder(folder)));
    const Safetensors& weights = *model.weights;
    while (weights.find(fmt::format("layers.{}.attn_qkv.weight", model.layers))) ++model.layers;
    const auto u32 = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
    writer.set_string("general.architecture", model.architecture);
    writer.set_string("general.name", "Universal Sentence Encoder lite");
    writer.set_string("general.license", "apache-2.0");
    writer.set_u32("use-lite.block_count", model.layers);
    writer.set_u32("use-lite.context_length", kContextTokens);
    writer.set_u32("use-lite.embedding_length",
                   u32(DG_TRY(dim_of(weights, "tok_embeddings.weight", 1))));
    writer.set_u32("use-lite.hidden_length",
                   u32(DG_TRY(dim_of(weights, "layers.0.attn_out.weight", 0))));
    writer.set_u32("use-lite.embedding_length_out", u32(DG_TRY(dim_of(weights, "pool.weight", 0))));
    writer.set_u32("use-lite.feed_forward_length",
                   u32(DG_TRY(dim_of(weights, "layers.0.ffn_up.weight", 0))));
    writer.set_u32("use-lite.attention.head_count", kHeads);
    writer.set_f32("use-lite.attention.layer_norm_epsilon", kLayerNormEpsilon);
    writer.set_f32("use-lite.embedding_scale", kEmbeddingScale);
    writer.set_u32("use-lite.pooling_type", kPoolingMean);
    DG_TRY(set_vocabulary(folder + "/vocab.json", writer));
    for (const SafeTensor& tensor : weights.tensors()) {
        std::string name = gguf_name(tensor.name);
        if (name.empty()) {
            return base::fail(Code::unimplemented, "tensor {} is none of the encoder's",
                              tensor.name);
        }
        model.tensors.push_back(DG_TRY(plain_tensor(tensor, std::move(name))));
    }
    return model;
}

}  // namespace engine
