// The tokens of a forced span. A model has learnt one way to write a text in tokens, and a span cut
// at the wrong place would lead it off that way: after the forced `"na` it may be lost where it
// would have written `"name` as one token. So the span is written in the tokenizer's own way, with
// the tokens before it in view, and what a longer token could still take over is left to the model.
#include <algorithm>

#include "engine/constrain/constraint.h"

namespace engine::constrain {
namespace {

using TrieNode = TokenTrie::Node;

constexpr std::uint32_t kNoNode = 0xFFFFFFFF;

/// The trie's node of `text` below the root, or kNoNode.
std::uint32_t find_node(const TokenTrie& trie, std::string_view text) {
    const std::vector<TrieNode>& nodes = trie.nodes();
    std::uint32_t at = kNoNode, first = 0, end = static_cast<std::uint32_t>(nodes.size());
    for (const char c : text) {
        at = first;
        while (at < end && nodes[at].byte != static_cast<std::uint8_t>(c)) {
            at = nodes[at].subtree_end;
        }
        if (at >= end) return kNoNode;
        first = at + 1;
        end = nodes[at].subtree_end;
    }
    return at;
}

/// The first byte of `span` at which a token may begin that goes on behind its end; its size when
/// there is none. `after`: the state behind the span.
std::size_t first_doubtful_byte(const TokenTrie& trie, StateTable& table, StateId after,
                                std::string_view span) {
    const ByteSet next = table.next_bytes(after);
    const std::size_t longest = std::min<std::size_t>(span.size(), trie.bytes_max());
    for (std::size_t at = span.size() - longest; at < span.size(); ++at) {
        const std::uint32_t node = find_node(trie, span.substr(at));
        if (node == kNoNode) continue;
        const std::uint32_t end = trie.nodes()[node].subtree_end;
        for (std::uint32_t child = node + 1; child < end; child = trie.nodes()[child].subtree_end) {
            if (next.has(trie.nodes()[child].byte)) return at;
        }
    }
    return span.size();
}

/// The text of the last few tokens, back to a control token.
std::string text_before(const Tokenizer& tokenizer, std::span<const TokenId> before) {
    constexpr std::size_t kTokens = 8;
    std::string text;
    for (std::size_t i = 0; i < std::min(kTokens, before.size()); ++i) {
        const TokenId id = before[before.size() - 1 - i];
        if (tokenizer.is_control(id) || tokenizer.ends_generation(id)) break;
        text.insert(0, tokenizer.piece(id));
    }
    return text;
}

/// Appends the tokens of `span` up to byte `sure`. False when not all of them were sure.
bool add_tokens(const Tokenizer& tokenizer, std::span<const TokenId> before, std::string_view span,
                std::size_t sure, std::vector<TokenId>& out) {
    const std::string context = text_before(tokenizer, before);
    const std::string text = context + std::string(span);
    const std::vector<TokenId> tokens = tokenizer.encode(text, {.add_special = false});
    std::vector<std::size_t> ends;
    std::string joined;
    for (const TokenId id : tokens) ends.push_back((joined += tokenizer.piece(id)).size());
    // Some tokenizers put a space before a text.
    const std::size_t extra = joined.size() - std::min(joined.size(), text.size());
    if (extra > 1 || joined.size() < text.size() || joined.substr(extra) != text) return false;
    const std::size_t start = extra + context.size();
    std::size_t first = 0;
    while (first < ends.size() && ends[first] <= start) ++first;
    // A token across the border: the model did not write the way the tokenizer does.
    if (start > 0 && (first == 0 || ends[first - 1] != start)) return false;
    for (; first < tokens.size(); ++first) {
        if (ends[first] > start + sure) return false;
        out.push_back(tokens[first]);
    }
    return true;
}

}  // namespace

std::vector<TokenId> Constraint::forced_tokens(const Tokenizer& tokenizer,
                                               std::span<const TokenId> before,
                                               std::size_t tokens_max) const {
    const TokenTrie& trie = masks_->trie();
    const std::string text = forced();
    const StateId after = text.empty() ? kDead : table_->walk(state_, text);
    std::vector<TokenId> all(before.begin(), before.end());
    for (std::string_view rest = text; !rest.empty();) {
        if (rest.front() == kControlByte) {
            // No text begins with this byte: what follows is the name of one control token.
            std::size_t size = rest.size();
            std::uint32_t node = kNoNode;
            for (; size > 0; --size) {
                node = find_node(trie, rest.substr(0, size));
                if (node != kNoNode &&
                    trie.nodes()[node].first_token < trie.nodes()[node].first_token_end) {
                    break;
                }
            }
            const bool open = size == rest.size() && !table_->next_bytes(after).empty() &&
                              first_doubtful_byte(trie, *table_, after, rest) == 0;
            if (size == 0 || open) break;
            all.push_back(trie.tokens()[trie.nodes()[node].first_token]);
            rest.remove_prefix(size);
            continue;
        }
        const std::string_view span = rest.substr(0, rest.find(kControlByte));
        const bool last = span.size() == rest.size();
        const std::size_t sure =
            last ? first_doubtful_byte(trie, *table_, after, span) : span.size();
        const std::vector<TokenId> context = all;
        if (!add_tokens(tokenizer, context, span, sure, all)) break;
        rest.remove_prefix(span.size());
    }
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(before.size()));
    if (all.size() > tokens_max) all.resize(tokens_max);
    return all;
}

}  // namespace engine::constrain
