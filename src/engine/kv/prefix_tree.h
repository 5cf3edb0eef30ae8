#pragma once
// The radix tree of cached pages. A node is one page: its tokens continue its parent's, so the path
// from a root spells a prefix, and everything below one root has the same model, adapter and
// tenant.
//
// Children are kept in the order of their tokens: the one that agrees longest with a text is then a
// neighbour of the place where the text itself would stand. A page that its owner left partly
// filled is a leaf with fewer tokens. The tree holds pages and compares tokens; who may stay is
// decided in prefix_cache.h.

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "engine/kv/block_hash.h"
#include "engine/kv/kv_pool.h"

namespace engine {

/// Whose prefixes: nothing is ever found under another scope.
struct KvScope {
    std::string adapter = {};
    std::string tenant = {};
    auto operator<=>(const KvScope&) const = default;
};

struct PrefixNode;

/// Leaves in the order in which they go: unprotected before protected, least recently used first;
/// of one use the deeper first, so that a conversation is shortened from its end.
struct LeafKey {
    bool protected_by_session = false;
    std::uint64_t used = 0;
    std::uint32_t height = 0;  ///< counts down with depth
    std::uint64_t id = 0;      ///< no two are equal; older first
    auto operator<=>(const LeafKey&) const = default;
};
using LeafOrder = std::map<LeafKey, PrefixNode*>;

/// The cached pages of one tenant, over all its adapters.
struct TenantPages {
    std::uint32_t pages = 0;
    LeafOrder leaves;
    bool changed = false;  ///< since take_changed
};

struct PrefixNode {
    PrefixNode* parent = nullptr;  ///< null: a root, which has no page and no tokens
    const KvScope* scope = nullptr;
    TenantPages* tenant = nullptr;
    BlockHash hash{};
    std::vector<TokenId> tokens;  ///< a whole page's, or fewer: then there are no children
    KvPage page;
    std::vector<std::unique_ptr<PrefixNode>> children;  ///< by tokens, lexicographic
    std::uint64_t id = 0;
    std::uint64_t used = 0;             ///< number of the use, not time
    std::uint32_t depth = 0;            ///< pages from the root, this one included
    std::uint32_t sessions_below = 0;   ///< sessions whose latest position is here or below
    std::uint32_t kept_below = 0;       ///< kept prefixes that end here or below
    std::optional<LeafKey> ordered_as;  ///< in the leaf orders under this key

    bool is_root() const { return parent == nullptr; }
    /// A holder besides the cache.
    bool in_use() const { return page.shared(); }
};

class PrefixTree {
public:
    PrefixTree(BlockHash model, std::uint32_t page_tokens)
        : model_(model), page_tokens_(page_tokens) {}
    ~PrefixTree();
    PrefixTree(const PrefixTree&) = delete;
    PrefixTree& operator=(const PrefixTree&) = delete;

    struct Match {
        PrefixNode* node = nullptr;     ///< the last whole page that agrees; a root when none does
        std::uint32_t tokens = 0;       ///< in whole pages
        PrefixNode* partial = nullptr;  ///< the child of `node` that agrees longest
        std::uint32_t partial_tokens = 0;  ///< how many of its tokens do
    };
    /// The longest prefix of `tokens` that is here. node is null when nothing is known of `scope`.
    Match match(const KvScope& scope, std::span<const TokenId> tokens) const;

    /// Roots and tenants live until forget_empty_roots finds them without pages.
    PrefixNode& root(const KvScope& scope);
    void forget_empty_roots();
    PrefixNode* child(const PrefixNode& node, std::span<const TokenId> tokens) const;
    /// Pre: node has no child of these tokens and a whole page itself; 0 < tokens <= page_tokens.
    PrefixNode& insert(PrefixNode& node, std::span<const TokenId> tokens, KvPage page);
    /// Pre: a leaf. The page is given back.
    void remove(PrefixNode& leaf);
    /// A child whose tokens all begin `tokens` and are fewer, or that `tokens` begin: at most one
    /// of the neighbours. Null: none.
    PrefixNode* begins(const PrefixNode& node, std::span<const TokenId> tokens) const;
    PrefixNode* begun_by(const PrefixNode& node, std::span<const TokenId> tokens) const;

    /// Puts a leaf where its fields now say; others are taken out of the orders.
    void reorder(PrefixNode& node);
    const LeafOrder& leaves() const { return leaves_; }
    const std::map<std::string, TenantPages>& tenants() const { return tenants_; }
    /// Names of tenants whose count of pages changed since the last call.
    std::vector<std::string> take_changed();
    std::uint32_t pages() const { return pages_; }
    std::uint32_t page_tokens() const { return page_tokens_; }

private:
    void note_change(const PrefixNode& node);

    BlockHash model_;
    std::uint32_t page_tokens_;
    std::map<KvScope, std::unique_ptr<PrefixNode>> roots_;
    std::map<std::string, TenantPages> tenants_;
    LeafOrder leaves_;
    std::uint32_t pages_ = 0;
    std::uint64_t ids_ = 0;
    bool maybe_empty_ = false;  ///< a root may be without children
    std::vector<std::string> changed_;
};

}  // namespace engine
