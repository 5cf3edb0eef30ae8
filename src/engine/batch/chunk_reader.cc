#include "engine/batch/chunk_reader.h"

#include <algorithm>
#include <vector>

#include "base/core/check.h"

namespace engine {

ChunkReader::ChunkReader(Decoder& decoder, base::ThreadPool& threads, const base::Clock& clock,
                         std::uint32_t rows_max)
    : decoder_(decoder),
      threads_(threads),
      clock_(clock),
      pass_(rows_max, decoder.config().dim),
      pace_(decoder.parts()) {}

void ChunkReader::begin(const Generation& generation, std::uint32_t rows, const StepCost& cost) {
    DG_CHECK(owner_ == 0, "a chunk began while another one was half done");
    std::vector<BatchRow> batch;
    for (std::uint32_t r = 0; r < rows; ++r) batch.push_back(generation.row_at(r));
    decoder_.begin(threads_, pass_, batch);
    own_ = chunk_shape(rows, generation.depth());
    along_ = {};
    pace_.begin(pass_.parts(), cost.predict(own_));
    owner_ = generation.id();
}

bool ChunkReader::advance(base::Instant due, bool least_one, Riders& riders) {
    riders.meet(pass_);
    base::Instant now = clock_.now();
    for (bool owed = least_one; !pass_.done(); owed = false) {
        const bool together = riders.beside(pass_);
        const double left = base::to_seconds(due - now) - riders.seconds_left();
        const double longer = pace_.next() - (together ? riders.seconds_next() : 0.);
        if (!owed && left < 0.5 * std::max(longer, 0.)) return false;
        if (together) {
            riders.go_along(pass_);
            along_ += riders.shape();
        } else {
            decoder_.advance(threads_, pass_);
        }
        const base::Instant then = clock_.now();
        pace_.observe(base::to_seconds(then - now));
        now = then;
    }
    pace_.end();
    owner_ = 0;
    return true;
}

StepShape ChunkReader::shape() const {
    const std::uint32_t parts = pass_.parts();
    StepShape shape = own_;
    shape += {along_.rows / parts, along_.read / parts, along_.attended / parts};
    return shape;
}

}  // namespace engine
