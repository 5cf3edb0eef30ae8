// Norms, rotary positions, activations and elementwise sums. All of them stream memory once, so
// work is cut for the pool only when there is enough to pay for waking it.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/vector_ops.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/exp-inl.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/quantized_matmul.h"

#ifndef DG_ENGINE_KERNELS_VECTOR_OPS_TYPES
#define DG_ENGINE_KERNELS_VECTOR_OPS_TYPES
namespace engine {

constexpr std::size_t kRopeDimMax = 1024;

/// One row's rotation: [rot_dim / 2] cosines and sines, times the magnitude.
struct Rotation {
    float cosines[kRopeDimMax / 2];
    float sines[kRopeDimMax / 2];
};

struct RopeShape {
    std::size_t heads, head_dim, half;
    RopePairing pairing;
    float magnitude;
};

}  // namespace engine
#endif  // DG_ENGINE_KERNELS_VECTOR_OPS_TYPES

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DO = hn::ScalableTag<float>;
using VO = hn::Vec<DO>;
constexpr std::size_t kOpLanes = hn::MaxLanes(DO());

HWY_INLINE VO LoadPart(const float* p, std::size_t count) {
    float padded[kOpLanes] = {};
    std::memcpy(padded, p, count * sizeof(float));
    return hn::LoadU(DO(), padded);
}

HWY_INLINE void StorePart(VO v, float* p, std::size_t count) {
    float padded[kOpLanes];
    hn::StoreU(v, DO(), padded);
    std::memcpy(p, padded, count * sizeof(float));
}

/// y[i] = f(a[i], b[i]) for whole vectors, then a zero-padded rest.
template <class F>
HWY_INLINE void Zip(float* y, const float* a, const float* b, std::size_t n, F f) {
    std::size_t i = 0;
    for (; i + kOpLanes <= n; i += kOpLanes) {
        hn::StoreU(f(hn::LoadU(DO(), a + i), hn::LoadU(DO(), b + i)), DO(), y + i);
    }
    if (i < n) StorePart(f(LoadPart(a + i, n - i), LoadPart(b + i, n - i)), y + i, n - i);
}

template <class F>
HWY_INLINE void Map(float* y, const float* x, std::size_t n, F f) {
    std::size_t i = 0;
    for (; i + kOpLanes <= n; i += kOpLanes) hn::StoreU(f(hn::LoadU(DO(), x + i)), DO(), y + i);
    if (i < n) StorePart(f(LoadPart(x + i, n - i)), y + i, n - i);
}

/// Sum of f(x[i]); f(0) counts for the padding, so it must be 0 there or be corrected by the
/// caller.
template <class F>
HWY_INLINE float SumOf(const float* x, std::size_t n, F f) {
    const DO d;
    VO sum0 = hn::Zero(d), sum1 = hn::Zero(d);
    std::size_t i = 0;
    for (; i + 2 * kOpLanes <= n; i += 2 * kOpLanes) {
        sum0 = hn::Add(sum0, f(hn::LoadU(d, x + i)));
        sum1 = hn::Add(sum1, f(hn::LoadU(d, x + i + kOpLanes)));
    }
    for (; i + kOpLanes <= n; i += kOpLanes) sum0 = hn::Add(sum0, f(hn::LoadU(d, x + i)));
    if (i < n) sum1 = hn::Add(sum1, f(LoadPart(x + i, n - i)));
    return hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
}

void RmsNormRow(float* y, const float* x, const float* w, std::size_t dim, float eps) {
    const float squares = SumOf(x, dim, [](VO v) HWY_ATTR { return hn::Mul(v, v); });
    const VO factor = hn::Set(DO(), 1.f / std::sqrt(squares / static_cast<float>(dim) + eps));
    if (w == nullptr) return Map(y, x, dim, [&](VO v) HWY_ATTR { return hn::Mul(v, factor); });
    Zip(y, x, w, dim,
        [&](VO v, VO weight) HWY_ATTR { return hn::Mul(hn::Mul(v, factor), weight); });
}

