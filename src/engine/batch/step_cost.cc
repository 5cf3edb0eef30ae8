#include "engine/batch/step_cost.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace engine {
namespace {

constexpr double kMemory = 1. / 24.;     // a group forgets over about 24 of its steps
constexpr std::uint64_t kLasting = 512;  // steps that `lasting` remembers
constexpr double kRecent = 1. / 6.;      // a change of the machine's speed is noticed in 6 steps
constexpr double kSurpriseMax = 2.;      // a step that took longer counts as this times expected
constexpr std::uint64_t kSettled = 4;    // steps before surprises are cut
constexpr std::uint32_t kGroupsPerOctave = 3;

}  // namespace

StepShape chunk_shape(std::uint32_t rows, std::uint32_t depth) {
    const std::uint64_t n = rows;
    return {rows, n + depth, n * depth + n * (n + 1) / 2};
}

StepShape& StepShape::operator+=(const StepShape& other) {
    rows += other.rows;
    read += other.read;
    attended += other.attended;
    return *this;
}

/// Groups are a third of a doubling wide: 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, ...
std::size_t StepCost::group_of(std::uint32_t rows) {
    const double octaves = std::log2(static_cast<double>(std::max(rows, 1u)));
    return std::min(kGroups - 1, static_cast<std::size_t>(std::lround(octaves * kGroupsPerOctave)));
}

void StepCost::observe(const StepShape& shape, double seconds) {
    if (shape.rows == 0 || seconds <= 0.) return;
    if (!std::exchange(warm_, true)) return;
    const double expected = predict(shape);
    const double best = seconds / shape.rows;
    if (best_seconds_per_row_ == 0. || best < best_seconds_per_row_) best_seconds_per_row_ = best;
    Group& group = groups_[group_of(shape.rows)];
    if (group.weight > 0. && observed_ >= kSettled) {
        // One step that lost its core to a neighbour says nothing about the next.
        const double ratio = seconds / expected;
        seconds = std::min(seconds, kSurpriseMax * expected);
        recent_ratio_ +=
            (std::clamp(ratio, 1. / kSurpriseMax, kSurpriseMax) - recent_ratio_) * kRecent;
    }
    ++observed_;
    add(group, shape, seconds);
    refit();
    group.steps = std::min(group.steps + 1, kLasting);
    const double own = std::max(0., seconds - depth_seconds(shape));
    group.lasting += (own - group.lasting) / static_cast<double>(group.steps);
}

void StepCost::add(Group& group, const StepShape& shape, double seconds) {
    group.weight = std::min(group.weight + 1., 1. / kMemory);
    const double share = 1. / group.weight, keep = 1. - share;
    const double read = static_cast<double>(shape.read) - group.read;
    const double attended = static_cast<double>(shape.attended) - group.attended;
    const double late = seconds - group.seconds;
    group.rows += (shape.rows - group.rows) * share;
    group.read += read * share;
    group.attended += attended * share;
    group.seconds += late * share;
    const auto vary = [&](double& moment, double a, double b) {
        moment = keep * (moment + share * a * b);
    };
    vary(group.read2, read, read);
    vary(group.read_attended, read, attended);
    vary(group.attended2, attended, attended);
    vary(group.read_seconds, read, late);
    vary(group.attended_seconds, attended, late);
}

/// Least squares over the groups' variations. Inside one group `attended` is `read` times about the
/// same number of rows, so it takes groups of different rows to tell them apart; before that, and
/// when noise makes one negative, the other explains all.
StepCost::Slopes StepCost::fit_slopes() const {
    double rr = 0., ra = 0., aa = 0., rs = 0., as = 0.;
    for (const Group& group : groups_) {
        rr += group.weight * group.read2;
        ra += group.weight * group.read_attended;
        aa += group.weight * group.attended2;
        rs += group.weight * group.read_seconds;
        as += group.weight * group.attended_seconds;
    }
    if (aa <= 0.) return {};
    const Slopes looked_at{0., std::max(0., as / aa)};
    const double determinant = rr * aa - ra * ra;
    if (determinant <= 1e-3 * rr * aa) return looked_at;
    const Slopes both{(rs * aa - as * ra) / determinant, (as * rr - rs * ra) / determinant};
    if (both.read < 0.) return looked_at;
    if (both.attended < 0.) return {std::max(0., rs / rr), 0.};
    return both;
}

