#pragma once
// A step's own rows - one of each stream, and of prompts that fit whole - beside a chunk that is
// read in parts. Through the layers that the chunk passes in this step they go along with it, so
// that those weights are read once for both; through the others they go alone. Single-threaded,
// like the running set that owns it.

#include <cstdint>
#include <span>

#include "base/core/clock.h"
#include "engine/batch/part_pace.h"
#include "engine/batch/step_cost.h"
#include "engine/graph/decoder.h"
#include "engine/graph/pass_in_parts.h"

namespace base {
class ThreadPool;
}

namespace engine {

class Riders {
public:
    /// All references must outlive this. `rows_max`: of a step.
    Riders(Decoder& decoder, base::ThreadPool& threads, const base::Clock& clock,
           std::uint32_t rows_max);

    /// A step's rows of this shape, whose pass should take `seconds`. None may lose a page before
    /// finish(). Pre: waiting() is false.
    void begin(std::span<const BatchRow> rows, const StepShape& shape, double seconds);
    /// Rows have begun and are not finished.
    bool waiting() const { return waiting_; }
    const StepShape& shape() const { return shape_; }

    /// Computes them alone up to the chunk's next part, if they are not past it and there is room
    /// for both.
    void meet(const PassInParts& chunk);
    /// The chunk's next part is theirs too, and there is room for both.
    bool beside(const PassInParts& chunk) const;
    /// Computes the chunk's next part for both. Pre: beside(chunk).
    void go_along(PassInParts& chunk);
    /// Computes the rest alone; as Decoder::logits.
    std::span<float> finish();

    /// What their next part will take alone, and all from there on; 0 when nobody waits.
    double seconds_next() const { return waiting_ ? pace_.next() : 0.; }
    double seconds_left() const { return waiting_ ? pace_.left() : 0.; }
    /// What they took apart from the chunk since begin().
    double seconds() const { return pace_.seconds(); }
    /// What they would have taken without it. Pre: finished.
    double seconds_alone() const { return pace_.seconds_with_skipped(); }

private:
    bool fit_into(const PassInParts& chunk) const;
    void go_to(std::uint32_t part);

    Decoder& decoder_;
    base::ThreadPool& threads_;
    const base::Clock& clock_;
    PassInParts pass_;
    PartPace pace_;  ///< of its parts, and of the logits
    StepShape shape_;
    bool waiting_ = false;
};

}  // namespace engine
