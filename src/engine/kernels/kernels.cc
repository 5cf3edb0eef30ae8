// Forwards to the plain loops until a faster version of a function exists.

#include "engine/kernels/kernels.h"

#include <algorithm>
#include <vector>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/quantized_matmul.h"
#include "engine/kernels/reference.h"
#include "engine/tensor/quantize.h"

namespace engine {

void rms_norm(base::ThreadPool&, float* y, const float* x, const float* w, std::size_t rows,
              std::size_t dim, float eps) {
    reference::rms_norm(y, x, w, rows, dim, eps);
}

void layer_norm(base::ThreadPool&, float* y, const float* x, const float* w, const float* b,
                std::size_t rows, std::size_t dim, float eps) {
    reference::layer_norm(y, x, w, b, rows, dim, eps);
}

void rope(base::ThreadPool&, float* x, std::size_t rows, std::size_t heads, std::size_t head_dim,
          std::size_t stride, std::size_t rot_dim, std::span<const float> inv_freq,
          std::span<const std::uint32_t> positions, RopePairing pairing, float magnitude) {
    reference::rope(x, rows, heads, head_dim, stride, rot_dim, inv_freq, positions, pairing,
                    magnitude);
}

void gated(base::ThreadPool&, float* y, const float* gate, const float* up, std::size_t n,
           Activation f) {
    reference::gated(y, gate, up, n, f);
}

void activate(base::ThreadPool&, float* y, const float* x, std::size_t n, Activation f) {
    reference::activate(y, x, n, f);
}

void add(base::ThreadPool&, float* y, const float* x, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) y[i] += x[i];
}

void add_bias(base::ThreadPool&, float* y, const float* b, std::size_t rows, std::size_t dim) {
    for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t d = 0; d < dim; ++d) y[r * dim + d] += b[d];
    }
}

void scale(base::ThreadPool&, float* y, std::size_t n, float s) {
    for (std::size_t i = 0; i < n; ++i) y[i] *= s;
}

void soft_cap(base::ThreadPool&, float* x, std::size_t n, float cap) {
    reference::soft_cap(x, n, cap);
}

void kv_store(const KvLayerView& kv, std::uint32_t position, const float* k, const float* v,
              std::size_t kv_dim) {
    reference::kv_store(kv, position, k, v, kv_dim);
}

void attention(base::ThreadPool&, float* out, std::size_t out_stride, const float* q,
               std::size_t q_stride, std::span<const AttentionRow> rows,
               const AttentionShape& shape) {
    reference::attention(out, out_stride, q, q_stride, rows, shape);
}

void attention_full(base::ThreadPool&, float* out, const float* q, const float* k, const float* v,
                    std::size_t tokens, std::uint32_t heads, std::uint32_t head_dim, float scale) {
    reference::attention_full(out, q, k, v, tokens, heads, head_dim, scale);
}

const char* kernel_target_name() {
    return "scalar";
}

}  // namespace engine
