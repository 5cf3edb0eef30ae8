#include "engine/batch/mean_pooling.h"

#include <algorithm>
#include <utility>

namespace engine {

MeanPooling::MeanPooling(Decoder& decoder, base::ThreadPool& threads, KvPool& pages,
                         const base::Clock& clock, std::vector<TokenId> tokens)
    : decoder_(decoder),
      threads_(threads),
      clock_(clock),
      tokens_(std::move(tokens)),
      kv_(pages.sequence()),
      sum_(decoder.config().dim) {}

Batcher::Progress MeanPooling::advance(RunningSet& running) {
    const auto count = static_cast<std::uint32_t>(tokens_.size());
    // All at once, so that two texts never wait for each other's pages.
    if (base::Result<void> room = kv_.grow_to(count); !room) {
        if (!running.empty()) return Batcher::Progress::wants_pages;
        result_ = std::unexpected(std::move(room).error());
        return Batcher::Progress::done;
    }
    const std::uint32_t rows = running.rows_between_steps(kv_.tokens());
    compute(std::min(rows, count - kv_.tokens()), running);
    if (kv_.tokens() < count) return Batcher::Progress::more;
    kv_ = KvSequence();
    result_ = std::move(sum_);  // its length is set to 1 later, so the mean's divisor drops out
    return Batcher::Progress::done;
}

void MeanPooling::compute(std::uint32_t rows, RunningSet& running) {
    const std::uint32_t depth = kv_.tokens();
    std::vector<BatchRow> batch;
    for (std::uint32_t position = depth; position < depth + rows; ++position) {
        batch.push_back({tokens_[position], &kv_, position, true});
    }
    const base::Instant begin = clock_.now();
    const std::span<const float> hidden = decoder_.hidden_states(threads_, batch);
    running.observe(chunk_shape(rows, depth), base::to_seconds(clock_.now() - begin));
    for (std::size_t i = 0; i < hidden.size(); ++i) sum_[i % sum_.size()] += hidden[i];
    kv_.advance(rows);
}

}  // namespace engine
