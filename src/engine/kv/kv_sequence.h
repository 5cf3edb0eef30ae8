#pragma once
// One sequence's KV: a table of pages, of which the leading ones may be shared with other sequences
// and with the prefix cache. What is shared is copied before it is written.
//
// What a sequence may rely on: a page is written only at positions at or after tokens(), and only
// after grow_to; whole pages before tokens() never change while anybody holds them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/core/result.h"
#include "engine/kernels/kernels.h"
#include "engine/kv/kv_pool.h"

namespace engine {

/// Owned by one thread, the pool's. Gives its pages back when destroyed; the pool must outlive it.
class KvSequence {
public:
    KvSequence() = default;
    KvSequence(KvSequence&& other) noexcept;
    KvSequence& operator=(KvSequence&& other) noexcept;
    ~KvSequence();

    /// Positions written, as told by advance and set_written.
    std::uint32_t tokens() const { return tokens_; }
    void advance(std::uint32_t rows) { set_written(tokens_ + rows); }
    /// Pre: tokens <= capacity_tokens().
    void set_written(std::uint32_t tokens);

    /// Makes room for `tokens` positions, those from tokens() on to be written now. Errors:
    /// resource_exhausted (says pages needed and to be had); nothing was taken then.
    base::Result<void> grow_to(std::uint32_t tokens);
    std::uint32_t capacity_tokens() const;
    /// Valid until the next grow_to, truncate or drop_middle.
    const KvLayerView& layer(std::uint32_t index) const { return views_[index]; }

    /// A sequence with the same positions, sharing every page. Whichever of the two writes first
    /// copies the page that both were about to fill.
    KvSequence fork() const;
    /// Forgets positions from `tokens` on and gives back the pages that held only those.
    void truncate(std::uint32_t tokens);

    /// What destroying this would make available: pages it holds alone or with the cache only.
    std::uint32_t pages_owned_alone() const;

    std::span<const KvPage> pages() const { return pages_; }
    /// Leading positions whose KV is what computing the same tokens afresh would give.
    std::uint32_t exact_tokens() const { return tokens_; }

    /// Appends whole pages written by others. Pre: tokens() fills its pages.
    void append_shared(std::vector<KvPage> pages);
    /// Appends a private copy of `page`, of which the leading `tokens` positions count. Pre: as
    /// append_shared; tokens <= page_tokens. Errors: as grow_to.
    base::Result<void> append_copy(const KvPage& page, std::uint32_t tokens);

private:
    friend class KvPool;
    explicit KvSequence(KvPool& pool);
    base::Result<void> make_private(std::size_t index);
    void link_pages(std::size_t first);
    void refresh_views();

    KvPool* pool_ = nullptr;
    std::uint32_t tokens_ = 0;
    std::vector<KvPage> pages_;
    /// Page starts [layers][K, V][table_pages_], of which the first pages_.size() are set.
    std::vector<std::byte*> table_;
    std::size_t table_pages_ = 0;
    std::vector<KvLayerView> views_;
};

}  // namespace engine
