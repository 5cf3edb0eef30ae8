#include "engine/batch/running_set.h"

#include <algorithm>
#include <utility>

#include "base/core/check.h"

namespace engine {

StepCounters& StepCounters::operator+=(const StepCounters& other) {
    steps += other.steps;
    prompt_tokens += other.prompt_tokens;
    completion_tokens += other.completion_tokens;
    forced_tokens += other.forced_tokens;
    prefill_seconds += other.prefill_seconds;
    decode_seconds += other.decode_seconds;
    return *this;
}

RunningSet::RunningSet(Decoder& decoder, const Tokenizer& tokenizer, base::ThreadPool& pool,
                       KvPool& kv, const base::Clock& clock, const StepBudget& budget)
    : decoder_(decoder),
      tokenizer_(tokenizer),
      pool_(pool),
      kv_(kv),
      clock_(clock),
      budget_(budget) {
    rows_.reserve(budget.rows_max);
}

/// What the running ones may yet need leaves room for it; pages come back when one of them ends.
bool RunningSet::has_room_for(const Generation& generation) const {
    std::uint32_t pages = kv_.geometry().pages_for(generation.kv_tokens_max());
    for (const auto& running : running_) {
        pages += kv_.geometry().pages_for(running->kv_tokens_max());
    }
    return pages <= kv_.pages_total();
}

std::uint64_t RunningSet::admit(std::unique_ptr<Generation> generation) {
    generation->start(kv_.sequence(), clock_.now());
    running_.push_back(std::move(generation));
    return running_.back()->rows_left();
}

void RunningSet::cancel(GenerationId id) {
    for (auto& generation : running_) {
        if (generation->id() != id) continue;
        generation->finish(FinishReason::cancelled, clock_.now());
        generation.reset();
    }
    forget_finished();
}

void RunningSet::finish_all(FinishReason reason) {
    for (auto& generation : running_) generation->finish(reason, clock_.now());
    running_.clear();
}

void RunningSet::step() {
    end_overdue();
    const std::vector<RowShare> shares = prepare_rows();
    if (!rows_.empty()) {
        const base::Instant begin = clock_.now();
        const std::span<float> logits = decoder_.logits(pool_, rows_);
        const double seconds = base::to_seconds(clock_.now() - begin);
        count_step(shares, seconds);
        take_tokens(shares, logits);
    }
    forget_finished();
}

/// Learns from the step and divides its time between reading and decoding by their rows.
void RunningSet::count_step(std::span<const RowShare> shares, double seconds) {
    StepShape shape;
    std::uint32_t prompt_rows = 0;
    for (const RowShare& share : shares) {
        const Generation& generation = *running_[share.sequence];
        shape += chunk_shape(share.rows, generation.computed());
        if (generation.computed() < generation.prompt_tokens()) prompt_rows += share.rows;
    }
    cost_.observe(shape, seconds);
    report_.rows = shape.rows;
    const double prompt_part = static_cast<double>(prompt_rows) / shape.rows;
    StepCounters& counters = report_.counters;
    counters.prompt_tokens += prompt_rows;
    counters.prefill_seconds += seconds * prompt_part;
    counters.decode_seconds += seconds * (1. - prompt_part);
    ++counters.steps;
}

void RunningSet::end_overdue() {
    const base::Instant now = clock_.now();
    for (auto& generation : running_) {
        if (now < generation->deadline()) continue;
        generation->finish(FinishReason::deadline, now);
        generation.reset();
    }
    forget_finished();
}

std::vector<RowShare> RunningSet::plan() {
    std::vector<SequenceWork> work;
    for (const auto& generation : running_) work.push_back(generation->work());
    std::vector<RowShare> shares = plan_step(work, budget_, cost_);
    std::uint32_t prompt_rows = 0;
    std::vector<std::uint32_t> given(running_.size(), 0);
    for (const RowShare& share : shares) {
        given[share.sequence] = share.rows;
        if (!work[share.sequence].streams) prompt_rows += share.rows;
    }
    for (std::size_t i = 0; i < running_.size(); ++i) {
        if (!work[i].streams) running_[i]->pass_over(prompt_rows - given[i]);
    }
    return shares;
}

/// Plans the step and fills rows_; sequences that cannot get memory end here.
std::vector<RowShare> RunningSet::prepare_rows() {
    std::vector<RowShare> shares = plan();
    rows_.clear();
    std::erase_if(shares, [&](const RowShare& share) {
        auto& generation = running_[share.sequence];
        if (base::Result<void> room = generation->prepare(share.rows); !room) {
            generation->fail(std::move(room).error(), clock_.now());
            generation.reset();
            return true;
        }
        for (std::uint32_t r = 0; r < share.rows; ++r) {
            // Only the last known token predicts something new.
            const bool wants_output = r + 1 == generation->rows_left();
            rows_.push_back({generation->token_at(r), &generation->kv(), generation->computed() + r,
                             wants_output});
        }
        return false;
    });
    return shares;
}

void RunningSet::take_tokens(std::span<const RowShare> shares, std::span<float> logits) {
    const std::size_t vocab = decoder_.config().vocab_size;
    std::size_t row = 0;
    for (const RowShare& share : shares) {
        auto& generation = running_[share.sequence];
        generation->advance(share.rows);
        if (generation->rows_left() > 0) continue;
        const base::Instant now = clock_.now();
        const std::uint32_t before = generation->completion_tokens();
        const std::uint32_t forced = generation->forced_tokens();
        const base::Instant told = generation->last_token();
        const bool ended =
            generation->accept(logits.subspan(row++ * vocab, vocab), tokenizer_, now);
        if (const std::uint32_t made = generation->completion_tokens() - before; made > 0) {
            report_.counters.completion_tokens += made;
            report_.counters.forced_tokens += generation->forced_tokens() - forced;
            report_.generated[generation->tenant()] += made;
            if (before > 0) report_.gaps.push_back(now - told);
        }
        if (ended) generation.reset();
    }
}

void RunningSet::forget_finished() {
    std::erase_if(running_, [](const auto& generation) { return generation == nullptr; });
}

StepReport RunningSet::take_report() {
    StepReport next;
    next.rows = report_.rows;
    return std::exchange(report_, std::move(next));
}

}  // namespace engine
