// Building grammars, and refusing the ones a matcher could not run: left recursion would push
// frames for ever without reading a byte.
#include "engine/constrain/grammar.h"

#include <algorithm>

#include "base/core/check.h"

namespace engine::constrain {

using base::Code;
using base::fail;

bool Grammar::takes_text(NodeId id, int depth) const {
    constexpr int kDepthMax = 8;
    if (takes_text_.contains(id)) return true;
    const Node& at = node(id);
    if (depth == kDepthMax) return false;
    if (at.kind == NodeKind::rule) return takes_text(at.data, depth + 1);
    if (at.kind != NodeKind::choice) return false;
    return std::any_of(at.children.begin(), at.children.end(),
                       [&](NodeId child) { return takes_text(child, depth + 1); });
}

std::size_t Grammar::memory_bytes() const {
    std::size_t bytes = nodes_.size() * sizeof(Node) + sets_.size() * sizeof(ByteSet) +
                        takes_text_.size() * 4 * sizeof(NodeId);
    for (const Node& at : nodes_) bytes += at.children.size() * sizeof(NodeId);
    for (const std::string& text : literals_) bytes += sizeof(text) + text.capacity();
    for (const MemberList& list : members_) {
        bytes += sizeof(list) + list.known.size() * sizeof(MemberList::Member);
    }
    return bytes;
}

std::size_t GrammarBuilder::NodeHash::operator()(const Node& node) const {
    std::size_t hash = static_cast<std::size_t>(node.kind);
    const auto mix = [&](std::uint64_t value) {
        hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 29;
    };
    mix((std::uint64_t{node.min} << 32) | node.max);
    mix(static_cast<std::uint32_t>(node.data));
    for (const NodeId child : node.children) mix(static_cast<std::uint32_t>(child));
    return hash;
}

std::size_t GrammarBuilder::ByteSetHash::operator()(const ByteSet& set) const {
    std::size_t hash = 0;
    for (const auto word : set.words) hash = (hash ^ word) * 0x9e3779b97f4a7c15ull ^ (hash >> 31);
    return hash;
}

GrammarBuilder::GrammarBuilder(GrammarLimits limits) : limits_(limits) {}

NodeId GrammarBuilder::add(Node node) {
    grammar_.nodes_.push_back(std::move(node));
    return static_cast<NodeId>(grammar_.nodes_.size() - 1);
}

/// Two schemas' strings, spaces and numbers become the same nodes: less memory, and the matcher's
/// states and masks inside them are shared.
NodeId GrammarBuilder::add_once(Node node) {
    const auto [found, fresh] =
        node_ids_.try_emplace(std::move(node), static_cast<NodeId>(grammar_.nodes_.size()));
    if (fresh) grammar_.nodes_.push_back(found->first);
    return found->second;
}

NodeId GrammarBuilder::bytes(const ByteSet& set) {
    const auto [found, fresh] =
        set_ids_.try_emplace(set, static_cast<std::int32_t>(grammar_.sets_.size()));
    if (fresh) grammar_.sets_.push_back(set);
    return add_once(Node{NodeKind::bytes, 0, 0, found->second, {}});
}

NodeId GrammarBuilder::literal(std::string_view text) {
    const auto [found, fresh] = literal_ids_.try_emplace(
        std::string(text), static_cast<std::int32_t>(grammar_.literals_.size()));
    if (fresh) grammar_.literals_.emplace_back(text);
    return add_once(Node{NodeKind::literal, 0, 0, found->second, {}});
}

NodeId GrammarBuilder::sequence(std::vector<NodeId> children) {
    if (children.size() == 1) return children.front();
    return add_once(Node{NodeKind::sequence, 0, 0, -1, std::move(children)});
}

NodeId GrammarBuilder::choice(std::vector<NodeId> children) {
    if (children.size() == 1) return children.front();
    return add_once(Node{NodeKind::choice, 0, 0, -1, std::move(children)});
}

NodeId GrammarBuilder::repeat(NodeId body, std::uint32_t min, std::uint32_t max) {
    DG_CHECK(min <= max);
    if (min == 1 && max == 1) return body;
    return add_once(Node{NodeKind::repeat, min, max, -1, {body}});
}

NodeId GrammarBuilder::members(MemberList list) {
    grammar_.members_.push_back(std::move(list));
    const auto index = static_cast<std::int32_t>(grammar_.members_.size() - 1);
    return add(Node{NodeKind::members, 0, 0, index, {}});
}

NodeId GrammarBuilder::declare_rule() {
    return add(Node{NodeKind::rule, 0, 0, -1, {}});
}

void GrammarBuilder::define_rule(NodeId rule, NodeId body) {
    grammar_.nodes_[static_cast<std::size_t>(rule)].data = body;
}

GrammarBuilder::NamedRule GrammarBuilder::named_rule(const std::string& name) {
    if (const auto known = named_rules_.find(name); known != named_rules_.end()) {
        return {known->second, false};
    }
    const NodeId rule = declare_rule();
    named_rules_.emplace(name, rule);
    return {rule, true};
}

bool GrammarBuilder::impossible(NodeId id) const {
    const Node& node = grammar_.node(id);
    switch (node.kind) {
        case NodeKind::bytes:
            return grammar_.bytes(node).empty();
        case NodeKind::sequence:
            for (const NodeId child : node.children) {
                if (impossible(child)) return true;
            }
            return false;
        case NodeKind::choice:
            for (const NodeId child : node.children) {
                if (!impossible(child)) return false;
            }
            return true;
        case NodeKind::repeat:
            return node.min > 0 && impossible(node.children.front());
        default:
            return false;
    }
}

std::vector<bool> GrammarBuilder::nullable_nodes() const {
    std::vector<bool> nullable(grammar_.nodes_.size(), false);
    const auto holds = [&](NodeId id) { return nullable[static_cast<std::size_t>(id)]; };
    const auto test = [&](const Node& node) {
        switch (node.kind) {
            case NodeKind::literal:
                return grammar_.literal(node).empty();
            case NodeKind::repeat:
                return node.min == 0 || holds(node.children.front());
            case NodeKind::rule:
                return node.data >= 0 && holds(node.data);
            case NodeKind::choice:
                for (const NodeId child : node.children) {
                    if (holds(child)) return true;
                }
                return false;
            case NodeKind::sequence:
                for (const NodeId child : node.children) {
                    if (!holds(child)) return false;
                }
                return true;
            default:
                return false;  // members end with their close node, which reads a byte
        }
    };
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t i = 0; i < nullable.size(); ++i) {
            if (!nullable[i] && test(grammar_.nodes_[i])) changed = nullable[i] = true;
        }
    }
    return nullable;
}

