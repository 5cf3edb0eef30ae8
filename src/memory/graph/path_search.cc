#include "memory/graph/path_search.h"

#include <algorithm>

namespace memory::graph {

void PathSearch::measure(std::uint32_t length) {
    std::vector<Node> level = {to_}, next;
    to_goal_[to_] = 0;
    for (std::uint32_t d = 1; d <= length && !level.empty(); ++d) {
        next.clear();
        for (const Node node : level) {
            for (const Link& link : rows_.links(node)) {
                if (to_goal_.try_emplace(link.to, d).second) next.push_back(link.to);
            }
        }
        std::swap(level, next);
    }
}

bool PathSearch::walk(Node at, std::uint32_t left) {
    if (left == 0) {
        found_.push_back(path_);
        return found_.size() < limit_;
    }
    const Row row = rows_.row(at);
    for (std::size_t i = 0; i < row.links.size(); ++i) {
        if (++steps_ > kStepsMax) return false;
        const Link& link = row.links[i];
        if (link.to == to_ && left > 1) continue;  // a path ends at its goal
        const auto goal = to_goal_.find(link.to);
        if (goal == to_goal_.end() || goal->second > left - 1) continue;
        if (std::ranges::find(on_path_, link.to) != on_path_.end()) continue;
        const bool against = (row.keys[i] & 1) != 0;
        path_.push_back(
            {against ? link.to : at, against ? at : link.to, row.keys[i] >> 1, link.weight});
        on_path_.push_back(link.to);
        const bool go_on = walk(link.to, left - 1);
        on_path_.pop_back();
        path_.pop_back();
        if (!go_on) return false;
    }
    return true;
}

std::vector<std::vector<Edge>> PathSearch::run(std::uint32_t length) {
    measure(length);
    const auto goal = to_goal_.find(from_);
    if (goal == to_goal_.end()) return {};
    on_path_ = {from_};
    for (std::uint32_t exact = goal->second; exact <= length; ++exact) {
        if (!walk(from_, exact)) break;
    }
    return std::move(found_);
}

}  // namespace memory::graph
