#include "engine/kv/prefix_cache.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/core/check.h"

namespace engine {
namespace {

std::uint32_t part_of(std::uint32_t pages, double share) {
    return static_cast<std::uint32_t>(static_cast<double>(pages) * share);
}

bool ancestor_is_idle(const PrefixNode& node) {
    for (const PrefixNode* up = node.parent; !up->is_root(); up = up->parent) {
        if (!up->in_use()) return true;
    }
    return false;
}

/// Pages up to `tip` that no kept prefix holds.
std::uint32_t pages_not_kept(const PrefixNode& tip) {
    std::uint32_t pages = 0;
    for (const PrefixNode* node = &tip; !node->is_root(); node = node->parent) {
        pages += node->kept_below == 0;
    }
    return pages;
}

}  // namespace

PrefixCache::PrefixCache(KvPool& pool, BlockHash model, const base::Clock& clock,
                         PrefixCacheLimits limits)
    : pool_(pool),
      clock_(clock),
      limits_(limits),
      tree_(model, pool.geometry().page_tokens),
      sessions_(tree_, limits.session_idle, part_of(pool.pages_total(), limits.session_share),
                limits.sessions_max) {
    pool_.set_reclaimer([this](std::uint32_t pages) { return reclaim(pages); });
}

PrefixCache::~PrefixCache() {
    pool_.set_reclaimer({});
}

KvSequence PrefixCache::take(const KvScope& scope, std::span<const TokenId> tokens,
                             std::uint32_t* matched) {
    expire();
    KvSequence sequence = pool_.sequence();
    const std::span<const TokenId> wanted =
        tokens.empty() ? tokens : tokens.first(tokens.size() - 1);
    const PrefixTree::Match match = tree_.match(scope, wanted);
    if (match.node != nullptr && match.tokens + match.partial_tokens > 0) {
        std::vector<KvPage> pages(match.node->depth);
        for (PrefixNode* node = match.node; !node->is_root(); node = node->parent) {
            pages[node->depth - 1] = node->page.share();
        }
        ++uses_;
        touch(match.partial != nullptr ? *match.partial : *match.node);
        // Held, so that making room for the copy does not take what is to be copied.
        const KvPage partial = match.partial != nullptr ? match.partial->page.share() : KvPage();
        sequence.append_shared(std::move(pages));
        if (partial) {
            // Without a page for the copy those tokens are computed again.
            const bool copied = sequence.append_copy(partial, match.partial_tokens).has_value();
            static_cast<void>(copied);
        }
    }
    counters_.asked_tokens += wanted.size();
    counters_.hit_tokens += sequence.tokens();
    ++(sequence.tokens() > 0 ? counters_.hits : counters_.misses);
    if (matched != nullptr) *matched = sequence.tokens();
    publish();
    return sequence;
}

PrefixFound PrefixCache::look(const KvScope& scope, std::span<const TokenId> tokens) const {
    if (tokens.empty()) return {};
    const PrefixTree::Match match = tree_.match(scope, tokens.first(tokens.size() - 1));
    if (match.node == nullptr) return {};
    PrefixFound found{match.tokens + match.partial_tokens};
    for (const PrefixNode* node = match.node; !node->is_root(); node = node->parent) {
        found.pages_idle += !node->in_use();
    }
    return found;
}

void PrefixCache::put(const KvScope& scope, std::span<const TokenId> tokens,
                      const KvSequence& sequence, std::string_view session, Tail tail) {
    expire();
    tokens = tokens.first(std::min<std::size_t>(tokens.size(), sequence.exact_tokens()));
    const std::size_t whole = tokens.size() / tree_.page_tokens();
    if (limits_.pages_max == 0 || (whole == 0 && tail == Tail::leave)) return;
    ++uses_;
    PrefixNode* tip = put_pages(tree_.root(scope), tokens, sequence.pages().first(whole));
    const std::span<const TokenId> rest = tokens.subspan(whole * tree_.page_tokens());
    if (tail == Tail::keep && !rest.empty() && tip->depth == whole) {
        tip = put_tail(*tip, rest, sequence.pages()[whole]);
    }
    if (!tip->is_root()) {
        touch(*tip);
        if (!session.empty()) sessions_.update(session, *tip, clock_.now());
    }
    publish();
    tree_.forget_empty_roots();
}

/// Adds what is missing of the path; ends early when the cache is full of pages in use.
PrefixNode* PrefixCache::put_pages(PrefixNode& root, std::span<const TokenId> tokens,
                                   std::span<const KvPage> pages) {
    PrefixNode* node = &root;
    KvPage held;  // the node's own: while it is held, making room leaves the node alone
    for (const KvPage& page : pages) {
        const std::span<const TokenId> block = tokens.first(tree_.page_tokens());
        tokens = tokens.subspan(tree_.page_tokens());
        PrefixNode* next = tree_.child(*node, block);
        if (next == nullptr) {
            if (!room_for_node()) break;
            drop_covered(*node, block);
            // A kept prefix may hold this very page as the end of its text, under fewer tokens.
            if (page.cached()) break;
            next = &tree_.insert(*node, block, page.share());
        }
        node = next;
        held = node->page.share();
    }
    return node;
}

PrefixNode* PrefixCache::put_tail(PrefixNode& node, std::span<const TokenId> tokens,
                                  const KvPage& page) {
    if (PrefixNode* const longer = tree_.begun_by(node, tokens)) return longer;
    const KvPage held = node.is_root() ? KvPage() : node.page.share();
    if (!room_for_node()) return &node;
    drop_covered(node, tokens);
    if (page.cached()) return &node;
    return &tree_.insert(node, tokens, page.share());
}

/// A page that was cached partly filled goes when a longer form of it comes.
void PrefixCache::drop_covered(PrefixNode& node, std::span<const TokenId> tokens) {
    PrefixNode* const shorter = tree_.begins(node, tokens);
    if (shorter != nullptr && shorter->kept_below == 0) forget(*shorter);
}

bool PrefixCache::room_for_node() {
    return tree_.pages() < limits_.pages_max || evict(tree_.leaves(), 1) > 0;
}

/// The path to `tip` is the most recently used.
void PrefixCache::touch(PrefixNode& tip) {
    for (PrefixNode* node = &tip; !node->is_root(); node = node->parent) node->used = uses_;
    tree_.reorder(tip);
}

std::uint32_t PrefixCache::reclaim(std::uint32_t pages) {
    expire();
    std::uint32_t freed = evict_over_share(pages);
    freed += evict(tree_.leaves(), pages - freed);
    freed += evict_blocked(pages - freed);
    publish();
    tree_.forget_empty_roots();
    return freed;
}

std::uint32_t PrefixCache::evict(const LeafOrder& order, std::uint32_t pages) {
    std::uint32_t freed = 0;
    auto at = order.begin();
    while (freed < pages && at != order.end()) {
        if (at->second->in_use()) {
            ++at;
            continue;
        }
        const LeafKey key = at->first;
        forget(*at->second);
        ++freed;
        // The parent may be a leaf now; it stands behind its child, so it is met next.
        at = order.upper_bound(key);
    }
    counters_.pages_evicted += freed;
    return freed;
}

std::uint32_t PrefixCache::evict_over_share(std::uint32_t pages) {
    if (tree_.tenants().size() < 2) return 0;
    const std::uint32_t share = part_of(pool_.pages_total(), limits_.tenant_share);
    std::uint32_t freed = 0;
    for (const auto& [name, tenant] : tree_.tenants()) {
        if (freed == pages) break;
        if (tenant.pages <= share) continue;
        freed += evict(tenant.leaves, std::min(pages - freed, tenant.pages - share));
    }
    return freed;
}

/// A sequence may hold a page whose ancestors in the tree only the cache holds: it computed those
/// itself, at the same time as another. The cache then lets go of the held one first.
std::uint32_t PrefixCache::evict_blocked(std::uint32_t pages) {
    std::uint32_t freed = 0;
    while (freed < pages) {
        const auto blocking = std::ranges::find_if(tree_.leaves(), [](const auto& leaf) {
            return leaf.second->in_use() && ancestor_is_idle(*leaf.second);
        });
        if (blocking == tree_.leaves().end()) break;
        forget(*blocking->second);
        freed += evict(tree_.leaves(), pages - freed);
    }
    return freed;
}

void PrefixCache::forget(PrefixNode& leaf) {
    sessions_.retreat_from(leaf);
    tree_.remove(leaf);
}

base::Result<KeptPrefix> PrefixCache::keep(const KvScope& scope, std::span<const TokenId> tokens,
                                           base::Duration time_to_live,
                                           const KvSequence& sequence) {
    if (tokens.empty() || sequence.exact_tokens() < tokens.size()) {
        return base::fail(base::Code::failed_precondition,
                          "a prefix of {} tokens is to be kept and {} of them are computed",
                          tokens.size(), sequence.exact_tokens());
    }
    expire();
    if (kept_.size() >= limits_.kept_max) {
        return base::fail(base::Code::resource_exhausted,
                          "{} prefixes are kept, which is the limit; name one that is there again, "
                          "drop one or wait until one expires",
                          kept_.size());
    }
    const KvSequence prefix = [&] {
        KvSequence twin = sequence.fork();
        twin.truncate(static_cast<std::uint32_t>(tokens.size()));
        return twin;
    }();
    put(scope, tokens, prefix, {}, Tail::keep);
    PrefixNode* const tip = covering_node(scope, tokens);
    if (tip == nullptr) {
        return base::fail(base::Code::resource_exhausted,
                          "a prefix of {} tokens does not fit a prefix cache of {} pages",
                          tokens.size(), limits_.pages_max);
    }
    const std::uint32_t fresh = pages_not_kept(*tip);
    const std::uint32_t share = part_of(pool_.pages_total(), limits_.kept_share);
    if (pages_kept_ + fresh > share) {
        return base::fail(base::Code::resource_exhausted,
                          "the prefix needs {} KV pages, kept prefixes hold {}, and together they "
                          "may hold {}; drop one or wait until one expires",
                          fresh, pages_kept_, share);
    }
    return pin(*tip, tokens, clock_.now() + time_to_live);
}

/// From now on the pages up to `tip` stay until `expires`.
KeptPrefix PrefixCache::pin(PrefixNode& tip, std::span<const TokenId> tokens,
                            base::Instant expires) {
    pages_kept_ += pages_not_kept(tip);
    Kept kept;
    kept.tip = &tip;
    kept.tokens.assign(tokens.begin(), tokens.end());
    for (PrefixNode* node = &tip; !node->is_root(); node = node->parent) {
        ++node->kept_below;
        kept.pages.push_back(node->page.share());
    }
    // The name of what is kept and a number: two owners of one text do not end each other's.
    const std::string id =
        fmt::format("prefix-{}-{}", to_hex(tip.hash).substr(0, 16), ++kept_ever_);
    kept.prefix = {id, tip.scope->tenant, static_cast<std::uint32_t>(tokens.size()), expires};
    next_expiry_ = std::min(next_expiry_, expires);
    KeptPrefix made = kept.prefix;
    {
        const std::lock_guard lock(mutex_);
        kept_.emplace(KeptKey{made.tenant, id}, std::move(kept));
    }
    publish();
    return made;
}

/// The node that holds the last of `tokens`. Null: they are not all here.
PrefixNode* PrefixCache::covering_node(const KvScope& scope,
                                       std::span<const TokenId> tokens) const {
    const PrefixTree::Match match = tree_.match(scope, tokens);
    if (match.tokens + match.partial_tokens < tokens.size()) return nullptr;
    return match.partial_tokens > 0 ? match.partial : match.node;
}

void PrefixCache::unpin(Kept& kept) {
    for (PrefixNode* node = kept.tip; !node->is_root(); node = node->parent) {
        if (--node->kept_below == 0) --pages_kept_;
    }
    kept.pages.clear();
}

base::Result<void> PrefixCache::drop(const std::string& tenant, const std::string& id) {
    expire();
    const auto at = kept_.find({tenant, id});
    if (at == kept_.end()) {
        return base::fail_on(id, base::Code::not_found, "no prefix is kept as '{}'", id);
    }
    unpin(at->second);
    {
        const std::lock_guard lock(mutex_);
        kept_.erase(at);
    }
    publish();
    return {};
}

void PrefixCache::expire() {
    const base::Instant now = clock_.now();
    sessions_.expire(now);
    if (now < next_expiry_) return;
    const std::lock_guard lock(mutex_);
    next_expiry_ = base::Instant::never();
    for (auto at = kept_.begin(); at != kept_.end();) {
        Kept& kept = at->second;
        if (kept.prefix.expires <= now) {
            unpin(kept);
            at = kept_.erase(at);
        } else {
            next_expiry_ = std::min(next_expiry_, kept.prefix.expires);
            ++at;
        }
    }
}

base::Result<std::vector<TokenId>> PrefixCache::find(const std::string& tenant,
                                                     const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const auto at = kept_.find({tenant, id});
    if (at == kept_.end() || at->second.prefix.expires <= clock_.now()) {
        return base::fail_on(id, base::Code::not_found,
                             "no prefix is kept as '{}'; it expired, was dropped or never was", id);
    }
    return at->second.tokens;
}

std::vector<KeptPrefix> PrefixCache::list(const std::string& tenant) const {
    const std::lock_guard lock(mutex_);
    const base::Instant now = clock_.now();
    std::vector<KeptPrefix> listed;
    for (const auto& [key, kept] : kept_) {
        if (key.first == tenant && kept.prefix.expires > now) listed.push_back(kept.prefix);
    }
    return listed;
}

void PrefixCache::publish() {
    counters_.pages = tree_.pages();
    counters_.sessions = sessions_.sessions();
    counters_.pages_protected = sessions_.protected_pages();
    counters_.kept_prefixes = static_cast<std::uint32_t>(kept_.size());
    counters_.pages_kept = pages_kept_;
    const std::vector<std::string> changed = tree_.take_changed();
    const std::lock_guard lock(mutex_);
    auto by_tenant = std::move(published_.pages_by_tenant);
    published_ = counters_;  // which holds no tenants: their map changes in place
    for (const std::string& name : changed) {
        const auto tenant = tree_.tenants().find(name);
        if (tenant == tree_.tenants().end() || tenant->second.pages == 0) {
            by_tenant.erase(name);
        } else {
            by_tenant[name] = tenant->second.pages;
        }
    }
    published_.pages_by_tenant = std::move(by_tenant);
}

PrefixCacheStats PrefixCache::stats() const {
    const std::lock_guard lock(mutex_);
    return published_;
}

}  // namespace engine
