#include "engine/batch/step_plan.h"

#include <algorithm>

namespace engine {
namespace {

/// Prefilling sequences, starting with the one whose turn it is.
std::vector<std::size_t> prefilling_in_turn(std::span<const std::uint32_t> rows_left,
                                            std::uint64_t turn) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < rows_left.size(); ++i) {
        if (rows_left[i] > 1) order.push_back(i);
    }
    if (!order.empty()) {
        std::ranges::rotate(order,
                            order.begin() + static_cast<std::ptrdiff_t>(turn % order.size()));
    }
    return order;
}

}  // namespace

std::vector<RowShare> plan_step(std::span<const std::uint32_t> rows_left, std::uint32_t rows_max,
                                std::uint64_t turn) {
    std::vector<std::uint32_t> rows(rows_left.size(), 0);
    std::uint32_t budget = rows_max;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows_left[i] > 1) continue;
        rows[i] = 1;
        budget -= std::min(budget, 1u);
    }
    std::vector<std::size_t> hungry = prefilling_in_turn(rows_left, turn);
    while (budget > 0 && !hungry.empty()) {
        const auto part = std::max(1u, budget / static_cast<std::uint32_t>(hungry.size()));
        for (const std::size_t i : hungry) {
            const std::uint32_t given = std::min({part, budget, rows_left[i] - rows[i]});
            rows[i] += given;
            budget -= given;
        }
        std::erase_if(hungry, [&](std::size_t i) { return rows[i] == rows_left[i]; });
    }
    std::vector<RowShare> shares;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i] > 0) shares.push_back({i, rows[i]});
    }
    return shares;
}

}  // namespace engine