std::vector<bool> GrammarBuilder::finite_nodes() const {
    std::vector<bool> finite(grammar_.nodes_.size(), false);
    const auto holds = [&](NodeId id) { return id >= 0 && finite[static_cast<std::size_t>(id)]; };
    const auto test = [&](const Node& node) {
        switch (node.kind) {
            case NodeKind::bytes:
                return !grammar_.bytes(node).empty();
            case NodeKind::literal:
                return true;
            case NodeKind::rule:
                return holds(node.data);
            case NodeKind::repeat:
                return node.min == 0 || holds(node.children.front());
            case NodeKind::choice:
                return std::any_of(node.children.begin(), node.children.end(), holds);
            case NodeKind::sequence:
                return std::all_of(node.children.begin(), node.children.end(), holds);
            case NodeKind::members: {
                const MemberList& list = grammar_.members(node);
                return holds(list.close) &&
                       std::all_of(list.known.begin(), list.known.end(), [&](const auto& member) {
                           return !member.required || holds(member.node);
                       });
            }
        }
        return false;
    };
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t i = 0; i < finite.size(); ++i) {
            if (!finite[i] && test(grammar_.nodes_[i])) changed = finite[i] = true;
        }
    }
    return finite;
}

void GrammarBuilder::prune(const std::vector<bool>& finite) {
    const auto lost = [&](NodeId id) { return !finite[static_cast<std::size_t>(id)]; };
    for (Node& node : grammar_.nodes_) {
        if (node.kind == NodeKind::choice) std::erase_if(node.children, lost);
        if (node.kind == NodeKind::repeat && lost(node.children.front())) node.max = 0;
    }
    for (MemberList& list : grammar_.members_) {
        std::erase_if(list.known, [&](const auto& member) { return lost(member.node); });
        std::erase_if(list.further, lost);
    }
}

