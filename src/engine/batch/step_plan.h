#pragma once
// Which rows one step computes. Pure: state in, shares out.
//
// Streams come first: each gets a row in every step. What time and rows are left goes to prompts,
// one after the other, the one with the least left to read first, so that a small question is not
// stuck behind a long document. A prompt that others overtake moves up by the rows they got, so a
// long one waits for at most about its own length.
//
// Rows read together share what is read for them: the weights, and all the positions before them.
// A prompt of which only a few rows fit beside the streams would read all that again for those few.
// It is read in parts instead: a chunk of more rows, a few layers of it in each step.

#include <cstddef>
#include <cstdint>
#include <optional>
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
    bool in_parts = false;          ///< a chunk of it is half done; of one sequence at most
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
    /// Rows prompts get in every step, whatever the time: they must come to an end. Of one that is
    /// read in parts: at least a part.
    std::uint32_t prompt_rows_min = 0;
    /// Parts of a pass, of about the same time; 0: passes are never cut.
    std::uint32_t parts = 0;
    /// Rows per step in parts over rows that fit whole, for cutting to be worth it.
    double parts_gain_min = 1.1;
};

struct StepPlan {
    std::vector<RowShare> whole;  ///< through all layers, in order of sequence
    /// Who is read in parts, and how many rows a new chunk of it has.
    std::optional<RowShare> in_parts;
    double seconds_max = 0;    ///< of the step; infinite without a stream
    double whole_seconds = 0;  ///< what `whole` will take
};

/// Sequences without rows are left out. Without a stream the step takes all the rows there is work
/// for, and finishes the chunk that is half done first. Pre: rows_max >= streams +
/// prompt_rows_min.
StepPlan plan_step(std::span<const SequenceWork> work, const StepBudget& budget,
                   const StepCost& cost);

}  // namespace engine
