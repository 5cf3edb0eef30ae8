#pragma once
// The grammar as data: a graph of nodes over bytes. Whatever describes the language (a JSON Schema,
// a regular expression) builds one of these; `Matcher` runs it. Immutable after `build`.

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/core/result.h"
#include "engine/constrain/byte_set.h"

namespace engine::constrain {

using NodeId = std::int32_t;
constexpr std::uint32_t kUnbounded = std::numeric_limits<std::uint32_t>::max();

enum class NodeKind : std::uint8_t { bytes, literal, sequence, choice, repeat, rule, members };

/// The members of an object, in the order of `known`. Kept as one node, not expanded into rules, so
/// that a hundred optional properties cost a hundred entries instead of a hundred nested choices.
struct MemberList {
    struct Member {
        NodeId node = -1;  ///< key, colon and value
        bool required = false;
    };
    std::vector<Member> known;
    std::vector<NodeId> further;  ///< members with other keys, after the known ones
    NodeId separator = -1;        ///< between two members
    NodeId close = -1;            ///< after the last
    std::uint32_t count_min = 0, count_max = kUnbounded;
    bool any_order = false;  ///< known members in any order, each once
};

struct Node {
    NodeKind kind = NodeKind::sequence;
    std::uint32_t min = 0, max = 0;  ///< repeat: bounds. max = kUnbounded: no upper bound
    std::int32_t data = -1;          ///< index of the set, literal, member list, or the rule's body
    std::vector<NodeId> children;    ///< sequence, choice; repeat: the one body
    bool operator==(const Node&) const = default;
};

struct GrammarLimits {
    std::size_t nodes_max = 2'000'000;
};

class Grammar {
public:
    const Node& node(NodeId id) const { return nodes_[static_cast<std::size_t>(id)]; }
    const ByteSet& bytes(const Node& node) const {
        return sets_[static_cast<std::size_t>(node.data)];
    }
    const std::string& literal(const Node& node) const {
        return literals_[static_cast<std::size_t>(node.data)];
    }
    const MemberList& members(const Node& node) const {
        return members_[static_cast<std::size_t>(node.data)];
    }
    /// Whether the node takes each single character of text_chars. False when that is not seen.
    bool takes_text(NodeId id, int depth = 0) const;
    NodeId root() const { return root_; }
    std::size_t size() const { return nodes_.size(); }
    std::size_t memory_bytes() const;

private:
    friend class GrammarBuilder;
    std::vector<Node> nodes_;
    std::vector<ByteSet> sets_;
    std::vector<std::string> literals_;
    std::vector<MemberList> members_;
    std::unordered_set<NodeId> takes_text_;  ///< marked; others follow from these
    NodeId root_ = -1;
};

/// Begins the bytes of a control token in a TokenTrie and in `control`. No UTF-8 text has it, so a
/// control token never passes for text, nor text for a control token.
constexpr char kControlByte = '\xFF';

/// Adds nodes bottom-up; recursion goes through `declare_rule` and `define_rule`. Equal nodes are
/// one node.
class GrammarBuilder {
public:
    explicit GrammarBuilder(GrammarLimits limits = {});

    NodeId bytes(const ByteSet& set);
    NodeId literal(std::string_view text);
    /// The one control token with this text, as "[TOOL_CALLS]". Where a tokenizer may have the text
    /// as a control token or not: `marker` in token_trie.h.
    NodeId control(std::string_view text) { return literal(kControlByte + std::string(text)); }
    NodeId sequence(std::vector<NodeId> children);
    NodeId choice(std::vector<NodeId> children);  ///< of nothing: matches nothing
    NodeId repeat(NodeId body, std::uint32_t min, std::uint32_t max = kUnbounded);
    NodeId optional(NodeId body) { return repeat(body, 0, 1); }
    NodeId members(MemberList list);
    NodeId declare_rule();
    void define_rule(NodeId rule, NodeId body);
    /// A rule by name, declared at its first use: `fresh` asks the caller to define it.
    struct NamedRule {
        NodeId rule;
        bool fresh;
    };
    NamedRule named_rule(const std::string& name);
    /// Nodes that callers make again and again, under names of their choice; -1 at first.
    NodeId& remembered(const std::string& name) {
        return remembered_.try_emplace(name, -1).first->second;
    }

    void mark_takes_text(NodeId node) { grammar_.takes_text_.insert(node); }

    /// True when no text at all can match: a choice of nothing, or a sequence that needs one.
    /// A rule not yet defined counts as possible.
    bool impossible(NodeId node) const;
    std::size_t size() const { return grammar_.nodes_.size(); }

    /// A rule that comes back to itself before a byte is read.
    std::optional<NodeId> left_recursion() const;

    /// Branches that no finite text can complete are cut, so that a matcher never runs into a dead
    /// end. Errors: invalid_argument (a rule starts with itself or was never defined; no text
    /// matches),
    /// payload_too_large (more nodes than the limit). The builder is empty afterwards.
    base::Result<std::shared_ptr<const Grammar>> build(NodeId root);

private:
    NodeId add(Node node);
    NodeId add_once(Node node);
    std::vector<bool> nullable_nodes() const;
    std::vector<bool> finite_nodes() const;
    void prune(const std::vector<bool>& finite);

    struct NodeHash {
        std::size_t operator()(const Node& node) const;
    };
    struct ByteSetHash {
        std::size_t operator()(const ByteSet& set) const;
    };

    GrammarLimits limits_;
    Grammar grammar_;
    std::unordered_map<Node, NodeId, NodeHash> node_ids_;
    std::unordered_map<ByteSet, std::int32_t, ByteSetHash> set_ids_;
    std::unordered_map<std::string, std::int32_t> literal_ids_;
    std::unordered_map<std::string, NodeId> named_rules_, remembered_;
};

}  // namespace engine::constrain
