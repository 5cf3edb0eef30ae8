// ModelInfo from a GGUF header.

#include <algorithm>
#include <filesystem>
#include <map>

#include "engine/model_files/gguf.h"

namespace engine {

using base::Result;

namespace {

/// The type that holds the most matrix elements; norms and biases stay f32 in every file.
TensorType common_type(const GgufFile& file) {
    std::map<TensorType, std::uint64_t> elements;
    for (const TensorView& tensor : file.tensors()) {
        if (tensor.rows() > 1) elements[tensor.type] += tensor.elements();
    }
    TensorType most = TensorType::f32;
    std::uint64_t most_elements = 0;
    for (const auto& [type, count] : elements) {
        if (count > most_elements) {
            most = type;
            most_elements = count;
        }
    }
    return most;
}

Result<std::uint32_t> max_over_layers(const GgufFile& file, const std::string& key,
                                      std::uint32_t layers, std::uint32_t fallback) {
    if (!file.has(key)) return fallback;
    const std::vector<std::uint32_t> values = DG_TRY(file.get_u32_per_layer(key, layers));
    return values.empty() ? fallback : *std::ranges::max_element(values);
}

Result<std::uint32_t> vocab_size(const GgufFile& file, const std::string& arch) {
    if (const GgufEntry* tokens = file.find("tokenizer.ggml.tokens")) {
        if (tokens->type == GgufType::array) return static_cast<std::uint32_t>(tokens->count);
    }
    return file.get_u32_or(arch + ".vocab_size", 0);
}

bool is_encoder(std::string_view architecture) {
    return architecture == "bert" || architecture == "nomic-bert" || architecture == "use-lite";
}

}  // namespace

Result<ModelInfo> read_model_info(const GgufFile& file) {
    ModelInfo info;
    info.architecture = DG_TRY(file.architecture());
    const std::string& arch = info.architecture;
    const std::string stem = std::filesystem::path(file.path()).stem().string();
    info.name = DG_TRY(file.get_string_or("general.name", stem));
    info.license = DG_TRY(file.get_string_or("general.license", ""));
    info.kind = is_encoder(arch) ? ModelKind::encoder : ModelKind::generator;
    constexpr std::uint32_t kPoolingRank = 4;
    info.ranks =
        is_encoder(arch) && DG_TRY(file.get_u32_or(arch + ".pooling_type", 0)) == kPoolingRank;
    info.quantization = tensor_type_name(common_type(file));
    for (const TensorView& tensor : file.tensors()) info.parameters += tensor.elements();
    info.file_bytes = file.file_bytes();
    info.layers = DG_TRY(file.get_u32_or(arch + ".block_count", 0));
    info.dim = DG_TRY(file.get_u32_or(arch + ".embedding_length", 0));
    const std::string attention = arch + ".attention.";
    info.heads = DG_TRY(max_over_layers(file, attention + "head_count", info.layers, 0));
    info.kv_heads =
        DG_TRY(max_over_layers(file, attention + "head_count_kv", info.layers, info.heads));
    const std::uint32_t even_split = info.heads == 0 ? 0 : info.dim / info.heads;
    info.head_dim = DG_TRY(file.get_u32_or(attention + "key_length", even_split));
    info.ffn_dim = DG_TRY(max_over_layers(file, arch + ".feed_forward_length", info.layers, 0));
    info.vocab_size = DG_TRY(vocab_size(file, arch));
    info.context_tokens_trained = DG_TRY(file.get_u32_or(arch + ".context_length", 0));
    info.context_tokens = info.context_tokens_trained;
    info.embedding_dim = DG_TRY(file.get_u32_or(arch + ".embedding_length_out", info.dim));
    info.chat_template = DG_TRY(file.get_string_or("tokenizer.chat_template", ""));
    return info;
}

}  // namespace engine
