#pragma once
// The prefix cache of one model: what was computed for the beginning of one request is found by the
// next request that begins alike, by its session, or by the id of a prefix that somebody kept.
//
// A cached page is a page of the pool with the cache among its holders. What nobody else holds is
// given up, page by page, when the pool needs room: first of tenants over their share, then what
// was not used for longest, conversations in progress last, kept prefixes never before their time.
// One thread owns the cache, the pool's; what is marked thread-safe may be called from others.

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "engine/engine.h"
#include "engine/kv/kv_sequence.h"
#include "engine/kv/prefix_tree.h"
#include "engine/kv/session_table.h"

namespace engine {

struct PrefixCacheLimits {
    std::uint32_t pages_max = UINT32_MAX;  ///< cached at a time; 0 = nothing is cached
    /// Parts of the pool's pages, 0 to 1. A tenant with more cached than its share gives first, as
    /// long as another tenant has cached pages too.
    double tenant_share = 0.5;
    double session_share = 0.5;     ///< protected for sessions, at most
    double kept_share = 0.5;        ///< in kept prefixes, at most
    std::uint32_t kept_max = 1024;  ///< kept prefixes: one text kept again and again takes no page
    base::Duration session_idle = std::chrono::minutes(10);
    std::uint32_t sessions_max = 4096;
};

struct PrefixCacheStats {
    std::uint64_t hits = 0, misses = 0;  ///< of take
    std::uint64_t hit_tokens = 0, asked_tokens = 0;
    std::uint64_t pages_evicted = 0;
    std::uint32_t pages = 0;  ///< cached, in use or not
    std::uint32_t sessions = 0, pages_protected = 0;
    std::uint32_t kept_prefixes = 0, pages_kept = 0;
    std::map<std::string, std::uint32_t> pages_by_tenant;
};

/// A cached prefix that nobody took yet.
struct PrefixFound {
    std::uint32_t tokens = 0;
    /// Of its whole pages, those that only the cache holds: the pool counts them as available, and
    /// no more once they are taken.
    std::uint32_t pages_idle = 0;
};

class PrefixCache {
public:
    /// Becomes the pool's reclaimer. Pool and clock must outlive this.
    PrefixCache(KvPool& pool, BlockHash model, const base::Clock& clock,
                PrefixCacheLimits limits = {});
    ~PrefixCache();
    PrefixCache(const PrefixCache&) = delete;
    PrefixCache& operator=(const PrefixCache&) = delete;

    /// A sequence that begins with the longest cached prefix of `tokens`, but never all of them:
    /// one row is left to compute. Whole pages are shared, one that agrees in part is copied when a
    /// page can be had for it.
    KvSequence take(const KvScope& scope, std::span<const TokenId> tokens,
                    std::uint32_t* matched = nullptr);
    /// What take would find, without moving anything; take may still find less, by a part of a
    /// page, when the pool is full.
    PrefixFound look(const KvScope& scope, std::span<const TokenId> tokens) const;
    std::uint32_t matched_tokens(const KvScope& scope, std::span<const TokenId> tokens) const {
        return look(scope, tokens).tokens;
    }

    enum class Tail {
        leave,  ///< the sequence goes on: its partly filled page is its own
        keep,   ///< the sequence is done: cache that page too (writing to it copies it)
    };
    /// Makes the sequence's pages findable, as far as they are not. `tokens`: what was computed
    /// into it from position 0; counted as far as its exact tokens go. With a session, the
    /// conversation is now there.
    void put(const KvScope& scope, std::span<const TokenId> tokens, const KvSequence& sequence,
             std::string_view session = {}, Tail tail = Tail::leave);

    /// Keeps the cached pages of `tokens` for `time_to_live`, whatever else needs room. Errors:
    /// failed_precondition (the sequence does not hold them), resource_exhausted (kept prefixes
    /// would pass their share or their number; says both numbers).
    base::Result<KeptPrefix> keep(const KvScope& scope, std::span<const TokenId> tokens,
                                  base::Duration time_to_live, const KvSequence& sequence);
    /// Errors: not_found, also when it is another tenant's.
    base::Result<void> drop(const std::string& tenant, const std::string& id);
    /// The tokens of a kept prefix. Errors: as drop. Thread-safe.
    base::Result<std::vector<TokenId>> find(const std::string& tenant, const std::string& id) const;
    std::vector<KeptPrefix> list(const std::string& tenant) const;  ///< thread-safe

    /// Frees up to `pages` pages that only the cache holds; returns how many.
    std::uint32_t reclaim(std::uint32_t pages);
    /// Ends kept prefixes and sessions whose time is over. Every call that changes the cache does
    /// so too; for owners that wait for pages.
    void expire();

    PrefixCacheStats stats() const;  ///< thread-safe

private:
    struct Kept {
        KeptPrefix prefix;
        std::vector<TokenId> tokens;
        PrefixNode* tip = nullptr;
        std::vector<KvPage> pages;  ///< held, so that nothing takes them
    };
    using KeptKey = std::pair<std::string, std::string>;  ///< tenant, id

    void touch(PrefixNode& tip);
    bool room_for_node();
    PrefixNode* put_pages(PrefixNode& root, std::span<const TokenId> tokens,
                          std::span<const KvPage> pages);
    PrefixNode* put_tail(PrefixNode& node, std::span<const TokenId> tokens, const KvPage& page);
    void drop_covered(PrefixNode& node, std::span<const TokenId> tokens);
    std::uint32_t evict(const LeafOrder& order, std::uint32_t pages);
    std::uint32_t evict_over_share(std::uint32_t pages);
    std::uint32_t evict_blocked(std::uint32_t pages);
    void forget(PrefixNode& leaf);
    PrefixNode* covering_node(const KvScope& scope, std::span<const TokenId> tokens) const;
    KeptPrefix pin(PrefixNode& tip, std::span<const TokenId> tokens, base::Instant expires);
    void unpin(Kept& kept);
    void publish();

    KvPool& pool_;
    const base::Clock& clock_;
    PrefixCacheLimits limits_;
    PrefixTree tree_;
    SessionTable sessions_;
    std::uint64_t uses_ = 0;
    std::uint64_t kept_ever_ = 0;
    std::uint32_t pages_kept_ = 0;
    base::Instant next_expiry_ = base::Instant::never();  ///< of a kept prefix
    PrefixCacheStats counters_;

    mutable std::mutex mutex_;      ///< guards the two below against readers of other threads
    std::map<KeptKey, Kept> kept_;  ///< written by the owner only
    PrefixCacheStats published_;
};

}  // namespace engine