void LayerNormRow(float* y, const float* x, const float* w, const float* b, std::size_t dim,
                  float eps) {
    const auto n = static_cast<float>(dim);
    const float mean_value = SumOf(x, dim, [](VO v) HWY_ATTR { return v; }) / n;
    const VO mean = hn::Set(DO(), mean_value);
    float squares = SumOf(x, dim, [&](VO v) HWY_ATTR {
        const VO centred = hn::Sub(v, mean);
        return hn::Mul(centred, centred);
    });
    if (const std::size_t rest = dim % kOpLanes; rest != 0) {  // padding lanes added mean^2 each
        squares -= static_cast<float>(kOpLanes - rest) * mean_value * mean_value;
    }
    const VO factor = hn::Set(DO(), 1.f / std::sqrt(squares / n + eps));
    const auto normed = [&](VO v) HWY_ATTR { return hn::Mul(hn::Sub(v, mean), factor); };
    if (w == nullptr) {
        Map(y, x, dim, normed);
    } else {
        Zip(y, x, w, dim, [&](VO v, VO weight) HWY_ATTR { return hn::Mul(normed(v), weight); });
    }
    if (b != nullptr) Zip(y, y, b, dim, [](VO v, VO bias) HWY_ATTR { return hn::Add(v, bias); });
}

HWY_INLINE VO Sigmoid(VO x) {
    const VO one = hn::Set(DO(), 1.f);
    return hn::Div(one, hn::Add(one, FastExp(DO(), hn::Neg(x))));
}

/// 0.5 * erfc(|x| / sqrt 2) by Abramowitz and Stegun 7.1.26, absolute error < 1e-7.
HWY_INLINE VO NormalTail(VO x) {
    const DO d;
    const VO z = hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678f));
    const VO t = hn::Div(hn::Set(d, 1.f), hn::MulAdd(z, hn::Set(d, 0.3275911f), hn::Set(d, 1.f)));
    VO p = hn::Set(d, 1.061405429f);
    p = hn::MulAdd(p, t, hn::Set(d, -1.453152027f));
    p = hn::MulAdd(p, t, hn::Set(d, 1.421413741f));
    p = hn::MulAdd(p, t, hn::Set(d, -0.284496736f));
    p = hn::MulAdd(p, t, hn::Set(d, 0.254829592f));
    const VO e = FastExp(d, hn::Neg(hn::Mul(z, z)));
    return hn::Mul(hn::Mul(hn::Mul(p, t), e), hn::Set(d, 0.5f));
}

HWY_INLINE VO GeluErf(VO x) {
    const VO tail = NormalTail(x);
    const VO below =
        hn::IfThenElse(hn::Lt(x, hn::Zero(DO())), tail, hn::Sub(hn::Set(DO(), 1.f), tail));
    return hn::Mul(x, below);
}

HWY_INLINE VO GeluTanh(VO x) {
    const DO d;
    const VO cubic = hn::MulAdd(hn::Mul(hn::Mul(x, x), x), hn::Set(d, 0.044715f), x);
    return hn::Mul(x, Sigmoid(hn::Mul(cubic, hn::Set(d, 2.f * 0.79788456f))));
}

HWY_INLINE VO Relu(VO x) {
    return hn::IfThenElse(hn::Lt(x, hn::Zero(DO())), hn::Zero(DO()), x);  // keeps NaN
}

/// Calls use(f) with f the vector form of `a`.
template <class Use>
HWY_INLINE void WithActivation(Activation a, Use use) {
    switch (a) {
        case Activation::silu:
            return use([](VO x) HWY_ATTR { return hn::Mul(x, Sigmoid(x)); });
        case Activation::gelu_tanh:
            return use([](VO x) HWY_ATTR { return GeluTanh(x); });
        case Activation::gelu_erf:
            return use([](VO x) HWY_ATTR { return GeluErf(x); });
        case Activation::relu:
            return use([](VO x) HWY_ATTR { return Relu(x); });
        case Activation::tanh:
            return use([](VO x) HWY_ATTR { return FastTanh(DO(), x); });
    }
}

void Gated(float* y, const float* gate, const float* up, std::size_t n, Activation a) {
    WithActivation(a, [&](auto f) HWY_ATTR {
        Zip(y, gate, up, n, [&](VO g, VO u) HWY_ATTR { return hn::Mul(f(g), u); });
    });
}

