// Panels of F32, F16 and BF16 weights: 16 outputs side by side, one vector of weights per input,
// times one activation broadcast. Stored weights are transposed a chunk at a time, packed ones lie
// so already. An output is the sum over blocks of 64 inputs, in order, of each block's own sum, in
// order of its inputs: a rule that tiles of few rows can follow with several blocks at once (one
// sum waits for itself), and that makes a value independent of its tile and of the weights' form.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/float_matmul.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "engine/kernels/float_matmul.h"
#include "engine/kernels/packed_layout.h"
#include "engine/kernels/panel_layout-inl.h"

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

#if HWY_TARGET == HWY_SCALAR

PanelKernel ChooseFloatKernel(TensorType, bool) {
    return nullptr;
}
std::size_t FloatPanelStreams() {
    return 1;
}

#else

/// Inputs applied to all rows of a task before the next: weights and a tile's activations fit L1.
constexpr std::size_t kFloatChunk = 256;
constexpr std::size_t kFloatBlock = 64;
static_assert(kFloatChunk * kVectorBytes <= kPanelScratchBytes);

/// Rows per register tile: as many sums as leave registers for a panel's weights.
constexpr std::size_t kFloatRows = DG_SMALL_TILES ? 2 : kParts == 1 ? 12 : kParts == 2 ? 6 : 3;

HWY_INLINE VF32 LoadWeights(const float* p) {
    return hn::LoadU(DF32(), p);
}
HWY_INLINE VF32 LoadWeights(const F16* p) {
    return LoadHalves(DF32(), &p->bits);
}
HWY_INLINE VF32 LoadWeights(const BF16* p) {
    const hn::Rebind<std::uint16_t, DF32> d16;
    return hn::BitCast(DF32(), hn::ShiftLeft<16>(hn::PromoteTo(DU32(), hn::LoadU(d16, &p->bits))));
}

/// A source of weights: those of 16 outputs for input i.
template <class T>
struct FloatPanel {
    const T* panel;
    static constexpr std::size_t kAheadInputs = 8192 / (kPanel * sizeof(T));

    HWY_INLINE VF32 weights(std::size_t i, std::size_t part) const {
        return LoadWeights(panel + i * kPanel + part * kLanes);
    }
    HWY_INLINE void prefetch(std::size_t i) const {
        hwy::Prefetch(panel + (i + kAheadInputs) * kPanel);
    }
};

/// A run of inputs of one panel, the activations it meets and where its sums go.
template <class T>
struct FloatBlock {
    FloatPanel<T> source;
    const float* x;
    float* sums;
};

/// For each of kBlocks blocks, in order: its sums[r * 16 + o] += sum over its `count` inputs, for
/// kRows rows of x.
template <std::size_t kRows, std::size_t kBlocks, class T>
HWY_NOINLINE void FloatTile(const FloatBlock<T> (&block)[kBlocks], std::size_t count,
                            std::size_t cols) {
    const DF32 df;
    VF32 total[kBlocks][kRows][kParts];
#pragma GCC unroll 4
    for (std::size_t b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 12
        for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
            for (std::size_t part = 0; part < kParts; ++part) total[b][r][part] = hn::Zero(df);
        }
    }
    for (std::size_t i = 0; i < count; ++i) {
#pragma GCC unroll 4
        for (std::size_t b = 0; b < kBlocks; ++b) {
            block[b].source.prefetch(i);
            VF32 w[kParts];
#pragma GCC unroll 4
            for (std::size_t part = 0; part < kParts; ++part) {
                w[part] = block[b].source.weights(i, part);
            }
#pragma GCC unroll 12
            for (std::size_t r = 0; r < kRows; ++r) {
                const VF32 value = hn::Set(df, block[b].x[r * cols + i]);
#pragma GCC unroll 4
                for (std::size_t part = 0; part < kParts; ++part) {
                    total[b][r][part] = hn::MulAdd(w[part], value, total[b][r][part]);
                }
            }
        }
    }
#pragma GCC unroll 4
    for (std::size_t b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 12
        for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
            for (std::size_t part = 0; part < kParts; ++part) {
                float* at = block[b].sums + r * kPanel + part * kLanes;
                hn::StoreU(hn::Add(hn::LoadU(df, at), total[b][r][part]), df, at);
            }
        }
    }
}

