#pragma once
// Internal to the matcher: which stacks wait for a byte once everything that reads none was done.
// Sequences and repetitions whose last part is entered leave no frame behind (as a tail call), so
// right recursion does not deepen the stack.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/constrain/matcher.h"

namespace engine::constrain {

/// Finds the stacks that wait for a byte, from work items that read none.
class StateTable::Closure {
public:
    explicit Closure(StateTable& table)
        : table_(table),
          work_(table.work_),
          entered_(table.entered_),
          resumed_(table.resumed_),
          tops_(table.tops_) {
        work_.clear();
        entered_.clear();
        resumed_.clear();
        tops_.clear();
    }

    void enter(NodeId node, FrameId parent) {
        // Terminals need no memory of having been entered: equal stacks merge at the end.
        if (table_.grammar_->node(node).kind == NodeKind::bytes) {
            return keep(table_.intern({node, 0, parent}));
        }
        if (entered_.insert(pair_key(node, parent))) work_.push_back({false, node, parent});
    }
    void resume(FrameId frame) {
        if (frame == kEnd || frame == kCut) return keep(frame);
        if (resumed_.insert(static_cast<std::uint32_t>(frame))) work_.push_back({true, -1, frame});
    }
    void keep(FrameId top) { tops_.push_back(top); }

    /// The waiting stacks; empty when a limit was passed.
    std::vector<FrameId>& run() {
        for (std::size_t done = 0; done < work_.size(); ++done) {
            if (done > table_.limits_.closure_max) {
                tops_.clear();
                return tops_;
            }
            const Work item = work_[done];
            if (item.resume) {
                const Frame frame = table_.frames_[static_cast<std::size_t>(item.frame)];
                go_on(frame.node, frame.at, frame.parent);
            } else {
                expand(item.node, item.frame);
            }
        }
        std::sort(tops_.begin(), tops_.end());
        tops_.erase(std::unique(tops_.begin(), tops_.end()), tops_.end());
        if (tops_.size() > table_.limits_.stacks_max) tops_.clear();
        return tops_;
    }

private:
    static std::uint64_t pair_key(std::int32_t high, std::int32_t low) {
        return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(high)) << 32) |
               static_cast<std::uint32_t>(low);
    }

    void expand(NodeId id, FrameId parent) {
        const Node& node = table_.grammar_->node(id);
        switch (node.kind) {
            case NodeKind::bytes:
                return keep(table_.intern({id, 0, parent}));
            case NodeKind::literal:
                if (table_.grammar_->literal(node).empty()) return resume(parent);
                return keep(table_.intern({id, 0, parent}));
            case NodeKind::choice:
                for (const NodeId child : node.children) enter(child, parent);
                return;
            case NodeKind::rule:
                return enter(node.data, parent);
            case NodeKind::members:
                return go_on(id, table_.intern_use({}), parent);
            case NodeKind::sequence:
            case NodeKind::repeat:
                return go_on(id, 0, parent);
        }
    }

    /// Continues a node that holds a position.
    void go_on(NodeId id, std::int32_t at, FrameId parent) {
        const Node& node = table_.grammar_->node(id);
        if (node.kind == NodeKind::sequence) return sequence(id, node, at, parent);
        if (node.kind == NodeKind::repeat) return repeat(id, node, at, parent);
        members(id, at, parent);
    }

    void sequence(NodeId id, const Node& node, std::int32_t at, FrameId parent) {
        const auto size = static_cast<std::int32_t>(node.children.size());
        if (at == size) return resume(parent);
        const NodeId child = node.children[static_cast<std::size_t>(at)];
        enter(child, at + 1 == size ? parent : table_.intern({id, at + 1, parent}));
    }

    void repeat(NodeId id, const Node& node, std::int32_t at, FrameId parent) {
        const auto count = static_cast<std::uint32_t>(at);
        if (count >= node.min) resume(parent);
        if (node.max != kUnbounded && count >= node.max) return;
        // Without an upper bound counts past the lower one are all alike.
        std::uint32_t next = count + 1;
        if (node.max == kUnbounded) next = std::min(next, node.min);
        const bool last = next == node.max;
        enter(node.children.front(),
              last ? parent : table_.intern({id, static_cast<std::int32_t>(next), parent}));
    }

    void members(NodeId id, std::int32_t at, FrameId parent) {
        const MemberList& list = table_.grammar_->members(table_.grammar_->node(id));
        const UseSet use = table_.uses_[static_cast<std::size_t>(at)];
        const auto used = [&](std::size_t i) {
            if (!list.any_order) return i < use.next;
            return !use.used.empty() && ((use.used[i >> 6] >> (i & 63)) & 1) != 0;
        };
        bool complete = true;
        for (std::size_t i = 0; i < list.known.size(); ++i) {
            complete = complete && (!list.known[i].required || used(i));
        }
        if (!use.after_separator) {
            if (complete && use.count >= list.count_min) enter(list.close, parent);
            if (use.count > 0) {
                if (list.count_max != kUnbounded && use.count >= list.count_max) return;
                // A separator after which no member can come would be a dead end.
                bool more = !list.further.empty() && (complete || list.any_order);
                for (std::size_t i = 0; i < list.known.size() && !more; ++i) more = !used(i);
                if (!more) return;
                UseSet next = use;
                next.after_separator = true;
                return enter(list.separator, table_.intern({id, table_.intern_use(next), parent}));
            }
        }
        if (list.count_max == 0) return;
        UseSet next = use;
        next.after_separator = false;
        // A count that no bound looks at any more must not make states differ.
        next.count = use.count + 1;
        if (list.count_max == kUnbounded) {
            next.count = std::min(next.count, std::max(1u, list.count_min));
        }
        offer_members(list, id, parent, use, next, used, complete);
    }

    template <class Used>
    void offer_members(const MemberList& list, NodeId id, FrameId parent, const UseSet& use,
                       UseSet next, const Used& used, bool complete) {
        for (std::size_t i = list.any_order ? 0 : use.next; i < list.known.size(); ++i) {
            if (used(i)) continue;
            UseSet after = next;
            if (list.any_order) {
                after.used.resize((list.known.size() + 63) / 64);
                after.used[i >> 6] |= std::uint64_t{1} << (i & 63);
            } else {
                after.next = static_cast<std::uint32_t>(i + 1);
            }
            enter(list.known[i].node,
                  table_.intern({id, table_.intern_use(std::move(after)), parent}));
            if (!list.any_order && list.known[i].required) break;
        }
        if (!list.any_order && !complete) return;
        if (!list.any_order) next.next = static_cast<std::uint32_t>(list.known.size());
        if (list.further.empty()) return;
        const FrameId frame = table_.intern({id, table_.intern_use(std::move(next)), parent});
        for (const NodeId member : list.further) enter(member, frame);
    }

    StateTable& table_;
    std::vector<Work>& work_;
    KeySet& entered_;
    KeySet& resumed_;
    std::vector<FrameId>& tops_;
};

}  // namespace engine::constrain
