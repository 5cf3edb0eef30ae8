#pragma once
// What a step will take, learned from the steps that were computed. Pure: observations in,
// predictions out.
//
// seconds = base(rows) + read_slope * read + attended_slope * attended, where `read` is the
// positions that are loaded (once per sequence) and `attended` those that are looked at (once per
// row). base is not a straight line: a few rows cost what reading the weights costs, many cost what
// computing costs, and kernels work in tiles. So it is kept per group of similar row counts, as
// decayed means. The slopes are the same for all groups and fitted to how seconds vary inside the
// groups, which keeps them apart from base although deep steps and large steps often come together.

#include <array>
#include <cstdint>

namespace engine {

struct StepShape {
    std::uint32_t rows = 0;
    std::uint64_t read = 0;      ///< sum over sequences of the positions they hold afterwards
    std::uint64_t attended = 0;  ///< sum over rows of the positions before and at the row

    StepShape& operator+=(const StepShape& other);
    friend StepShape operator+(StepShape a, const StepShape& b) { return a += b; }
};

/// `rows` more rows of one sequence that holds `depth` positions.
StepShape chunk_shape(std::uint32_t rows, std::uint32_t depth);

class StepCost {
public:
    /// The very first step is not counted: it waits for weights and fresh memory.
    void observe(const StepShape& shape, double seconds);
    /// Seconds `shape` will take; 0 when nothing was observed. Grows with rows and attended.
    double predict(const StepShape& shape) const;
    /// What it takes as a rule: as predict(), but seconds in which a neighbour had a core hardly
    /// count. A machine that stays slower is believed after some hundred steps, a faster one soon.
    double usual(const StepShape& shape) const;
    /// Most rows of a chunk at `depth` that may join `others` so that the step takes `seconds` at
    /// most; 0 when not even one fits. When nothing was observed: rows_max.
    std::uint32_t rows_within(double seconds, const StepShape& others, std::uint32_t depth,
                              std::uint32_t rows_max) const;
    /// Seconds to compute `tokens` positions after `depth` ones in steps of `rows_max` rows.
    double prefill_seconds(std::uint32_t tokens, std::uint32_t depth, std::uint32_t rows_max) const;
    /// The fewest seconds any step took for a row of its own; 0 when nothing was observed.
    double best_seconds_per_row() const { return best_seconds_per_row_; }
    std::uint64_t observed() const { return observed_; }

private:
    /// Decayed means of one group and how its values vary around them.
    struct Group {
        double lasting = 0;       ///< seconds less those of depth, over many more steps
        std::uint64_t steps = 0;  ///< that `lasting` knows
        double weight = 0, rows = 0, read = 0, attended = 0, seconds = 0;
        double read2 = 0, read_attended = 0, attended2 = 0, read_seconds = 0, attended_seconds = 0;
    };
    struct Slopes {
        double read = 0, attended = 0;  ///< seconds per position
    };
    static constexpr std::size_t kGroups = 40;

    static std::size_t group_of(std::uint32_t rows);
    void add(Group& group, const StepShape& shape, double seconds);
    Slopes fit_slopes() const;
    double base(double rows) const;
    double depth_seconds(const StepShape& shape) const;
    void refit();

    std::array<Group, kGroups> groups_{};
    std::array<double, kGroups> base_{};  ///< fitted; grows with the group
    Slopes slopes_;
    double recent_ratio_ = 1;  ///< observed over predicted, of the last few steps
    double best_seconds_per_row_ = 0;
    std::uint64_t observed_ = 0;
    bool warm_ = false;
};

}  // namespace engine