/// FloatTile over all blocks of `count` inputs.
template <std::size_t kRows, class T>
HWY_INLINE void FloatBlocks(FloatPanel<T> source, std::size_t count, const float* x,
                            std::size_t cols, float* sums) {
    constexpr std::size_t kVectors = kRows * kParts;
    constexpr std::size_t kBlocks = DG_SMALL_TILES ? 1 : kVectors <= 2 ? 4 : kVectors <= 4 ? 2 : 1;
    const auto block = [&](std::size_t i) {
        return FloatBlock<T>{{source.panel + i * kPanel}, x + i, sums};
    };
    std::size_t i = 0;
    if constexpr (kBlocks > 1) {
        for (; i + kBlocks * kFloatBlock <= count; i += kBlocks * kFloatBlock) {
            FloatBlock<T> blocks[kBlocks];
            for (std::size_t b = 0; b < kBlocks; ++b) blocks[b] = block(i + b * kFloatBlock);
            FloatTile<kRows>(blocks, kFloatBlock, cols);
        }
    }
    for (; i < count; i += kFloatBlock) {
        const FloatBlock<T> one[1] = {block(i)};
        FloatTile<kRows>(one, std::min(kFloatBlock, count - i), cols);
    }
}

/// One row waits for memory. Reading it in several places at once, line by line, keeps more of it
/// busy than one stream does: with two threads of an EPYC of family 25, 22 GB/s instead of 16.
constexpr std::size_t kStreams = HWY_TARGET == HWY_AVX2 && !DG_SMALL_TILES ? 4 : 1;

std::size_t FloatPanelStreams() {
    return kStreams;
}

/// One row over kStreams distant panels.
template <class T>
void RunFloatStreams(const PanelTask& task, const T* panel) {
    const std::size_t inputs = task.w->dims[0];
    const float* x = task.floats + task.first_row * inputs;
    constexpr std::size_t kSums = kPanelSumsBytes / sizeof(float);
    for (std::size_t p = 0; p < kStreams; ++p) std::fill_n(task.sums + p * kSums, kPanel, 0.f);
    for (std::size_t i = 0; i < inputs; i += kFloatBlock) {
        FloatBlock<T> blocks[kStreams];
        for (std::size_t p = 0; p < kStreams; ++p) {
            const T* at = panel + (p * task.panel_step * inputs + i) * kPanel;
            blocks[p] = {{at}, x + i, task.sums + p * kSums};
        }
        FloatTile<1>(blocks, std::min(kFloatBlock, inputs - i), inputs);
    }
}

/// FloatBlocks over all rows of the task, for inputs [first, first + count).
template <class T>
void FloatRows(const PanelTask& task, FloatPanel<T> source, std::size_t first, std::size_t count) {
    const std::size_t cols = task.w->dims[0];
    const float* x = task.floats + task.first_row * cols + first;
    std::size_t r = 0;
    const auto tile = [&](auto size) {
        constexpr std::size_t kRows = decltype(size)::value;
        for (; r + kRows <= task.rows; r += kRows) {
            FloatBlocks<kRows>(source, count, x + r * cols, cols, task.sums + r * kPanel);
        }
    };
    tile(std::integral_constant<std::size_t, kFloatRows>());
    if constexpr (kFloatRows > 8) tile(std::integral_constant<std::size_t, 8>());
    if constexpr (kFloatRows > 4) tile(std::integral_constant<std::size_t, 4>());
    if constexpr (kFloatRows > 2) tile(std::integral_constant<std::size_t, 2>());
    tile(std::integral_constant<std::size_t, 1>());
}

/// f(first, count) over chunks of the inputs.
template <class F>
HWY_INLINE void ForChunks(std::size_t inputs, F f) {
    for (std::size_t i = 0; i < inputs; i += kFloatChunk) f(i, std::min(kFloatChunk, inputs - i));
}

template <class T>
void RunPackedFloats(const PanelTask& task) {
    const std::size_t inputs = task.w->dims[0];
    const auto* panel = reinterpret_cast<const T*>(task.w->packed) + task.panel * inputs * kPanel;
    if (task.panels > 1) return RunFloatStreams(task, panel);
    std::fill_n(task.sums, task.rows * kPanel, 0.f);
    ForChunks(inputs, [&](std::size_t first, std::size_t count) {
        FloatRows(task, FloatPanel<T>{panel + first * kPanel}, first, count);
    });
}

