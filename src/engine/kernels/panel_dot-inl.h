// Products of a panel (16 weight rows, unpacked) with a tile of quantised activation rows.
//
// Lanes run over the outputs, so nothing is ever summed across lanes: each of the 8 dwords of a
// panel block meets the same 4 activation bytes in every lane. Sums within a block are exact
// integers and blocks are added in order, so an output does not depend on the tile it is in.
#if defined(DG_ENGINE_KERNELS_PANEL_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_PANEL_DOT_INL_H_
#undef DG_ENGINE_KERNELS_PANEL_DOT_INL_H_
#else
#define DG_ENGINE_KERNELS_PANEL_DOT_INL_H_
#endif

#include "engine/kernels/activations.h"
#include "engine/kernels/panel_pack-inl.h"
#include "engine/kernels/quantized_matmul.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
#pragma GCC target("avx512vnni")  // Highway 1.0.3 tests for it but does not name it to the compiler
#endif
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

DG_TILE_INLINE VI32 BroadcastDword(const std::int8_t* p) {
    std::int32_t dword = 0;
    std::memcpy(&dword, p, 4);
    return hn::Set(DI32(), dword);
}

#if HWY_TARGET == HWY_AVX3_DL

template <class Format>
struct ByteDot {
    VI32 sum;
    HWY_INLINE void start(std::int32_t from) { sum = hn::Set(DI32(), from); }
    HWY_INLINE void add(VU32 w, VI32 a) { sum = VI32{_mm512_dpbusd_epi32(sum.raw, w.raw, a.raw)}; }
    HWY_INLINE VI32 finish() const { return sum; }
};

#elif HWY_TARGET == HWY_AVX2

/// Pairs of products fit 16 bits: 127 * 127 * 2 < 32768 (128 * 127 * 2 for signed weights). For
/// nibbles eight such pairs do, 15 * 127 * 2 * 8 = 30480, so a block is widened once.
template <class Format>
struct ByteDot {
    __m256i sum;  ///< 16-bit sums of pairs for nibbles, else 32-bit sums
    std::int32_t begin;
    HWY_INLINE void start(std::int32_t from) {
        begin = from;
        sum = Format::kNibble ? _mm256_setzero_si256() : _mm256_set1_epi32(from);
    }
    HWY_INLINE void add(VU32 w, VI32 a) {
        __m256i p;
        if constexpr (Format::kSigned) {
            p = _mm256_maddubs_epi16(_mm256_abs_epi8(w.raw), _mm256_sign_epi8(a.raw, w.raw));
        } else {
            p = _mm256_maddubs_epi16(w.raw, a.raw);
        }
        if constexpr (Format::kNibble) {
            sum = _mm256_add_epi16(sum, p);
        } else {
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(p, _mm256_set1_epi16(1)));
        }
        // Keeps the sums in this order: the compiler would rather form all products of a block
        // first and add them as a tree, which spills most of them.
        asm("" : "+x"(sum));
    }
    HWY_INLINE VI32 finish() const {
        if constexpr (!Format::kNibble) return VI32{sum};
        const __m256i wide = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
        return hn::Add(VI32{wide}, hn::Set(DI32(), begin));
    }
};

#else

template <class Format>
struct ByteDot {
    VI32 sum;
    HWY_INLINE void start(std::int32_t from) { sum = hn::Set(DI32(), from); }
    HWY_INLINE void add(VU32 w, VI32 a) {
        // Both as pairs of 16-bit lanes; two products of bytes fit one such lane.
        const hn::Repartition<std::int16_t, DI32> d16;
        const auto wide_w = hn::BitCast(d16, w);
        const auto wide_a = hn::BitCast(d16, a);
        const auto high = hn::Mul(hn::ShiftRight<8>(wide_w), hn::ShiftRight<8>(wide_a));
        const auto low = hn::Mul(hn::ShiftRight<8>(hn::ShiftLeft<8>(wide_w)),
                                 hn::ShiftRight<8>(hn::ShiftLeft<8>(wide_a)));
        const VI32 pairs = hn::BitCast(DI32(), hn::Add(high, low));
        sum = hn::Add(
            sum, hn::Add(hn::ShiftRight<16>(pairs), hn::ShiftRight<16>(hn::ShiftLeft<16>(pairs))));
    }
    HWY_INLINE VI32 finish() const { return sum; }
};

#endif

/// The part of QuantizedRows that a tile reads: from its first row and the chunk's first block on.
struct TileRows {
    const std::int8_t* q;
    const float* scale;
    const float* scaled_sum;
    const std::int32_t* sum32;
    const std::int32_t* sum16;
    std::size_t cols, blocks;  ///< row strides

