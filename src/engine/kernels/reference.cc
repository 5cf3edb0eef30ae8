#include "engine/kernels/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "engine/kernels/kv_layout.h"
#include "engine/kernels/page_rotations.h"
#include "engine/tensor/blocks.h"

namespace engine::reference {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752440;
constexpr double kSqrtTwoOverPi = 0.79788456080286535588;

/// Softmax weights of `scores` in place, in double.
void softmax(std::vector<double>& scores) {
    double highest = -std::numeric_limits<double>::infinity();
    for (const double s : scores) highest = std::max(highest, s);
    double sum = 0;
    for (double& s : scores) {
        s = std::exp(s - highest);
        sum += s;
    }
    for (double& s : scores) s /= sum;
}

/// One token's key or value of one head, where kv_layout.h says.
class CachedHead {
public:
    CachedHead(const KvLayerView& kv, bool keys, std::size_t head, std::size_t token,
               std::size_t dim)
        : layout_(kv_layout(kv, dim)), keys_(keys), token_(token % kv.page_tokens) {
        data_ =
            (keys ? kv.k_pages : kv.v_pages)[token / kv.page_tokens] + head * layout_.head_bytes();
    }
    std::size_t dim() const { return layout_.dim; }
    KvType type() const { return layout_.type; }
    std::uint16_t& half(std::size_t d) const { return at<std::uint16_t>(0, index(d)); }
    std::int8_t& code(std::size_t d) const { return at<std::int8_t>(0, index(d)); }
    float& scale(std::size_t d) const {
        return at<float>(layout_.scales_offset(), keys_ ? layout_.key_scale_at(token_, d)
                                                        : layout_.value_scale_at(token_, d));
    }
    float load(std::size_t d) const {
        switch (type()) {
            case KvType::f16:
                return f16_to_f32(half(d));
            case KvType::bf16:
                return bf16_to_f32(half(d));
            case KvType::q8:
                return code(d) * scale(d);
        }
        return 0.f;
    }

private:
    std::size_t index(std::size_t d) const {
        return keys_ ? layout_.key_at(token_, d) : layout_.value_at(token_, d);
    }
    template <class T>
    T& at(std::size_t offset, std::size_t index) const {
        return reinterpret_cast<T*>(data_ + offset)[index];
    }
    KvLayout layout_;
    bool keys_;
    std::size_t token_;
    std::byte* data_;
};

void store_head(const CachedHead& to, const float* from) {
    constexpr std::size_t kBlock = KvLayout::kScaleBlock;
    for (std::size_t d = 0; d < to.dim(); ++d) {
        if (to.type() == KvType::f16) to.half(d) = f32_to_f16(from[d]);
        if (to.type() == KvType::bf16) to.half(d) = f32_to_bf16(from[d]);
    }
    if (to.type() != KvType::q8) return;
    for (std::size_t first = 0; first < to.dim(); first += kBlock) {
        float block[kBlock] = {};
        std::int8_t codes[kBlock];
        std::copy_n(from + first, std::min(kBlock, to.dim() - first), block);
        quantize_block(block, codes, &to.scale(first));
        for (std::size_t i = 0; i < kBlock; ++i) to.code(first + i) = codes[i];
    }
}

/// Rotates a query by `pages` pages.
void turn(const PageRotations& rotations, std::size_t pages, float* query) {
    const std::size_t rot_dim = rotations.rot_dim(), half = rot_dim / 2;
    const std::vector<float> before(query, query + rot_dim);
    const float* a = rotations.at(pages);
    for (std::size_t i = 0; i < rot_dim; ++i) {
        const bool adjacent = rotations.pairing() == RopePairing::adjacent;
        const std::size_t partner = adjacent ? i ^ 1 : (i + half) % rot_dim;
        query[i] = before[i] * a[i] + before[partner] * a[rot_dim + i];
    }
}

}  // namespace

void matmul(const TensorView& w, const float* x, std::size_t rows, float* y, std::size_t y_stride) {
    const std::size_t in = w.dims[0];
    std::vector<float> weights(in);
    for (std::size_t o = 0; o < w.rows(); ++o) {
        engine::dequantize_row(w, o, weights.data());
        for (std::size_t r = 0; r < rows; ++r) {
            double sum = 0;
            for (std::size_t i = 0; i < in; ++i) {
                sum += static_cast<double>(x[r * in + i]) * static_cast<double>(weights[i]);
            }
            y[r * y_stride + o] = static_cast<float>(sum);
        }
    }
}

void quantize_block(const float* x, std::int8_t* q, float* scale) {
    float highest = 0.f;
    float poison = 0.f;
    for (int i = 0; i < 32; ++i) {
        highest = std::max(highest, std::fabs(x[i]));
        poison += x[i] * 0.f;
    }
    const bool usable = poison == 0.f && highest > 1e-30f;
    *scale = usable ? highest / 127.f : poison;
    for (int i = 0; i < 32; ++i) {
        const float scaled = usable ? x[i] * (127.f / highest) : 0.f;
        q[i] = static_cast<std::int8_t>(std::nearbyint(scaled));
    }
}

