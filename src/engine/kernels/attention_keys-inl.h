// Reading cached keys and values in vectors, turning queries to a page, and scores.
#if defined(DG_ENGINE_KERNELS_ATTENTION_KEYS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_ATTENTION_KEYS_INL_H_
#undef DG_ENGINE_KERNELS_ATTENTION_KEYS_INL_H_
#else
#define DG_ENGINE_KERNELS_ATTENTION_KEYS_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <type_traits>

#include "engine/kernels/attention_tile.h"
#include "engine/kernels/half-inl.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
// Highway 1.0.3 tests for VNNI but does not name it to the compiler. BF16 is tested for here, and
// only PairDot<true> uses it.
#pragma GCC target("avx512vnni,avx512bf16")
#endif
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DA = hn::CappedTag<float, 16>;
using VA = hn::Vec<DA>;
using DAI = hn::RebindToSigned<DA>;
using VAI = hn::Vec<DAI>;
constexpr std::size_t kAttnLanes = hn::MaxLanes(DA());

/// Queries of a register tile: with two vectors each, two inputs and a broadcast they fill the
/// registers.
#if DG_SMALL_TILES
constexpr std::size_t kQueriesAtOnce = 2;
#elif HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
constexpr std::size_t kQueriesAtOnce = 8;
#else
constexpr std::size_t kQueriesAtOnce = 6;
#endif
/// With more queries than this a page is widened to floats once instead of by every register tile.
constexpr std::size_t kWidenFrom = 2 * kQueriesAtOnce;

enum class KvForm { wide, f16, q8 };  ///< BF16 has its own: attention_pairs-inl.h
template <KvForm kForm>
using FormTag = std::integral_constant<KvForm, kForm>;

HWY_INLINE KvForm FormOf(const PagedHead& kv) {
    if (kv.wide) return KvForm::wide;
    return kv.layout.bytes() ? KvForm::q8 : KvForm::f16;
}

template <class F>
HWY_INLINE void WithForm(KvForm form, F f) {
    switch (form) {
        case KvForm::wide:
            return f(FormTag<KvForm::wide>());
        case KvForm::f16:
            return f(FormTag<KvForm::f16>());
        case KvForm::q8:
            return f(FormTag<KvForm::q8>());
    }
}

/// f(integral_constant count, first) over runs of queries as even as register tiles allow.
template <class F>
HWY_INLINE void ByQueries(std::size_t queries, F f) {
    std::size_t passes = (queries + kQueriesAtOnce - 1) / kQueriesAtOnce;
    for (std::size_t first = 0; first < queries; --passes) {
        const std::size_t count = (queries - first + passes - 1) / passes;
        switch (count) {
            case 1:
                f(std::integral_constant<std::size_t, 1>(), first);
                break;
            case 2:
                f(std::integral_constant<std::size_t, 2>(), first);
                break;
#if !DG_SMALL_TILES
            case 3:
                f(std::integral_constant<std::size_t, 3>(), first);
                break;
            case 4:
                f(std::integral_constant<std::size_t, 4>(), first);
                break;
            case 5:
                f(std::integral_constant<std::size_t, 5>(), first);
                break;
            case 6:
                f(std::integral_constant<std::size_t, 6>(), first);
                break;
            case 7:
                f(std::integral_constant < std::size_t, kQueriesAtOnce < 7 ? 1 : 7 > (), first);
                break;
            case 8:
                f(std::integral_constant < std::size_t, kQueriesAtOnce < 8 ? 1 : 8 > (), first);
                break;
#endif
            default:
                break;
        }
        first += count;
    }
}

constexpr std::size_t BytesPerValue(KvForm form) {
    return form == KvForm::wide ? 4 : form == KvForm::q8 ? 1 : 2;
}

/// One head's keys or values in one page.
struct KvPlane {
    const std::byte* data = nullptr;
    const std::byte* next = nullptr;  ///< of the page after it, to be asked for in advance
    const float* scales = nullptr;    ///< q8 only
    std::size_t row = 0;              ///< values: keys of a dim, or dims of a value
    std::size_t scale_row = 0;        ///< values: scales of a token

