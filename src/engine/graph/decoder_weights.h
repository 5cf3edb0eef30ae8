#pragma once
// One decoder layer's weights and the buffers a step works in; private to decoder.cc and
// decoder_bind.cc.

#include <cstdint>
#include <vector>

#include "engine/graph/decoder.h"

namespace engine {

struct Decoder::Layer {
    TensorView q, k, v, attn_out, gate, up, down;
    const float* attn_norm = nullptr;
    const float* ffn_norm = nullptr;
    // Null when the model has none.
    const float* q_bias = nullptr;
    const float* k_bias = nullptr;
    const float* v_bias = nullptr;
    const float* attn_out_bias = nullptr;
    const float* gate_bias = nullptr;
    const float* up_bias = nullptr;
    const float* down_bias = nullptr;
    const float* q_norm = nullptr;
    const float* k_norm = nullptr;
    const float* attn_post_norm = nullptr;
    const float* ffn_post_norm = nullptr;
    const RopeTable* rope = nullptr;
    const PageRotations* rotations = nullptr;  ///< null when nothing rotates
    std::uint32_t window = 0;
};

/// Allocated once for rows_max rows; only `logits` may grow, with the rows that want output.
struct Decoder::Scratch {
    std::vector<float> x, normed, q, k, v, attended, gate, up, block_out, logits;
    std::vector<std::uint32_t> page_offsets;  ///< of each row: its position in its page
    std::vector<AttentionRow> attention;
    AttentionScratch attention_scratch;
    Activations normed_activations, attended_activations, gate_activations;
};

}  // namespace engine
