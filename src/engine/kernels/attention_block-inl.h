// One block of 64 tokens for one tile: widen and transpose keys, score, soften, add values.
// attention.cc tells how blocks make up a row's result.
#if defined(DG_ENGINE_KERNELS_ATTENTION_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_ATTENTION_BLOCK_INL_H_
#undef DG_ENGINE_KERNELS_ATTENTION_BLOCK_INL_H_
#else
#define DG_ENGINE_KERNELS_ATTENTION_BLOCK_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "engine/kernels/attention_tile.h"
#include "engine/kernels/exp-inl.h"
#include "engine/kernels/half-inl.h"
#include "engine/kernels/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DA = hn::CappedTag<float, 16>;
using VA = hn::Vec<DA>;
constexpr std::size_t kAttnLanes = hn::MaxLanes(DA());
constexpr std::size_t kQueriesAtOnce = HWY_TARGET == HWY_AVX3_DL ? 4 : 2;

struct Scratch {
    float* keys;     ///< [dim][kBlockTokens]
    float* widened;  ///< [kBlockTokens][padded dim]
    float* queries;  ///< [queries][padded dim], times scale
    float* scores;   ///< [queries][kBlockTokens]
};

HWY_INLINE void WidenRow(const std::uint16_t* from, std::size_t dim, float* to) {
    const DA d;
    std::size_t i = 0;
    for (; i + kAttnLanes <= dim; i += kAttnLanes) hn::StoreU(LoadHalves(d, from + i), d, to + i);
    if (i < dim) {
        std::uint16_t tail[kAttnLanes] = {};
        std::memcpy(tail, from + i, (dim - i) * sizeof(*from));
        hn::StoreU(LoadHalves(d, tail), d, to + i);
    }
}

/// Tokens [from, to) as floats, `width` apart, zeros behind the first `dim`.
void WidenTokens(const KvSource& kv, bool keys, std::size_t from, std::size_t to, std::size_t dim,
                 float* row) {
    const std::size_t width = padded(dim);
    if (width > dim) std::fill_n(row, (to - from) * width, 0.f);
    if (kv.paged == nullptr) {
        const float* source = (keys ? kv.dense_k : kv.dense_v) + kv.offset;
        for (std::size_t t = from; t < to; ++t, row += width) {
            std::copy_n(source + t * kv.token_stride, dim, row);
        }
        return;
    }
    const auto& pages = keys ? kv.paged->k_pages : kv.paged->v_pages;
    const std::size_t page_tokens = kv.paged->page_tokens;
    for (std::size_t t = from; t < to;) {
        const std::size_t in_page = t % page_tokens;
        const std::size_t run = std::min(page_tokens - in_page, to - t);
        const auto* token = reinterpret_cast<const std::uint16_t*>(pages[t / page_tokens]) +
                            in_page * kv.token_stride + kv.offset;
        for (std::size_t i = 0; i < run; ++i, token += kv.token_stride, row += width) {
            WidenRow(token, dim, row);
        }
        t += run;
    }
}

/// keys[d][t] from widened[t][d], for t in [from, to); other columns repeat one of those.
void TransposeKeys(const float* widened, std::size_t dim, std::size_t from, std::size_t to,
                   float* keys) {
    const std::size_t width = padded(dim);
    const auto row = [&](std::size_t t) { return widened + std::clamp(t, from, to - 1) * width; };
#if HWY_TARGET == HWY_SCALAR
    for (std::size_t t = 0; t < kBlockTokens; ++t) {
        for (std::size_t d = 0; d < dim; ++d) keys[d * kBlockTokens + t] = row(t)[d];
    }
#else
    for (std::size_t t = from / kLanes * kLanes; t < to; t += kLanes) {
        const std::uint8_t* rows[kLanes];
        for (std::size_t i = 0; i < kLanes; ++i) {
            rows[i] = reinterpret_cast<const std::uint8_t*>(row(t + i));
        }
        for (std::size_t d = 0; d < dim; d += 4) {
            const FourDwords four = LoadTransposed(rows, d * sizeof(float));
            const std::size_t count = std::min<std::size_t>(4, dim - d);
            for (std::size_t i = 0; i < count; ++i) {
                hn::StoreU(hn::BitCast(DF32(), four.v[i]), DF32(),
                           keys + (d + i) * kBlockTokens + t);
            }
        }
    }
#endif
}

