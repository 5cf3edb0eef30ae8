// Blocked attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022).
//
// A tile is some query rows of one sequence times the query heads that share one KV head. Keys and
// values go by in blocks of 64 tokens: keys are widened to float and transposed, so that scores
// have lanes along tokens; values are widened, so that outputs have lanes along the head. That work
// is shared by all queries of the tile.
//
// Blocks start at multiples of 64 and runs of blocks (kRunTokens) are summed on their own and
// merged in order, whoever computed them. So a row's result depends neither on the rows beside it
// nor on how runs were spread over threads.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/attention.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/exp-inl.h"
#include "engine/kernels/half-inl.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/transpose-inl.h"

#ifndef DG_ENGINE_KERNELS_ATTENTION_TYPES
#define DG_ENGINE_KERNELS_ATTENTION_TYPES
namespace engine {

constexpr std::size_t kBlockTokens = 64;
constexpr std::size_t kRunTokens = 128;  ///< a multiple of kBlockTokens
constexpr std::size_t kTileRowsMax = 16;
constexpr std::size_t kTileQueries = 64;  ///< aimed at; more when one KV head serves more heads

/// Where a tile's keys and values are: a paged F16 cache, or dense float arrays.
struct KvSource {
    const KvLayerView* paged = nullptr;
    const float* dense_k = nullptr;
    const float* dense_v = nullptr;
    std::size_t token_stride = 0;  ///< values from one token to the next
    std::size_t offset = 0;        ///< of the KV head within a token
};

/// Query rows [first_row, first_row + rows) times `group` heads from `first_head` on.
struct AttentionTile {
    KvSource kv;
    const float* q = nullptr;  ///< of row 0, all heads
    std::size_t q_stride = 0;
    std::size_t head_dim = 0;
    std::size_t first_head = 0, group = 0;
    std::size_t rows = 0;
    std::size_t begin[kTileRowsMax] = {};  ///< each row attends to tokens [begin, end)
    std::size_t end[kTileRowsMax] = {};
    float scale = 0, soft_cap = 0;

    std::size_t queries() const { return rows * group; }
};

/// Sums of one tile over some tokens, relative to each query's highest score.
struct Partial {
    float* highest;  ///< [queries]
    float* total;    ///< [queries]: sum of exp(score - highest); 0 while nothing was seen
    float* out;      ///< [queries, padded_dim]: sum of exp(score - highest) * v
};

/// Head dimension rounded up to whole vectors on every target.
inline std::size_t padded(std::size_t dim) {
    return (dim + 15) / 16 * 16;
}
inline std::size_t partial_floats(std::size_t queries, std::size_t dim) {
    return (queries + 15) / 16 * 32 + queries * padded(dim);
}
inline Partial partial_at(float* memory, std::size_t queries) {
    const std::size_t room = (queries + 15) / 16 * 16;
    return {memory, memory + room, memory + 2 * room};
}
/// Keys transposed, one widened block, scaled queries, scores.
inline std::size_t scratch_floats(std::size_t queries, std::size_t dim) {
    return 2 * kBlockTokens * padded(dim) + queries * padded(dim) + queries * kBlockTokens;
}

}  // namespace engine
#endif  // DG_ENGINE_KERNELS_ATTENTION_TYPES

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
        const std::uint16_t* token = pages[t / page_tokens] + in_page * kv.token_stride + kv.offset;
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

Scratch LayOut(const AttentionTile& tile, float* memory) {
    const std::size_t width = padded(tile.head_dim);
    Scratch s{};
    s.keys = memory;
    s.widened = s.keys + kBlockTokens * width;
    s.queries = s.widened + kBlockTokens * width;
    s.scores = s.queries + tile.queries() * width;
    for (std::size_t row = 0; row < tile.rows; ++row) {
        for (std::size_t g = 0; g < tile.group; ++g) {
            const float* from =
                tile.q + row * tile.q_stride + (tile.first_head + g) * tile.head_dim;
            float* to = s.queries + (row * tile.group + g) * width;
            for (std::size_t k = 0; k < tile.head_dim; ++k) to[k] = from[k] * tile.scale;
        }
    }
    return s;
}

