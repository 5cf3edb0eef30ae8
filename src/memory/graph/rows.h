#pragma once
// Who is linked to whom: one sorted row of arcs per node. Rows live packed in the base; a changed
// one is copied out into the head, and the head is merged back when it grew to a part of the base.

#include <cstdint>
#include <span>
#include <vector>

#include "memory/graph/graph.h"

namespace memory::graph {

/// What every walk reads; eight bytes, so that a cache line holds eight.
struct Link {
    Node to = 0;
    float weight = 0;
};

/// Predicate and direction of an arc: walked against the edge when the lowest bit is set.
using ArcKey = std::uint32_t;

struct Row {
    std::span<const Link> links;  ///< by node, then by key
    std::span<const ArcKey> keys;
};

class Rows {
public:
    /// False when the arc was there already; its weight is then the greater one.
    bool put(Node at, Link link, ArcKey key);
    bool erase(Node at, Node to, ArcKey key);

    Node nodes() const { return static_cast<Node>(strengths_.size()); }
    /// Pre: node < nodes().
    std::span<const Link> links(Node node) const {
        const std::uint32_t copy = heads_of_[node];
        if (copy != 0) return heads_[copy - 1].links;
        return {links_.data() + offsets_[node], links_.data() + offsets_[node + 1]};
    }
    /// Asks for the row's first links ahead of use.
    void prefetch(Node node) const { __builtin_prefetch(links(node).data()); }
    /// Pre: node < nodes().
    Row row(Node node) const;
    /// The sum of the row's weights.
    float strength(Node node) const { return strengths_[node]; }
    std::uint64_t bytes() const;

private:
    struct Head {
        Node node = 0;
        std::vector<Link> links;
        std::vector<ArcKey> keys;
    };

    Head& head_of(Node node);
    void changed(const Head& head);
    void merge();

    std::vector<std::uint32_t> offsets_ = {0};  ///< nodes() + 1
    std::vector<Link> links_;
    std::vector<ArcKey> keys_;
    std::vector<float> strengths_;
    std::vector<std::uint32_t> heads_of_;  ///< 1 + index into heads_; 0: the base has it
    std::vector<Head> heads_;
    std::uint64_t head_arcs_ = 0;
};

}  // namespace memory::graph
