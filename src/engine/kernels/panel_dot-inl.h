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

#include <bit>

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

// Sums of one group's products for one row and one vector of outputs. `add` takes the products of
// the group in order, j = 0, 1, ...; where a format has a bias, `finish` adds kBias * sum.

#if HWY_TARGET == HWY_AVX3_DL

template <class Format>
struct ByteDot {
    VI32 sum;
    HWY_INLINE void start(std::int32_t inputs) { sum = hn::Set(DI32(), Format::kBias * inputs); }
    HWY_INLINE void start_empty() { sum = hn::Zero(DI32()); }
    HWY_INLINE void add(std::size_t, VU32 w, VI32 a) {
        sum = VI32{_mm512_dpbusd_epi32(sum.raw, w.raw, a.raw)};
    }
    HWY_INLINE VI32 finish() const { return sum; }
};

#elif HWY_TARGET == HWY_AVX2

/// Pairs of products fit 16 bits: 127 * 127 * 2 < 32768 (128 * 127 * 2 for signed weights). Small
/// codes leave room for a run of such pairs, 15 * 127 * 2 * 8 = 30480, before it must be widened.
template <class Format>
struct ByteDot {
    static constexpr std::size_t kProducts = Format::kGroup / 4;
    static constexpr std::size_t kFit = 32767 / (Format::kCodeMax * 127 * 2);
    static constexpr std::size_t kRun = kFit >= kProducts ? kProducts : kFit >= 4 ? 4 : kFit;
    __m256i run;  ///< 16-bit sums of up to kRun pairs
    __m256i sum;  ///< 32-bit sums of whole runs
    __m256i inputs;

    HWY_INLINE void start(std::int32_t input_sum) { inputs = _mm256_set1_epi32(input_sum); }
    HWY_INLINE void add(std::size_t j, VU32 w, VI32 a) {
        __m256i p;
        if constexpr (Format::kSigned) {
            p = _mm256_maddubs_epi16(_mm256_abs_epi8(w.raw), _mm256_sign_epi8(a.raw, w.raw));
        } else {
            p = _mm256_maddubs_epi16(w.raw, a.raw);
        }
        run = j % kRun == 0 ? p : _mm256_add_epi16(run, p);
        if (j % kRun == kRun - 1) {
            const __m256i wide = _mm256_madd_epi16(run, _mm256_set1_epi16(1));
            sum = j < kRun ? wide : _mm256_add_epi32(sum, wide);
            // Keeps the sums in this order: the compiler would rather form all products of a block
            // first and add them as a tree, which spills most of them.
            asm("" : "+x"(sum));
        } else {
            asm("" : "+x"(run));
        }
    }
    HWY_INLINE VI32 finish() const {
        if constexpr (Format::kBias == 0) return VI32{sum};
        constexpr int kShift = std::countr_zero(static_cast<unsigned>(-Format::kBias));
        static_assert(Format::kBias == 0 || -(1 << kShift) == Format::kBias);
        return VI32{_mm256_sub_epi32(sum, _mm256_slli_epi32(inputs, kShift))};
    }
};

#else

