#pragma once
// The graph of facts that hold, for one tenant: entities as nodes, facts as edges, in compressed
// sparse rows with a small head of recent changes. Rebuilt from the facts; disposable.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace memory::graph {

using Node = std::uint32_t;       ///< small numbers, given by the caller without large gaps
using Predicate = std::uint32_t;  ///< below 2^31

struct Edge {
    Node from = 0, to = 0;
    Predicate predicate = 0;
    float weight = 1.f;  ///< confidence
    bool operator==(const Edge&) const = default;
};

struct Reached {
    Node node = 0;
    std::uint32_t depth = 0;
    bool operator==(const Reached&) const = default;
};
struct Ranked {
    Node node = 0;
    float score = 0;
};

/// Reads may run side by side; a change runs alone.
class Graph {
public:
    static std::unique_ptr<Graph> make();
    virtual ~Graph() = default;

    /// Both directions are walked; an edge put twice is one with the greater weight.
    virtual void put(const Edge& edge) = 0;
    /// Whatever its weight; nothing when there is none.
    virtual void erase(const Edge& edge) = 0;

    /// Breadth first from `start`, nearest first, ties by node, without `start`; stops at `limit`.
    virtual std::vector<Reached> neighbours(Node start, std::uint32_t depth,
                                            std::uint32_t limit) const = 0;
    /// Paths of at most `length` edges that meet no node twice, fewest edges first, ties by nodes
    /// and predicates; at most `limit`, and what a million steps find. Edges read as they were put,
    /// whichever way they are walked.
    virtual std::vector<std::vector<Edge>> paths(Node from, Node to, std::uint32_t length,
                                                 std::uint32_t limit) const = 0;
    /// Personalised PageRank by forward push (Andersen, Chung and Lang 2006), best first, ties by
    /// node. A step goes along an edge in proportion to its weight, with `restart` (0..1) back to
    /// the seeds, whose weights sum to anything above 0. Every score is at most the true one and
    /// within `epsilon` times the sum of the node's weights of it, as long as no weight is 0.
    virtual std::vector<Ranked> page_rank(std::span<const Ranked> seeds, float restart,
                                          float epsilon, std::uint32_t limit) const = 0;

    virtual std::uint64_t edges() const = 0;
    virtual std::uint64_t bytes() const = 0;
};

}  // namespace memory::graph
