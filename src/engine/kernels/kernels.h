#pragma once
// The CPU operator set: everything a graph may ask of the machine. Fast versions are compiled once
// per instruction set (Highway) and chosen at run time; `reference.h` has the plain loops that
// referee them. All arrays are row-major float32 unless the name says otherwise; every function
// splits its work over `pool` and returns when it is done. Call from one thread per pool.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/kernels/kv_type.h"
#include "engine/tensor/tensor_view.h"

namespace base {
class ThreadPool;
}

namespace engine {

class PageRotations;

/// Activation rows, kept beside the quantised forms that weight types want. A form is made on first
/// use and shared by all products of the same input (Q, K and V read one quantisation).
class Activations {
public:
    Activations();
    ~Activations();
    Activations(Activations&&) noexcept;
    Activations& operator=(Activations&&) noexcept;

    /// Refers to x [rows, cols] until the next assign; drops earlier forms. Buffers are reused.
    void assign(const float* x, std::size_t rows, std::size_t cols);
    /// Row i is row rows[i] of `from`, whose forms are made once and copied: an expert's rows of a
    /// batch. `from` and `rows` stay as they are until the next assign of either.
    void assign_rows(Activations& from, std::span<const std::uint32_t> rows);

    struct Impl;
    Impl& impl() { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

/// y[r, o] = sum_i x[r, i] * w[o, i].  w: dims {in, out}, any TensorType, used in place.
///   x: assigned with cols == in;  y: [rows, y_stride], y_stride >= out.
/// Products of 8-bit quantised activations for quantised w (error as llama.cpp's Q8 forms), f32
/// accumulation for F32/F16/BF16. A row's result does not depend on how many rows come along.
void matmul(base::ThreadPool& pool, const TensorView& w, Activations& x, float* y,
            std::size_t y_stride);

enum class Activation { silu, gelu_tanh, gelu_erf, relu, tanh };

/// One of several products that run as one loop, with what follows it while its sums are at hand:
///   s[r, o] = sum_i x[r, i] * w[o, i] + bias[o]
///   s[r, o] = f(s[r, o]) * (sum_i x[r, i] * up[o, i] + up_bias[o])   with `up`: SwiGLU, GeGLU
///   y[r, o] = s[r, o], or y[r, o] + s[r, o] with `add`
struct Product {
    const TensorView* w = nullptr;
    Activations* x = nullptr;     ///< may be shared by products
    const float* bias = nullptr;  ///< null: none
    float* y = nullptr;           ///< belongs to row 0 of x
    std::size_t y_stride = 0;
    std::size_t first_row = 0, rows = SIZE_MAX;  ///< of x and y; cut to those that x has
    const TensorView* up = nullptr;              ///< of w's shape; null: none
    const float* up_bias = nullptr;
    Activation f = Activation::silu;
    bool add = false;
};
/// All of `products`, whose y do not overlap. Each as `matmul` would compute it, bit for bit.
void matmul_all(base::ThreadPool& pool, std::span<const Product> products);

/// out[0..cols) = row `row` of w, as float. Embedding look-up.
void dequantize_row(const TensorView& w, std::size_t row, float* out);

/// y[r, d] = x[r, d] * scale * w[d], scale = 1 / sqrt(mean_d(x^2) + eps). x and y may be the same.
/// w null means all ones. Zhang and Sennrich 2019, eq. 4.
void rms_norm(base::ThreadPool& pool, float* y, const float* x, const float* w, std::size_t rows,
              std::size_t dim, float eps);
/// y = (x - mean) / sqrt(var + eps) * w + b, by row. b null means none. Ba et al. 2016.
void layer_norm(base::ThreadPool& pool, float* y, const float* x, const float* w, const float* b,
                std::size_t rows, std::size_t dim, float eps);

/// How the two halves of a rotated pair lie in a head: adjacent (llama) or dim/2 apart (NEOX).
enum class RopePairing { adjacent, halves };
/// Rotates heads in place. x: [rows, heads, head_dim] with row stride `stride` floats; row r is at
/// position positions[r]. inv_freq: [rot_dim / 2] radians per position with all scaling variants
/// (linear, NTK, YaRN, llama3) already folded in; magnitude multiplies both outputs (YaRN).
void rope(base::ThreadPool& pool, float* x, std::size_t rows, std::size_t heads,
          std::size_t head_dim, std::size_t stride, std::size_t rot_dim,
          std::span<const float> inv_freq, std::span<const std::uint32_t> positions,
          RopePairing pairing, float magnitude);

/// y[i] = f(gate[i]) * up[i]; gate and y may be the same. SwiGLU, GeGLU.
void gated(base::ThreadPool& pool, float* y, const float* gate, const float* up, std::size_t n,
           Activation f);
/// One of a row's experts and what its output counts.
struct ExpertChoice {
    std::uint32_t expert = 0;
    float weight = 0.f;
};
/// For each row of logits [rows, experts] the `used` experts of highest softmax, highest first, the
/// lower number first among equals. `normalise`: their weights sum to 1. out: [rows, used].
void choose_experts(base::ThreadPool& pool, std::span<ExpertChoice> out, const float* logits,
                    std::size_t experts, std::size_t used, bool normalise);

struct WeightedRow {
    const float* row = nullptr;
    float weight = 0.f;
};
/// y[r, :] += sum_j terms[r * per_row + j].weight * terms[..].row[:], in order of j.
void add_weighted(base::ThreadPool& pool, float* y, std::span<const WeightedRow> terms,
                  std::size_t per_row, std::size_t dim);

/// y[i] = f(x[i]); may be in place.
void activate(base::ThreadPool& pool, float* y, const float* x, std::size_t n, Activation f);
/// y[i] += x[i].
void add(base::ThreadPool& pool, float* y, const float* x, std::size_t n);
/// y[r, :] += b for every row.
void add_bias(base::ThreadPool& pool, float* y, const float* b, std::size_t rows, std::size_t dim);
/// y[i] *= s.
void scale(base::ThreadPool& pool, float* y, std::size_t n, float s);
/// x[i] = cap * tanh(x[i] / cap). Gemma's soft cap.
void soft_cap(base::ThreadPool& pool, float* x, std::size_t n, float cap);

/// One sequence's cached keys and values for one layer, as pages of `page_tokens` positions: page p
/// holds positions [p * page_tokens, ...). What a page looks like inside is the business of
/// kv_store and attention; to others it is kv_plane_bytes() bytes that may be copied as a whole.
struct KvLayerView {
    std::span<std::byte* const> k_pages;
    std::span<std::byte* const> v_pages;
    std::uint32_t page_tokens = 0;
    KvType type = KvType::f16;
};

/// Bytes of the keys (or of the values) of `page_tokens` positions of one layer.
/// Best with page_tokens and head_dim in multiples of 32; rows are padded otherwise.
std::size_t kv_plane_bytes(KvType type, std::uint32_t page_tokens, std::uint32_t kv_heads,
                           std::uint32_t head_dim);

/// Writes a token's K and V, each [kv_heads, head_dim], at `position` into pages.
void kv_store(const KvLayerView& kv, std::uint32_t position, const float* k, const float* v,
              std::uint32_t kv_heads, std::uint32_t head_dim);

struct AttentionRow {
    const KvLayerView* kv = nullptr;  ///< the cache of this row's sequence, this layer
    std::uint32_t position = 0;       ///< attends to positions [first, position]
    std::uint32_t first = 0;          ///< > 0 under a sliding window
};
struct AttentionShape {
    std::uint32_t heads = 0;
    std::uint32_t kv_heads = 0;  ///< divides heads; query head h reads kv head h * kv_heads / heads
    std::uint32_t head_dim = 0;
    float scale = 0.f;     ///< usually 1 / sqrt(head_dim)
    float soft_cap = 0.f;  ///< 0: none
    /// Queries and cached keys are rotated by position % page_tokens, and this turns them by the
    /// pages between them (page_rotations.h). Covers the pages up to the last row's. Null: nothing
    /// is left to rotate.
    const PageRotations* rotations = nullptr;
};

/// Buffers that attention works in, kept from call to call.
class AttentionScratch {
public:
    AttentionScratch();
    ~AttentionScratch();
    AttentionScratch(const AttentionScratch&) = delete;
    AttentionScratch& operator=(const AttentionScratch&) = delete;

    struct Impl;
    Impl& impl() { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

/// Causal softmax attention over paged KV, f32 accumulation. q, out: [rows, heads * head_dim] with
/// row strides in floats. Rows may belong to different sequences. Against 8-bit keys queries are
/// rounded to 8 bits too.
void attention(base::ThreadPool& pool, float* out, std::size_t out_stride, const float* q,
               std::size_t q_stride, std::span<const AttentionRow> rows,
               const AttentionShape& shape, AttentionScratch& scratch);

/// Bidirectional attention without a cache (encoders). q, k, v, out: [tokens, heads * head_dim].
void attention_full(base::ThreadPool& pool, float* out, const float* q, const float* k,
                    const float* v, std::size_t tokens, std::uint32_t heads, std::uint32_t head_dim,
                    float scale, AttentionScratch& scratch);

/// Name of the instruction set in use, as Highway names it ("AVX3_ZEN4"); shown by `dougong
/// version`.
const char* kernel_target_name();

}  // namespace engine
