#pragma once
// What a model is, for people and programs that choose one; read from the file's header.

#include <cstdint>
#include <string>

namespace engine {

enum class ModelKind { generator, encoder };

struct ModelInfo {
    std::string name;          ///< general.name, else the file's stem
    std::string architecture;  ///< as in the file: "llama", "qwen2", ...
    std::string quantization;  ///< the type most weights have: "Q4_1"
    std::string license;
    ModelKind kind = ModelKind::generator;
    bool ranks = false;  ///< an encoder with a ranking head: it scores documents, embeds nothing
    std::uint64_t parameters = 0;
    std::uint64_t file_bytes = 0;
    std::uint32_t layers = 0, dim = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn_dim = 0;
    std::uint32_t vocab_size = 0;
    std::uint32_t context_tokens_trained = 0;
    std::uint32_t context_tokens = 0;  ///< per request in this engine
    std::uint32_t embedding_dim = 0;
    std::string chat_template;  ///< Jinja source; empty when the file has none
};

}  // namespace engine
