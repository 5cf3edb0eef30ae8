#include "engine/batch/running_set.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/core/check.h"

namespace engine {
namespace {

/// An hour at most, so that no target overflows it.
base::Duration to_duration(double seconds) {
    return base::Duration(static_cast<std::int64_t>(1e9 * std::min(seconds, 3600.)));
}

}  // namespace

StepCounters& StepCounters::operator+=(const StepCounters& other) {
    steps += other.steps;
    prompt_tokens += other.prompt_tokens;
    completion_tokens += other.completion_tokens;
    forced_tokens += other.forced_tokens;
    cached_tokens += other.cached_tokens;
    preempted += other.preempted;
    swapped_out_bytes += other.swapped_out_bytes;
    prefill_seconds += other.prefill_seconds;
    decode_seconds += other.decode_seconds;
    return *this;
}

RunningSet::RunningSet(const RunningParts& parts, const StepBudget& budget)
    : parts_(parts),
      budget_(budget),
      admission_(parts.pages, parts.cache, forecast_, cost_),
      chunk_(parts.decoder, parts.threads, parts.clock, budget.rows_max),
      riders_(parts.decoder, parts.threads, parts.clock, budget.rows_max) {
    rows_.reserve(budget.rows_max);
}

Verdict RunningSet::consider(Generation& generation) const {
    return admission_.consider(generation, running_, pages_shared_, parts_.clock.now());
}

std::optional<std::uint64_t> RunningSet::admit(std::unique_ptr<Generation>& generation) {
    const bool first = !generation->started();
    if (generation->kv().swapped_out() && !swap_in(*generation)) {
        if (generation->kv().swapped_out()) return std::nullopt;
    }
    if (generation->computed() == 0) {
        KvSequence kv = parts_.cache.take(generation->scope(), generation->tokens());
        // Cached pages counted as room while nobody held them; now they are held.
        const std::uint32_t expected = admission_.pages_expected(*generation);
        const auto held = static_cast<std::uint32_t>(kv.pages().size());
        const std::uint32_t wanted =
            expected - std::min(expected, held) + admission_.pages_promised(running_);
        if (others_hold_pages() && wanted > parts_.pages.pages_available()) return std::nullopt;
        if (first) {
            report_.counters.cached_tokens += std::min(kv.tokens(), generation->prompt_tokens());
        }
        generation->start(std::move(kv), parts_.cache, parts_.clock.now());
    }
    running_.push_back(std::move(generation));
    return first ? running_.back()->rows_left() : 0;
}

bool RunningSet::make_way(std::int32_t priority) {
    std::optional<std::size_t> victim;
    for (std::size_t i = 0; i < running_.size(); ++i) {
        if (running_[i]->priority() >= priority) continue;
        if (!victim || running_[i]->priority() < running_[*victim]->priority() ||
            (running_[i]->priority() == running_[*victim]->priority() &&
             running_[i]->id() > running_[*victim]->id())) {
            victim = i;
        }
    }
    if (!victim) return false;
    set_aside(*victim);
    forget_finished();
    return true;
}

std::vector<std::unique_ptr<Generation>> RunningSet::take_set_aside() {
    return std::exchange(set_aside_, {});
}

void RunningSet::cancel(GenerationId id) {
    for (auto& generation : running_) {
        if (generation->id() == id) end(generation, FinishReason::cancelled);
    }
    forget_finished();
}

void RunningSet::finish_all(FinishReason reason) {
    for (auto& generation : running_) end(generation, reason);
    running_.clear();
}

void RunningSet::end(std::unique_ptr<Generation>& generation, FinishReason reason) {
    if (chunk_.reads(*generation)) chunk_.drop();
    generation->finish(reason, parts_.clock.now());
    generation.reset();
}

void RunningSet::step() {
    end_overdue();
    StepPlan step = plan();
    prepare(step);
    report_.rows = 0;
    read_in_parts(step);
    compute_whole(step);
    told_ = parts_.clock.now();
    if (report_.rows > 0) ++report_.counters.steps;
    forget_finished();
}

void RunningSet::end_overdue() {
    const base::Instant now = parts_.clock.now();
    for (auto& generation : running_) {
        if (now >= generation->deadline()) end(generation, FinishReason::deadline);
    }
    forget_finished();
}

std::vector<SequenceWork> RunningSet::work() const {
    std::vector<SequenceWork> work;
    for (const auto& generation : running_) {
        work.push_back(generation->work());
        work.back().in_parts = chunk_.reads(*generation);
    }
    return work;
}

StepPlan RunningSet::plan() {
    StepPlan plan = plan_step(work(), budget_, cost_);
    for (const RowShare& share : plan.whole) {
        if (!running_[share.sequence]->streams()) pass_over_others(share.sequence, share.rows);
    }
    return plan;
}

/// Finds the step's pages and fills rows_. The most important take theirs first, so that who has to
/// go has not been prepared yet.
void RunningSet::prepare(StepPlan& plan) {
    std::vector<RowShare> by_importance = plan.whole;
    if (plan.in_parts && chunk_.owner() == 0) by_importance.push_back(*plan.in_parts);
    std::ranges::sort(by_importance, [&](const RowShare& a, const RowShare& b) {
        return running_[a.sequence]->goes_before(*running_[b.sequence]);
    });
    for (const RowShare& share : by_importance) {
        if (running_[share.sequence] != nullptr) find_pages(share.sequence, share.rows);
    }
    rows_.clear();
    const auto gone = [&](const RowShare& share) { return running_[share.sequence] == nullptr; };
    if (plan.in_parts && gone(*plan.in_parts)) plan.in_parts.reset();
    std::erase_if(plan.whole, gone);
    for (const RowShare& share : plan.whole) {
        const Generation& generation = *running_[share.sequence];
        for (std::uint32_t r = 0; r < share.rows; ++r) rows_.push_back(generation.row_at(r));
    }
}

/// Goes on with the half-done chunk, or a new one, until the streams' turn; what others did since
/// the streams last had a token counts. Rows of one step at most, so that cancelling takes effect.
void RunningSet::read_in_parts(const StepPlan& plan) {
    if (!plan.in_parts) return;
    const auto [index, rows] = *plan.in_parts;
    const bool streams = std::isfinite(plan.seconds_max);
    const base::Instant begin = parts_.clock.now();
    const base::Instant due =
        streams ? told_ + to_duration(plan.seconds_max) : base::Instant::never();
    if (!rows_.empty()) riders_.begin(rows_, shape_of(plan.whole), plan.whole_seconds);
    std::uint32_t read = 0;
    while (chunk_.owner() != 0 || begin_chunk(*running_[index], rows)) {
        report_.rows = static_cast<std::uint32_t>(rows_.size()) + chunk_.rows();
        if (!chunk_.advance(due, read == 0, riders_)) break;
        read += chunk_.rows();
        take_chunk(index);
        const bool more = running_[index] != nullptr && running_[index]->work().rows_left > rows;
        if (!streams || !more || read + rows > budget_.rows_max) break;
    }
    const double riding = riders_.waiting() ? riders_.seconds() : 0.;
    report_.counters.prefill_seconds += base::to_seconds(parts_.clock.now() - begin) - riding;
}

/// False: its pages are not at hand.
bool RunningSet::begin_chunk(Generation& generation, std::uint32_t rows) {
    if (!generation.prepare(rows)) return false;
    chunk_.begin(generation, rows, cost_);
    return true;
}

/// The chunk's rows are computed.
void RunningSet::take_chunk(std::size_t index) {
    cost_.observe(chunk_.shape(), chunk_.seconds());
    pass_over_others(index, chunk_.rows());
    if (running_[index]->computed() < running_[index]->prompt_tokens()) {
        report_.counters.prompt_tokens += chunk_.rows();
    }
    if (advance(index, chunk_.rows())) tell_next(index, chunk_.logits());
}

void RunningSet::compute_whole(const StepPlan& plan) {
    if (rows_.empty()) return;
    std::span<float> logits;
    if (riders_.waiting()) {
        logits = riders_.finish();
        count_whole(plan.whole, riders_.seconds());
        cost_.observe(riders_.shape(), riders_.seconds_alone());
    } else {
        const base::Instant begin = parts_.clock.now();
        logits = parts_.decoder.logits(parts_.threads, rows_);
        const double seconds = base::to_seconds(parts_.clock.now() - begin);
        count_whole(plan.whole, seconds);
        cost_.observe(shape_of(plan.whole), seconds);
    }
    const std::size_t vocab = parts_.decoder.config().vocab_size;
    std::size_t row = 0;
    for (const RowShare& share : plan.whole) {
        if (!advance(share.sequence, share.rows)) continue;
        tell_next(share.sequence, logits.subspan(row++ * vocab, vocab));
    }
}

/// Sets others aside until the sequence has pages for its rows, or it itself.
bool RunningSet::find_pages(std::size_t index, std::uint32_t rows) {
    Generation& generation = *running_[index];
    while (true) {
        base::Result<void> room = generation.prepare(rows);
        if (room) return true;
        if (const auto victim = least_important(index)) {
            set_aside(*victim);
            continue;
        }
        const bool alone = std::ranges::none_of(running_, [&](const auto& other) {
            return other != nullptr && other.get() != &generation;
        });
        if (alone && take_back_pages()) continue;
        if (alone && !pages_shared_) {
            generation.fail(std::move(room).error(), parts_.clock.now());
            running_[index].reset();
        } else {
            set_aside(index);
        }
        return false;
    }
}

bool RunningSet::take_back_pages() {
    bool freed = false;
    for (const auto& generation : set_aside_) freed |= generation->surrender_pages();
    if (surrender_) freed |= surrender_();
    return freed;
}

/// Of those less important than running_[than], the one to set aside.
std::optional<std::size_t> RunningSet::least_important(std::size_t than) const {
    std::vector<Candidate> candidates(running_.size());
    for (std::size_t i = 0; i < running_.size(); ++i) {
        if (running_[i] == nullptr || !running_[than]->goes_before(*running_[i])) continue;
        candidates[i] = {running_[i]->id(), running_[i]->priority(),
                         running_[i]->kv().pages_owned_alone()};
    }
    return choose_victim(candidates);
}

void RunningSet::set_aside(std::size_t index) {
    Generation& generation = *running_[index];
    if (chunk_.reads(generation)) chunk_.drop();
    generation.cache_pages();  // until somebody needs them, they can be taken up again
    if (!swap_out(generation)) generation.lose_pages();
    ++report_.counters.preempted;
    set_aside_.push_back(std::move(running_[index]));
}

bool RunningSet::swap_out(Generation& generation) {
    if (parts_.spill == nullptr) return false;
    const std::uint64_t bytes =
        std::uint64_t{generation.kv().pages_owned_alone()} * parts_.pages.geometry().page_bytes();
    const double recompute = cost_.prefill_seconds(generation.computed(), 0, budget_.rows_max);
    if (!swap_is_cheaper({bytes, swap_rate_.bytes_per_second(), recompute})) return false;
    const base::Instant begin = parts_.clock.now();
    if (!generation.swap_out(*parts_.spill)) return false;  // no room there: compute again
    swap_rate_.observe(bytes, base::to_seconds(parts_.clock.now() - begin));
    report_.counters.swapped_out_bytes += bytes;
    return true;
}

/// False when the pages did not come back: they are lost, or there is no room for them yet.
bool RunningSet::swap_in(Generation& generation) {
    const std::uint64_t bytes =
        std::uint64_t{generation.kv().pages_swapped()} * parts_.pages.geometry().page_bytes();
    const base::Instant begin = parts_.clock.now();
    if (const base::Result<void> done = generation.swap_in(*parts_.spill); !done) {
        if (done.error().code != base::Code::resource_exhausted || !others_hold_pages()) {
            generation.lose_pages();
        }
        return false;
    }
    swap_rate_.observe(bytes, base::to_seconds(parts_.clock.now() - begin));
    return true;
}

StepShape RunningSet::shape_of(std::span<const RowShare> shares) const {
    StepShape shape;
    for (const RowShare& share : shares) {
        shape += chunk_shape(share.rows, running_[share.sequence]->depth());
    }
    return shape;
}

/// Divides the time of rows_ between reading and decoding by their rows.
void RunningSet::count_whole(std::span<const RowShare> shares, double seconds) {
    std::uint32_t prompt_rows = 0;
    for (const RowShare& share : shares) {
        const Generation& generation = *running_[share.sequence];
        if (generation.computed() < generation.prompt_tokens()) prompt_rows += share.rows;
    }
    const auto rows = static_cast<std::uint32_t>(rows_.size());
    report_.rows = std::max(report_.rows, rows);
    const double prompt_part = static_cast<double>(prompt_rows) / rows;
    StepCounters& counters = report_.counters;
    counters.prompt_tokens += prompt_rows;
    counters.prefill_seconds += seconds * prompt_part;
    counters.decode_seconds += seconds * (1. - prompt_part);
}

/// Other prompts waited while this one got `rows`.
void RunningSet::pass_over_others(std::size_t index, std::uint32_t rows) {
    for (std::size_t i = 0; i < running_.size(); ++i) {
        if (i == index || running_[i] == nullptr || running_[i]->streams()) continue;
        running_[i]->pass_over(rows);
    }
}

/// Its next `rows` rows are computed. True: it waits for its next token.
bool RunningSet::advance(std::size_t index, std::uint32_t rows) {
    Generation& generation = *running_[index];
    const std::uint32_t page_tokens = parts_.pages.geometry().page_tokens;
    const std::uint32_t pages_before = generation.depth() / page_tokens;
    generation.advance(rows);
    // A prompt's pages are of use to others as soon as they are written.
    const bool filled = generation.depth() / page_tokens > pages_before;
    if (filled && rows > 1) generation.cache_pages();
    return generation.rows_left() == 0;
}

void RunningSet::tell_next(std::size_t index, std::span<float> logits) {
    tell(*running_[index], logits);
    if (running_[index]->ended()) running_[index].reset();
}

void RunningSet::tell(Generation& generation, std::span<float> logits) {
    const base::Instant now = parts_.clock.now(), told = generation.last_token();
    const std::uint32_t before = generation.completion_tokens();
    const std::uint32_t forced = generation.forced_tokens();
    generation.accept(logits, parts_.tokenizer, now);
    if (const std::uint32_t made = generation.completion_tokens() - before; made > 0) {
        report_.counters.completion_tokens += made;
        report_.counters.forced_tokens += generation.forced_tokens() - forced;
        report_.generated[generation.tenant()] += made;
        if (before > 0) report_.gaps.push_back(now - told);
    }
    if (generation.ended() && generation.answers()) {
        forecast_.observe(generation.completion_tokens());
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

std::uint32_t RunningSet::rows_between_steps(std::uint32_t depth) const {
    StepShape streams;
    for (const auto& generation : running_) {
        if (generation->streams()) streams += chunk_shape(1, generation->depth());
    }
    if (streams.rows == 0) return budget_.rows_max;
    const double alone = cost_.predict(streams);
    const double most = budget_.seconds_max > 0. ? budget_.seconds_max
                                                 : budget_.gap_ratio_max * cost_.usual(streams);
    // What is read in parts gets the other half.
    const double share = chunk_.owner() != 0 ? 0.5 : 1.;
    return std::max(1u, cost_.rows_within(share * (most - alone), {}, depth, budget_.rows_max));
}

}  // namespace engine
