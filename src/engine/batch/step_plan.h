#pragma once
// Which rows one step computes. Pure: state in, shares out.
//
// Streams come first: each gets a row in every step. What time and rows are left goes to prompts,
// one after the other, the one with the least left to read first, so that a small question is not
// stuck behind a long document. A prompt that others overtake moves up by the rows they got, so a
// long one waits for at most about its own length.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/batch/step_cost.h"

namespace engine {

/// A running sequence as the plan sees it.
struct SequenceWork {
    std::uint32_t rows_left = 1;    ///< tokens known and not computed; at least 1
    std::uint32_t depth = 0;        ///< positions computed
    bool streams = false;           ///< its client has tokens and waits for the next
    std::int32_t priority = 0;      ///< higher reads its prompt first
    std::uint64_t passed_over = 0;  ///< rows that went to other prompts while this one waited
};

struct RowShare {
    std::size_t sequence = 0;  ///< index into the running sequences
    std::uint32_t rows = 0;    ///< at least 1
    bool operator==(const RowShare&) const = default;
};

struct StepBudget {
    std::uint32_t rows_max = 0;
    /// What the step may take while somebody streams. 0: gap_ratio_max times what the streams
    /// alone take.
    double seconds_max = 0;
    double gap_ratio_max = 0;
    /// Rows prompts get in every step, whatever the time: they must come to an end.
    std::uint32_t prompt_rows_min = 0;
};

/// Shares come in order of sequence; sequences without rows are left out. Without a stream the
/// step takes all the rows there is work for. Pre: rows_max >= streams + prompt_rows_min.
std::vector<RowShare> plan_step(std::span<const SequenceWork> work, const StepBudget& budget,
                                const StepCost& cost);

}  // namespace engine
