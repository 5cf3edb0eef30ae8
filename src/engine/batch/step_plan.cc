#include "engine/batch/step_plan.h"

#include <algorithm>
#include <limits>

namespace engine {
namespace {

constexpr std::uint32_t kChunkRowsMin = 16;  // with fewer, weights are most of what is read
constexpr double kPartsPerStep = 16;         // a step ends within half a part of its time

/// Plans one step; rows are given one sequence after the other.
class Planner {
public:
    Planner(std::span<const SequenceWork> work, const StepBudget& budget, const StepCost& cost)
        : work_(work), budget_(budget), cost_(cost), rows_(work.size(), 0) {}

    StepPlan plan() {
        give_streams();
        promised_ = budget_.prompt_rows_min;
        for (const std::size_t i : reading_order()) {
            if (!give(i)) break;
        }
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            if (rows_[i] > 0) plan_.whole.push_back({i, rows_[i]});
        }
        plan_.whole_seconds = whole_seconds();
        return std::move(plan_);
    }

private:
    /// What the rows so far will take, at the slower of the usual and the recent speed.
    double whole_seconds() const { return std::max(cost_.predict(step_), cost_.usual(step_)); }

    void give_streams() {
        for (std::size_t i = 0; i < work_.size(); ++i) {
            if (!work_[i].streams || work_[i].in_parts) continue;
            if (step_.rows < budget_.rows_max) give_rows(i, 1);
        }
        plan_.seconds_max = std::numeric_limits<double>::infinity();
        if (step_.rows == 0) return;
        plan_.seconds_max = budget_.seconds_max > 0. ? budget_.seconds_max
                                                     : budget_.gap_ratio_max * cost_.usual(step_);
    }

    /// Who reads next: streams that lost their place or got several tokens at once, then prompts by
    /// priority and what is left of them.
    std::vector<std::size_t> reading_order() const {
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < work_.size(); ++i) {
            if (work_[i].rows_left > rows_[i]) order.push_back(i);
        }
        const auto left = [&](std::size_t i) {
            return work_[i].rows_left -
                   std::min<std::uint64_t>(work_[i].rows_left, work_[i].passed_over);
        };
        std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
            if (work_[a].streams != work_[b].streams) return work_[a].streams;
            if (work_[a].priority != work_[b].priority) {
                return work_[a].priority > work_[b].priority;
            }
            return left(a) < left(b);
        });
        return order;
    }

    /// False when nobody behind it gets anything.
    bool give(std::size_t i) {
        if (work_[i].in_parts) return go_on_in_parts(i);
        const std::uint32_t free = budget_.rows_max - step_.rows;
        const std::uint32_t in_time =
            cost_.rows_within(plan_.seconds_max, step_, work_[i].depth + rows_[i], free);
        const std::uint32_t wanted = work_[i].rows_left - rows_[i];
        if (wanted > std::min(in_time, free)) {
            // One chunk at a time is half done, and it is over soon.
            const auto half_done = std::ranges::find(work_, true, &SequenceWork::in_parts);
            if (half_done != work_.end()) {
                return go_on_in_parts(static_cast<std::size_t>(half_done - work_.begin()));
            }
            if (begin_in_parts(i, in_time)) return false;
        }
        const std::uint32_t given = std::min({wanted, free, std::max(in_time, promised_)});
        if (given == 0) return false;  // nobody overtakes for the sake of a row that is cheaper
        give_rows(i, given);
        promised_ -= std::min(promised_, given);
        return true;
    }

    bool go_on_in_parts(std::size_t i) {
        plan_.in_parts = {i, chunk_rows(i)};
        return false;
    }

    /// Reads the sequence in parts where that brings more rows than the `in_time` that fit whole.
    bool begin_in_parts(std::size_t i, std::uint32_t in_time) {
        if (budget_.parts == 0 || step_.rows == 0) return false;
        const double seconds = plan_.seconds_max - whole_seconds();
        const std::uint32_t rows = chunk_rows(i);
        const double pass = cost_.predict(chunk_shape(rows, work_[i].depth));
        if (pass <= 0. || seconds <= 0.) return false;
        if (rows * seconds / pass <= budget_.parts_gain_min * in_time) return false;
        if (rows_[i] > 0) take_rows_back(i);  // a position is computed once
        plan_.in_parts = {i, rows};
        return true;
    }

    /// As many rows as leave a step several parts, so that it ends near its time: the more rows
    /// there are, the less each costs.
    std::uint32_t chunk_rows(std::size_t i) const {
        const std::uint32_t left = std::min(work_[i].rows_left, budget_.rows_max);
        const double seconds = plan_.seconds_max - whole_seconds();
        const double pass = seconds * budget_.parts / kPartsPerStep;
        const std::uint32_t rows = cost_.rows_within(pass, {}, work_[i].depth, left);
        return std::min(left, std::max(rows, kChunkRowsMin));
    }

    void give_rows(std::size_t i, std::uint32_t rows) {
        step_ += chunk_shape(rows, work_[i].depth + rows_[i]);
        rows_[i] += rows;
    }

    void take_rows_back(std::size_t i) {
        rows_[i] = 0;
        step_ = {};
        for (std::size_t j = 0; j < work_.size(); ++j) {
            if (rows_[j] > 0) step_ += chunk_shape(rows_[j], work_[j].depth);
        }
    }

    std::span<const SequenceWork> work_;
    const StepBudget& budget_;
    const StepCost& cost_;
    std::vector<std::uint32_t> rows_;
    StepShape step_;
    std::uint32_t promised_ = 0;
    StepPlan plan_;
};

}  // namespace

StepPlan plan_step(std::span<const SequenceWork> work, const StepBudget& budget,
                   const StepCost& cost) {
    return Planner(work, budget, cost).plan();
}

}  // namespace engine
