// Packing with vectors: the unpackers of the stored formats, which the products from stored weights
// use too, hand out a panel's codes as packed_layout.h wants them, four inputs of 16 rows at a
// time; here they are put in their places. What is left, scales and other small fields, goes by
// bytes.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/pack_panels.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "engine/kernels/pack_panels.h"
#include "engine/kernels/packed_layout.h"
#include "engine/kernels/panel_formats-inl.h"
#include "engine/kernels/panel_layout-inl.h"

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

PanelPacker ChoosePanelPacker(TensorType) {
    return nullptr;
}

#else

HWY_INLINE void StoreDwords(VU32 v, std::uint8_t* to) {
    const hn::Repartition<std::uint8_t, DU32> du8;
    hn::StoreU(hn::BitCast(du8, v), du8, to);
}
HWY_INLINE VU32 LoadDwords(const std::uint8_t* from) {
    const hn::Repartition<std::uint8_t, DU32> du8;
    return hn::BitCast(DU32(), hn::LoadU(du8, from));
}

/// Where the unpackers put what they find: codes where we want them, floats aside.
struct CodesAt {
    std::uint8_t* first;
    std::size_t stride;  ///< bytes from block to block
    float* aside;        ///< kAside of them

    static constexpr std::size_t kAside = 4 * kPanel;
    HWY_INLINE PanelOut operator()(std::size_t b) const {
        return {first + b * stride, aside, aside + kAside / 2};
    }
    template <std::size_t kQuarter>
    HWY_INLINE void prefetch() const {}
};

/// kBits bits from bit kFrom on of each of the codes in `codes` (eight vectors of one block), as
/// packed_layout.h keeps them.
template <int kBits, int kFrom>
HWY_INLINE void StoreBits(const VU32* codes, std::uint8_t* to) {
    constexpr std::size_t kInputs = 8 / kBits;  // vectors that share one
    const VU32 mask = hn::Set(DU32(), ((1u << kBits) - 1) * 0x01010101u);
    for (std::size_t v = 0; v < kBits; ++v) {
        VU32 bits = hn::Zero(DU32());
#pragma GCC unroll 8
        for (std::size_t j = 0; j < kInputs; ++j) {
            const VU32 field = hn::And(hn::ShiftRight<kFrom>(codes[v * kInputs + j]), mask);
            bits = hn::Or(bits, hn::ShiftLeftSame(field, static_cast<int>(j) * kBits));
        }
        StoreDwords(bits, to + v * kVectorBytes);
    }
}

/// Takes the codes of one block apart into the panel's sections, for one part of the rows.
template <TensorType kType>
HWY_INLINE void SplitCodes(const std::uint8_t* block, std::uint8_t* low, std::uint8_t* high) {
    constexpr PackedShape kShape = packed_shape(kType);
    VU32 codes[8];
    for (std::size_t j = 0; j < 8; ++j) codes[j] = LoadDwords(block + j * kVectorBytes);
    if constexpr (kShape.low == 128) {
        StoreBits<2, 0>(codes, low);
    } else {
        for (std::size_t j = 0; j < 4; ++j) {
            const VU32 upper = hn::ShiftLeft<4>(Low4(codes[j + 4]));
            StoreDwords(hn::Or(Low4(codes[j]), upper), low + j * kVectorBytes);
        }
    }
    if constexpr (kShape.high > 0) StoreBits<kShape.high / 64, kShape.low / 64>(codes, high);
}