std::optional<NodeId> GrammarBuilder::left_recursion() const {
    // Depth first along "may be entered before a byte is read"; grey nodes are on the path.
    const std::vector<bool> nullable = nullable_nodes();
    enum : std::uint8_t { white, grey, black };
    std::vector<std::uint8_t> colour(grammar_.nodes_.size(), white);
    const auto first_nodes = [&](const Node& node) {
        std::vector<NodeId> first;
        if (node.kind == NodeKind::rule) first.push_back(node.data);
        if (node.kind == NodeKind::choice || node.kind == NodeKind::repeat) first = node.children;
        if (node.kind == NodeKind::sequence) {
            for (const NodeId child : node.children) {
                first.push_back(child);
                if (!nullable[static_cast<std::size_t>(child)]) break;
            }
        }
        if (node.kind == NodeKind::members) {
            const MemberList& list = grammar_.members(node);
            for (const auto& member : list.known) first.push_back(member.node);
            first.insert(first.end(), list.further.begin(), list.further.end());
            first.push_back(list.close);
        }
        return first;
    };
    struct Step {
        NodeId node;
        std::vector<NodeId> first;
        std::size_t next = 0;
    };
    for (std::size_t start = 0; start < colour.size(); ++start) {
        if (colour[start] != white) continue;
        std::vector<Step> path;
        const auto push = [&](NodeId id) {
            colour[static_cast<std::size_t>(id)] = grey;
            path.push_back({id, first_nodes(grammar_.node(id)), 0});
        };
        push(static_cast<NodeId>(start));
        while (!path.empty()) {
            Step& step = path.back();
            if (step.next == step.first.size()) {
                colour[static_cast<std::size_t>(step.node)] = black;
                path.pop_back();
                continue;
            }
            const NodeId next = step.first[step.next++];
            if (next < 0) continue;  // a rule that was never defined
            const auto seen = colour[static_cast<std::size_t>(next)];
            if (seen == grey) {
                // Every cycle goes through a rule: nodes are built bottom-up.
                NodeId at = next;
                for (auto it = path.rbegin(); grammar_.node(at).kind != NodeKind::rule; ++it) {
                    at = it->node;
                }
                return at;
            }
            if (seen == white) push(next);
        }
    }
    return std::nullopt;
}

base::Result<std::shared_ptr<const Grammar>> GrammarBuilder::build(NodeId root) {
    if (grammar_.nodes_.size() > limits_.nodes_max) {
        return fail(Code::payload_too_large, "grammar: {} nodes, the limit is {}",
                    grammar_.nodes_.size(), limits_.nodes_max);
    }
    for (const Node& node : grammar_.nodes_) {
        if (node.kind != NodeKind::rule || node.data >= 0) continue;
        return fail(Code::invalid_argument, "grammar: a rule was never defined");
    }
    if (left_recursion()) {
        return fail(Code::invalid_argument,
                    "grammar: a rule starts with itself before any character is read; write the "
                    "recursion to the right");
    }
    const std::vector<bool> finite = finite_nodes();
    if (!finite[static_cast<std::size_t>(root)]) {
        return fail(Code::invalid_argument, "grammar: no finite text matches it");
    }
    prune(finite);
    grammar_.root_ = root;
    auto built = std::make_shared<const Grammar>(std::move(grammar_));
    grammar_ = Grammar{};
    node_ids_.clear();
    set_ids_.clear();
    literal_ids_.clear();
    named_rules_.clear();
    remembered_.clear();
    return std::shared_ptr<const Grammar>(std::move(built));
}

}  // namespace engine::constrain
