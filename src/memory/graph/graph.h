#pragma once
// The graph of facts that hold, for one tenant: entities as nodes, facts as edges, in compressed
// sparse rows with a small head of recent changes. Rebuilt from the facts; disposable.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace memory::graph {

using Node = std::uint32_t;
using Predicate = std::uint32_t;

struct Edge {
    Node from = 0, to = 0;
    Predicate predicate = 0;
    float weight = 1.f;  ///< confidence
};

struct Reached {
    Node node = 0;
    std::uint32_t depth = 0;
};
struct Ranked {
    Node node = 0;
    float score = 0;
};

class Graph {
public:
    static std::unique_ptr<Graph> make();
    virtual ~Graph() = default;

    /// Both directions are walked; an edge put twice is one with the greater weight.
    virtual void put(const Edge& edge) = 0;
    virtual void erase(const Edge& edge) = 0;

    /// Breadth first from `start`, nearest first, ties by node; stops at `limit`.
    virtual std::vector<Reached> neighbours(Node start, std::uint32_t depth,
                                            std::uint32_t limit) const = 0;
    /// Shortest paths of at most `length` edges, fewest edges first; at most `limit`.
    virtual std::vector<std::vector<Edge>> paths(Node from, Node to, std::uint32_t length,
                                                 std::uint32_t limit) const = 0;
    /// Personalised PageRank by forward push (Andersen, Chung and Lang 2006), best first. `seeds`
    /// weights sum to anything above 0. Every score is within `epsilon` times the node's degree.
    virtual std::vector<Ranked> page_rank(std::span<const Ranked> seeds, float restart,
                                          float epsilon, std::uint32_t limit) const = 0;

    virtual std::uint64_t edges() const = 0;
    virtual std::uint64_t bytes() const = 0;
};

}  // namespace memory::graph