/// scores[i][0..64) = queries[i] . keys for kQueries queries.
template <std::size_t kQueries>
HWY_INLINE void ScoreQueries(const float* queries, std::size_t dim, const float* keys,
                             float* scores) {
    constexpr std::size_t kVectors = kBlockTokens / kAttnLanes < 4 ? kBlockTokens / kAttnLanes : 4;
    const DA d;
    const std::size_t width = padded(dim);
    for (std::size_t t = 0; t < kBlockTokens; t += kVectors * kAttnLanes) {
        VA sum[kQueries][kVectors];
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kQueries; ++i) {
#pragma GCC unroll 4
            for (std::size_t v = 0; v < kVectors; ++v) sum[i][v] = hn::Zero(d);
        }
        for (std::size_t k = 0; k < dim; ++k) {
            VA key[kVectors];
#pragma GCC unroll 4
            for (std::size_t v = 0; v < kVectors; ++v) {
                key[v] = hn::LoadU(d, keys + k * kBlockTokens + t + v * kAttnLanes);
            }
#pragma GCC unroll 4
            for (std::size_t i = 0; i < kQueries; ++i) {
                const VA q = hn::Set(d, queries[i * width + k]);
#pragma GCC unroll 4
                for (std::size_t v = 0; v < kVectors; ++v) {
                    sum[i][v] = hn::MulAdd(q, key[v], sum[i][v]);
                }
            }
        }
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kQueries; ++i) {
#pragma GCC unroll 4
            for (std::size_t v = 0; v < kVectors; ++v) {
                hn::StoreU(sum[i][v], d, scores + i * kBlockTokens + t + v * kAttnLanes);
            }
        }
    }
}

