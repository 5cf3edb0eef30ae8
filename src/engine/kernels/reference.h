#pragma once
// Plain loops that say what each kernel of kernels.h computes: the referees of the fast versions.
// One thread, no intrinsics, sums in double. Same arguments and meaning as kernels.h.

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/kernels/kernels.h"
#include "engine/tensor/tensor_view.h"

namespace engine::reference {

/// Float activations against dequantised weights, no quantisation of x.
void matmul(const TensorView& w, const float* x, std::size_t rows, float* y, std::size_t y_stride);

/// One block of 32 activations as the quantised kernels see it: scale * q, q in [-127, 127]. NaN
/// throughout when the block holds NaN or infinity.
void quantize_block(const float* x, std::int8_t* q, float* scale);
/// x after a round trip through quantize_block. Pre: n is a multiple of 32.
void round_trip(const float* x, std::size_t n, float* out);

/// As matmul_all: every product in turn, float activations against dequantised weights. `x` is what
/// each product's Activations hold.
void matmul_all(std::span<const Product> products, std::span<const float* const> x,
                std::size_t rows);
void choose_experts(std::span<ExpertChoice> out, const float* logits, std::size_t experts,
                    std::size_t used, bool normalise);
void add_weighted(float* y, std::span<const WeightedRow> terms, std::size_t per_row,
                  std::size_t dim);

void rms_norm(float* y, const float* x, const float* w, std::size_t rows, std::size_t dim,
              float eps);
void layer_norm(float* y, const float* x, const float* w, const float* b, std::size_t rows,
                std::size_t dim, float eps);
void rope(float* x, std::size_t rows, std::size_t heads, std::size_t head_dim, std::size_t stride,
          std::size_t rot_dim, std::span<const float> inv_freq,
          std::span<const std::uint32_t> positions, RopePairing pairing, float magnitude);
float activation(Activation f, float x);
void gated(float* y, const float* gate, const float* up, std::size_t n, Activation f);
void activate(float* y, const float* x, std::size_t n, Activation f);
void soft_cap(float* x, std::size_t n, float cap);
void kv_store(const KvLayerView& kv, std::uint32_t position, const float* k, const float* v,
              std::uint32_t kv_heads, std::uint32_t head_dim);
void attention(float* out, std::size_t out_stride, const float* q, std::size_t q_stride,
               std::span<const AttentionRow> rows, const AttentionShape& shape);
void attention_full(float* out, const float* q, const float* k, const float* v, std::size_t tokens,
                    std::uint32_t heads, std::uint32_t head_dim, float scale);

}  // namespace engine::reference
