#pragma once
// One sequence's KV: a table of pages, of which the leading ones may be shared with other sequences
// and with the prefix cache. What is shared is copied before it is written.
//
// What a sequence may rely on: a page is written only at positions at or after tokens(), and only
// after grow_to; whole pages before tokens() never change while anybody holds them.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/core/result.h"
#include "engine/kernels/kernels.h"
#include "engine/kv/kv_pool.h"
#include "engine/kv/kv_spill.h"

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

    /// Context shift: forgets `drop_tokens` positions after the first `keep_tokens`; later ones
    /// move up, and no key changes, since keys are rotated relative to their page. Such KV is not
    /// what computing the shorter text would give, though: see exact_tokens(). Errors:
    /// invalid_argument (not in whole pages, more than there is; says the numbers).
    base::Result<void> drop_middle(std::uint32_t keep_tokens, std::uint32_t drop_tokens);
    /// Leading positions whose KV is what computing the same tokens afresh would give: all of them,
    /// or those before the first gap. Only these may be cached under their tokens.
    std::uint32_t exact_tokens() const;

    /// What destroying this, or swapping it out, would make available: pages it holds alone or with
    /// the cache only.
    std::uint32_t pages_owned_alone() const;
    /// Moves pages_owned_alone() pages into `spill`, which must outlive this; pages shared with
    /// other sequences stay held. Until swap_in the sequence can only be asked for tokens(),
    /// swapped back in, or destroyed, which drops what was spilled. Errors: those of save; nothing
    /// changed then.
    base::Result<SpillId> swap_out(KvSpill& spill);
    /// Brings them back into new pages and drops them from `spill`. Errors: resource_exhausted (as
    /// grow_to), those of load: the sequence stays swapped out.
    base::Result<void> swap_in(KvSpill& spill, SpillId id);
    bool swapped_out() const { return swapped_.has_value(); }
    /// Pages that swap_in needs.
    std::uint32_t pages_swapped() const { return swapped_ ? swapped_->pages : 0; }

    /// Those swapped out are empty.
    std::span<const KvPage> pages() const { return pages_; }

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
    void drop_swapped();
    void forget_gap_at_end();
    std::vector<std::size_t> pages_to_swap() const;

    KvPool* pool_ = nullptr;
    std::uint32_t tokens_ = 0;
    std::uint32_t before_gap_ = UINT32_MAX;  ///< positions before the first dropped one
    struct Swapped {
        KvSpill* spill;
        SpillId id;
        std::uint32_t pages;
    };
    std::optional<Swapped> swapped_;
    std::vector<KvPage> pages_;
    /// Page starts [layers][K, V][table_pages_], of which the first pages_.size() are set.
    std::vector<std::byte*> table_;
    std::size_t table_pages_ = 0;
    std::vector<KvLayerView> views_;
};

}  // namespace engine