    template <KvForm kForm>
    HWY_INLINE void ask_for_next(std::size_t index) const {
        if constexpr (kForm != KvForm::wide) {
            hwy::Prefetch(next + index * BytesPerValue(kForm));
        }
    }
};

HWY_INLINE KvPlane PlaneOf(const PagedHead& kv, bool keys, std::size_t page) {
    const std::byte* const* pages = keys ? kv.k_pages : kv.v_pages;
    KvPlane plane;
    plane.data = pages[page] + kv.offset;
    plane.next = page + 1 < kv.pages ? pages[page + 1] + kv.offset : plane.data;
    plane.row = keys ? kv.layout.padded_tokens() : kv.layout.padded_dim();
    if (kv.layout.bytes()) {
        plane.scales = reinterpret_cast<const float*>(plane.data + kv.layout.scales_offset());
        plane.scale_row = kv.layout.scale_blocks();
    }
    return plane;
}

template <KvForm kForm>
HWY_INLINE VA LoadWide(const std::byte* data, std::size_t index) {
    const DA d;
    if constexpr (kForm == KvForm::wide) {
        return hn::LoadU(d, reinterpret_cast<const float*>(data) + index);
    } else if constexpr (kForm == KvForm::f16) {
        return LoadHalves(d, reinterpret_cast<const std::uint16_t*>(data) + index);
    } else {
        const hn::Rebind<std::int8_t, DA> d8;
        const auto codes = hn::LoadU(d8, reinterpret_cast<const std::int8_t*>(data) + index);
        return hn::ConvertTo(d, hn::PromoteTo(DAI(), codes));
    }
}

/// Dims [at, at + lanes) of token t's value.
template <KvForm kForm>
HWY_INLINE VA LoadValues(const KvPlane& values, std::size_t t, std::size_t at) {
    const VA v = LoadWide<kForm>(values.data, t * values.row + at);
    if constexpr (kForm != KvForm::q8) return v;
    const float scale = values.scales[t * values.scale_row + at / KvLayout::kScaleBlock];
    return hn::Mul(v, hn::Set(DA(), scale));
}

/// The first `count` values of a plane as floats in `to`; the same numbers as register tiles read.
/// q8: values only, whose scales are applied.
KvPlane WidenPlane(const PagedHead& kv, const KvPlane& plane, std::size_t count, float* to) {
    WithForm(FormOf(kv), [&](auto form) HWY_ATTR {
        constexpr KvForm kForm = decltype(form)::value;
        for (std::size_t i = 0; i < count; i += kAttnLanes) {
            plane.ask_for_next<kForm>(i);
            VA v = LoadWide<kForm>(plane.data, i);
            if constexpr (kForm == KvForm::q8) {
                v = hn::Mul(v, hn::Set(DA(), plane.scales[i / KvLayout::kScaleBlock]));
            }
            hn::StoreU(v, DA(), to + i);
        }
    });
    KvPlane wide;
    wide.data = wide.next = reinterpret_cast<const std::byte*>(to);
    wide.row = plane.row;
    return wide;
}