/// sums = the tile over tokens [run * kRunTokens, (run + 1) * kRunTokens) that its rows attend to.
void AttendRun(const AttentionTile& tile, std::size_t run, float* scratch, const Partial& sums) {
    const Scratch s = LayOut(tile, scratch);
    std::fill_n(sums.highest, tile.queries(), -std::numeric_limits<float>::infinity());
    std::fill_n(sums.total, tile.queries(), 0.f);
    std::fill_n(sums.out, tile.queries() * padded(tile.head_dim), 0.f);
    const std::size_t begin = *std::min_element(tile.begin, tile.begin + tile.rows);
    const std::size_t end = *std::max_element(tile.end, tile.end + tile.rows);
    for (std::size_t i = 0; i < kRunTokens; i += kBlockTokens) {
        const std::size_t block = run * kRunTokens + i;
        const std::size_t from = std::max(block, begin);
        const std::size_t to = std::min(block + kBlockTokens, end);
        if (from < to) AttendBlock(tile, block, from, to, s, sums);
    }
}

/// into += from, as if both had been summed together.
void MergePartials(std::size_t queries, std::size_t dim, const Partial& into, const Partial& from) {
    const DA d;
    const std::size_t width = padded(dim);
    for (std::size_t i = 0; i < queries; ++i) {
        if (from.total[i] == 0.f) continue;  // saw no token; NaN is not equal to 0
        const float highest = std::max(into.highest[i], from.highest[i]);
        const float a = into.total[i] == 0.f ? 0.f : ScalarExp(into.highest[i] - highest);
        const float b = ScalarExp(from.highest[i] - highest);
        into.highest[i] = highest;
        into.total[i] = into.total[i] * a + from.total[i] * b;
        for (std::size_t k = i * width; k < (i + 1) * width; k += kAttnLanes) {
            const VA mine = hn::Mul(hn::LoadU(d, into.out + k), hn::Set(d, a));
            hn::StoreU(hn::MulAdd(hn::LoadU(d, from.out + k), hn::Set(d, b), mine), d,
                       into.out + k);
        }
    }
}

/// Divides by the totals and writes rows of `out` ([rows, heads * head_dim]).
void FinishTile(const AttentionTile& tile, const Partial& sums, float* out,
                std::size_t out_stride) {
    const std::size_t width = padded(tile.head_dim);
    for (std::size_t row = 0; row < tile.rows; ++row) {
        for (std::size_t g = 0; g < tile.group; ++g) {
            const std::size_t i = row * tile.group + g;
            float* to = out + row * out_stride + (tile.first_head + g) * tile.head_dim;
            const float inverse = 1.f / sums.total[i];
            for (std::size_t k = 0; k < tile.head_dim; ++k)
                to[k] = sums.out[i * width + k] * inverse;
        }
    }
}