void round_trip(const float* x, std::size_t n, float* out) {
    for (std::size_t i = 0; i < n; i += 32) {
        std::int8_t q[32];
        float scale = 0.f;
        quantize_block(x + i, q, &scale);
        for (std::size_t k = 0; k < 32; ++k) out[i + k] = scale * static_cast<float>(q[k]);
    }
}

void matmul_all(std::span<const Product> products, std::span<const float* const> x,
                std::size_t rows) {
    for (std::size_t p = 0; p < products.size(); ++p) {
        const Product& product = products[p];
        const std::size_t in = product.w->dims[0], outs = product.w->rows();
        const std::size_t end = std::min(rows, product.first_row + std::min(rows, product.rows));
        for (std::size_t r = product.first_row; r < end; ++r) {
            std::vector<float> sums(outs), up(outs);
            matmul(*product.w, x[p] + r * in, 1, sums.data(), outs);
            if (product.up != nullptr) matmul(*product.up, x[p] + r * in, 1, up.data(), outs);
            for (std::size_t o = 0; o < outs; ++o) {
                float value = sums[o] + (product.bias != nullptr ? product.bias[o] : 0.f);
                if (product.up != nullptr) {
                    const float bias = product.up_bias != nullptr ? product.up_bias[o] : 0.f;
                    value = activation(product.f, value) * (up[o] + bias);
                }
                float& y = product.y[r * product.y_stride + o];
                y = product.add ? y + value : value;
            }
        }
    }
}

void choose_experts(std::span<ExpertChoice> out, const float* logits, std::size_t experts,
                    std::size_t used, bool normalise) {
    for (std::size_t r = 0; r < out.size() / used; ++r) {
        const float* row = logits + r * experts;
        double all = 0;
        for (std::size_t e = 0; e < experts; ++e) all += std::exp(static_cast<double>(row[e]));
        std::vector<std::uint32_t> order(experts);
        std::iota(order.begin(), order.end(), 0u);
        std::ranges::stable_sort(order, [&](auto a, auto b) { return row[a] > row[b]; });
        double kept = 0;
        for (std::size_t j = 0; j < used; ++j) kept += std::exp(static_cast<double>(row[order[j]]));
        for (std::size_t j = 0; j < used; ++j) {
            const double weight = std::exp(static_cast<double>(row[order[j]]));
            out[r * used + j] = {order[j], static_cast<float>(weight / (normalise ? kept : all))};
        }
    }
}

void add_weighted(float* y, std::span<const WeightedRow> terms, std::size_t per_row,
                  std::size_t dim) {
    for (std::size_t r = 0; r < terms.size() / per_row; ++r) {
        for (std::size_t d = 0; d < dim; ++d) {
            double sum = 0;
            for (const WeightedRow& term : terms.subspan(r * per_row, per_row)) {
                sum += static_cast<double>(term.weight) * static_cast<double>(term.row[d]);
            }
            y[r * dim + d] += static_cast<float>(sum);
        }
    }
}

void rms_norm(float* y, const float* x, const float* w, std::size_t rows, std::size_t dim,
              float eps) {
    for (std::size_t r = 0; r < rows; ++r, x += dim, y += dim) {
        double sum = 0;
        for (std::size_t d = 0; d < dim; ++d) sum += static_cast<double>(x[d]) * x[d];
        const double factor = 1.0 / std::sqrt(sum / static_cast<double>(dim) + eps);
        for (std::size_t d = 0; d < dim; ++d) {
            const double weight = w == nullptr ? 1.0 : w[d];
            y[d] = static_cast<float>(x[d] * factor * weight);
        }
    }
}

void layer_norm(float* y, const float* x, const float* w, const float* b, std::size_t rows,
                std::size_t dim, float eps) {
    for (std::size_t r = 0; r < rows; ++r, x += dim, y += dim) {
        double sum = 0;
        for (std::size_t d = 0; d < dim; ++d) sum += x[d];
        const double mean = sum / static_cast<double>(dim);
        double squares = 0;
        for (std::size_t d = 0; d < dim; ++d) squares += (x[d] - mean) * (x[d] - mean);
        const double factor = 1.0 / std::sqrt(squares / static_cast<double>(dim) + eps);
        for (std::size_t d = 0; d < dim; ++d) {
            const double bias = b == nullptr ? 0.0 : b[d];
            const double weight = w == nullptr ? 1.0 : w[d];
            y[d] = static_cast<float>((x[d] - mean) * factor * weight + bias);
        }
    }
}

void rope(float* x, std::size_t rows, std::size_t heads, std::size_t head_dim, std::size_t stride,
          std::size_t rot_dim, std::span<const float> inv_freq,
          std::span<const std::uint32_t> positions, RopePairing pairing, float magnitude) {
    const std::size_t half = rot_dim / 2;
    for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t h = 0; h < heads; ++h) {
            float* head = x + r * stride + h * head_dim;
            for (std::size_t i = 0; i < half; ++i) {
                const float angle = static_cast<float>(positions[r]) * inv_freq[i];
                const double c = std::cos(static_cast<double>(angle)) * magnitude;
                const double s = std::sin(static_cast<double>(angle)) * magnitude;
                float& a = pairing == RopePairing::adjacent ? head[2 * i] : head[i];
                float& b = pairing == RopePairing::adjacent ? head[2 * i + 1] : head[i + half];
                const double a0 = a, b0 = b;
                a = static_cast<float>(a0 * c - b0 * s);
                b = static_cast<float>(a0 * s + b0 * c);
            }
        }
    }
}