/// to = from turned by `pages` pages, for `count` queries; values behind the rotated ones are left
/// alone.
HWY_INLINE void TurnRow(const PageRotations& rotations, std::size_t pages, std::size_t count,
                        std::size_t width, const float* from, float* to) {
    const DA d;
    const std::size_t rot_dim = rotations.rot_dim(), half = rot_dim / 2;
    const float* a = rotations.at(pages);
    const float* b = a + rot_dim;
    std::size_t i = 0;
    if (rotations.pairing() == RopePairing::halves) {
        for (; i + kAttnLanes <= half; i += kAttnLanes) {
            const VA c = hn::LoadU(d, a + i), s = hn::LoadU(d, b + half + i);
            for (std::size_t q = 0; q < count * width; q += width) {
                const VA x = hn::LoadU(d, from + q + i), y = hn::LoadU(d, from + q + half + i);
                hn::StoreU(hn::NegMulAdd(y, s, hn::Mul(x, c)), d, to + q + i);
                hn::StoreU(hn::MulAdd(x, s, hn::Mul(y, c)), d, to + q + half + i);
            }
        }
        for (; i < half; ++i) {
            for (std::size_t q = 0; q < count * width; q += width) {
                const float x = from[q + i], y = from[q + half + i];
                to[q + i] = x * a[i] + y * b[i];
                to[q + half + i] = y * a[half + i] + x * b[half + i];
            }
        }
        return;
    }
#if HWY_TARGET != HWY_SCALAR
    for (; i + kAttnLanes <= rot_dim; i += kAttnLanes) {
        const VA c = hn::LoadU(d, a + i), s = hn::LoadU(d, b + i);
        for (std::size_t q = 0; q < count * width; q += width) {
            const VA x = hn::LoadU(d, from + q + i);
            hn::StoreU(hn::MulAdd(hn::Reverse2(d, x), s, hn::Mul(x, c)), d, to + q + i);
        }
    }
#endif
    for (; i < rot_dim; i += 2) {
        for (std::size_t q = 0; q < count * width; q += width) {
            const float x = from[q + i], y = from[q + i + 1];
            to[q + i] = x * a[i] + y * b[i];
            to[q + i + 1] = y * a[i + 1] + x * b[i + 1];
        }
    }
}

/// Rotates the queries of rows [first, end) from their own page to `page`.
void TurnQueries(const AttentionTile& tile, std::size_t page, std::size_t first, std::size_t end,
                 const TileScratch& s) {
    if (tile.rotations == nullptr) return;
    const auto pages_to = [&](std::size_t row) {
        return tile.own_page[row] > page ? tile.own_page[row] - page : 0;  // 0: sees nothing of it
    };
    for (std::size_t row = first; row < end;) {
        std::size_t next = row + 1;
        while (next < end && pages_to(next) == pages_to(row)) ++next;
        const std::size_t at = row * tile.group * tile.width;
        TurnRow(*tile.rotations, pages_to(row), (next - row) * tile.group, tile.width,
                s.queries + at, s.turned + at);
        row = next;
    }
}

/// scores[i][t..] = queries[i] . keys[..][t..] for kQ queries and kV vectors of tokens.
template <KvForm kForm, std::size_t kQ, std::size_t kV>
DG_TILE_INLINE void ScoreTile(const KvPlane& keys, std::size_t dim, std::size_t t,
                              const float* queries, std::size_t width, float* scores,
                              std::size_t stride) {
    const DA d;
    VA sum[kQ][kV];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kQ; ++i) {
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) sum[i][v] = hn::Zero(d);
    }
    for (std::size_t k = 0; k < dim; ++k) {
        VA key[kV];
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            key[v] = LoadWide<kForm>(keys.data, k * keys.row + t + v * kAttnLanes);
        }
        keys.ask_for_next<kForm>(k * keys.row + t);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kQ; ++i) {
            const VA q = hn::Set(d, queries[i * width + k]);
#pragma GCC unroll 2
            for (std::size_t v = 0; v < kV; ++v) sum[i][v] = hn::MulAdd(q, key[v], sum[i][v]);
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

template <KvForm kForm>
void ScoreKeys(const KvPlane& keys, std::size_t dim, const float* queries, std::size_t width,
               std::size_t count, float* scores, std::size_t stride) {
    ByQueries(count, [&](auto tile_queries, std::size_t first) HWY_ATTR {
        constexpr std::size_t kQ = decltype(tile_queries)::value;
        const float* q = queries + first * width;
        float* s = scores + first * stride;
        std::size_t t = 0;
        for (; t + 2 * kAttnLanes <= keys.row; t += 2 * kAttnLanes) {
            ScoreTile<kForm, kQ, 2>(keys, dim, t, q, width, s, stride);
        }
        if (t == keys.row) return;
        for (std::size_t i = 0; i < kQ; ++i) {
            ScoreTile<kForm, 1, 1>(keys, dim, t, q + i * width, width, s + i * stride, stride);
        }
    });
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled guard
