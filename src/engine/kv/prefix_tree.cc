#include "engine/kv/prefix_tree.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/core/check.h"

namespace engine {
namespace {

using Children = std::vector<std::unique_ptr<PrefixNode>>;

bool less(std::span<const TokenId> a, std::span<const TokenId> b) {
    return std::ranges::lexicographical_compare(a, b);
}

/// The first child whose tokens are not before `tokens`.
Children::const_iterator lower_bound(const PrefixNode& node, std::span<const TokenId> tokens) {
    return std::ranges::lower_bound(node.children, tokens, less, [](const auto& child) {
        return std::span<const TokenId>(child->tokens);
    });
}

std::uint32_t agreeing(std::span<const TokenId> a, std::span<const TokenId> b) {
    const auto parted = std::ranges::mismatch(a, b);
    return static_cast<std::uint32_t>(parted.in1 - a.begin());
}

bool starts_with(std::span<const TokenId> text, std::span<const TokenId> begin) {
    return begin.size() <= text.size() && agreeing(text, begin) == begin.size();
}

LeafKey key_of(const PrefixNode& node) {
    return {node.sessions_below > 0, node.used,
            std::numeric_limits<std::uint32_t>::max() - node.depth, node.id};
}

}  // namespace

PrefixTree::~PrefixTree() {
    while (!leaves_.empty()) {  // leaf by leaf: a long text is a deep tree
        PrefixNode& leaf = *leaves_.begin()->second;
        leaf.sessions_below = leaf.kept_below = 0;
        remove(leaf);
    }
}

PrefixTree::Match PrefixTree::match(const KvScope& scope, std::span<const TokenId> tokens) const {
    const auto root = roots_.find(scope);
    if (root == roots_.end()) return {};
    Match match{root->second.get()};
    while (tokens.size() >= page_tokens_) {
        PrefixNode* const next = child(*match.node, tokens.first(page_tokens_));
        if (next == nullptr) break;
        match.node = next;
        match.tokens += page_tokens_;
        tokens = tokens.subspan(page_tokens_);
    }
    const auto consider = [&](PrefixNode& neighbour) {
        const std::uint32_t n = agreeing(neighbour.tokens, tokens);
        if (n > match.partial_tokens) {
            match.partial = &neighbour;
            match.partial_tokens = n;
        }
    };
    const auto at = lower_bound(*match.node, tokens);
    if (at != match.node->children.end()) consider(**at);
    if (at != match.node->children.begin()) consider(**std::prev(at));
    return match;
}

PrefixNode& PrefixTree::root(const KvScope& scope) {
    const auto [at, fresh] = roots_.try_emplace(scope);
    if (fresh) {
        at->second = std::make_unique<PrefixNode>();
        maybe_empty_ = true;
        at->second->scope = &at->first;
        at->second->tenant = &tenants_[scope.tenant];
        at->second->hash = chain_root({model_, scope.adapter, scope.tenant});
    }
    return *at->second;
}

void PrefixTree::forget_empty_roots() {
    if (!std::exchange(maybe_empty_, false)) return;
    std::erase_if(roots_, [](const auto& entry) { return entry.second->children.empty(); });
    // A tenant without pages has no node that points to it: its roots went just now.
    std::erase_if(tenants_, [](const auto& entry) { return entry.second.pages == 0; });
}

PrefixNode* PrefixTree::child(const PrefixNode& node, std::span<const TokenId> tokens) const {
    const auto at = lower_bound(node, tokens);
    const bool found = at != node.children.end() && std::ranges::equal((*at)->tokens, tokens);
    return found ? at->get() : nullptr;
}

PrefixNode* PrefixTree::begins(const PrefixNode& node, std::span<const TokenId> tokens) const {
    const auto at = lower_bound(node, tokens);
    if (at == node.children.begin()) return nullptr;
    PrefixNode& before = **std::prev(at);
    return starts_with(tokens, before.tokens) ? &before : nullptr;
}

PrefixNode* PrefixTree::begun_by(const PrefixNode& node, std::span<const TokenId> tokens) const {
    const auto at = lower_bound(node, tokens);
    if (at == node.children.end()) return nullptr;
    return starts_with((*at)->tokens, tokens) ? at->get() : nullptr;
}

PrefixNode& PrefixTree::insert(PrefixNode& node, std::span<const TokenId> tokens, KvPage page) {
    DG_CHECK(node.is_root() || node.tokens.size() == page_tokens_, "a part of a page has no child");
    auto fresh = std::make_unique<PrefixNode>();
    fresh->parent = &node;
    fresh->scope = node.scope;
    fresh->tenant = node.tenant;
    fresh->hash = chain_next(node.hash, tokens);
    fresh->tokens.assign(tokens.begin(), tokens.end());
    fresh->page = std::move(page);
    fresh->page.mark_cached(true);
    fresh->id = ++ids_;
    fresh->depth = node.depth + 1;
    PrefixNode& made = *fresh;
    node.children.insert(lower_bound(node, tokens), std::move(fresh));
    ++node.tenant->pages;
    ++pages_;
    note_change(node);
    reorder(node);
    reorder(made);
    return made;
}

void PrefixTree::remove(PrefixNode& leaf) {
    DG_CHECK(leaf.children.empty() && !leaf.is_root() && leaf.kept_below == 0 &&
                 leaf.sessions_below == 0,
             "only a leaf that nobody asked to keep may go");
    PrefixNode& parent = *leaf.parent;
    if (leaf.ordered_as) {
        leaves_.erase(*leaf.ordered_as);
        leaf.tenant->leaves.erase(*leaf.ordered_as);
    }
    leaf.page.mark_cached(false);
    --leaf.tenant->pages;
    --pages_;
    note_change(leaf);
    maybe_empty_ = maybe_empty_ || (parent.is_root() && parent.children.size() == 1);
    parent.children.erase(lower_bound(parent, leaf.tokens));
    reorder(parent);
}

void PrefixTree::note_change(const PrefixNode& node) {
    if (!std::exchange(node.tenant->changed, true)) changed_.push_back(node.scope->tenant);
}

std::vector<std::string> PrefixTree::take_changed() {
    for (const std::string& name : changed_) {
        if (const auto at = tenants_.find(name); at != tenants_.end()) at->second.changed = false;
    }
    return std::exchange(changed_, {});
}

void PrefixTree::reorder(PrefixNode& node) {
    const bool leaf = node.children.empty() && !node.is_root();
    std::optional<LeafKey> key;
    if (leaf) key = key_of(node);
    if (key == node.ordered_as) return;
    if (node.ordered_as) {
        leaves_.erase(*node.ordered_as);
        node.tenant->leaves.erase(*node.ordered_as);
    }
    node.ordered_as = key;
    if (!key) return;
    leaves_.emplace(*key, &node);
    node.tenant->leaves.emplace(*key, &node);
}

}  // namespace engine
