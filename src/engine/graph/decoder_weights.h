#pragma once
// One decoder layer's weights and the buffers a step works in; private to decoder.cc and
// decoder_bind.cc.

#include <cstdint>
#include <vector>

#include "engine/graph/decoder.h"
#include "engine/graph/unset_floats.h"

namespace engine {

struct Decoder::Expert {
    TensorView gate, up, down;
};

struct Decoder::Layer {
    TensorView q, k, v, attn_out;
    TensorView gate, up, down;  ///< with experts: of the shared one
    TensorView router;          ///< [experts][dim]
    TensorView shared_router;   ///< [1][dim]
    std::vector<Expert> experts;
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

/// A step's rows by expert. Pair p is one row at one of its experts; pairs of an expert are
/// neighbours, in order of their rows.
struct Decoder::ExpertScratch {
    UnsetFloats router_logits, shared_weights, shared_gate, shared_out;
    UnsetFloats hidden, out;                ///< [pairs, experts.ffn_dim], [pairs, dim]
    std::vector<ExpertChoice> choices;      ///< [rows, used]
    std::vector<std::uint32_t> first_pair;  ///< [experts + 1]
    std::vector<std::uint32_t> row_of;      ///< [pairs]
    std::vector<std::uint32_t> pair_of;     ///< [rows, used]
    std::vector<WeightedRow> terms;
    std::vector<Product> products;
    Activations pair_activations, hidden_activations, shared_activations;
};

/// Allocated once for rows_max rows; only `logits` may grow, with the rows that want output.
struct Decoder::Scratch {
    UnsetFloats x, normed, q, k, v, attended, gate, block_out;
    std::vector<float> logits;
    std::vector<std::uint32_t> page_offsets;  ///< of each row: its position in its page
    std::vector<AttentionRow> attention;
    AttentionScratch attention_scratch;
    Activations normed_activations, attended_activations, gate_activations;
    ExpertScratch experts;
};

/// y = x * w^T + bias, rows of y as wide as w has outputs. A null bias is none.
inline Product product_of(const TensorView& w, const float* bias, Activations& x, float* y) {
    Product product;
    product.w = &w;
    product.x = &x;
    product.bias = bias;
    product.y = y;
    product.y_stride = w.rows();
    return product;
}

}  // namespace engine