/// Spreads 16 bytes of each row over the panel's inputs.
HWY_INLINE void StoreTransposed(const FourDwords& v, const float*, float* panel) {
    for (std::size_t i = 0; i < 4; ++i) {
        hn::StoreU(hn::BitCast(DF32(), v.v[i]), DF32(), panel + i * kPanel);
    }
}
HWY_INLINE void StoreTransposed(const FourDwords& v, const F16*, float* panel) {
    for (std::size_t i = 0; i < 4; ++i) {
        hn::StoreU(HalfToFloat(v.v[i]), DF32(), panel + 2 * i * kPanel);
        hn::StoreU(HalfToFloat(hn::ShiftRight<16>(v.v[i])), DF32(), panel + (2 * i + 1) * kPanel);
    }
}
HWY_INLINE void StoreTransposed(const FourDwords& v, const BF16*, float* panel) {
    const VU32 high = hn::Set(DU32(), 0xffff0000u);
    for (std::size_t i = 0; i < 4; ++i) {
        hn::StoreU(hn::BitCast(DF32(), hn::ShiftLeft<16>(v.v[i])), DF32(), panel + 2 * i * kPanel);
        hn::StoreU(hn::BitCast(DF32(), hn::And(v.v[i], high)), DF32(),
                   panel + (2 * i + 1) * kPanel);
    }
}

inline float ToFloat(const float& v) {
    return v;
}
inline float ToFloat(const F16& v) {
    return f16_to_f32(v.bits);
}
inline float ToFloat(const BF16& v) {
    return bf16_to_f32(v.bits);
}

/// Inputs [first, first + count) of 16 stored rows, as floats.
template <class T>
void TransposePanel(const T* const* rows, std::size_t first, std::size_t count, float* panel) {
    constexpr std::size_t kStep = 16 / sizeof(T);
    std::size_t i = 0;
    for (; i + kStep <= count; i += kStep) {
        for (std::size_t part = 0; part < kParts; ++part) {
            const auto* bytes = reinterpret_cast<const std::uint8_t* const*>(rows + part * kLanes);
            StoreTransposed(LoadTransposed(bytes, (first + i) * sizeof(T)),
                            static_cast<const T*>(nullptr), panel + i * kPanel + part * kLanes);
        }
    }
    for (; i < count; ++i) {
        for (std::size_t o = 0; o < kPanel; ++o) {
            T value;
            std::memcpy(static_cast<void*>(&value), static_cast<const void*>(rows[o] + first + i),
                        sizeof(T));
            panel[i * kPanel + o] = ToFloat(value);
        }
    }
}

template <class T>
void RunStoredFloats(const PanelTask& task) {
    const std::size_t inputs = task.w->dims[0], first_out = task.panel * kPanel;
    const T* rows[kPanel];
    for (std::size_t o = 0; o < kPanel; ++o) {  // past the end, repeat the last row
        rows[o] = reinterpret_cast<const T*>(task.w->data) +
                  std::min<std::size_t>(first_out + o, task.w->rows() - 1) * inputs;
    }
    auto* panel = reinterpret_cast<float*>(task.scratch);
    std::fill_n(task.sums, task.rows * kPanel, 0.f);
    ForChunks(inputs, [&](std::size_t first, std::size_t count) {
        TransposePanel(rows, first, count, panel);
        FloatRows(task, FloatPanel<float>{panel}, first, count);
    });
}

PanelKernel ChooseFloatKernel(TensorType type, bool packed) {
    if (type == TensorType::f32) return packed ? RunPackedFloats<float> : RunStoredFloats<float>;
    if (type == TensorType::f16) return packed ? RunPackedFloats<F16> : RunStoredFloats<F16>;
    return packed ? RunPackedFloats<BF16> : RunStoredFloats<BF16>;
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {

HWY_EXPORT(ChooseFloatKernel);
HWY_EXPORT(FloatPanelStreams);

PanelKernel float_panel_kernel(TensorType type, bool packed) {
    return HWY_DYNAMIC_DISPATCH(ChooseFloatKernel)(type, packed);
}

std::size_t float_panel_streams() {
    return HWY_DYNAMIC_DISPATCH(FloatPanelStreams)();
}

}  // namespace engine
#endif  // HWY_ONCE
