// Scores and outputs over BF16 pages, which hold pairs: of dims in keys, of tokens in values. One
// instruction of AVX512_BF16 (or two multiply-adds elsewhere) takes both products of a pair, so
// queries and weights are rounded to BF16 too.
#if defined(DG_ENGINE_KERNELS_ATTENTION_PAIRS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_ATTENTION_PAIRS_INL_H_
#undef DG_ENGINE_KERNELS_ATTENTION_PAIRS_INL_H_
#else
#define DG_ENGINE_KERNELS_ATTENTION_PAIRS_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <bit>
#include <cstring>
#include <type_traits>

#include "engine/kernels/attention_keys-inl.h"
#include "engine/kernels/attention_tile.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
#pragma GCC target("avx512vnni,avx512bf16")  // as in attention_keys-inl.h
#endif
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DAU = hn::RebindToUnsigned<DA>;
using VAU = hn::Vec<DAU>;

/// to = from as BF16, nearest, ties to even; NaN stays NaN. `count` is whole vectors.
HWY_INLINE void RoundToBf16(const float* from, std::size_t count, std::uint16_t* to) {
    const DA d;
    const DAU du;
    const hn::Rebind<std::uint16_t, DA> d16;
    for (std::size_t i = 0; i < count; i += kAttnLanes) {
        const VA v = hn::LoadU(d, from + i);
        const VAU bits = hn::BitCast(du, v);
        const VAU tie = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
        const VAU rounded = hn::Add(bits, hn::Add(tie, hn::Set(du, 0x7fffu)));
        const VAU quiet = hn::Or(bits, hn::Set(du, 0x00400000u));
        const VAU kept = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), quiet, rounded);
        hn::StoreU(hn::DemoteTo(d16, hn::BitCast(DAI(), hn::ShiftRight<16>(kept))), d16, to + i);
    }
}

/// sum += both products of the pairs in each lane. kNative: the machine has AVX512_BF16.
template <bool kNative>
struct PairDot {
    VAU pairs;  ///< of keys or values

    HWY_INLINE VA add(VA sum, std::uint32_t other) const {
#if HWY_TARGET == HWY_AVX3_DL
        if constexpr (kNative) {
            return VA{_mm512_dpbf16_ps(
                sum.raw, reinterpret_cast<__m512bh>(pairs.raw),
                reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(other))))};
        }
#endif
        const DA d;
        const VA low = hn::BitCast(d, hn::ShiftLeft<16>(pairs));
        const VA high = hn::BitCast(d, hn::And(pairs, hn::Set(DAU(), 0xffff0000u)));
        const VA first = hn::MulAdd(low, hn::Set(d, std::bit_cast<float>(other << 16)), sum);
        return hn::MulAdd(high, hn::Set(d, std::bit_cast<float>(other & 0xffff0000u)), first);
    }
};

HWY_INLINE VAU LoadPairs(const KvPlane& plane, std::size_t index) {
    return hn::LoadU(DAU(), reinterpret_cast<const std::uint32_t*>(plane.data) + index);
}

/// scores[i][t..] for kQ queries and kV vectors of tokens. `queries`: pairs, [kQ][row].
template <bool kNative, std::size_t kQ, std::size_t kV>
DG_TILE_INLINE void ScorePairTile(const KvPlane& keys, std::size_t pairs, std::size_t t,
                                  const std::uint32_t* queries, std::size_t row, float* scores,
                                  std::size_t stride) {
    const DA d;
    VA sum[kQ][kV];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kQ; ++i) {
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) sum[i][v] = hn::Zero(d);
    }
    for (std::size_t k = 0; k < pairs; ++k) {
        const std::size_t at = k * keys.row + t;
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            hwy::Prefetch(keys.next + (at + v * kAttnLanes) * sizeof(std::uint32_t));
            const PairDot<kNative> key{LoadPairs(keys, at + v * kAttnLanes)};
#pragma GCC unroll 8
            for (std::size_t i = 0; i < kQ; ++i) {
                sum[i][v] = key.add(sum[i][v], queries[i * row + k]);
            }
        }
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kQ; ++i) {
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            hn::StoreU(sum[i][v], d, scores + i * stride + t + v * kAttnLanes);
        }
    }
}

