// Dot products with lanes along the inputs, several rows and outputs at a time: a weight vector is
// converted once for the rows of a tile, an activation vector is loaded once for its outputs. Each
// output has its own sums, so its value does not depend on the tile it is in.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/float_matmul.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "engine/kernels/float_matmul.h"
#include "engine/kernels/half-inl.h"

#ifndef DG_ENGINE_KERNELS_FLOAT_MATMUL_TYPES
#define DG_ENGINE_KERNELS_FLOAT_MATMUL_TYPES
namespace engine {
struct F16 {
    std::uint16_t bits;
};
struct BF16 {
    std::uint16_t bits;
};
}  // namespace engine
#endif  // DG_ENGINE_KERNELS_FLOAT_MATMUL_TYPES

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DFloat = hn::ScalableTag<float>;
using VFloat = hn::Vec<DFloat>;
constexpr std::size_t kFloatLanes = hn::MaxLanes(DFloat());
constexpr std::size_t kTileOuts = 4;
constexpr std::size_t kTileRows = HWY_TARGET == HWY_AVX3_DL ? 4 : 2;

HWY_INLINE VFloat LoadFloats(const float* p) {
    return hn::LoadU(DFloat(), p);
}
HWY_INLINE VFloat LoadFloats(const F16* p) {
    return LoadHalves(DFloat(), &p->bits);
}
HWY_INLINE VFloat LoadFloats(const BF16* p) {
    const hn::Rebind<std::uint16_t, DFloat> d16;
    const hn::RebindToUnsigned<DFloat> d32;
    return hn::BitCast(DFloat(), hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, &p->bits))));
}

/// The last count < kFloatLanes values, zeros after them.
template <class T>
HWY_INLINE VFloat LoadTail(const T* p, std::size_t count) {
    T padded[kFloatLanes];
    std::memset(static_cast<void*>(padded), 0, sizeof(padded));
    std::memcpy(static_cast<void*>(padded), static_cast<const void*>(p), count * sizeof(T));
    return LoadFloats(padded);
}

template <class W, std::size_t kRows, std::size_t kOuts>
HWY_INLINE void FloatTile(const W* w, const float* x, std::size_t in, float* y,
                          std::size_t y_stride) {
    const DFloat df;
    VFloat sum[kRows][kOuts];
#pragma GCC unroll 4
    for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (std::size_t o = 0; o < kOuts; ++o) sum[r][o] = hn::Zero(df);
    }
    std::size_t i = 0;
    for (; i + kFloatLanes <= in; i += kFloatLanes) {
        VFloat weights[kOuts];
#pragma GCC unroll 4
        for (std::size_t o = 0; o < kOuts; ++o) weights[o] = LoadFloats(w + o * in + i);
#pragma GCC unroll 4
        for (std::size_t r = 0; r < kRows; ++r) {
            const VFloat value = LoadFloats(x + r * in + i);
#pragma GCC unroll 4
            for (std::size_t o = 0; o < kOuts; ++o) {
                sum[r][o] = hn::MulAdd(weights[o], value, sum[r][o]);
            }
        }
    }
    for (std::size_t r = 0; r < kRows; ++r) {
        for (std::size_t o = 0; o < kOuts; ++o) {
            VFloat total = sum[r][o];
            if (i < in) {
                total = hn::MulAdd(LoadTail(w + o * in + i, in - i),
                                   LoadTail(x + r * in + i, in - i), total);
            }
            y[r * y_stride + o] = hn::GetLane(hn::SumOfLanes(df, total));
        }
    }
}

template <class W, std::size_t kRows>
void FloatRows(const FloatTask& task, std::size_t row) {
    const auto* w = reinterpret_cast<const W*>(task.weights);
    const float* x = task.x + row * task.in;
    float* y = task.y + row * task.y_stride;
    std::size_t o = task.first_out;
    for (; o + kTileOuts <= task.end_out; o += kTileOuts) {
        FloatTile<W, kRows, kTileOuts>(w + o * task.in, x, task.in, y + o, task.y_stride);
    }
    for (; o < task.end_out; ++o) {
        FloatTile<W, kRows, 1>(w + o * task.in, x, task.in, y + o, task.y_stride);
    }
}

template <class W>
void RunFloats(const FloatTask& task) {
    std::size_t row = 0;
    for (; row + kTileRows <= task.rows; row += kTileRows) FloatRows<W, kTileRows>(task, row);
    for (; row < task.rows; ++row) FloatRows<W, 1>(task, row);
}

void RunFloatTask(const FloatTask& task) {
    if (task.type == TensorType::f32) return RunFloats<float>(task);
    if (task.type == TensorType::f16) return RunFloats<F16>(task);
    return RunFloats<BF16>(task);
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {

HWY_EXPORT(RunFloatTask);

void float_matmul(const FloatTask& task) {
    HWY_DYNAMIC_DISPATCH(RunFloatTask)(task);
}

}  // namespace engine
#endif  // HWY_ONCE
