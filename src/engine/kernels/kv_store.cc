// Keys and values of one token into its page: narrowed in vectors, then put where kv_layout.h says.
// A key's dims lie a row of tokens apart; the tokens beside it share the cache lines it touches, so
// that a prompt's rows find them in L1.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/kv_store.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "base/core/check.h"
#include "engine/kernels/half-inl.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/kv_layout.h"

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DK = hn::CappedTag<float, 16>;
using VK = hn::Vec<DK>;
constexpr std::size_t kStoreLanes = hn::MaxLanes(DK());
constexpr std::size_t kPiece = 16;  ///< dims narrowed at once, on every target

/// Nearest BF16, ties to even; NaN stays NaN.
HWY_INLINE void StoreBf16(VK v, std::uint16_t* to) {
    const hn::RebindToUnsigned<DK> du;
    const auto bits = hn::BitCast(du, v);
    const auto tie = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
    const auto rounded = hn::Add(bits, hn::Add(tie, hn::Set(du, 0x7fffu)));
    const auto quiet = hn::Or(bits, hn::Set(du, 0x00400000u));
    const auto kept = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), quiet, rounded);
    std::uint32_t wide[kStoreLanes];
    hn::StoreU(hn::ShiftRight<16>(kept), du, wide);
    for (std::size_t i = 0; i < kStoreLanes; ++i) to[i] = static_cast<std::uint16_t>(wide[i]);
}

void StoreHalfHead(const KvLayout& layout, bool keys, std::size_t token, const float* from,
                   std::uint16_t* head) {
    const DK d;
    for (std::size_t at = 0; at < layout.dim; at += kPiece) {
        const std::size_t count = std::min(kPiece, layout.dim - at);
        float piece[kPiece] = {};
        std::copy_n(from + at, count, piece);
        std::uint16_t narrow[kPiece];
        for (std::size_t i = 0; i < kPiece; i += kStoreLanes) {
            const VK v = hn::LoadU(d, piece + i);
            if (layout.type == KvType::f16) {
                StoreHalves(d, v, narrow + i);
            } else {
                StoreBf16(v, narrow + i);
            }
        }
        if (keys) {
            // The other half of an odd head's last pair is multiplied too, with a zero.
            const std::size_t whole = layout.pairs() ? KvLayout::round_up(count, 2) : count;
            for (std::size_t i = 0; i < whole; ++i) head[layout.key_at(token, at + i)] = narrow[i];
        } else if (layout.pairs()) {
            for (std::size_t i = 0; i < kPiece; ++i) {
                head[layout.value_at(token, at + i)] = narrow[i];
            }
        } else {
            std::copy_n(narrow, kPiece, head + layout.value_at(token, at));
        }
    }
}

/// 32 values as codes with a scale; zeros with scale NaN when one of them is not finite.
HWY_INLINE float QuantizeBlock(const float* from, std::int8_t* codes) {
    const DK d;
    VK highest = hn::Zero(d), poison = hn::Zero(d);
    for (std::size_t i = 0; i < KvLayout::kScaleBlock; i += kStoreLanes) {
        const VK x = hn::LoadU(d, from + i);
        highest = hn::Max(highest, hn::Abs(x));
        poison = hn::MulAdd(x, hn::Zero(d), poison);
    }
    const float high = hn::GetLane(hn::MaxOfLanes(d, highest));
    const float bad = hn::GetLane(hn::SumOfLanes(d, poison));
    const bool usable = bad == 0.f && high > 1e-30f;
    const VK inverse = hn::Set(d, usable ? 127.f / high : 0.f);
    const hn::Rebind<std::int8_t, DK> d8;
    for (std::size_t i = 0; i < KvLayout::kScaleBlock; i += kStoreLanes) {
        const VK scaled = usable ? hn::Mul(hn::LoadU(d, from + i), inverse) : hn::Zero(d);
        hn::StoreU(hn::DemoteTo(d8, hn::NearestInt(scaled)), d8, codes + i);
    }
    return usable ? high / 127.f : bad;
}

void StoreByteHead(const KvLayout& layout, bool keys, std::size_t token, const float* from,
                   std::byte* head) {
    constexpr std::size_t kBlock = KvLayout::kScaleBlock;
    auto* codes = reinterpret_cast<std::int8_t*>(head);
    auto* scales = reinterpret_cast<float*>(head + layout.scales_offset());
    for (std::size_t at = 0; at < layout.dim; at += kBlock) {
        float block[kBlock] = {};
        std::copy_n(from + at, std::min(kBlock, layout.dim - at), block);
        std::int8_t narrow[kBlock];
        const float scale = QuantizeBlock(block, narrow);
        scales[keys ? layout.key_scale_at(token, at) : layout.value_scale_at(token, at)] = scale;
        if (keys) {
            for (std::size_t i = 0; i < kBlock; i += 4) {
                std::memcpy(codes + layout.key_at(token, at + i), narrow + i, 4);
            }
        } else {
            std::copy_n(narrow, kBlock, codes + layout.value_at(token, at));
        }
    }
}

void StoreHead(const KvLayout& layout, bool keys, std::size_t token, const float* from,
               std::byte* head) {
    if (layout.bytes()) return StoreByteHead(layout, keys, token, from, head);
    StoreHalfHead(layout, keys, token, from, reinterpret_cast<std::uint16_t*>(head));
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {
namespace {
HWY_EXPORT(StoreHead);
}  // namespace

void kv_store(const KvLayerView& kv, std::uint32_t position, const float* k, const float* v,
              std::uint32_t kv_heads, std::uint32_t head_dim) {
    const KvLayout layout = kv_layout(kv, head_dim);
    const std::size_t page = position / kv.page_tokens, token = position % kv.page_tokens;
    for (std::size_t head = 0; head < kv_heads; ++head) {
        const std::size_t offset = head * layout.head_bytes(), at = head * head_dim;
        HWY_DYNAMIC_DISPATCH(StoreHead)(layout, true, token, k + at, kv.k_pages[page] + offset);
        HWY_DYNAMIC_DISPATCH(StoreHead)(layout, false, token, v + at, kv.v_pages[page] + offset);
    }
}

std::size_t kv_plane_bytes(KvType type, std::uint32_t page_tokens, std::uint32_t kv_heads,
                           std::uint32_t head_dim) {
    return KvLayout{type, page_tokens, head_dim}.head_bytes() * kv_heads;
}

}  // namespace engine
#endif  // HWY_ONCE
