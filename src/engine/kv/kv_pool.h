#pragma once
// KV pages: fixed-size pieces of memory that hold the keys and values of `page_tokens` positions,
// all layers of a page in one allocation, so that a page is the unit of sharing and transfer.
//
// A sequence reserves the pages it may ever need when it is admitted and takes them as it grows;
// a step therefore never finds the pool empty. Reserved but untaken pages cost no memory.
// One thread owns a pool and its sequences; only stats() may be called from others.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/core/result.h"
#include "engine/kernels/kernels.h"

namespace engine {

/// A page in memory: [layers][K, V] planes of plane_bytes() each.
struct KvGeometry {
    std::uint32_t layers = 0;
    std::uint32_t kv_heads = 0;
    std::uint32_t head_dim = 0;
    std::uint32_t page_tokens = 32;
    KvType type = KvType::f16;

    std::size_t plane_bytes() const {
        return kv_plane_bytes(type, page_tokens, kv_heads, head_dim);
    }
    std::size_t page_bytes() const { return plane_bytes() * layers * 2; }
    /// Pages that hold `tokens` positions; the last one may be partly filled.
    std::uint32_t pages_for(std::uint32_t tokens) const {
        return tokens / page_tokens + (tokens % page_tokens != 0);
    }
};

struct KvStats {
    std::uint32_t pages_taken = 0;     ///< held by sequences
    std::uint32_t pages_reserved = 0;  ///< promised to sequences, the taken ones included
    std::uint32_t pages_total = 0;
};

class KvSequence;

class KvPool {
public:
    KvPool(KvGeometry geometry, std::uint32_t pages_total);
    KvPool(const KvPool&) = delete;
    KvPool& operator=(const KvPool&) = delete;
    ~KvPool();  ///< Pre: every sequence is gone.

    const KvGeometry& geometry() const { return geometry_; }
    /// A sequence that may grow to `tokens_max` positions. Errors: resource_exhausted (says pages
    /// needed, free and in all).
    base::Result<KvSequence> reserve(std::uint32_t tokens_max);
    /// True when `tokens_max` positions would fit an empty pool.
    bool can_ever_hold(std::uint32_t tokens_max) const;
    KvStats stats() const;  ///< thread-safe

private:
    friend class KvSequence;
    struct Free {
        void operator()(std::byte* page) const;
    };
    using Page = std::unique_ptr<std::byte, Free>;

    base::Result<Page> take();
    void give_back(std::vector<Page> pages, std::uint32_t reserved);

    KvGeometry geometry_;
    std::uint32_t pages_total_;
    std::vector<Page> free_;  ///< pages allocated once and now unused
    std::atomic<std::uint32_t> taken_{0};
    std::atomic<std::uint32_t> reserved_{0};
};

/// One sequence's pages. Returns them to its pool when destroyed; the pool must outlive it.
class KvSequence {
public:
    KvSequence() = default;
    KvSequence(KvSequence&& other) noexcept;
    KvSequence& operator=(KvSequence&& other) noexcept;
    ~KvSequence();

    /// Takes pages until `tokens` positions fit. Pre: tokens <= the reservation. Errors:
    /// resource_exhausted when the machine itself has no memory left; pages taken so far stay.
    base::Result<void> grow_to(std::uint32_t tokens);
    std::uint32_t capacity_tokens() const;
    /// Valid until the next grow_to.
    const KvLayerView& layer(std::uint32_t index) const { return views_[index]; }

private:
    friend class KvPool;
    KvSequence(KvPool& pool, std::uint32_t reserved);
    void refresh_views();
    void release();

    KvPool* pool_ = nullptr;
    std::uint32_t reserved_ = 0;
    std::vector<KvPool::Page> pages_;
    /// Page starts by layer: K of layer l at [2 * l], V at [2 * l + 1].
    std::vector<std::vector<std::byte*>> planes_;
    std::vector<KvLayerView> views_;
};

}  // namespace engine
