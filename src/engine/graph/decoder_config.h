#pragma once
// What distinguishes one decoder-only transformer from another, as data. An architecture is a
// function that fills this in (arch/*.cc); the forward pass is written once (decoder.cc).

#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph/rope_table.h"
#include "engine/kernels/kernels.h"

namespace engine {

/// A feed-forward block made of many small ones, of which each row takes a few.
struct ExpertsConfig {
    std::uint32_t count = 0;  ///< 0: one dense block
    std::uint32_t used = 0;   ///< per row
    std::uint32_t ffn_dim = 0;
    std::uint32_t shared_ffn_dim = 0;  ///< of the expert that every row takes, gated; 0: none
    bool normalise = false;            ///< the chosen ones' weights sum to 1
};

struct DecoderConfig {
    std::string architecture;
    std::uint32_t layers = 0;
    std::uint32_t dim = 0;
    std::uint32_t heads = 0;
    std::uint32_t kv_heads = 0;  ///< divides heads
    std::uint32_t head_dim = 0;
    std::uint32_t ffn_dim = 0;  ///< of dense blocks
    ExpertsConfig experts;
    std::uint32_t vocab_size = 0;
    std::uint32_t context_trained = 0;
    float norm_eps = 1e-5f;

    Activation activation = Activation::silu;
    float embedding_scale = 1.f;     ///< Gemma: sqrt(dim)
    float attention_scale = 0.f;     ///< usually 1 / sqrt(head_dim)
    float attention_soft_cap = 0.f;  ///< 0: none
    float logit_soft_cap = 0.f;      ///< 0: none
    bool qk_norm = false;            ///< RMS norm of every query and key head before RoPE
    bool qk_norm_whole = false;      ///< with qk_norm: of all heads together
    bool post_norms = false;         ///< RMS norm of each block's output before the residual
    bool fused_gate_up = false;      ///< ffn_up holds the gate's rows, then the up rows

    RopePairing rope_pairing = RopePairing::halves;
    RopeSpec rope;        ///< layers that see everything
    RopeSpec rope_local;  ///< layers with a window; rot_dim 0: as `rope`
    /// Positions each layer sees, itself included; 0: all. One per layer.
    std::vector<std::uint32_t> window;

    std::uint32_t q_dim() const { return heads * head_dim; }
    std::uint32_t kv_dim() const { return kv_heads * head_dim; }
};

}  // namespace engine
