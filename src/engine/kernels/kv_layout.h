#pragma once
// How keys and values lie in a page: private to kv_store and attention, plain types only.
//
// A plane holds one layer's keys (or values) of a page, head after head.
//   F16 keys:      [dim][tokens]            values: [token][dim]
//   BF16 keys:     [dim / 2][tokens][2]     values: [token / 2][dim][2]
//   8-bit keys:    [dim / 4][tokens][4]     values: [token][dim]     and their scales behind them,
//     one float per 32 dims: keys [dim / 32][tokens], values [token][dim / 32].
// Keys have lanes along tokens and values lanes along the head, so that neither scores nor outputs
// are ever summed across lanes, and a page is read as it lies. Dims and tokens are padded, so that
// vectors need no tails.

#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernels.h"

namespace engine {

struct KvLayout {
    static constexpr std::size_t kScaleBlock = 32;  ///< dims that share a scale, 8-bit types

    KvType type = KvType::f16;
    std::size_t tokens = 0;  ///< of a page
    std::size_t dim = 0;     ///< of a head

    static constexpr std::size_t round_up(std::size_t n, std::size_t to) {
        return (n + to - 1) / to * to;
    }
    constexpr bool bytes() const { return type == KvType::q8; }
    constexpr bool pairs() const { return type == KvType::bf16; }
    /// Row lengths, in values.
    constexpr std::size_t padded_tokens() const { return round_up(tokens, 16); }
    constexpr std::size_t padded_dim() const { return round_up(dim, bytes() ? kScaleBlock : 16); }
    constexpr std::size_t scale_blocks() const { return padded_dim() / kScaleBlock; }

    constexpr std::size_t head_bytes() const {
        const std::size_t values = padded_tokens() * padded_dim();
        return bytes() ? values + padded_tokens() * scale_blocks() * sizeof(float) : 2 * values;
    }
    /// Index of a value in its head, in values.
    constexpr std::size_t key_at(std::size_t token, std::size_t d) const {
        const std::size_t together = bytes() ? 4 : pairs() ? 2 : 1;
        return (d / together * padded_tokens() + token) * together + d % together;
    }
    constexpr std::size_t value_at(std::size_t token, std::size_t d) const {
        return pairs() ? (token / 2 * padded_dim() + d) * 2 + token % 2 : token * padded_dim() + d;
    }
    /// Index of a scale among its head's, which begin at scales_offset() bytes.
    constexpr std::size_t scales_offset() const { return padded_tokens() * padded_dim(); }
    constexpr std::size_t key_scale_at(std::size_t token, std::size_t d) const {
        return d / kScaleBlock * padded_tokens() + token;
    }
    constexpr std::size_t value_scale_at(std::size_t token, std::size_t d) const {
        return token * scale_blocks() + d / kScaleBlock;
    }
};

inline KvLayout kv_layout(const KvLayerView& kv, std::size_t head_dim) {
    return {kv.type, kv.page_tokens, head_dim};
}

}  // namespace engine
