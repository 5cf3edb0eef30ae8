#pragma once
// Small pages, a clock the test moves, and sequences whose bytes say which text they belong to.

#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "engine/kv/kv_sequence.h"
#include "engine/kv/prefix_cache.h"

namespace test {

using Tokens = std::vector<engine::TokenId>;

class TestClock final : public base::Clock {
public:
    base::Instant now() const override { return {ns_.load()}; }
    std::int64_t unix_ns() const override { return ns_.load(); }
    void advance(base::Duration by) { ns_ += by.count(); }

private:
    std::atomic<std::int64_t> ns_{1};  // readers of other threads ask for it too
};

inline constexpr engine::KvGeometry kSmallPages{
    .layers = 2, .kv_heads = 1, .head_dim = 8, .page_tokens = 4};

/// What the KV of a position must be: a number made of everything it depends on.
class TextHash {
public:
    explicit TextHash(const engine::KvScope& scope) {
        for (const std::string* part : {&scope.adapter, &scope.tenant}) {
            add(part->size());
            for (const char c : *part) add(static_cast<unsigned char>(c));
        }
    }
    std::uint64_t add(std::uint64_t value) {
        state_ = (state_ ^ value) * 0x9e3779b97f4a7c15u;
        state_ ^= state_ >> 29;
        return state_;
    }

private:
    std::uint64_t state_ = 0x243f6a8885a308d3u;
};

/// One number per position of `tokens`.
inline std::vector<std::uint64_t> expected_kv(const engine::KvScope& scope,
                                              std::span<const engine::TokenId> tokens) {
    TextHash hash(scope);
    std::vector<std::uint64_t> all;
    for (const engine::TokenId token : tokens) {
        all.push_back(hash.add(static_cast<std::uint32_t>(token)));
    }
    return all;
}

/// The place of a position's number in a plane: planes are opaque, so a test may use them freely.
inline std::byte* kv_slot(const engine::KvGeometry& geometry, std::byte* plane,
                          std::uint32_t position) {
    const std::size_t stride = geometry.plane_bytes() / geometry.page_tokens;
    return plane + position % geometry.page_tokens * stride;
}

/// Stores a position's number in every plane, as a forward pass would store its keys and values.
inline void write_kv(const engine::KvGeometry& geometry, const engine::KvSequence& sequence,
                     std::uint32_t position, std::uint64_t value) {
    const std::uint32_t page = position / geometry.page_tokens;
    for (std::uint32_t layer = 0; layer < geometry.layers; ++layer) {
        const engine::KvLayerView& view = sequence.layer(layer);
        const std::uint64_t keys = value + 2 * layer, values = keys + 1;
        std::memcpy(kv_slot(geometry, view.k_pages[page], position), &keys, sizeof(keys));
        std::memcpy(kv_slot(geometry, view.v_pages[page], position), &values, sizeof(values));
    }
}

/// True when every plane holds `value` at `position`.
inline bool holds_kv(const engine::KvGeometry& geometry, const engine::KvSequence& sequence,
                     std::uint32_t position, std::uint64_t value) {
    const std::uint32_t page = position / geometry.page_tokens;
    for (std::uint32_t layer = 0; layer < geometry.layers; ++layer) {
        const engine::KvLayerView& view = sequence.layer(layer);
        std::uint64_t keys = 0, values = 0;
        std::memcpy(&keys, kv_slot(geometry, view.k_pages[page], position), sizeof(keys));
        std::memcpy(&values, kv_slot(geometry, view.v_pages[page], position), sizeof(values));
        if (keys != value + 2 * layer || values != value + 2 * layer + 1) return false;
    }
    return true;
}

/// Computes what is missing of `tokens` into the sequence. False: no page could be had.
inline bool compute(const engine::KvGeometry& geometry, engine::KvSequence& sequence,
                    const engine::KvScope& scope, std::span<const engine::TokenId> tokens) {
    const auto count = static_cast<std::uint32_t>(tokens.size());
    if (!sequence.grow_to(count)) return false;
    const std::vector<std::uint64_t> values = expected_kv(scope, tokens);
    for (std::uint32_t p = sequence.tokens(); p < count; ++p) {
        write_kv(geometry, sequence, p, values[p]);
    }
    if (count > sequence.tokens()) sequence.set_written(count);
    return true;
}

/// The first position whose KV is not what `tokens` make it; the sequence's length when all is
/// well.
inline std::uint32_t first_wrong(const engine::KvGeometry& geometry,
                                 const engine::KvSequence& sequence, const engine::KvScope& scope,
                                 std::span<const engine::TokenId> tokens) {
    const std::vector<std::uint64_t> values = expected_kv(scope, tokens);
    for (std::uint32_t p = 0; p < sequence.tokens(); ++p) {
        if (!holds_kv(geometry, sequence, p, values[p])) return p;
    }
    return sequence.tokens();
}

inline Tokens counting(engine::TokenId first, std::uint32_t count) {
    Tokens tokens;
    for (std::uint32_t i = 0; i < count; ++i) {
        tokens.push_back(first + static_cast<engine::TokenId>(i));
    }
    return tokens;
}

inline Tokens joined(Tokens a, const Tokens& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace test