template <bool kNative>
void ScorePairs(const KvPlane& keys, std::size_t dim, const std::uint32_t* queries, std::size_t row,
                std::size_t count, float* scores, std::size_t stride) {
    ByQueries(count, [&](auto tile_queries, std::size_t first) HWY_ATTR {
        constexpr std::size_t kQ = decltype(tile_queries)::value;
        const std::uint32_t* q = queries + first * row;
        float* s = scores + first * stride;
        std::size_t t = 0;
        for (; t + 2 * kAttnLanes <= keys.row; t += 2 * kAttnLanes) {
            ScorePairTile<kNative, kQ, 2>(keys, (dim + 1) / 2, t, q, row, s, stride);
        }
        if (t == keys.row) return;
        for (std::size_t i = 0; i < kQ; ++i) {
            ScorePairTile<kNative, 1, 1>(keys, (dim + 1) / 2, t, q + i * row, row, s + i * stride,
                                         stride);
        }
    });
}

/// out[i][at..] += over tokens [from, to), for kQ queries and kV vectors. `weights`: pairs,
/// [kQ][row]; a pair's hidden token may hold anything.
template <bool kNative, std::size_t kQ, std::size_t kV>
DG_TILE_INLINE void AddPairTile(const KvPlane& values, const std::uint32_t* weights,
                                std::size_t row, std::size_t from, std::size_t to, std::size_t at,
                                float* out) {
    const DA d;
    VA sum[kQ][kV];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kQ; ++i) {
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            sum[i][v] = hn::LoadU(d, out + i * values.row + at + v * kAttnLanes);
        }
    }
    const auto step = [&](std::size_t pair, auto whole, std::uint32_t seen) HWY_ATTR {
        const std::size_t index = pair * values.row + at;
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            hwy::Prefetch(values.next + (index + v * kAttnLanes) * sizeof(std::uint32_t));
            PairDot<kNative> value{LoadPairs(values, index + v * kAttnLanes)};
            if constexpr (!whole) value.pairs = hn::And(value.pairs, hn::Set(DAU(), seen));
#pragma GCC unroll 8
            for (std::size_t i = 0; i < kQ; ++i) {
                const std::uint32_t weight = weights[i * row + pair];
                sum[i][v] = value.add(sum[i][v], whole ? weight : weight & seen);
            }
        }
    };
    constexpr std::true_type kWhole;
    constexpr std::false_type kHalf;
    std::size_t pair = from / 2;
    if (from % 2 == 1) step(pair++, kHalf, 0xffff0000u);
    for (; pair < to / 2; ++pair) step(pair, kWhole, 0);
    if (to % 2 == 1 && pair == to / 2) step(pair, kHalf, 0x0000ffffu);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kQ; ++i) {
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            hn::StoreU(sum[i][v], d, out + i * values.row + at + v * kAttnLanes);
        }
    }
}

template <bool kNative>
void AddPairs(const KvPlane& values, const std::uint32_t* weights, std::size_t row,
              std::size_t queries, std::size_t from, std::size_t to, float* out) {
    ByQueries(queries, [&](auto count, std::size_t first) HWY_ATTR {
        constexpr std::size_t kQ = decltype(count)::value;
        const std::uint32_t* w = weights + first * row;
        float* sums = out + first * values.row;
        std::size_t at = 0;
        for (; at + 2 * kAttnLanes <= values.row; at += 2 * kAttnLanes) {
            AddPairTile<kNative, kQ, 2>(values, w, row, from, to, at, sums);
        }
        if (at == values.row) return;
        for (std::size_t i = 0; i < kQ; ++i) {
            AddPairTile<kNative, 1, 1>(values, w + i * row, row, from, to, at,
                                       sums + i * values.row);
        }
    });
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled guard