/// `finish(gate sum, up sum)` of every output, or of the first `outs` of 16.
template <class F>
HWY_INLINE void StorePanelWith(const PanelStore& s, F finish) {
    const DO d;
    for (std::size_t o = 0; o < s.outs; o += kOpLanes) {
        const std::size_t count = std::min(kOpLanes, s.outs - o);
        const VO bias = s.bias != nullptr ? LoadPart(s.bias + o, count) : hn::Zero(d);
        const VO up_bias = s.up_bias != nullptr ? LoadPart(s.up_bias + o, count) : hn::Zero(d);
        for (std::size_t r = 0; r < s.rows; ++r) {
            VO v = hn::LoadU(d, s.sums + r * kPanelOuts + o);
            if (s.bias != nullptr) v = hn::Add(v, bias);
            if (s.up_sums != nullptr) {
                VO up = hn::LoadU(d, s.up_sums + r * kPanelOuts + o);
                if (s.up_bias != nullptr) up = hn::Add(up, up_bias);
                v = finish(v, up);
            }
            float* y = s.y + r * s.y_stride + o;
            if (count == kOpLanes) {
                hn::StoreU(s.add ? hn::Add(hn::LoadU(d, y), v) : v, d, y);
            } else {
                StorePart(s.add ? hn::Add(LoadPart(y, count), v) : v, y, count);
            }
        }
    }
}

void StorePanel(const PanelStore& store) {
    if (store.up_sums == nullptr) {
        return StorePanelWith(store, [](VO v, VO) HWY_ATTR { return v; });
    }
    WithActivation(store.f, [&](auto f) HWY_ATTR {
        StorePanelWith(store, [&](VO gate, VO up) HWY_ATTR { return hn::Mul(f(gate), up); });
    });
}

void Activate(float* y, const float* x, std::size_t n, Activation a) {
    WithActivation(a, [&](auto f) HWY_ATTR { Map(y, x, n, f); });
}

void AddTo(float* y, const float* x, std::size_t n) {
    Zip(y, y, x, n, [](VO a, VO b) HWY_ATTR { return hn::Add(a, b); });
}

void AddWeightedRow(float* y, const WeightedRow* terms, std::size_t count, std::size_t dim) {
    const DO d;
    const auto sum_at = [&](std::size_t i, auto load) HWY_ATTR {
        VO sum = hn::Mul(hn::Set(d, terms[0].weight), load(terms[0].row + i));
        for (std::size_t j = 1; j < count; ++j) {
            sum = hn::MulAdd(hn::Set(d, terms[j].weight), load(terms[j].row + i), sum);
        }
        return sum;
    };
    std::size_t i = 0;
    for (; i + kOpLanes <= dim; i += kOpLanes) {
        const VO sum = sum_at(i, [&](const float* p) HWY_ATTR { return hn::LoadU(d, p); });
        hn::StoreU(hn::Add(hn::LoadU(d, y + i), sum), d, y + i);
    }
    if (i == dim) return;
    const VO sum = sum_at(i, [&](const float* p) HWY_ATTR { return LoadPart(p, dim - i); });
    StorePart(hn::Add(LoadPart(y + i, dim - i), sum), y + i, dim - i);
}

void ScaleBy(float* y, std::size_t n, float s) {
    const VO factor = hn::Set(DO(), s);
    Map(y, y, n, [&](VO v) HWY_ATTR { return hn::Mul(v, factor); });
}

void SoftCap(float* x, std::size_t n, float cap) {
    const VO limit = hn::Set(DO(), cap);
    Map(x, x, n, [&](VO v) HWY_ATTR { return hn::Mul(limit, FastTanh(DO(), hn::Div(v, limit))); });
}