/// More rows never take less; noise must not make the planner believe they do: neighbouring groups
/// that say otherwise are merged into their weighted mean (isotonic regression, pool adjacent
/// violators).
void StepCost::refit() {
    struct Block {
        double weight = 0, seconds = 0;
        std::size_t end = 0;  // groups before this one
    };
    slopes_ = fit_slopes();
    std::vector<Block> blocks;
    for (std::size_t i = 0; i < kGroups; ++i) {
        const Group& group = groups_[i];
        if (group.weight == 0.) continue;
        const double depth = slopes_.read * group.read + slopes_.attended * group.attended;
        const double seconds = std::max(0., group.seconds - depth);
        blocks.push_back({group.weight, seconds, i + 1});
        while (blocks.size() > 1 && blocks[blocks.size() - 2].seconds > blocks.back().seconds) {
            const Block last = blocks.back();
            blocks.pop_back();
            Block& merged = blocks.back();
            const double weight = merged.weight + last.weight;
            merged.seconds += (last.seconds - merged.seconds) * last.weight / weight;
            merged.weight = weight;
            merged.end = last.end;
        }
    }
    std::size_t i = 0;
    for (const Block& block : blocks) {
        for (; i < block.end; ++i) base_[i] = block.seconds;
    }
}

/// Between groups in a straight line; below the first as the first; above the last in proportion.
double StepCost::base(double rows) const {
    const Group* below = nullptr;
    double below_base = 0.;
    for (std::size_t i = 0; i < kGroups; ++i) {
        const Group& group = groups_[i];
        if (group.weight == 0.) continue;
        if (group.rows >= rows) {
            if (below == nullptr || group.rows <= below->rows) return base_[i];
            const double way = (rows - below->rows) / (group.rows - below->rows);
            return below_base + way * (base_[i] - below_base);
        }
        below = &group;
        below_base = base_[i];
    }
    return below == nullptr ? 0. : below_base * rows / below->rows;
}

double StepCost::depth_seconds(const StepShape& shape) const {
    return slopes_.read * static_cast<double>(shape.read) +
           slopes_.attended * static_cast<double>(shape.attended);
}

double StepCost::predict(const StepShape& shape) const {
    if (observed_ == 0 || shape.rows == 0) return 0.;
    return recent_ratio_ * (base(shape.rows) + depth_seconds(shape));
}

double StepCost::usual(const StepShape& shape) const {
    if (observed_ == 0 || shape.rows == 0) return 0.;
    const Group& group = groups_[group_of(shape.rows)];
    const double own = base(shape.rows);
    return (group.steps > 0 ? std::min(own, group.lasting) : own) + depth_seconds(shape);
}

std::uint32_t StepCost::rows_within(double seconds, const StepShape& others, std::uint32_t depth,
                                    std::uint32_t rows_max) const {
    if (observed_ == 0) return rows_max;
    std::uint32_t fits = 0, too_many = rows_max + 1;
    while (too_many - fits > 1) {
        const std::uint32_t rows = fits + (too_many - fits) / 2;
        const bool in_time = predict(others + chunk_shape(rows, depth)) <= seconds;
        (in_time ? fits : too_many) = rows;
    }
    return fits;
}

double StepCost::prefill_seconds(std::uint32_t tokens, std::uint32_t depth,
                                 std::uint32_t rows_max) const {
    if (tokens == 0) return 0.;
    const double steps = std::ceil(static_cast<double>(tokens) / rows_max);
    const auto rows = static_cast<std::uint32_t>(tokens / steps);
    // The mean step: half of the tokens lie before it.
    return steps * predict(chunk_shape(rows, depth + (tokens - rows) / 2));
}

}  // namespace engine
