// Products read from packed weights (packed_layout.h): as quantized_matmul.cc with nothing to
// unpack first.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/packed_matmul.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>

#include "engine/kernels/packed_layout.h"
#include "engine/kernels/panel_dot-inl.h"
#include "engine/kernels/quantized_matmul.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
#pragma GCC target("avx512vnni")
#endif
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

PanelKernel ChoosePackedKernel(TensorType) {
    return nullptr;
}
std::size_t PackedPanelsTogether() {
    return 1;
}

#else

/// A source for DotTile (see UnpackedBlocks): blocks of one packed panel from `first` on.
template <class FormatOf, TensorType kType>
struct PackedBlocks {
    using Format = FormatOf;
    static constexpr PackedShape kShape = packed_shape(kType);
    static constexpr std::size_t kGroups = 32 / Format::kGroup;
    /// What 32 inputs take of a panel, all sections together.
    static constexpr std::size_t kBlockBytes = kShape.low + kShape.high + kShape.scales +
                                               kShape.mins + (kShape.has_m ? 64 : 32) / kShape.span;

    const std::uint8_t *low, *high, *scales, *mins, *d, *m;
    const std::uint8_t* ahead;

    /// `together`: panels until the one this source's task reads next.
    PackedBlocks(const std::uint8_t* panel, const PackedPanel& at, std::size_t first,
                 std::size_t together)
        : low(panel + at.low + first * kShape.low),
          high(panel + at.high + first * kShape.high),
          scales(panel + at.scales + first * kShape.scales),
          mins(panel + at.mins + first * kShape.mins),
          d(panel + at.d + first / kShape.span * 32),
          m(panel + at.m + first / kShape.span * 32),
          ahead(panel + together * at.bytes + first * kBlockBytes) {}

    /// Asks for the panel to come, evenly over this one.
    HWY_INLINE void prefetch(std::size_t b) const {
#pragma GCC unroll 16
        for (std::size_t i = 0; i < kBlockBytes; i += 64) {
            hwy::Prefetch(ahead + b * kBlockBytes + i);
        }
    }

    HWY_INLINE VU32 q(std::size_t b, std::size_t part, std::size_t j) const {
        if constexpr (kType == TensorType::q8_0) {
            return hn::Xor(dwords(low + b * kShape.low, part, j), hn::Set(DU32(), Format::kFlip));
        } else if constexpr (Format::kNibble) {
            return dwords(low + b * kShape.low, part, j);
        } else if constexpr (kShape.low == 128) {
            const VU32 four = dwords(low + b * kShape.low, part, j / 4);
            const VU32 bits = hn::And(hn::ShiftRightSame(four, static_cast<int>(j % 4 * 2)),
                                      hn::Set(DU32(), 0x03030303u));
            if constexpr (kShape.high == 0) return bits;
            if constexpr (kShape.high != 0) return hn::Or(bits, top_bits(b, part, j));
        } else {
            const VU32 both = dwords(low + b * kShape.low, part, j % 4);
            return hn::Or(j < 4 ? Low4(both) : High4(both), top_bits(b, part, j));
        }
    }
    HWY_INLINE VF32 scale(std::size_t b, std::size_t part, std::size_t group) const {
        const VF32 scale = halves(d + b / kShape.span * 32, part);
        const std::uint8_t* at = scales + (b * kGroups + group) * 16;
        if constexpr (kShape.scales == 0) {
            return scale;
        } else if constexpr (kType == TensorType::q2_k) {
            return hn::Mul(scale, to_float(hn::And(bytes<std::uint8_t>(at, part), low4())));
        } else {
            constexpr bool kSigned = kType == TensorType::q6_k || kType == TensorType::q3_k;
            using Byte = std::conditional_t<kSigned, std::int8_t, std::uint8_t>;
            return hn::Mul(scale, to_float(bytes<Byte>(at, part)));
        }
    }
    HWY_INLINE VF32 min(std::size_t b, std::size_t part, std::size_t group) const {
        const VF32 min = halves(m + b / kShape.span * 32, part);
        if constexpr (kType == TensorType::q2_k) {
            const VI32 both = bytes<std::uint8_t>(scales + (b * kGroups + group) * 16, part);
            return hn::Mul(hn::Neg(min), to_float(hn::ShiftRight<4>(both)));
        } else if constexpr (kShape.mins == 0) {
            return min;
        } else {
            return hn::Mul(hn::Neg(min), to_float(bytes<std::uint8_t>(mins + b * 16, part)));
        }
    }