    HWY_INLINE TileRows(const QuantizedRows& a, std::size_t row, std::size_t block)
        : q(a.q + row * a.cols + block * 32),
          scale(a.scale + row * a.blocks() + block),
          scaled_sum(a.scaled_sum + row * a.blocks() + block),
          sum32(a.sum32 + row * a.blocks() + block),
          sum16(a.sum16 + (row * a.blocks() + block) * 2),
          cols(a.cols),
          blocks(a.blocks()) {}
};

/// A run of panel blocks as PackPanel leaves them. Every source of weights has these members; each
/// speaks of the lanes that vector `part` of a panel covers.
template <class FormatOf>
struct UnpackedBlocks {
    using Format = FormatOf;
    using Layout = PanelLayout<Format>;
    const std::uint8_t* panel;

    /// Inputs 4j..4j+3, or for nibble formats these below 16 + 4j..16 + 4j+3.
    HWY_INLINE VU32 q(std::size_t b, std::size_t part, std::size_t j) const {
        return hn::BitCast(
            DU32(), hn::LoadU(hn::Repartition<std::uint8_t, DU32>(),
                              panel + b * Layout::kBytes + part * kLanes * 4 + j * kVectorBytes));
    }
    HWY_INLINE void prefetch(std::size_t) const {}  // PackPanel did
    HWY_INLINE VF32 scale(std::size_t b, std::size_t part, std::size_t group) const {
        return floats(b, part, group);
    }
    HWY_INLINE VF32 min(std::size_t b, std::size_t part, std::size_t group) const {
        return floats(b, part, Layout::kGroups + group);
    }

private:
    HWY_INLINE VF32 floats(std::size_t b, std::size_t part, std::size_t row) const {
        const std::uint8_t* at = panel + b * Layout::kBytes + Layout::kQBytes;
        return hn::LoadU(DF32(), reinterpret_cast<const float*>(at) + row * kPanel + part * kLanes);
    }
};

/// Where the sums of each of a task's panels begin.
constexpr std::size_t kSumsStride = kPanelRowsMax * kPanelOuts;

