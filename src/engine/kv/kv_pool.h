#pragma once
// KV pages: fixed-size pieces of memory that hold the keys and values of `page_tokens` positions,
// all layers of a page in one allocation, so that a page is the unit of sharing and transfer.
//
// Pages are counted references: sequences that began alike and the prefix cache hold the same ones.
// A page that more than one holds is never written; KvSequence copies it first. When no page is
// free the pool asks the cache for pages that nobody else holds.
// One thread owns a pool and all that holds its pages; only stats() may be called from others.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
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
    std::uint32_t pages_taken = 0;   ///< held by sequences, the cache, or both
    std::uint32_t pages_cached = 0;  ///< of those: held by the cache alone, free on demand
    std::uint32_t pages_total = 0;
    std::uint64_t copies_total = 0;  ///< pages copied before a write
};

class KvPool;
class KvSequence;

/// One holder's share of a page. Gives it back when destroyed; the pool must outlive it.
class KvPage {
public:
    KvPage() = default;
    KvPage(KvPage&& other) noexcept;
    KvPage& operator=(KvPage&& other) noexcept;
    ~KvPage();

    /// Another holder of the same page.
    KvPage share() const;
    explicit operator bool() const { return pool_ != nullptr; }
    std::byte* bytes() const;
    /// Somebody else holds it too: it must not be written.
    bool shared() const;
    /// The prefix cache is one of the holders.
    bool cached() const;
    /// The prefix cache is the only other holder.
    bool shared_with_cache_only() const;
    /// Says whether one of the holders is the prefix cache, which sets this.
    void mark_cached(bool cached);

private:
    friend class KvPool;
    KvPage(KvPool& pool, std::uint32_t slot) : pool_(&pool), slot_(slot) {}

    KvPool* pool_ = nullptr;
    std::uint32_t slot_ = 0;
};

class KvPool {
public:
    KvPool(KvGeometry geometry, std::uint32_t pages_total);
    KvPool(const KvPool&) = delete;
    KvPool& operator=(const KvPool&) = delete;
    ~KvPool();  ///< Pre: every page came back.

    const KvGeometry& geometry() const { return geometry_; }
    std::uint32_t pages_total() const { return pages_total_; }
    /// Pages that nobody holds.
    std::uint32_t pages_free() const { return pages_total_ - taken_.load(); }
    /// Pages that make_room could make free: those and the ones that only the cache holds.
    std::uint32_t pages_available() const;
    /// True when `tokens` positions would fit an empty pool.
    bool can_ever_hold(std::uint32_t tokens) const;

    /// An empty sequence.
    KvSequence sequence();
    /// Errors: resource_exhausted, when no page is free or can be made free (says pages in use), or
    /// when the machine itself has no memory left.
    base::Result<KvPage> take();
    /// Leaves at least `pages` pages free. Errors: resource_exhausted; the cache stays as it was.
    base::Result<void> make_room(std::uint32_t pages);

    /// Frees up to n pages that only the cache holds and returns how many; called with 0 it only
    /// lets go of what has expired. Empty: there is no cache.
    using Reclaimer = std::function<std::uint32_t(std::uint32_t)>;
    void set_reclaimer(Reclaimer reclaimer) { reclaimer_ = std::move(reclaimer); }

    KvStats stats() const;  ///< thread-safe

private:
    friend class KvPage;
    friend class KvSequence;
    struct Free {
        void operator()(std::byte* page) const;
    };
    struct Slot {
        std::unique_ptr<std::byte, Free> bytes;
        std::uint32_t holders = 0;
        bool cached = false;  ///< one of the holders is the cache
    };

    base::Result<std::uint32_t> free_slot();
    void hold(std::uint32_t slot);
    void release(std::uint32_t slot);
    void mark_cached(std::uint32_t slot, bool cached);

    KvGeometry geometry_;
    std::uint32_t pages_total_;
    std::vector<Slot> slots_;          ///< grows as pages are first needed
    std::vector<std::uint32_t> free_;  ///< slots with memory and without a holder
    Reclaimer reclaimer_;
    std::atomic<std::uint32_t> taken_{0};
    std::atomic<std::uint32_t> cached_alone_{0};
    std::atomic<std::uint64_t> copies_{0};
};

}  // namespace engine
