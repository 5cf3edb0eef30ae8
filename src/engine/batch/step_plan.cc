#include "engine/batch/step_plan.h"

#include <algorithm>
#include <limits>

namespace engine {
namespace {

/// Who reads next: streams that lost their place or got several tokens at once, then prompts by
/// priority and what is left of them.
std::vector<std::size_t> reading_order(std::span<const SequenceWork> work,
                                       std::span<const std::uint32_t> rows) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < work.size(); ++i) {
        if (work[i].rows_left > rows[i]) order.push_back(i);
    }
    const auto left = [&](std::size_t i) {
        const std::uint64_t aged = std::min<std::uint64_t>(work[i].rows_left, work[i].passed_over);
        return work[i].rows_left - aged;
    };
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
        if (work[a].streams != work[b].streams) return work[a].streams;
        if (work[a].priority != work[b].priority) return work[a].priority > work[b].priority;
        return left(a) < left(b);
    });
    return order;
}

}  // namespace

std::vector<RowShare> plan_step(std::span<const SequenceWork> work, const StepBudget& budget,
                                const StepCost& cost) {
    std::vector<std::uint32_t> rows(work.size(), 0);
    StepShape step;
    for (std::size_t i = 0; i < work.size(); ++i) {
        if (!work[i].streams || step.rows == budget.rows_max) continue;
        rows[i] = 1;
        step += chunk_shape(1, work[i].depth);
    }
    double seconds_max = std::numeric_limits<double>::infinity();
    if (step.rows > 0) {
        seconds_max = budget.seconds_max > 0. ? budget.seconds_max
                                              : budget.gap_ratio_max * cost.predict(step);
    }
    std::uint32_t promised = budget.prompt_rows_min;
    for (const std::size_t i : reading_order(work, rows)) {
        const std::uint32_t free = budget.rows_max - step.rows;
        const std::uint32_t depth = work[i].depth + rows[i];
        const std::uint32_t in_time = cost.rows_within(seconds_max, step, depth, free);
        const std::uint32_t wanted = work[i].rows_left - rows[i];
        const std::uint32_t given = std::min({wanted, free, std::max(in_time, promised)});
        if (given == 0) break;  // nobody overtakes for the sake of a row that is cheaper
        rows[i] += given;
        promised -= std::min(promised, given);
        step += chunk_shape(given, depth);
    }
    std::vector<RowShare> shares;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i] > 0) shares.push_back({i, rows[i]});
    }
    return shares;
}

}  // namespace engine
