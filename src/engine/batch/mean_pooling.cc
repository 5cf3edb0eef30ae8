#include "engine/batch/mean_pooling.h"

#include <algorithm>
#include <utility>

namespace engine {

MeanPooling::MeanPooling(Decoder& decoder, base::ThreadPool& threads, KvPool& pages,
                         const base::Clock& clock, std::vector<std::vector<TokenId>> texts)
    : decoder_(decoder),
      threads_(threads),
      pages_(pages),
      clock_(clock),
      texts_(std::move(texts)),
      sums_(texts_.size(), std::vector<float>(decoder.config().dim)) {}

Batcher::Progress MeanPooling::advance(RunningSet& running) {
    const std::uint32_t depth = open_.empty() ? 0 : open_.front().kv.tokens();
    base::Result<Part> part = next_part(running.rows_between_steps(depth));
    if (!part) {
        if (!running.empty() || running.take_back_pages()) return Batcher::Progress::wants_pages;
        result_ = std::unexpected(std::move(part).error());
        return Batcher::Progress::done;
    }
    if (!part->rows.empty()) compute(*part, running);
    while (!open_.empty() && open_.front().kv.tokens() == texts_[open_.front().text].size()) {
        open_.pop_front();
    }
    if (!open_.empty() || next_ < texts_.size()) return Batcher::Progress::more;
    result_ = std::move(sums_);  // lengths are set to 1 later, so the mean's divisor drops out
    return Batcher::Progress::done;
}

/// Takes all pages of a text at once, so that two texts never wait for each other's.
base::Result<void> MeanPooling::open_next() {
    Open open{next_, pages_.sequence()};
    DG_TRY(open.kv.grow_to(static_cast<std::uint32_t>(texts_[next_].size())));
    open_.push_back(std::move(open));
    ++next_;
    return {};
}

/// Errors: no pages for even the first text.
base::Result<MeanPooling::Part> MeanPooling::next_part(std::uint32_t rows_max) {
    Part part;
    for (std::size_t i = 0; part.rows.size() < rows_max; ++i) {
        if (i == open_.size()) {
            if (next_ == texts_.size()) break;
            if (const auto opened = open_next(); !opened) {
                if (i > 0) break;  // what has its pages goes first
                return std::unexpected(opened.error());
            }
        }
        const Open& open = open_[i];
        const std::vector<TokenId>& tokens = texts_[open.text];
        std::uint32_t position = open.kv.tokens();
        for (; position < tokens.size() && part.rows.size() < rows_max; ++position) {
            part.rows.push_back({tokens[position], &open.kv, position, true});
            part.texts.push_back(open.text);
        }
    }
    return part;
}

void MeanPooling::compute(const Part& part, RunningSet& running) {
    const auto rows = static_cast<std::uint32_t>(part.rows.size());
    const std::size_t dim = decoder_.config().dim;
    const base::Instant begin = clock_.now();
    const std::span<const float> hidden = decoder_.hidden_states(threads_, part.rows);
    running.observe(chunk_shape(rows, part.rows.front().position),
                    base::to_seconds(clock_.now() - begin));
    for (std::size_t i = 0; i < hidden.size(); ++i) {
        sums_[part.texts[i / dim]][i % dim] += hidden[i];
    }
    for (Open& open : open_) {
        open.kv.advance(static_cast<std::uint32_t>(std::ranges::count(part.texts, open.text)));
    }
}

}  // namespace engine
