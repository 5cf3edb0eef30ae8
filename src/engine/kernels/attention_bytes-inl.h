// Scores against 8-bit keys: queries are quantised too and products of bytes summed as integers.
#if defined(DG_ENGINE_KERNELS_ATTENTION_BYTES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_ATTENTION_BYTES_INL_H_
#undef DG_ENGINE_KERNELS_ATTENTION_BYTES_INL_H_
#else
#define DG_ENGINE_KERNELS_ATTENTION_BYTES_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

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

/// Queries as q8 keys meet them: 32 dims share a scale, q ~ scale * code.
struct ByteQueries {
    const std::int8_t* codes;
    const float* scales;
    const std::int32_t* bias;  ///< -128 * sum of a block's codes
    std::size_t width, blocks;

    HWY_INLINE ByteQueries from(std::size_t query) const {
        return {codes + query * width, scales + query * blocks, bias + query * blocks, width,
                blocks};
    }
};

void QuantizeQueries(const AttentionTile& tile, std::size_t first, std::size_t count,
                     const TileScratch& s) {
    const DA d;
    const std::size_t blocks = tile.kv.layout.scale_blocks();
    constexpr std::size_t kBlock = KvLayout::kScaleBlock;
    for (std::size_t b = first * blocks; b < (first + count) * blocks; ++b) {
        // Blocks of all queries lie one after another, as width is a multiple of a block.
        const float* from = s.turned + b * kBlock;
        VA highest = hn::Zero(d), poison = hn::Zero(d);
        for (std::size_t i = 0; i < kBlock; i += kAttnLanes) {
            const VA x = hn::LoadU(d, from + i);
            highest = hn::Max(highest, hn::Abs(x));
            poison = hn::MulAdd(x, hn::Zero(d), poison);  // NaN where x is not finite
        }
        const float high = hn::GetLane(hn::MaxOfLanes(d, highest));
        const float bad = hn::GetLane(hn::SumOfLanes(d, poison));
        const bool usable = bad == 0.f && high > 1e-30f;
        s.q8_scale[b] = usable ? high / 127.f : bad;
        const VA inverse = hn::Set(d, usable ? 127.f / high : 0.f);
        VAI sum = hn::Zero(DAI());
        const hn::Rebind<std::int8_t, DA> d8;
        for (std::size_t i = 0; i < kBlock; i += kAttnLanes) {
            const VA scaled = usable ? hn::Mul(hn::LoadU(d, from + i), inverse) : hn::Zero(d);
            const VAI codes = hn::NearestInt(scaled);
            hn::StoreU(hn::DemoteTo(d8, codes), d8, s.q8 + b * kBlock + i);
            sum = hn::Add(sum, codes);
        }
        s.q8_bias[b] = -128 * hn::GetLane(hn::SumOfLanes(DAI(), sum));
    }
}

/// sum += products of 4 codes of a key (one per lane) with 4 of a query (in every lane). AVX-512's
/// product wants one side unsigned, so it sees key + 128 and starts from ByteQueries::bias.
struct KeyCodes {
#if HWY_TARGET == HWY_AVX3_DL
    __m512i codes;
    HWY_INLINE explicit KeyCodes(const std::int8_t* at)
        : codes(_mm512_xor_si512(_mm512_loadu_si512(at), _mm512_set1_epi8(-128))) {}
    static HWY_INLINE VAI start(std::int32_t bias) {
        return hn::Set(DAI(), bias);
    }
    HWY_INLINE VAI add(VAI sum, std::int32_t query) const {
        return VAI{_mm512_dpbusd_epi32(sum.raw, codes, _mm512_set1_epi32(query))};
    }
#elif HWY_TARGET == HWY_AVX2
    __m256i codes, positive;
    HWY_INLINE explicit KeyCodes(const std::int8_t* at)
        : codes(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at))),
          positive(_mm256_abs_epi8(codes)) {}
    static HWY_INLINE VAI start(std::int32_t) {
        return hn::Zero(DAI());
    }
    HWY_INLINE VAI add(VAI sum, std::int32_t query) const {
        // Pairs fit 16 bits: 127 * 127 * 2 < 32768.
        const __m256i pairs =
            _mm256_maddubs_epi16(positive, _mm256_sign_epi8(_mm256_set1_epi32(query), codes));
        return hn::Add(sum, VAI{_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))});
    }
#elif HWY_TARGET == HWY_SCALAR
    std::int8_t codes[4];
    HWY_INLINE explicit KeyCodes(const std::int8_t* at) {
        std::memcpy(codes, at, 4);
    }
    static HWY_INLINE VAI start(std::int32_t) {
        return hn::Zero(DAI());
    }
    HWY_INLINE VAI add(VAI sum, std::int32_t query) const {
        std::int8_t q[4];
        std::memcpy(q, &query, 4);
        std::int32_t products = 0;
        for (int i = 0; i < 4; ++i) products += codes[i] * q[i];
        return hn::Add(sum, hn::Set(DAI(), products));
    }
