#include "engine/batch/riders.h"

#include <algorithm>

#include "base/core/check.h"

namespace engine {

Riders::Riders(Decoder& decoder, base::ThreadPool& threads, const base::Clock& clock,
               std::uint32_t rows_max)
    : decoder_(decoder),
      threads_(threads),
      clock_(clock),
      pass_(rows_max, decoder.config().dim),
      pace_(decoder.parts() + 1, decoder.output_share()) {}

void Riders::begin(std::span<const BatchRow> rows, const StepShape& shape, double seconds) {
    DG_CHECK(!waiting_, "a step's rows began before the last one's ended");
    decoder_.begin(threads_, pass_, rows);
    const bool read = pass_.parts() == decoder_.parts();
    pace_.begin(pass_.parts() + (read ? 1 : 0), seconds);
    shape_ = shape;
    waiting_ = true;
}

bool Riders::fit_into(const PassInParts& chunk) const {
    return waiting_ && pass_.rows().size() + chunk.rows().size() <= chunk.rows_max();
}

void Riders::meet(const PassInParts& chunk) {
    if (fit_into(chunk)) go_to(std::min(chunk.part(), pass_.parts()));
}

bool Riders::beside(const PassInParts& chunk) const {
    return fit_into(chunk) && pass_.part() == chunk.part() && !pass_.done();
}

/// Alone up to `part`, if they are not past it.
void Riders::go_to(std::uint32_t part) {
    if (pass_.part() >= part) return;
    const std::uint32_t parts = part - pass_.part();
    const base::Instant begin = clock_.now();
    while (pass_.part() < part) decoder_.advance(threads_, pass_);
    const double seconds = base::to_seconds(clock_.now() - begin);
    for (std::uint32_t i = 0; i < parts; ++i) pace_.observe(seconds / parts);
}

void Riders::go_along(PassInParts& chunk) {
    decoder_.advance(threads_, chunk, pass_);
    pace_.skip();
}

std::span<float> Riders::finish() {
    go_to(pass_.parts());
    const base::Instant begin = clock_.now();
    const std::span<float> logits = decoder_.logits(threads_, pass_);
    if (!logits.empty()) pace_.observe(base::to_seconds(clock_.now() - begin));
    pace_.end();
    waiting_ = false;
    return logits;
}

}  // namespace engine
