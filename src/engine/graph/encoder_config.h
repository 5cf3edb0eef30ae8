#pragma once
// What distinguishes one text encoder from another, as data; filled in by arch/*.cc.

#include <cstdint>
#include <string>

#include "engine/kernels/kernels.h"

namespace engine {

enum class NormPlacement {
    before,  ///< x + f(norm(x)): USE
    after,   ///< norm(x + f(x)): BERT
};
/// Numbered as GGUF's pooling_type.
enum class Pooling : std::uint32_t { mean = 1, cls = 2, rank = 4 };

struct EncoderConfig {
    std::string architecture;
    std::uint32_t layers = 0;
    std::uint32_t heads = 0;
    std::uint32_t dim = 0;         ///< width of token embeddings and of the first layer's input
    std::uint32_t hidden_dim = 0;  ///< width after the first layer; usually `dim`
    std::uint32_t out_dim = 0;     ///< width of an embedding
    std::uint32_t ffn_dim = 0;
    std::uint32_t vocab_size = 0;
    std::uint32_t context_trained = 0;
    float norm_eps = 1e-12f;

    NormPlacement norms = NormPlacement::after;
    Activation activation = Activation::gelu_erf;
    float embedding_scale = 1.f;
    Pooling pooling = Pooling::mean;
};

}  // namespace engine