    static HWY_INLINE VU32 dwords(const std::uint8_t* at, std::size_t part, std::size_t j) {
        return hn::BitCast(DU32(), hn::LoadU(hn::Repartition<std::uint8_t, DU32>(),
                                             at + j * kVectorBytes + part * kLanes * 4));
    }

private:
    /// The bits above the low ones of inputs 4j..4j+3, in their place.
    HWY_INLINE VU32 top_bits(std::size_t b, std::size_t part, std::size_t j) const {
        constexpr std::size_t kBits = kShape.high / 64;
        constexpr std::size_t kShared = 8 / kBits;  // values of j that share one vector
        const VU32 bits = dwords(high + b * kShape.high, part, j / kShared);
        constexpr std::uint32_t kAt = kShape.low / 64;  // where they belong
        const VU32 mask = hn::Set(DU32(), (kBits == 1 ? 0x01010101u : 0x03030303u) << kAt);
        const int down = static_cast<int>(j % kShared * kBits) - static_cast<int>(kAt);
        return hn::And(down >= 0 ? hn::ShiftRightSame(bits, down) : hn::ShiftLeftSame(bits, -down),
                       mask);
    }
    static HWY_INLINE VF32 halves(const std::uint8_t* at, std::size_t part) {
        return LoadHalves(DF32(), reinterpret_cast<const std::uint16_t*>(at) + part * kLanes);
    }
    template <class Byte>
    static HWY_INLINE VI32 bytes(const std::uint8_t* at, std::size_t part) {
        const hn::Rebind<Byte, DI32> d8;
        return hn::PromoteTo(DI32(),
                             hn::LoadU(d8, reinterpret_cast<const Byte*>(at) + part * kLanes));
    }
    static HWY_INLINE VF32 to_float(VI32 v) {
        return hn::ConvertTo(DF32(), v);
    }
    static HWY_INLINE VI32 low4() {
        return hn::Set(DI32(), 15);
    }
};

/// Blocks applied to all rows of a task before the next, in whole stored blocks: their weights stay
/// in L1 meanwhile, beside a tile's activations.
template <class Source>
constexpr std::size_t PackedChunkBlocks(std::size_t panels) {
    constexpr std::size_t kWeightBytes = 28 * 1024;
    return std::min<std::size_t>(48, kWeightBytes / (Source::kBlockBytes * panels) / 8 * 8);
}

/// Panels computed together by one task's kernel: where registers allow, one broadcast of an
/// activation then serves two panels, for loads are what limits large tiles.
constexpr std::size_t kTogether = HWY_TARGET == HWY_AVX3_DL ? 2 : 1;

std::size_t PackedPanelsTogether() {
    return kTogether;
}

/// From so many rows on, codes that do not fill nibbles or bytes are taken apart once for all rows.
constexpr std::size_t kExpandRows = 24;
constexpr std::size_t kExpandedBytes = 8 * kVectorBytes;  ///< of 32 inputs

/// The same source with the codes of its blocks in scratch memory, a byte each.
template <class Packed>
struct ExpandedBlocks : Packed {
    const std::uint8_t* codes;

    ExpandedBlocks(const Packed& packed, std::size_t blocks, std::uint8_t* scratch)
        : Packed(packed), codes(scratch) {
        const hn::Repartition<std::uint8_t, DU32> du8;
        for (std::size_t b = 0; b < blocks; ++b) {
            for (std::size_t part = 0; part < kParts; ++part) {
#pragma GCC unroll 8
                for (std::size_t j = 0; j < 8; ++j) {
                    std::uint8_t* at =
                        scratch + b * kExpandedBytes + j * kVectorBytes + part * kLanes * 4;
                    hn::StoreU(hn::BitCast(du8, packed.q(b, part, j)), du8, at);
                }
            }
        }
    }
    HWY_INLINE VU32 q(std::size_t b, std::size_t part, std::size_t j) const {
        return Packed::dwords(codes + b * kExpandedBytes, part, j);
    }
};