/// Fills the rotation of one position.
void Rotate(const float* inv_freq, std::size_t half, float position, float magnitude,
            Rotation& out) {
    constexpr float kVectorAngleMax = 39000.f;  // the range Highway states for its Sin and Cos
    const DO d;
    float widest = 0.f;
    for (std::size_t i = 0; i < half; ++i) widest = std::max(widest, std::fabs(inv_freq[i]));
    if (position * widest >= kVectorAngleMax) {
        for (std::size_t i = 0; i < half; ++i) {
            out.cosines[i] = magnitude * std::cos(position * inv_freq[i]);
            out.sines[i] = magnitude * std::sin(position * inv_freq[i]);
        }
        return;
    }
    const VO at = hn::Set(d, position), size = hn::Set(d, magnitude);
    Map(out.cosines, inv_freq, half,
        [&](VO f) HWY_ATTR { return hn::Mul(size, hn::Cos(d, hn::Mul(at, f))); });
    Map(out.sines, inv_freq, half,
        [&](VO f) HWY_ATTR { return hn::Mul(size, hn::Sin(d, hn::Mul(at, f))); });
}

HWY_INLINE void RotatePair(float& a, float& b, float c, float s) {
    const float a0 = a, b0 = b;
    a = a0 * c - b0 * s;
    b = a0 * s + b0 * c;
}

void RotateHalves(float* head, const Rotation& rotation, std::size_t half) {
    const DO d;
    std::size_t i = 0;
    for (; i + kOpLanes <= half; i += kOpLanes) {
        const VO a = hn::LoadU(d, head + i), b = hn::LoadU(d, head + half + i);
        const VO c = hn::LoadU(d, rotation.cosines + i), s = hn::LoadU(d, rotation.sines + i);
        hn::StoreU(hn::NegMulAdd(b, s, hn::Mul(a, c)), d, head + i);
        hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, head + half + i);
    }
    for (; i < half; ++i) {
        RotatePair(head[i], head[half + i], rotation.cosines[i], rotation.sines[i]);
    }
}

void RotateAdjacent(float* head, const Rotation& rotation, std::size_t half) {
    const DO d;
    std::size_t i = 0;
    for (; i + kOpLanes <= half; i += kOpLanes) {
        VO a, b;
        hn::LoadInterleaved2(d, head + 2 * i, a, b);
        const VO c = hn::LoadU(d, rotation.cosines + i), s = hn::LoadU(d, rotation.sines + i);
        const VO turned_a = hn::NegMulAdd(b, s, hn::Mul(a, c));
        const VO turned_b = hn::MulAdd(a, s, hn::Mul(b, c));
        hn::StoreInterleaved2(turned_a, turned_b, d, head + 2 * i);
    }
    for (; i < half; ++i) {
        RotatePair(head[2 * i], head[2 * i + 1], rotation.cosines[i], rotation.sines[i]);
    }
}