#else
    using D16 = hn::Repartition<std::int16_t, DAI>;
    hn::Vec<D16> even, odd;
    HWY_INLINE explicit KeyCodes(const std::int8_t* at) {
        const hn::Repartition<std::int8_t, DAI> d8;
        const auto pairs = hn::BitCast(D16(), hn::LoadU(d8, at));
        even = hn::ShiftRight<8>(hn::ShiftLeft<8>(pairs));
        odd = hn::ShiftRight<8>(pairs);
    }
    static HWY_INLINE VAI start(std::int32_t) {
        return hn::Zero(DAI());
    }
    HWY_INLINE VAI add(VAI sum, std::int32_t query) const {
        // Two products of bytes fit 16 bits.
        const auto pairs = hn::BitCast(D16(), hn::Set(DAI(), query));
        const auto both = hn::Add(hn::Mul(even, hn::ShiftRight<8>(hn::ShiftLeft<8>(pairs))),
                                  hn::Mul(odd, hn::ShiftRight<8>(pairs)));
        const VAI wide = hn::BitCast(DAI(), both);
        return hn::Add(
            sum, hn::Add(hn::ShiftRight<16>(wide), hn::ShiftRight<16>(hn::ShiftLeft<16>(wide))));
    }
#endif
};

/// scores[i][t..] for kQ queries and kV vectors of tokens.
template <std::size_t kQ, std::size_t kV>
DG_TILE_INLINE void ScoreByteTile(const KvPlane& keys, std::size_t t, const ByteQueries& queries,
                                  float* scores, std::size_t stride) {
    const DA d;
    const auto* codes = reinterpret_cast<const std::int8_t*>(keys.data);
    VA sum[kQ][kV];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kQ; ++i) {
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) sum[i][v] = hn::Zero(d);
    }
    for (std::size_t b = 0; b < queries.blocks; ++b) {
        VAI dot[kQ][kV];
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kQ; ++i) {
#pragma GCC unroll 2
            for (std::size_t v = 0; v < kV; ++v) {
                dot[i][v] = KeyCodes::start(queries.bias[i * queries.blocks + b]);
            }
        }
        for (std::size_t k = b * 8; k < b * 8 + 8; ++k) {
            const std::size_t at = (k * keys.row + t) * 4;
#pragma GCC unroll 2
            for (std::size_t v = 0; v < kV; ++v) {
                hwy::Prefetch(keys.next + at + v * kAttnLanes * 4);
                const KeyCodes key(codes + at + v * kAttnLanes * 4);
#pragma GCC unroll 8
                for (std::size_t i = 0; i < kQ; ++i) {
                    std::int32_t query = 0;
                    std::memcpy(&query, queries.codes + i * queries.width + k * 4, 4);
                    dot[i][v] = key.add(dot[i][v], query);
                }
            }
        }
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kV; ++v) {
            const VA key_scale = hn::LoadU(d, keys.scales + b * keys.row + t + v * kAttnLanes);
#pragma GCC unroll 8
            for (std::size_t i = 0; i < kQ; ++i) {
                const VA part = hn::Mul(hn::ConvertTo(d, dot[i][v]), key_scale);
                sum[i][v] =
                    hn::MulAdd(part, hn::Set(d, queries.scales[i * queries.blocks + b]), sum[i][v]);
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

void ScoreByteKeys(const KvPlane& keys, const ByteQueries& queries, std::size_t count,
                   float* scores, std::size_t stride) {
    // Two sets of sums: half as many queries at once.
    constexpr std::size_t kQ = kQueriesAtOnce / 2;
    const auto row_of_tiles = [&](auto tile_queries, std::size_t first) HWY_ATTR {
        constexpr std::size_t kCount = decltype(tile_queries)::value;
        const ByteQueries q = queries.from(first);
        std::size_t t = 0;
        for (; t + 2 * kAttnLanes <= keys.row; t += 2 * kAttnLanes) {
            ScoreByteTile<kCount, 2>(keys, t, q, scores + first * stride, stride);
        }
        for (; t < keys.row; t += kAttnLanes) {
            ScoreByteTile<kCount, 1>(keys, t, q, scores + first * stride, stride);
        }
    };
    std::size_t first = 0;
    for (; first + kQ <= count; first += kQ) {
        row_of_tiles(std::integral_constant<std::size_t, kQ>(), first);
    }
    for (; first < count; ++first) row_of_tiles(std::integral_constant<std::size_t, 1>(), first);
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled guard