float activation(Activation f, float value) {
    const double x = value;
    switch (f) {
        case Activation::silu:
            return static_cast<float>(x / (1.0 + std::exp(-x)));
        case Activation::gelu_tanh:
            return static_cast<float>(
                0.5 * x * (1.0 + std::tanh(kSqrtTwoOverPi * (x + 0.044715 * x * x * x))));
        case Activation::gelu_erf:
            return static_cast<float>(0.5 * x * (1.0 + std::erf(x * kSqrtHalf)));
        case Activation::relu:
            return value < 0.f ? 0.f : value;
        case Activation::tanh:
            return static_cast<float>(std::tanh(x));
    }
    return value;
}

void gated(float* y, const float* gate, const float* up, std::size_t n, Activation f) {
    for (std::size_t i = 0; i < n; ++i) y[i] = activation(f, gate[i]) * up[i];
}

void activate(float* y, const float* x, std::size_t n, Activation f) {
    for (std::size_t i = 0; i < n; ++i) y[i] = activation(f, x[i]);
}

void soft_cap(float* x, std::size_t n, float cap) {
    for (std::size_t i = 0; i < n; ++i) x[i] = cap * std::tanh(x[i] / cap);
}

void kv_store(const KvLayerView& kv, std::uint32_t position, const float* k, const float* v,
              std::uint32_t kv_heads, std::uint32_t head_dim) {
    for (std::uint32_t head = 0; head < kv_heads; ++head) {
        store_head(CachedHead(kv, true, head, position, head_dim), k + head * head_dim);
        store_head(CachedHead(kv, false, head, position, head_dim), v + head * head_dim);
    }
}

void attention(float* out, std::size_t out_stride, const float* q, std::size_t q_stride,
               std::span<const AttentionRow> rows, const AttentionShape& shape) {
    const std::size_t dim = shape.head_dim;
    std::vector<double> scores, sum(dim);
    std::vector<float> query(dim);
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const KvLayerView& kv = *rows[r].kv;
        const std::size_t own_page = rows[r].position / kv.page_tokens;
        for (std::size_t h = 0; h < shape.heads; ++h) {
            const std::size_t kv_head = h * shape.kv_heads / shape.heads;
            scores.clear();
            for (std::size_t t = rows[r].first; t <= rows[r].position; ++t) {
                query.assign(q + r * q_stride + h * dim, q + r * q_stride + (h + 1) * dim);
                if (shape.rotations != nullptr) {
                    turn(*shape.rotations, own_page - t / kv.page_tokens, query.data());
                }
                const CachedHead key(kv, true, kv_head, t, dim);
                double dot = 0;
                for (std::size_t d = 0; d < dim; ++d) {
                    dot += static_cast<double>(query[d]) * static_cast<double>(key.load(d));
                }
                dot *= static_cast<double>(shape.scale);
                if (shape.soft_cap != 0.f) dot = shape.soft_cap * std::tanh(dot / shape.soft_cap);
                scores.push_back(dot);
            }
            softmax(scores);
            sum.assign(dim, 0.0);
            for (std::size_t i = 0; i < scores.size(); ++i) {
                const CachedHead value(kv, false, kv_head, rows[r].first + i, dim);
                for (std::size_t d = 0; d < dim; ++d) {
                    sum[d] += scores[i] * static_cast<double>(value.load(d));
                }
            }
            for (std::size_t d = 0; d < dim; ++d) {
                out[r * out_stride + h * dim + d] = static_cast<float>(sum[d]);
            }
        }
    }
}

void attention_full(float* out, const float* q, const float* k, const float* v, std::size_t tokens,
                    std::uint32_t heads, std::uint32_t head_dim, float scale) {
    const std::size_t stride = static_cast<std::size_t>(heads) * head_dim;
    std::vector<double> scores(tokens);
    for (std::size_t r = 0; r < tokens; ++r) {
        for (std::size_t h = 0; h < heads; ++h) {
            const std::size_t at = h * head_dim;
            for (std::size_t t = 0; t < tokens; ++t) {
                double dot = 0;
                for (std::size_t d = 0; d < head_dim; ++d) {
                    dot += static_cast<double>(q[r * stride + at + d]) * k[t * stride + at + d];
                }
                scores[t] = dot * scale;
            }
            softmax(scores);
            for (std::size_t d = 0; d < head_dim; ++d) {
                double sum = 0;
                for (std::size_t t = 0; t < tokens; ++t) {
                    sum += scores[t] * v[t * stride + at + d];
                }
                out[r * stride + at + d] = static_cast<float>(sum);
            }
        }
    }
}

}  // namespace engine::reference