void RopeRow(float* row, const RopeShape& shape, const float* inv_freq, std::uint32_t position) {
    Rotation rotation;
    Rotate(inv_freq, shape.half, static_cast<float>(position), shape.magnitude, rotation);
    for (std::size_t h = 0; h < shape.heads; ++h) {
        float* head = row + h * shape.head_dim;
        if (shape.pairing == RopePairing::adjacent) {
            RotateAdjacent(head, rotation, shape.half);
        } else {
            RotateHalves(head, rotation, shape.half);
        }
    }
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {
namespace {

HWY_EXPORT(RmsNormRow);
HWY_EXPORT(LayerNormRow);
HWY_EXPORT(Gated);
HWY_EXPORT(Activate);
HWY_EXPORT(StorePanel);
HWY_EXPORT(AddTo);
HWY_EXPORT(AddWeightedRow);
HWY_EXPORT(ScaleBy);
HWY_EXPORT(SoftCap);
HWY_EXPORT(RopeRow);

/// Values per task: some microseconds of work.
constexpr std::size_t kTaskValues = 16 * 1024;

/// f(first, count) over runs of [0, n) of about kTaskValues values each.
template <class F>
void by_values(base::ThreadPool& pool, std::size_t n, F f) {
    pool.run((n + kTaskValues - 1) / kTaskValues, [&](std::size_t task, std::size_t) {
        const std::size_t first = task * kTaskValues;
        f(first, std::min(kTaskValues, n - first));
    });
}

/// f(row) for all rows of `dim` values.
template <class F>
void by_rows(base::ThreadPool& pool, std::size_t rows, std::size_t dim, F f) {
    const std::size_t per_task =
        std::max<std::size_t>(1, kTaskValues / std::max<std::size_t>(1, dim));
    pool.run((rows + per_task - 1) / per_task, [&](std::size_t task, std::size_t) {
        const std::size_t end = std::min(rows, (task + 1) * per_task);
        for (std::size_t row = task * per_task; row < end; ++row) f(row);
    });
}

}  // namespace

void rms_norm(base::ThreadPool& pool, float* y, const float* x, const float* w, std::size_t rows,
              std::size_t dim, float eps) {
    by_rows(pool, rows, dim, [&](std::size_t r) {
        HWY_DYNAMIC_DISPATCH(RmsNormRow)(y + r * dim, x + r * dim, w, dim, eps);
    });
}

void layer_norm(base::ThreadPool& pool, float* y, const float* x, const float* w, const float* b,
                std::size_t rows, std::size_t dim, float eps) {
    by_rows(pool, rows, dim, [&](std::size_t r) {
        HWY_DYNAMIC_DISPATCH(LayerNormRow)(y + r * dim, x + r * dim, w, b, dim, eps);
    });
}

void rope(base::ThreadPool& pool, float* x, std::size_t rows, std::size_t heads,
          std::size_t head_dim, std::size_t stride, std::size_t rot_dim,
          std::span<const float> inv_freq, std::span<const std::uint32_t> positions,
          RopePairing pairing, float magnitude) {
    DG_CHECK(rot_dim <= kRopeDimMax && rot_dim <= head_dim && inv_freq.size() >= rot_dim / 2,
             "rope rotates at most a head, of at most 1024 values");
    const RopeShape shape{heads, head_dim, rot_dim / 2, pairing, magnitude};
    by_rows(pool, rows, heads * head_dim, [&](std::size_t r) {
        HWY_DYNAMIC_DISPATCH(RopeRow)(x + r * stride, shape, inv_freq.data(), positions[r]);
    });
}

void gated(base::ThreadPool& pool, float* y, const float* gate, const float* up, std::size_t n,
           Activation f) {
    by_values(pool, n, [&](std::size_t i, std::size_t count) {
        HWY_DYNAMIC_DISPATCH(Gated)(y + i, gate + i, up + i, count, f);
    });
}

void store_panel(const PanelStore& store) {
    HWY_DYNAMIC_DISPATCH(StorePanel)(store);
}

void activate(base::ThreadPool& pool, float* y, const float* x, std::size_t n, Activation f) {
    by_values(pool, n, [&](std::size_t i, std::size_t count) {
        HWY_DYNAMIC_DISPATCH(Activate)(y + i, x + i, count, f);
    });
}

void add(base::ThreadPool& pool, float* y, const float* x, std::size_t n) {
    by_values(pool, n, [&](std::size_t i, std::size_t count) {
        HWY_DYNAMIC_DISPATCH(AddTo)(y + i, x + i, count);
    });
}

void add_weighted(base::ThreadPool& pool, float* y, std::span<const WeightedRow> terms,
                  std::size_t per_row, std::size_t dim) {
    by_rows(pool, terms.size() / per_row, dim, [&](std::size_t r) {
        HWY_DYNAMIC_DISPATCH(AddWeightedRow)(y + r * dim, &terms[r * per_row], per_row, dim);
    });
}

void add_bias(base::ThreadPool& pool, float* y, const float* b, std::size_t rows, std::size_t dim) {
    by_rows(pool, rows, dim, [&](std::size_t r) {
        HWY_DYNAMIC_DISPATCH(AddTo)(y + r * dim, b, dim);
    });
}

void scale(base::ThreadPool& pool, float* y, std::size_t n, float s) {
    by_values(pool, n, [&](std::size_t i, std::size_t count) {
        HWY_DYNAMIC_DISPATCH(ScaleBy)(y + i, count, s);
    });
}

void soft_cap(base::ThreadPool& pool, float* x, std::size_t n, float cap) {
    by_values(pool, n, [&](std::size_t i, std::size_t count) {
        HWY_DYNAMIC_DISPATCH(SoftCap)(x + i, count, cap);
    });
}

}  // namespace engine
#endif  // HWY_ONCE