void NarrowRow(const float* from, std::size_t n, std::uint16_t* to) {
    const DA d;
    std::size_t i = 0;
    for (; i + kAttnLanes <= n; i += kAttnLanes) StoreHalves(d, hn::LoadU(d, from + i), to + i);
    if (i < n) {
        float tail[kAttnLanes] = {};
        std::uint16_t narrow[kAttnLanes];
        std::memcpy(tail, from + i, (n - i) * sizeof(float));
        StoreHalves(d, hn::LoadU(d, tail), narrow);
        std::memcpy(to + i, narrow, (n - i) * sizeof(*to));
    }
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {
namespace {

HWY_EXPORT(AttendRun);
HWY_EXPORT(MergePartials);
HWY_EXPORT(FinishTile);
HWY_EXPORT(NarrowRow);

std::size_t tile_begin(const AttentionTile& tile) {
    return *std::min_element(tile.begin, tile.begin + tile.rows);
}
std::size_t tile_end(const AttentionTile& tile) {
    return *std::max_element(tile.end, tile.end + tile.rows);
}
std::size_t first_run(const AttentionTile& tile) {
    return tile_begin(tile) / kRunTokens;
}
std::size_t end_run(const AttentionTile& tile) {
    return (tile_end(tile) - 1) / kRunTokens + 1;
}

/// Tiles, where each one writes, and what all of them need at most.
struct TileList {
    std::vector<AttentionTile> tiles;
    std::vector<float*> out;
    std::size_t out_stride = 0;
    std::size_t queries_max = 0, runs = 0;

    void add(const AttentionTile& tile, float* to) {
        tiles.push_back(tile);
        out.push_back(to);
        queries_max = std::max(queries_max, tile.queries());
        runs += end_run(tile) - first_run(tile);
    }
};

/// Each task sums a whole tile, run by run.
void attend_whole_tiles(base::ThreadPool& pool, const TileList& list, std::size_t dim) {
    const std::size_t partial = partial_floats(list.queries_max, dim);
    const std::size_t scratch = scratch_floats(list.queries_max, dim);
    AlignedBuffer buffer;
    auto* memory = reinterpret_cast<float*>(
        buffer.reserve(pool.threads() * (scratch + 2 * partial) * sizeof(float)));
    pool.run(list.tiles.size(), [&](std::size_t task, std::size_t worker) {
        const AttentionTile& tile = list.tiles[task];
        float* mine = memory + worker * (scratch + 2 * partial);
        const Partial sums = partial_at(mine + scratch, tile.queries());
        const Partial more = partial_at(mine + scratch + partial, tile.queries());
        HWY_DYNAMIC_DISPATCH(AttendRun)(tile, first_run(tile), mine, sums);
        for (std::size_t run = first_run(tile) + 1; run < end_run(tile); ++run) {
            HWY_DYNAMIC_DISPATCH(AttendRun)(tile, run, mine, more);
            HWY_DYNAMIC_DISPATCH(MergePartials)(tile.queries(), dim, sums, more);
        }
        HWY_DYNAMIC_DISPATCH(FinishTile)(tile, sums, list.out[task], list.out_stride);
    });
}

/// Few tiles and long caches: each task sums one run of a tile; runs are merged at the end.
void attend_by_runs(base::ThreadPool& pool, const TileList& list, std::size_t dim) {
    const std::size_t partial = partial_floats(list.queries_max, dim);
    const std::size_t scratch = scratch_floats(list.queries_max, dim);
    AlignedBuffer buffer;
    auto* memory = reinterpret_cast<float*>(
        buffer.reserve((pool.threads() * scratch + list.runs * partial) * sizeof(float)));
    float* partials = memory + pool.threads() * scratch;
    struct Run {
        const AttentionTile* tile;
        std::size_t run;
    };
    std::vector<Run> runs;
    for (const AttentionTile& tile : list.tiles) {
        for (std::size_t r = first_run(tile); r < end_run(tile); ++r) runs.push_back({&tile, r});
    }
    const auto sums_of = [&](std::size_t i) {
        return partial_at(partials + i * partial, runs[i].tile->queries());
    };
    pool.run(runs.size(), [&](std::size_t i, std::size_t worker) {
        HWY_DYNAMIC_DISPATCH(AttendRun)
        (*runs[i].tile, runs[i].run, memory + worker * scratch, sums_of(i));
    });
    std::size_t i = 0;
    for (std::size_t t = 0; t < list.tiles.size(); ++t) {
        const AttentionTile& tile = list.tiles[t];
        const Partial sums = sums_of(i);
        for (++i; i < runs.size() && runs[i].tile == &tile; ++i) {
            HWY_DYNAMIC_DISPATCH(MergePartials)(tile.queries(), dim, sums, sums_of(i));
        }
        HWY_DYNAMIC_DISPATCH(FinishTile)(tile, sums, list.out[t], list.out_stride);
    }
}

void attend(base::ThreadPool& pool, const TileList& list, std::size_t dim) {
    constexpr std::size_t kTilesPerThread = 4;  // enough to share evenly without splitting tiles
    if (list.tiles.empty()) return;
    const bool few = list.tiles.size() < pool.threads() * kTilesPerThread;
    if (pool.threads() > 1 && few && list.runs > list.tiles.size()) {
        return attend_by_runs(pool, list, dim);
    }
    attend_whole_tiles(pool, list, dim);
}

std::size_t rows_per_tile(std::size_t group) {
    return std::clamp<std::size_t>(kTileQueries / group, 1, kTileRowsMax);
}

}  // namespace

void attention(base::ThreadPool& pool, float* out, std::size_t out_stride, const float* q,
               std::size_t q_stride, std::span<const AttentionRow> rows,
               const AttentionShape& shape) {
    DG_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0,
             "kv heads must divide query heads");
    AttentionTile tile;
    tile.q_stride = q_stride;
    tile.head_dim = shape.head_dim;
    tile.group = shape.heads / shape.kv_heads;
    tile.scale = shape.scale;
    tile.soft_cap = shape.soft_cap;
    const std::size_t rows_max = rows_per_tile(tile.group);
    TileList list;
    list.out_stride = out_stride;
    for (std::size_t r = 0; r < rows.size(); r += tile.rows) {
        tile.rows = 0;
        while (tile.rows < rows_max && r + tile.rows < rows.size() &&
               rows[r + tile.rows].kv == rows[r].kv) {
            const AttentionRow& row = rows[r + tile.rows];
            tile.begin[tile.rows] = row.first;
            tile.end[tile.rows] = static_cast<std::size_t>(row.position) + 1;
            ++tile.rows;
        }
        tile.q = q + r * q_stride;
        for (std::size_t h = 0; h < shape.kv_heads; ++h) {
            tile.first_head = h * tile.group;
            tile.kv = {rows[r].kv, nullptr, nullptr,
                       static_cast<std::size_t>(shape.kv_heads) * shape.head_dim,
                       h * shape.head_dim};
            list.add(tile, out + r * out_stride);
        }
    }
    attend(pool, list, shape.head_dim);
}

void attention_full(base::ThreadPool& pool, float* out, const float* q, const float* k,
                    const float* v, std::size_t tokens, std::uint32_t heads, std::uint32_t head_dim,
                    float scale) {
    AttentionTile tile;
    tile.q_stride = static_cast<std::size_t>(heads) * head_dim;
    tile.head_dim = head_dim;
    tile.group = 1;
    tile.scale = scale;
    TileList list;
    list.out_stride = tile.q_stride;
    for (std::size_t r = 0; r < tokens; r += kTileRowsMax) {
        tile.rows = std::min(kTileRowsMax, tokens - r);
        std::fill_n(tile.end, tile.rows, tokens);
        tile.q = q + r * tile.q_stride;
        for (std::size_t h = 0; h < heads; ++h) {
            tile.first_head = h;
            tile.kv = {nullptr, k, v, tile.q_stride, h * head_dim};
            list.add(tile, out + r * tile.q_stride);
        }
    }
    attend(pool, list, head_dim);
}

void kv_store(const KvLayerView& kv, std::uint32_t position, const float* k, const float* v,
              std::size_t kv_dim) {
    const std::size_t page = position / kv.page_tokens;
    const std::size_t offset = position % kv.page_tokens * kv_dim;
    HWY_DYNAMIC_DISPATCH(NarrowRow)(k, kv_dim, kv.k_pages[page] + offset);
    HWY_DYNAMIC_DISPATCH(NarrowRow)(v, kv_dim, kv.v_pages[page] + offset);
}

}  // namespace engine
#endif  // HWY_ONCE
