#pragma once
// Reads a chunk of a prompt in parts, some in each step, while others stream. Single-threaded, like
// the running set that owns it.
//
// What is half done belongs to one sequence and is seen by nobody: its positions are not counted
// before the last part, so neither the cache nor a swap nor another sequence finds them. Whoever
// takes the sequence's pages away, or ends it, drops the chunk first.

#include <cstdint>
#include <optional>
#include <span>

#include "base/core/clock.h"
#include "engine/batch/generation.h"
#include "engine/batch/part_pace.h"
#include "engine/batch/riders.h"
#include "engine/batch/step_cost.h"
#include "engine/graph/decoder.h"
#include "engine/graph/pass_in_parts.h"

namespace base {
class ThreadPool;
}

namespace engine {

class ChunkReader {
public:
    /// All references must outlive this. `rows_max`: of a chunk.
    ChunkReader(Decoder& decoder, base::ThreadPool& threads, const base::Clock& clock,
                std::uint32_t rows_max);

    /// Whose chunk is half done; 0: nobody's.
    GenerationId owner() const { return owner_; }
    bool reads(const Generation& generation) const { return owner_ == generation.id(); }
    std::uint32_t rows() const { return own_.rows; }
    void drop() { owner_ = 0; }

    /// Begins with the next `rows` rows of `generation`, which `cost` knows the price of. Pre:
    /// nothing is half done, it has the pages, rows <= rows_left().
    void begin(const Generation& generation, std::uint32_t rows, const StepCost& cost);
    /// Computes parts as long as the step ends nearer to `due` with the next one, but at least one
    /// if `least_one`. `riders` are brought to the chunk's part and go along if they are not past
    /// it; the rest of their pass comes before `due` too. True: the chunk is done, and shape(),
    /// seconds() and logits() tell of it until the next begins.
    bool advance(base::Instant due, bool least_one, Riders& riders);

    /// What was computed: the chunk's rows, and those that went along as far as they did.
    StepShape shape() const;
    double seconds() const { return pace_.seconds(); }
    /// Empty when its last row is not the sequence's last.
    std::span<float> logits() { return decoder_.logits(threads_, pass_); }

private:
    Decoder& decoder_;
    base::ThreadPool& threads_;
    const base::Clock& clock_;
    PassInParts pass_;
    PartPace pace_;
    GenerationId owner_ = 0;
    StepShape own_;
    StepShape along_;  ///< of riders, once for every part
};

}  // namespace engine
