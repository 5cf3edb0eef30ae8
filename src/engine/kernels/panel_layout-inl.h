// The panel: 16 weight rows in the one layout that the dot kernels read, and what the unpackers of
// all formats share.
//
// A panel block covers 32 inputs of 16 rows. Its q part holds small integers as bytes, four inputs
// per dword and the 16 rows side by side: vector j has inputs 4j..4j+3. Nibble formats keep two
// vectors in one, inputs 4j.. in the low and 16 + 4j.. in the high halves of the bytes. Beside it
// lie a float scale per row (two for formats with groups of 16) and, where the format has them,
// float minimums. The value is scale * (q + kBias) + minimum; q is an unsigned byte (at most 127
// where products are summed in pairs of 16 bits) unless kSigned.
#if defined(DG_ENGINE_KERNELS_PANEL_LAYOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_PANEL_LAYOUT_INL_H_
#undef DG_ENGINE_KERNELS_PANEL_LAYOUT_INL_H_
#else
#define DG_ENGINE_KERNELS_PANEL_LAYOUT_INL_H_
#endif

#include <hwy/cache_control.h>

#include <cstddef>
#include <cstdint>

#include "engine/kernels/transpose-inl.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kVectorBytes = kPanel * 4;  ///< one dword of each row of a panel

/// Where a panel block, or the part of it that one vector covers, is written.
struct PanelOut {
    std::uint8_t* q;
    float* scale;
    float* min;

    DG_TILE_INLINE void set_q(std::size_t j, VU32 v) const {
        hn::StoreU(hn::BitCast(hn::Repartition<std::uint8_t, DU32>(), v),
                   hn::Repartition<std::uint8_t, DU32>(), q + j * kVectorBytes);
    }
    DG_TILE_INLINE void set_scale(VF32 v, std::size_t group = 0) const {
        hn::StoreU(v, DF32(), scale + group * kPanel);
    }
    DG_TILE_INLINE void set_min(VF32 v, std::size_t group = 0) const {
        hn::StoreU(v, DF32(), min + group * kPanel);
    }
};

/// A run of panel blocks in scratch memory.
template <class Format>
struct PanelLayout {
    static constexpr std::size_t kQBytes = (Format::kNibble ? 4 : 8) * kVectorBytes;
    static constexpr std::size_t kGroups = 32 / Format::kGroup;
    static constexpr std::size_t kScales = kGroups * kPanel;
    static constexpr std::size_t kBytes =
        kQBytes + kScales * sizeof(float) * (Format::kMin ? 2 : 1);

    static HWY_INLINE PanelOut block(std::uint8_t* panel, std::size_t b, std::size_t part) {
        std::uint8_t* at = panel + b * kBytes;
        auto* scale = reinterpret_cast<float*>(at + kQBytes) + part * kLanes;
        return {at + part * kLanes * 4, scale, scale + kScales};
    }
};

HWY_INLINE VU32 Low4(VU32 v) {
    return hn::And(v, hn::Set(DU32(), 0x0f0f0f0fu));
}
HWY_INLINE VU32 High4(VU32 v) {
    return Low4(hn::ShiftRight<4>(v));
}

/// Byte `kByte` of each lane as float: unsigned, or signed.
template <int kByte>
HWY_INLINE VF32 ByteToFloat(VU32 v) {
    const VU32 byte = hn::And(hn::ShiftRight<kByte * 8>(v), hn::Set(DU32(), 0xffu));
    return hn::ConvertTo(DF32(), hn::BitCast(DI32(), byte));
}
template <int kByte>
HWY_INLINE VF32 SignedByteToFloat(VU32 v) {
    const VI32 high = hn::BitCast(DI32(), hn::ShiftLeft<24 - kByte * 8>(v));
    return hn::ConvertTo(DF32(), hn::ShiftRight<24>(high));
}

/// Bits 4j..4j+3 of each lane spread to bit 4 of the four bytes.
template <int kJ>
HWY_INLINE VU32 FifthBits(VU32 bits) {
    const VU32 four = hn::And(hn::ShiftRight<kJ * 4>(bits), hn::Set(DU32(), 0xfu));
    const VU32 spread = hn::Mul(four, hn::Set(DU32(), 0x00204081u));
    return hn::ShiftLeft<4>(hn::And(spread, hn::Set(DU32(), 0x01010101u)));
}

/// Where the panel blocks of one stored block go, and what to ask memory for meanwhile: the same
/// stored block of the next 16 rows, in quarters, since a burst of 50 lines would stall the core.
template <class Format>
struct BlockWriter {
    std::uint8_t* panel;
    std::size_t first, part;
    const std::uint8_t* ahead;  ///< null: ask for nothing

    HWY_INLINE PanelOut operator()(std::size_t b) const {
        return PanelLayout<Format>::block(panel, first + b, part);
    }
    template <std::size_t kQuarter>
    HWY_INLINE void prefetch() const {
        constexpr std::size_t kBytes = Format::kStoredBytes * kPanel;
        constexpr std::size_t kFirst = kBytes * kQuarter / 4 / 64 * 64;
        constexpr std::size_t kEnd = kQuarter == 3 ? kBytes : kBytes * (kQuarter + 1) / 4 / 64 * 64;
        if (ahead == nullptr) return;
#pragma GCC unroll 16
        for (std::size_t i = kFirst; i < kEnd; i += 64) hwy::Prefetch(ahead + i);
    }
    HWY_INLINE void prefetch_all() const {
        prefetch<0>();
        prefetch<1>();
        prefetch<2>();
        prefetch<3>();
    }
};

// What the formats share. kSpan: panel blocks that one stored block fills.
template <class Stored, std::size_t kSpanBlocks, bool kIsNibble, std::size_t kGroupSize,
          bool kHasMin, int kBiasValue, int kCodeBits, std::size_t kHeader = 0>
struct FormatTraits {
    static constexpr std::size_t kStoredBytes = sizeof(Stored);
    static constexpr std::size_t kSpan = kSpanBlocks;
    static constexpr bool kNibble = kIsNibble;
    static constexpr std::size_t kGroup = kGroupSize;
    static constexpr bool kMin = kHasMin;
    static constexpr int kBias = kBiasValue;
    static constexpr bool kSigned = false;
    static constexpr std::size_t kCodeMax = (1u << kCodeBits) - 1;  ///< of q
    /// Bytes of F16 fields that a one-block format starts with; PackPanel hands them to Unpack.
    static constexpr std::size_t kHeaderBytes = kHeader;
};

HWY_INLINE void StoreFour(const PanelOut& out, std::size_t j, const FourDwords& q) {
    for (std::size_t i = 0; i < 4; ++i) out.set_q(j + i, q.v[i]);
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // toggled guard
