// One block of pages for one tile: turn queries, score, soften, add values. attention.cc tells how
// blocks make up a row's result.
//
// Register tiles hold kQ queries times kV vectors. Every score is one chain of sums over the dims
// and every output one over the tokens, so that a tile's size changes no bit.
#if defined(DG_ENGINE_KERNELS_ATTENTION_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_ATTENTION_BLOCK_INL_H_
#undef DG_ENGINE_KERNELS_ATTENTION_BLOCK_INL_H_
#else
#define DG_ENGINE_KERNELS_ATTENTION_BLOCK_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "engine/kernels/attention_bytes-inl.h"
#include "engine/kernels/attention_keys-inl.h"
#include "engine/kernels/attention_pairs-inl.h"
#include "engine/kernels/attention_tile.h"
#include "engine/kernels/exp-inl.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
#pragma GCC target("avx512vnni,avx512bf16")  // as in attention_keys-inl.h
#endif
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// out[i][at..] += sum over t in [from, to) of weights[i][t] * values[t][at..].
template <KvForm kForm, std::size_t kQ, std::size_t kV>
DG_TILE_INLINE void AddValues(const KvPlane& values, const float* weights, std::size_t stride,
                              std::size_t from, std::size_t to, std::size_t at, float* out) {
    const DA d;
    VA sum[kQ][kV];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kQ; ++i) {
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            sum[i][v] = hn::LoadU(d, out + i * values.row + at + v * kAttnLanes);
        }
    }
    for (std::size_t t = from; t < to; ++t) {
        VA value[kV];
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            value[v] = LoadValues<kForm>(values, t, at + v * kAttnLanes);
        }
        values.ask_for_next<kForm>(t * values.row + at);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kQ; ++i) {
            const VA weight = hn::Set(d, weights[i * stride + t]);
#pragma GCC unroll 2
            for (std::size_t v = 0; v < kV; ++v) {
                sum[i][v] = hn::MulAdd(weight, value[v], sum[i][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kQ; ++i) {
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            hn::StoreU(sum[i][v], d, out + i * values.row + at + v * kAttnLanes);
        }
    }
}

/// The same for `queries` of them and all of a head.
template <KvForm kForm>
void AddPageValues(const KvPlane& values, const float* weights, std::size_t stride,
                   std::size_t queries, std::size_t from, std::size_t to, float* out) {
    ByQueries(queries, [&](auto count, std::size_t first) HWY_ATTR {
        constexpr std::size_t kQ = decltype(count)::value;
        const float* w = weights + first * stride;
        float* sums = out + first * values.row;
        std::size_t at = 0;
        for (; at + 2 * kAttnLanes <= values.row; at += 2 * kAttnLanes) {
            AddValues<kForm, kQ, 2>(values, w, stride, from, to, at, sums);
        }
        if (at == values.row) return;
        for (std::size_t i = 0; i < kQ; ++i) {
            AddValues<kForm, 1, 1>(values, w + i * stride, stride, from, to, at,
                                   sums + i * values.row);
        }
    });
}

HWY_INLINE void ScaleRow(float* row, std::size_t width, float by) {
    const DA d;
    for (std::size_t i = 0; i < width; i += kAttnLanes) {
        hn::StoreU(hn::Mul(hn::LoadU(d, row + i), hn::Set(d, by)), d, row + i);
    }
}

HWY_INLINE float ScalarExp2(float x) {
    return hn::GetLane(FastExp2(DA(), hn::Set(DA(), x)));
}

/// The tokens of page `page` that a row attends to, relative to the page's first.
struct InPage {
    std::size_t from, to;
    bool operator==(const InPage&) const = default;
    HWY_INLINE bool empty() const { return from == to; }
};
HWY_INLINE InPage RowInPage(const AttentionTile& tile, std::size_t row, std::size_t page) {
    const std::size_t start = page * tile.kv.layout.tokens;
    const std::size_t from = std::clamp(tile.begin[row], start, start + tile.kv.layout.tokens);
    const std::size_t to = std::clamp(tile.end[row], from, start + tile.kv.layout.tokens);
    return {from - start, to - start};
}

/// f(scores, index of the first lane, tokens seen) for every vector of a block that holds a token.
template <class F>
HWY_INLINE void EachVector(const AttentionTile& tile, std::size_t row, std::size_t first_page,
                           float* scores, F f) {
    for (std::size_t p = 0; p < tile.block_pages; ++p) {
        const InPage tokens = RowInPage(tile, row, first_page + p);
        for (std::size_t t = tokens.from / kAttnLanes * kAttnLanes; t < tokens.to;
             t += kAttnLanes) {
            f(scores + p * tile.page_width + t, t, tokens);
        }
    }
}

/// Makes the block's scores a row does not see minus infinity.
HWY_INLINE void HideTokens(const AttentionTile& tile, std::size_t row, std::size_t first_page,
                           float* scores) {
    const DA d;
    EachVector(
        tile, row, first_page, scores, [&](float* at, std::size_t t, InPage tokens) HWY_ATTR {
            if (tokens.from <= t && t + kAttnLanes <= tokens.to) return;
            const VA index = hn::Iota(d, static_cast<float>(t));
            const auto inside = hn::And(hn::Ge(index, hn::Set(d, static_cast<float>(tokens.from))),
                                        hn::Lt(index, hn::Set(d, static_cast<float>(tokens.to))));
            const VA none = hn::Set(d, -std::numeric_limits<float>::infinity());
            hn::StoreU(hn::IfThenElse(inside, hn::LoadU(d, at), none), d, at);
        });
}

HWY_INLINE void CapScores(float* scores, std::size_t count, float cap) {
    const DA d;
    // The cap is in powers of two as the scores are, and its tanh wants their ratio only.
    for (std::size_t t = 0; t < count; t += kAttnLanes) {
        const VA ratio = hn::Div(hn::LoadU(d, scores + t), hn::Set(d, cap));
        hn::StoreU(hn::Mul(hn::Set(d, cap), FastTanh(d, ratio)), d, scores + t);
    }
}

/// Turns one query's scores for a block's pages into weights relative to the highest score so far,
/// rescaling what was summed before when that rises. kWhole: the row sees every token of the block.
template <bool kWhole>
HWY_INLINE void SoftmaxStep(const AttentionTile& tile, std::size_t row, std::size_t first_page,
                            float* scores, float& highest, float* totals, float* out) {
    const DA d;
    const auto each = [&](auto f) HWY_ATTR {
        if constexpr (kWhole) {
            for (std::size_t t = 0; t < tile.block_width; t += kAttnLanes) f(scores + t);
        } else {
            EachVector(tile, row, first_page, scores,
                       [&](float* at, std::size_t, InPage) HWY_ATTR { f(at); });
        }
    };
    if (tile.soft_cap != 0.f) CapScores(scores, tile.block_width, tile.soft_cap);
    if constexpr (!kWhole) HideTokens(tile, row, first_page, scores);
    VA high = hn::Set(d, -std::numeric_limits<float>::infinity());
    each([&](float* at) HWY_ATTR { high = hn::Max(high, hn::LoadU(d, at)); });
    if (!hn::AllFalse(d, hn::Gt(high, hn::Set(d, highest)))) {
        const float before = highest;
        highest = hn::GetLane(hn::MaxOfLanes(d, high));
        if (before != -std::numeric_limits<float>::infinity()) {
            const float factor = ScalarExp2(before - highest);
            ScaleRow(totals, kAttnLanes, factor);
            ScaleRow(out, tile.width, factor);
        }
    }
    VA sum = hn::LoadU(d, totals);
    const VA base = hn::Set(d, highest);
    each([&](float* at) HWY_ATTR {
        const VA w = FastExp2(d, hn::Sub(hn::LoadU(d, at), base));
        hn::StoreU(w, d, at);
        sum = hn::Add(sum, w);
    });
    hn::StoreU(sum, d, totals);
}

/// Consecutive rows of a tile that see a block.
struct Rows {
    std::size_t first = 0, end = 0;
};

void ScorePage(const AttentionTile& tile, std::size_t page, Rows rows, std::size_t in_block,
               const TileScratch& s) {
    const std::size_t first = rows.first * tile.group, count = (rows.end - rows.first) * tile.group;
    const std::size_t stride = tile.block_width, width = tile.width;
    TurnQueries(tile, page, rows.first, rows.end, s);
    float* scores = s.scores + first * stride + in_block * tile.page_width;
    const float* queries = s.turned + first * width;
    KvPlane keys = PlaneOf(tile.kv, true, page);
    const auto score = [&](auto form) HWY_ATTR {
        ScoreKeys<decltype(form)::value>(keys, tile.kv.layout.dim, queries, width, count, scores,
                                         stride);
    };
    if (tile.kv.layout.bytes()) {
        QuantizeQueries(tile, first, count, s);
        const std::size_t blocks = tile.kv.layout.scale_blocks();
        return ScoreByteKeys(keys,
                             {s.q8 + first * width, s.q8_scale + first * blocks,
                              s.q8_bias + first * blocks, width, blocks},
                             count, scores, stride);
    }
    if (tile.kv.wide) return score(FormTag<KvForm::wide>());
    if (tile.kv.layout.pairs()) {
        RoundToBf16(queries, count * width, s.q16 + first * width);
        const auto* pairs = reinterpret_cast<const std::uint32_t*>(s.q16 + first * width);
        const auto score_pairs = tile.kv.bf16_dot ? ScorePairs<true> : ScorePairs<false>;
        return score_pairs(keys, tile.kv.layout.dim, pairs, width / 2, count, scores, stride);
    }
    if (count <= kWidenFrom) return score(FormTag<KvForm::f16>());
    keys = WidenPlane(tile.kv, keys, tile.kv.layout.dim * keys.row, s.keys);
    score(FormTag<KvForm::wide>());
}

void AddPage(const AttentionTile& tile, std::size_t page, Rows rows, std::size_t in_block,
             const TileScratch& s, float* out) {
    const std::size_t stride = tile.block_width;
    const float* weights = s.scores + in_block * tile.page_width;
    KvPlane values = PlaneOf(tile.kv, false, page);
    const bool pairs = tile.kv.layout.pairs() && !tile.kv.wide;
    const auto add_pairs = tile.kv.bf16_dot ? AddPairs<true> : AddPairs<false>;
    if (pairs) {
        for (std::size_t i = rows.first * tile.group; i < rows.end * tile.group; ++i) {
            RoundToBf16(weights + i * stride, tile.page_width, s.weights16 + i * tile.page_width);
        }
    }
    KvForm form = FormOf(tile.kv);
    if (!pairs && form != KvForm::wide && (rows.end - rows.first) * tile.group > kWidenFrom) {
        values = WidenPlane(tile.kv, values, tile.kv.layout.tokens * values.row, s.values);
        form = KvForm::wide;
    }
    for (std::size_t row = rows.first; row < rows.end;) {
        const InPage tokens = RowInPage(tile, row, page);
        std::size_t next = row + 1;
        while (next < rows.end && RowInPage(tile, next, page) == tokens) ++next;
        const std::size_t first = row * tile.group, count = (next - row) * tile.group;
        const auto add = [&](auto tag) HWY_ATTR {
            AddPageValues<decltype(tag)::value>(values, weights + first * stride, stride, count,
                                                tokens.from, tokens.to, out + first * values.row);
        };
        if (pairs && !tokens.empty()) {
            const std::uint16_t* w = s.weights16 + first * tile.page_width;
            add_pairs(values, reinterpret_cast<const std::uint32_t*>(w), tile.page_width / 2, count,
                      tokens.from, tokens.to, out + first * values.row);
        } else if (!tokens.empty()) {
            WithForm(form, add);
        }
        row = next;
    }
}

/// Adds the tokens of block `block` (counted in pages / block_pages()) that the tile attends to.
void AttendBlock(const AttentionTile& tile, std::size_t block, const TileScratch& s,
                 const Partial& sums) {
    const std::size_t tokens = tile.kv.layout.tokens, pages = tile.block_pages;
    const std::size_t first_page = block * pages;
    const auto sees = [&](std::size_t row, std::size_t from_page, std::size_t count) {
        return tile.begin[row] < (from_page + count) * tokens && tile.end[row] > from_page * tokens;
    };
    Rows rows{tile.rows, 0};
    for (std::size_t row = 0; row < tile.rows; ++row) {
        if (!sees(row, first_page, pages)) continue;
        rows.first = std::min(rows.first, row);
        rows.end = row + 1;
    }
    if (rows.first >= rows.end) return;
    const auto each_page = [&](auto f) HWY_ATTR {
        for (std::size_t p = 0; p < pages; ++p) {
            Rows seeing{rows.end, rows.first};
            for (std::size_t row = rows.first; row < rows.end; ++row) {
                if (!sees(row, first_page + p, 1)) continue;
                seeing.first = std::min(seeing.first, row);
                seeing.end = row + 1;
            }
            if (seeing.first < seeing.end) f(first_page + p, seeing, p);
        }
    };
    each_page([&](std::size_t page, Rows seeing, std::size_t p)
                  HWY_ATTR { ScorePage(tile, page, seeing, p, s); });
    for (std::size_t row = rows.first; row < rows.end; ++row) {
        if (!sees(row, first_page, pages)) continue;
        const bool whole = tile.page_width == tokens && tile.begin[row] <= first_page * tokens &&
                           tile.end[row] >= (first_page + pages) * tokens;
        for (std::size_t i = row * tile.group; i < (row + 1) * tile.group; ++i) {
            float* scores = s.scores + i * tile.block_width;
            float* out = sums.out + i * tile.width;
            float* totals = s.totals + i * 16;
            if (whole) {
                SoftmaxStep<true>(tile, row, first_page, scores, sums.highest[i], totals, out);
            } else {
                SoftmaxStep<false>(tile, row, first_page, scores, sums.highest[i], totals, out);
            }
        }
    }
    each_page([&](std::size_t page, Rows seeing, std::size_t p)
                  HWY_ATTR { AddPage(tile, page, seeing, p, s, sums.out); });
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled guard
