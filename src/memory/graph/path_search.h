#pragma once
// Paths between two nodes, fewest edges first: distances to the goal first, then depth-first walks
// of one exact length after another that never step where the goal is out of reach.

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "memory/graph/graph.h"
#include "memory/graph/rows.h"

namespace memory::graph {

class PathSearch {
public:
    /// Pre: two different nodes of `rows`, limit > 0.
    PathSearch(const Rows& rows, Node from, Node to, std::uint32_t limit)
        : rows_(rows), from_(from), to_(to), limit_(limit) {}

    std::vector<std::vector<Edge>> run(std::uint32_t length);

private:
    static constexpr std::uint64_t kStepsMax = 1'000'000;

    void measure(std::uint32_t length);
    /// Walks `left` more edges from `at`. False: enough was found or walked.
    bool walk(Node at, std::uint32_t left);

    const Rows& rows_;
    const Node from_, to_;
    const std::uint32_t limit_;
    std::unordered_map<Node, std::uint32_t> to_goal_;  ///< edges, as far as a path may reach
    std::vector<Node> on_path_;
    std::vector<Edge> path_;
    std::vector<std::vector<Edge>> found_;
    std::uint64_t steps_ = 0;
};

}  // namespace memory::graph