/// out[i][:] += sum over t in [from, to) of weights[i][t] * values[t][:], for kQueries queries.
template <std::size_t kQueries, std::size_t kVectors>
HWY_INLINE void AddValues(const float* weights, const float* values, std::size_t width,
                          std::size_t from, std::size_t to, float* out) {
    const DA d;
    VA sum[kQueries][kVectors];
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kQueries; ++i) {
#pragma GCC unroll 4
        for (std::size_t v = 0; v < kVectors; ++v) {
            sum[i][v] = hn::LoadU(d, out + i * width + v * kAttnLanes);
        }
    }
    for (std::size_t t = from; t < to; ++t) {
        VA value[kVectors];
#pragma GCC unroll 4
        for (std::size_t v = 0; v < kVectors; ++v) {
            value[v] = hn::LoadU(d, values + t * width + v * kAttnLanes);
        }
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kQueries; ++i) {
            const VA weight = hn::Set(d, weights[i * kBlockTokens + t]);
#pragma GCC unroll 4
            for (std::size_t v = 0; v < kVectors; ++v) {
                sum[i][v] = hn::MulAdd(weight, value[v], sum[i][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kQueries; ++i) {
#pragma GCC unroll 4
        for (std::size_t v = 0; v < kVectors; ++v) {
            hn::StoreU(sum[i][v], d, out + i * width + v * kAttnLanes);
        }
    }
}

template <std::size_t kQueries>
HWY_INLINE void AddValuesAllLanes(const float* weights, const float* values, std::size_t width,
                                  std::size_t from, std::size_t to, float* out) {
    std::size_t at = 0;
    for (; at + 4 * kAttnLanes <= width; at += 4 * kAttnLanes) {
        AddValues<kQueries, 4>(weights, values + at, width, from, to, out + at);
    }
    for (; at < width; at += kAttnLanes) {
        AddValues<kQueries, 1>(weights, values + at, width, from, to, out + at);
    }
}

HWY_INLINE void ScaleRow(float* row, std::size_t width, float by) {
    const DA d;
    for (std::size_t i = 0; i < width; i += kAttnLanes) {
        hn::StoreU(hn::Mul(hn::LoadU(d, row + i), hn::Set(d, by)), d, row + i);
    }
}

HWY_INLINE float ScalarExp(float x) {
    return hn::GetLane(FastExp(DA(), hn::Set(DA(), x)));
}

/// Turns one query's scores for tokens [from, to) of a block into weights relative to the highest
/// score so far, rescaling what was summed before when that rises.
void SoftmaxStep(float* scores, std::size_t from, std::size_t to, float soft_cap, std::size_t width,
                 float& highest, float& total, float* out) {
    const DA d;
    const VA lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
    VA block_high = lowest;
    for (std::size_t t = 0; t < kBlockTokens; t += kAttnLanes) {
        VA s = hn::LoadU(d, scores + t);
        if (soft_cap != 0.f) {
            const VA cap = hn::Set(d, soft_cap);
            s = hn::Mul(cap, FastTanh(d, hn::Div(s, cap)));
        }
        const VA index = hn::Iota(d, static_cast<float>(t));
        const auto inside = hn::And(hn::Ge(index, hn::Set(d, static_cast<float>(from))),
                                    hn::Lt(index, hn::Set(d, static_cast<float>(to))));
        s = hn::IfThenElse(inside, s, lowest);
        hn::StoreU(s, d, scores + t);
        block_high = hn::Max(block_high, s);
    }
    const float high = hn::GetLane(hn::MaxOfLanes(d, block_high));
    if (high > highest) {
        if (total != 0.f) {
            const float factor = ScalarExp(highest - high);
            total *= factor;
            ScaleRow(out, width, factor);
        }
        highest = high;
    }
    VA sum = hn::Zero(d);
    for (std::size_t t = 0; t < kBlockTokens; t += kAttnLanes) {
        const VA w = FastExp(d, hn::Sub(hn::LoadU(d, scores + t), hn::Set(d, highest)));
        hn::StoreU(w, d, scores + t);
        sum = hn::Add(sum, w);
    }
    total += hn::GetLane(hn::SumOfLanes(d, sum));
}

void ScoreBlock(const AttentionTile& tile, const Scratch& s) {
    const std::size_t queries = tile.queries(), width = padded(tile.head_dim);
    std::size_t i = 0;
    for (; i + kQueriesAtOnce <= queries; i += kQueriesAtOnce) {
        ScoreQueries<kQueriesAtOnce>(s.queries + i * width, tile.head_dim, s.keys,
                                     s.scores + i * kBlockTokens);
    }
    for (; i < queries; ++i) {
        ScoreQueries<1>(s.queries + i * width, tile.head_dim, s.keys, s.scores + i * kBlockTokens);
    }
}

/// The tokens of the block that starts at `block` that row `row` attends to, relative to it.
struct InBlock {
    std::size_t from, to;
    bool operator==(const InBlock&) const = default;
};
HWY_INLINE InBlock RowInBlock(const AttentionTile& tile, std::size_t row, std::size_t block) {
    const std::size_t from = std::clamp(tile.begin[row], block, block + kBlockTokens);
    const std::size_t to = std::clamp(tile.end[row], from, block + kBlockTokens);
    return {from - block, to - block};
}

/// Adds values for queries [first, first + count), which attend to the same tokens.
void AddBlockValues(const AttentionTile& tile, const Scratch& s, std::size_t first,
                    std::size_t count, InBlock tokens, float* out) {
    const std::size_t width = padded(tile.head_dim);
    const auto step = [&](auto size) {
        constexpr std::size_t kQueries = decltype(size)::value;
        for (; count >= kQueries; first += kQueries, count -= kQueries) {
            AddValuesAllLanes<kQueries>(s.scores + first * kBlockTokens, s.widened, width,
                                        tokens.from, tokens.to, out + first * width);
        }
    };
    if constexpr (kQueriesAtOnce > 2) {
        step(std::integral_constant<std::size_t, 4>());
        step(std::integral_constant<std::size_t, 3>());
    }
    step(std::integral_constant<std::size_t, 2>());
    step(std::integral_constant<std::size_t, 1>());
}

void AttendBlock(const AttentionTile& tile, std::size_t block, std::size_t from, std::size_t to,
                 const Scratch& s, const Partial& sums) {
    const std::size_t width = padded(tile.head_dim);
    float* widened = s.widened + (from - block) * width;
    WidenTokens(tile.kv, true, from, to, tile.head_dim, widened);
    TransposeKeys(s.widened, tile.head_dim, from - block, to - block, s.keys);
    ScoreBlock(tile, s);
    WidenTokens(tile.kv, false, from, to, tile.head_dim, widened);
    for (std::size_t row = 0; row < tile.rows; ++row) {
        const InBlock tokens = RowInBlock(tile, row, block);
        if (tokens.from == tokens.to) continue;
        for (std::size_t i = row * tile.group; i < (row + 1) * tile.group; ++i) {
            SoftmaxStep(s.scores + i * kBlockTokens, tokens.from, tokens.to, tile.soft_cap, width,
                        sums.highest[i], sums.total[i], sums.out + i * width);
        }
    }
    for (std::size_t row = 0; row < tile.rows;) {
        const InBlock tokens = RowInBlock(tile, row, block);
        std::size_t next = row + 1;
        while (next < tile.rows && RowInBlock(tile, next, block) == tokens) ++next;
        if (tokens.from != tokens.to) {
            AddBlockValues(tile, s, row * tile.group, (next - row) * tile.group, tokens, sums.out);
        }
        row = next;
    }
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled guard