/// As RunPackedPanels, for many rows of formats whose codes are laborious to take apart.
template <class Source, std::size_t kPanels>
void RunExpandedPanels(const PanelTask& task, const std::uint8_t* panel,
                       const PackedPanel& sections) {
    constexpr std::size_t kChunk = kPanelScratchBytes / (kExpandedBytes * kPanels) / 8 * 8;
    const std::size_t blocks = task.x->blocks();
    auto* scratch = reinterpret_cast<std::uint8_t*>(task.scratch);
    for (std::size_t b = 0; b < blocks; b += kChunk) {
        const std::size_t chunk = std::min(kChunk, blocks - b);
        const auto expanded = [&](std::size_t p) {
            return ExpandedBlocks<Source>(Source(panel + p * sections.bytes, sections, b, kPanels),
                                          chunk, scratch + p * kChunk * kExpandedBytes);
        };
        if constexpr (kPanels == 1) {
            const ExpandedBlocks<Source> source[1] = {expanded(0)};
            DotRows(source, chunk, *task.x, b, task.first_row, task.rows, task.sums);
        } else {
            const ExpandedBlocks<Source> source[2] = {expanded(0), expanded(1)};
            DotRows(source, chunk, *task.x, b, task.first_row, task.rows, task.sums);
        }
    }
}

template <class Format, TensorType kType, std::size_t kPanels>
void RunPackedPanels(const PanelTask& task) {
    const std::size_t blocks = task.x->blocks();
    const PackedPanel sections(packed_shape(kType), blocks);
    const auto* panel =
        reinterpret_cast<const std::uint8_t*>(task.w->packed) + task.panel * sections.bytes;
    for (std::size_t p = 0; p < kPanels; ++p) {
        std::fill_n(task.sums + p * kSumsStride, task.rows * kPanel, 0.f);
    }
    using Source = PackedBlocks<Format, kType>;
    if constexpr (!Format::kNibble && kType != TensorType::q8_0) {
        if (task.rows >= kExpandRows) {
            return RunExpandedPanels<Source, kPanels>(task, panel, sections);
        }
    }
    constexpr std::size_t kChunk = PackedChunkBlocks<Source>(kPanels);
    for (std::size_t b = 0; b < blocks; b += kChunk) {
        const std::size_t chunk = std::min(kChunk, blocks - b);
        if constexpr (kPanels == 1) {
            const Source source[1] = {Source(panel, sections, b, 1)};
            DotRows(source, chunk, *task.x, b, task.first_row, task.rows, task.sums);
        } else {
            const Source source[2] = {Source(panel, sections, b, 2),
                                      Source(panel + sections.bytes, sections, b, 2)};
            DotRows(source, chunk, *task.x, b, task.first_row, task.rows, task.sums);
        }
    }
}

template <class Format, TensorType kType>
void RunPackedPanel(const PanelTask& task) {
    if (kTogether == 2 && task.panels == 2) {
        return RunPackedPanels<Format, kType, kTogether>(task);
    }
    RunPackedPanels<Format, kType, 1>(task);
}

PanelKernel ChoosePackedKernel(TensorType type) {
    return WithPanelFormat(type, []<class Format, TensorType kType>() -> PanelKernel {
        return RunPackedPanel<Format, kType>;
    });
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {

HWY_EXPORT(ChoosePackedKernel);
HWY_EXPORT(PackedPanelsTogether);

PanelKernel packed_kernel(TensorType type) {
    return HWY_DYNAMIC_DISPATCH(ChoosePackedKernel)(type);
}

std::size_t packed_panels_together() {
    return HWY_DYNAMIC_DISPATCH(PackedPanelsTogether)();
}

}  // namespace engine
#endif  // HWY_ONCE