/// For each of kPanels sources: acc[r * 16 + o] += sum over the source's blocks, for kRows rows.
/// The second source's sums lie kSumsStride further. An activation broadcast serves all sources.
template <std::size_t kRows, std::size_t kPanels, class Source>
HWY_NOINLINE void DotTile(const Source (&source)[kPanels], std::size_t panel_blocks,
                          const TileRows a, float* acc) {
    using Format = typename Source::Format;
    constexpr std::size_t kGroups = 32 / Format::kGroup;
    constexpr std::size_t kDwords = 8 / kGroups;
    // Few rows leave the adder waiting for itself; two sums per output hide that. They are
    // integers, so the result is the same.
    constexpr std::size_t kChains = kRows * kPanels <= 2 ? 2 : 1;
    const auto total_of = [](const ByteDot<Format>(&dot)[kChains]) {
        VI32 sum = dot[0].finish();
        if constexpr (kChains == 2) sum = hn::Add(sum, dot[1].finish());
        return sum;
    };
    const DF32 df;
    for (std::size_t part = 0; part < kParts; ++part) {
        VF32 total[kPanels][kRows];
#pragma GCC unroll 2
        for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 8
            for (std::size_t r = 0; r < kRows; ++r) {
                total[p][r] = hn::LoadU(df, acc + p * kSumsStride + r * kPanel + part * kLanes);
            }
        }
        for (std::size_t b = 0; b < panel_blocks; ++b) {
            if (part == 0) {
                for (const Source& each : source) each.prefetch(b);
            }
            const std::int8_t* q = a.q + b * 32;
#pragma GCC unroll 2
            for (std::size_t g = 0; g < kGroups; ++g) {
                ByteDot<Format> dot[kPanels][kRows][kChains];
#pragma GCC unroll 8
                for (std::size_t r = 0; r < kRows; ++r) {
                    const std::size_t at = r * a.blocks + b;
                    std::int32_t from = 0;
                    if constexpr (Format::kBias != 0) {
                        from = Format::kBias * (kGroups == 1 ? a.sum32[at] : a.sum16[at * 2 + g]);
                    }
#pragma GCC unroll 2
                    for (std::size_t p = 0; p < kPanels; ++p) {
                        dot[p][r][0].start(from);
                        if constexpr (kChains == 2) dot[p][r][1].start(0);
                    }
                }
                if constexpr (Format::kNibble) {
#pragma GCC unroll 4
                    for (std::size_t j = 0; j < 4; ++j) {
                        VU32 low[kPanels], high[kPanels];
#pragma GCC unroll 2
                        for (std::size_t p = 0; p < kPanels; ++p) {
                            const VU32 both = source[p].q(b, part, j);
                            low[p] = Low4(both);
                            high[p] = High4(both);
                        }
#pragma GCC unroll 8
                        for (std::size_t r = 0; r < kRows; ++r) {
                            const VI32 first = BroadcastDword(q + r * a.cols + j * 4);
                            const VI32 second = BroadcastDword(q + r * a.cols + 16 + j * 4);
#pragma GCC unroll 2
                            for (std::size_t p = 0; p < kPanels; ++p) {
                                dot[p][r][0].add(low[p], first);
                                dot[p][r][kChains - 1].add(high[p], second);
                            }
                        }
                    }
                } else {
#pragma GCC unroll 8
                    for (std::size_t j = g * kDwords; j < (g + 1) * kDwords; ++j) {
                        VU32 w[kPanels];
#pragma GCC unroll 2
                        for (std::size_t p = 0; p < kPanels; ++p) w[p] = source[p].q(b, part, j);
#pragma GCC unroll 8
                        for (std::size_t r = 0; r < kRows; ++r) {
                            const VI32 inputs = BroadcastDword(q + r * a.cols + j * 4);
#pragma GCC unroll 2
                            for (std::size_t p = 0; p < kPanels; ++p) {
                                dot[p][r][j % kChains].add(w[p], inputs);
                            }
                        }
                    }
                }
#pragma GCC unroll 2
                for (std::size_t p = 0; p < kPanels; ++p) {
                    const VF32 scale = source[p].scale(b, part, g);
#pragma GCC unroll 8
                    for (std::size_t r = 0; r < kRows; ++r) {
                        const std::size_t at = r * a.blocks + b;
                        const VF32 factor = hn::Mul(scale, hn::Set(df, a.scale[at]));
                        total[p][r] =
                            hn::MulAdd(hn::ConvertTo(df, total_of(dot[p][r])), factor, total[p][r]);
                    }
                    if constexpr (Format::kMin) {
                        const VF32 min = source[p].min(b, part, g);
#pragma GCC unroll 8
                        for (std::size_t r = 0; r < kRows; ++r) {
                            const std::size_t at = r * a.blocks + b;
                            const float sum =
                                kGroups == 1
                                    ? a.scaled_sum[at]
                                    : a.scale[at] * static_cast<float>(a.sum16[at * 2 + g]);
                            total[p][r] = hn::MulAdd(min, hn::Set(df, sum), total[p][r]);
                        }
                    }
                }
            }
        }
#pragma GCC unroll 2
        for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 8
            for (std::size_t r = 0; r < kRows; ++r) {
                hn::StoreU(total[p][r], df, acc + p * kSumsStride + r * kPanel + part * kLanes);
            }
        }
    }
}

/// Rows per register tile; AVX2 has half the registers.
template <std::size_t kPanels>
constexpr std::size_t kTileRows = DG_SMALL_TILES              ? 2
                                  : HWY_TARGET != HWY_AVX3_DL ? 4
                                  : kPanels == 2              ? 6
                                                              : 8;

/// DotTile over `rows` rows of x, from block `first_block` of their inputs on.
template <std::size_t kPanels, class Source>
void DotRows(const Source (&source)[kPanels], std::size_t blocks, const QuantizedRows& x,
             std::size_t first_block, std::size_t first_row, std::size_t rows, float* acc) {
    constexpr std::size_t kMost = kTileRows<kPanels>;
    std::size_t r = 0;
    const auto tile = [&](auto size) {
        constexpr std::size_t kRows = decltype(size)::value;
        DotTile<kRows>(source, blocks, TileRows(x, first_row + r, first_block), acc + r * kPanel);
        r += kRows;
    };
    // Eight left are two fours, not six and two; or, where weights take as many loads as
    // activations, one eight for each panel.
    while (rows - r >= kMost && !(kMost == 6 && rows - r == 8)) {
        tile(std::integral_constant<std::size_t, kMost>());
    }
    if constexpr (kMost == 6 && !Source::Format::kNibble) {
        if (rows - r == 8) {
            for (std::size_t p = 0; p < kPanels; ++p) {
                const Source one[1] = {source[p]};
                DotTile<8>(one, blocks, TileRows(x, first_row + r, first_block),
                           acc + p * kSumsStride + r * kPanel);
            }
            return;
        }
    }
    if constexpr (kMost >= 4) {
        while (rows - r >= 4) tile(std::integral_constant<std::size_t, 4>());
    }
    while (rows - r >= 2) tile(std::integral_constant<std::size_t, 2>());
    if (r < rows) tile(std::integral_constant<std::size_t, 1>());
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // toggled guard
