// Forwards to the plain loops until a faster version of a function exists.

#include "engine/kernels/kernels.h"

#include <vector>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/dequantize.h"
#include "engine/kernels/reference.h"

namespace engine {

struct Activations::Impl {
    const float* x = nullptr;
    std::size_t rows = 0, cols = 0;
};

Activations::Activations() : impl_(std::make_unique<Impl>()) {}
Activations::~Activations() = default;
Activations::Activations(Activations&&) noexcept = default;
Activations& Activations::operator=(Activations&&) noexcept = default;

void Activations::assign(const float* x, std::size_t rows, std::size_t cols) {
    impl_->x = x;
    impl_->rows = rows;
    impl_->cols = cols;
}

void matmul(base::ThreadPool& pool, const TensorView& w, Activations& x, float* y,
            std::size_t y_stride) {
    const Activations::Impl& in = x.impl();
    DG_CHECK(in.cols == w.dims[0], "activations must be as wide as the weight's inputs");
    constexpr std::size_t kOutsPerTask = 16;
    const std::size_t outs = w.rows();
    pool.run((outs + kOutsPerTask - 1) / kOutsPerTask, [&](std::size_t task, std::size_t) {
        std::vector<float> weights(in.cols);
        for (std::size_t o = task * kOutsPerTask; o < outs && o < (task + 1) * kOutsPerTask; ++o) {
            dequantize_row(w, o, weights.data());
            for (std::size_t r = 0; r < in.rows; ++r) {
                float sum = 0;
                for (std::size_t i = 0; i < in.cols; ++i) sum += in.x[r * in.cols + i] * weights[i];
                y[r * y_stride + o] = sum;
            }
        }
    });
}

void dequantize_row(const TensorView& w, std::size_t row, float* out) {
    dequantize(w.type, w.data + row * row_bytes(w.type, w.dims[0]), w.dims[0], out);
}

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
