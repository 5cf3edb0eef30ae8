// Unpacking: stored blocks of 16 weight rows become panel blocks. panel_layout-inl.h says what
// those are; the formats' own parts are in panel_formats32-inl.h and panel_formats256-inl.h.
#if defined(DG_ENGINE_KERNELS_PANEL_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DG_ENGINE_KERNELS_PANEL_PACK_INL_H_
#undef DG_ENGINE_KERNELS_PANEL_PACK_INL_H_
#else
#define DG_ENGINE_KERNELS_PANEL_PACK_INL_H_
#endif

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "engine/kernels/panel_formats-inl.h"
#include "engine/kernels/panel_layout-inl.h"

#if HWY_TARGET != HWY_SCALAR
HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// The first kHeaderBytes of some blocks of 16 rows, zero-extended: lanes are rows. Collected well
/// before they are read: a vector load that has to wait for sixteen small stores is slow.
template <class Format>
struct Headers {
    static constexpr std::size_t kBlocks = 8;
    alignas(64) std::uint32_t dwords[kBlocks][kPanel];

    DG_TILE_INLINE void collect(const std::uint8_t* const* rows, std::size_t at,
                                std::size_t blocks) {
        for (std::size_t r = 0; r < kPanel; ++r) {
            const std::uint8_t* from = rows[r] + at;
            if (blocks == kBlocks) {
#pragma GCC unroll 8
                for (std::size_t b = 0; b < kBlocks; ++b) dwords[b][r] = read(from, b);
            } else {
                for (std::size_t b = 0; b < blocks; ++b) dwords[b][r] = read(from, b);
            }
        }
    }
    static HWY_INLINE std::uint32_t read(const std::uint8_t* from, std::size_t b) {
        std::conditional_t<Format::kHeaderBytes == 2, std::uint16_t, std::uint32_t> bits = 0;
        std::memcpy(&bits, from + b * Format::kStoredBytes, sizeof(bits));
        return bits;
    }
    HWY_INLINE VU32 at(std::size_t b, std::size_t part) const {
        return hn::Load(DU32(), dwords[b] + part * kLanes);
    }
};

/// Unpacks `blocks` panel blocks from `first` on (multiples of Format::kSpan) of 16 rows. `ahead`
/// is what the caller reads after these rows, laid out alike: asked for a line at a time, since
/// sixteen short streams are more than hardware prefetchers follow. Null: nothing follows.
template <class Format>
void PackPanel(const std::uint8_t* const* rows, std::size_t first, std::size_t blocks,
               const std::uint8_t* ahead, std::uint8_t* panel) {
    constexpr std::size_t kStep = Format::kHeaderBytes > 0 ? Headers<Format>::kBlocks : 1;
    const std::size_t first_stored = first / Format::kSpan, stored_blocks = blocks / Format::kSpan;
    Headers<Format> headers;
    for (std::size_t step = 0; step < stored_blocks; step += kStep) {
        const std::size_t count = std::min(kStep, stored_blocks - step);
        if constexpr (Format::kHeaderBytes > 0) {
            headers.collect(rows, (first_stored + step) * Format::kStoredBytes, count);
        }
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t stored = first_stored + step + i;
            const std::uint8_t* next =
                ahead == nullptr ? nullptr : ahead + stored * Format::kStoredBytes * kPanel;
            for (std::size_t part = 0; part < kParts; ++part) {
                const VU32 header =
                    Format::kHeaderBytes > 0 ? headers.at(i, part) : hn::Zero(DU32());
                const BlockWriter<Format> writer{panel, (step + i) * Format::kSpan, part,
                                                 part == 0 ? next : nullptr};
                if constexpr (Format::kSpan == 1) writer.prefetch_all();
                Format::Unpack(rows + part * kLanes, stored * Format::kStoredBytes, header, writer);
            }
        }
    }
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET != HWY_SCALAR

#endif  // toggled guard