template <class Format>
struct ByteDot {
    VI32 sum;
    HWY_INLINE void start(std::int32_t inputs) { sum = hn::Set(DI32(), Format::kBias * inputs); }
    HWY_INLINE void start_empty() { sum = hn::Zero(DI32()); }
    HWY_INLINE void add(std::size_t, VU32 w, VI32 a) {
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

/// AVX2 takes both vectors of a panel at once: a broadcast of an activation then serves two, and
/// each cache line of weights is read once. Other targets with several vectors take one after the
/// other.
constexpr std::size_t kSpread = HWY_TARGET == HWY_AVX2 ? kParts : 1;

/// For each of kPanels sources: acc[r * 16 + o] += sum over the source's blocks, for kRows rows.
/// The second source's sums lie kSumsStride further. An activation broadcast serves all sources.
template <std::size_t kRows, std::size_t kPanels, class Source>
HWY_NOINLINE void DotTile(const Source (&source)[kPanels], std::size_t panel_blocks,
                          const TileRows a, float* acc) {
    using Format = typename Source::Format;
    constexpr std::size_t kGroups = 32 / Format::kGroup;
    constexpr std::size_t kDwords = 8 / kGroups;
    constexpr std::size_t kVectors = kPanels * kSpread;
    // Few rows leave the adder of the byte dot product waiting for itself; two sums per output hide
    // that. They are integers, so the result is the same.
    constexpr std::size_t kChains = HWY_TARGET != HWY_AVX2 && kRows * kPanels <= 2 ? 2 : 1;
    const auto total_of = [](const ByteDot<Format>(&dot)[kChains]) {
        VI32 sum = dot[0].finish();
        if constexpr (kChains == 2) sum = hn::Add(sum, dot[1].finish());
        return sum;
    };
    const DF32 df;
    for (std::size_t first = 0; first < kParts; first += kSpread) {
        const auto part_of = [first](std::size_t v) { return first + v % kSpread; };
        const auto sums_of = [&](std::size_t v, std::size_t r) {
            return acc + v / kSpread * kSumsStride + r * kPanel + part_of(v) * kLanes;
        };
        VF32 total[kVectors][kRows];
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kVectors; ++v) {
#pragma GCC unroll 8
            for (std::size_t r = 0; r < kRows; ++r) total[v][r] = hn::LoadU(df, sums_of(v, r));
        }
        for (std::size_t b = 0; b < panel_blocks; ++b) {
            if (first == 0) {
                for (const Source& each : source) each.prefetch(b);
            }
            const std::int8_t* q = a.q + b * 32;
            // Two groups are added up before the activations' scale, which they share.
            [[maybe_unused]] VF32 block[kVectors][kRows];
#pragma GCC unroll 2
            for (std::size_t g = 0; g < kGroups; ++g) {
                ByteDot<Format> dot[kVectors][kRows][kChains];
#pragma GCC unroll 8
                for (std::size_t r = 0; r < kRows; ++r) {
                    const std::size_t at = r * a.blocks + b;
                    std::int32_t inputs = 0;
                    if constexpr (Format::kBias != 0) {
                        inputs = kGroups == 1 ? a.sum32[at] : a.sum16[at * 2 + g];
                    }
#pragma GCC unroll 2
                    for (std::size_t v = 0; v < kVectors; ++v) {
                        dot[v][r][0].start(inputs);
                        if constexpr (kChains == 2) dot[v][r][1].start_empty();
                    }
                }
                if constexpr (Format::kNibble) {
#pragma GCC unroll 4
                    for (std::size_t j = 0; j < 4; ++j) {
                        VU32 low[kVectors], high[kVectors];
#pragma GCC unroll 2
                        for (std::size_t v = 0; v < kVectors; ++v) {
                            const VU32 both = source[v / kSpread].q(b, part_of(v), j);
                            low[v] = Low4(both);
                            high[v] = High4(both);
                        }
#pragma GCC unroll 8
                        for (std::size_t r = 0; r < kRows; ++r) {
                            const VI32 before = BroadcastDword(q + r * a.cols + j * 4);
                            const VI32 after = BroadcastDword(q + r * a.cols + 16 + j * 4);
#pragma GCC unroll 2
                            for (std::size_t v = 0; v < kVectors; ++v) {
                                dot[v][r][0].add(2 * j, low[v], before);
                                dot[v][r][kChains - 1].add(2 * j + 1, high[v], after);
                            }
                        }
                    }
                } else {
#pragma GCC unroll 8
                    for (std::size_t i = 0; i < kDwords; ++i) {
                        const std::size_t j = g * kDwords + i;
                        VU32 w[kVectors];
#pragma GCC unroll 2
                        for (std::size_t v = 0; v < kVectors; ++v) {
                            w[v] = source[v / kSpread].q(b, part_of(v), j);
                        }
#pragma GCC unroll 8
                        for (std::size_t r = 0; r < kRows; ++r) {
                            const VI32 inputs = BroadcastDword(q + r * a.cols + j * 4);
#pragma GCC unroll 2
                            for (std::size_t v = 0; v < kVectors; ++v) {
                                dot[v][r][i % kChains].add(i, w[v], inputs);
                            }
                        }
                    }
                }
#pragma GCC unroll 2
                for (std::size_t v = 0; v < kVectors; ++v) {
                    const VF32 scale = source[v / kSpread].scale(b, part_of(v), g);
#pragma GCC unroll 8
                    for (std::size_t r = 0; r < kRows; ++r) {
                        const VF32 value = hn::ConvertTo(df, total_of(dot[v][r]));
                        if constexpr (kGroups == 1) {
                            const VF32 factor =
                                hn::Mul(scale, hn::Set(df, a.scale[r * a.blocks + b]));
                            total[v][r] = hn::MulAdd(value, factor, total[v][r]);
                        } else {
                            block[v][r] = g == 0 ? hn::Mul(value, scale)
                                                 : hn::MulAdd(value, scale, block[v][r]);
                        }
                    }
                    if constexpr (Format::kMin) {
                        const VF32 min = source[v / kSpread].min(b, part_of(v), g);
#pragma GCC unroll 8
                        for (std::size_t r = 0; r < kRows; ++r) {
                            const std::size_t at = r * a.blocks + b;
                            if constexpr (kGroups == 1) {
                                const VF32 sum = hn::Set(df, a.scaled_sum[at]);
                                total[v][r] = hn::MulAdd(min, sum, total[v][r]);
                            } else {
                                const VI32 sum = hn::Set(DI32(), a.sum16[at * 2 + g]);
                                block[v][r] = hn::MulAdd(min, hn::ConvertTo(df, sum), block[v][r]);
                            }
                        }
                    }
                }
            }
            if constexpr (kGroups == 2) {
#pragma GCC unroll 2
                for (std::size_t v = 0; v < kVectors; ++v) {
#pragma GCC unroll 8
                    for (std::size_t r = 0; r < kRows; ++r) {
                        const VF32 factor = hn::Set(df, a.scale[r * a.blocks + b]);
                        total[v][r] = hn::MulAdd(block[v][r], factor, total[v][r]);
                    }
                }
            }
        }
#pragma GCC unroll 2
        for (std::size_t v = 0; v < kVectors; ++v) {
#pragma GCC unroll 8
            for (std::size_t r = 0; r < kRows; ++r) hn::StoreU(total[v][r], df, sums_of(v, r));
        }
    }
}

/// Rows per register tile; AVX2 has half the registers, of which a row takes two for its sums, and
/// formats of two groups need more of them.
template <std::size_t kPanels, class Format>
constexpr std::size_t kTileRows = DG_SMALL_TILES                         ? 2
                                  : HWY_TARGET == HWY_AVX2               ? 3
                                  : HWY_TARGET != HWY_AVX3_DL            ? 4
                                  : kPanels == 2 && Format::kGroup == 16 ? 4
                                  : kPanels == 2                         ? 6
                                                                         : 8;

/// DotTile over `rows` rows of x, from block `first_block` of their inputs on.
template <std::size_t kPanels, class Source>
void DotRows(const Source (&source)[kPanels], std::size_t blocks, const QuantizedRows& x,
             std::size_t first_block, std::size_t first_row, std::size_t rows, float* acc) {
    constexpr std::size_t kMost = kTileRows<kPanels, typename Source::Format>;
    std::size_t r = 0;
    const auto tile = [&](auto size) {
        constexpr std::size_t kRows = decltype(size)::value;
        DotTile<kRows>(source, blocks, TileRows(x, first_row + r, first_block), acc + r * kPanel);
        r += kRows;
    };
    // Eight left are two fours, not six and two; or, where weights take as many loads as
    // activations, one eight for each panel. Four are two twos, not three and one.
    const auto evener = [](std::size_t left) {
        return (kMost == 6 && left == 8) || (kMost == 3 && left == 4);
    };
    while (rows - r >= kMost && !evener(rows - r)) {
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