template <class Format, TensorType kType>
void PackCodes(const std::uint8_t* const* rows, std::size_t stored_blocks, std::uint8_t* panel) {
    constexpr PackedShape kShape = packed_shape(kType);
    constexpr bool kAsStored = kShape.high == 0 && kShape.low != 128;
    const PackedPanel sections(kShape, stored_blocks * kShape.span);
    alignas(64) float aside[CodesAt::kAside];
    for (std::size_t s = 0; s < stored_blocks; ++s) {
        const std::size_t at = s * Format::kStoredBytes;
        std::uint8_t* low = panel + sections.low + s * kShape.span * kShape.low;
        std::uint8_t* high = panel + sections.high + s * kShape.span * kShape.high;
        for (std::size_t part = 0; part < kParts; ++part) {
            const std::uint8_t* const* some = rows + part * kLanes;
            if constexpr (kAsStored) {
                Format::Unpack(some, at, hn::Zero(DU32()),
                               CodesAt{low + part * kLanes * 4, kShape.low, aside});
            } else {
                alignas(64) std::uint8_t codes[kShape.span * 8 * kVectorBytes];
                Format::Unpack(some, at, hn::Zero(DU32()), CodesAt{codes, 8 * kVectorBytes, aside});
                for (std::size_t b = 0; b < kShape.span; ++b) {
                    SplitCodes<kType>(codes + b * 8 * kVectorBytes,
                                      low + b * kShape.low + part * kLanes * 4,
                                      high + b * kShape.high + part * kLanes * 4);
                }
            }
        }
    }
}

/// Their codes are bytes already; the products' unpacker may turn their signs.
void PackBytes(const std::uint8_t* const* rows, std::size_t stored_blocks, std::uint8_t* panel) {
    constexpr std::size_t kCodesAt = sizeof(BlockQ8_0) - 32;
    for (std::size_t s = 0; s < stored_blocks; ++s, panel += 8 * kVectorBytes) {
        for (std::size_t part = 0; part < kParts; ++part) {
            for (std::size_t half = 0; half < 2; ++half) {
                const FourDwords four = LoadTransposed(
                    rows + part * kLanes, s * sizeof(BlockQ8_0) + kCodesAt + half * 16);
                std::uint8_t* out = panel + half * 4 * kVectorBytes + part * kLanes * 4;
                for (std::size_t i = 0; i < 4; ++i) StoreDwords(four.v[i], out + i * kVectorBytes);
            }
        }
    }
}

/// Elements of 4 bytes, or pairs of 2; `blocks` are 4 of the first and 8 of the second.
template <std::size_t kBytes>
void PackFloats(const std::uint8_t* const* rows, std::size_t blocks, std::uint8_t* panel) {
    const hn::Rebind<std::uint16_t, DU32> du16;
    const VU32 low = hn::Set(DU32(), 0xffffu);
    for (std::size_t b = 0; b < blocks; ++b) {
        for (std::size_t part = 0; part < kParts; ++part) {
            const FourDwords four = LoadTransposed(rows + part * kLanes, b * 16);
            std::uint8_t* out = panel + b * 16 * kPanel + part * kLanes * kBytes;
            for (std::size_t i = 0; i < 4; ++i) {
                if constexpr (kBytes == 4) {
                    StoreDwords(four.v[i], out + i * kVectorBytes);
                } else {
                    auto* to = reinterpret_cast<std::uint16_t*>(out + i * kVectorBytes);
                    hn::StoreU(hn::TruncateTo(du16, hn::And(four.v[i], low)), du16, to);
                    hn::StoreU(hn::TruncateTo(du16, hn::ShiftRight<16>(four.v[i])), du16,
                               to + kPanel);
                }
            }
        }
    }
}

PanelPacker ChoosePanelPacker(TensorType type) {
    if (type == TensorType::f32) return PackFloats<4>;
    if (type == TensorType::f16 || type == TensorType::bf16) return PackFloats<2>;
    return WithPanelFormat(type, []<class Format, TensorType kType>() -> PanelPacker {
        if constexpr (kType == TensorType::q8_0) return PackBytes;
        if constexpr (kType != TensorType::q8_0) return PackCodes<Format, kType>;
    });
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {

HWY_EXPORT(ChoosePanelPacker);

PanelPacker panel_packer(TensorType type) {
    return HWY_DYNAMIC_DISPATCH(ChoosePanelPacker)(type);
}

}  // namespace engine
#endif  // HWY_ONCE
