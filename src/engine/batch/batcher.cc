#include "engine/batch/batcher.h"

#include <algorithm>
#include <future>
#include <optional>
#include <utility>

namespace engine {

struct Batcher::Call {
    std::function<Progress(RunningSet*)> work;
    bool finished = false;
    bool ran = false;
};

/// Waits for the end of a request that says nothing before.
class Batcher::End final : public GenerationSink {
public:
    void on_token(const TokenEvent&) override {}
    void on_finish(const Completion& completion) override { completion_.set_value(completion); }
    Completion wait() { return completion_.get_future().get(); }

private:
    std::promise<Completion> completion_;
};

Batcher::Batcher(std::unique_ptr<RunningSet> running, BatcherLimits limits,
                 const base::Clock& clock)
    : limits_(limits), clock_(clock), running_(std::move(running)), thread_([this] { run(); }) {}

Batcher::~Batcher() {
    stop();
}

base::Result<GenerationId> Batcher::submit(GenerateRequest request,
                                           std::shared_ptr<GenerationSink> sink,
                                           std::unique_ptr<constrain::Guide> guide) {
    const auto prompt_tokens = static_cast<std::uint32_t>(request.prompt.size());
    ContextShift shift;
    if (request.context_overflow == ContextOverflow::shift) {
        shift = DG_TRY(
            plan_shift(limits_.context_tokens, request.context_keep_tokens, limits_.page_tokens));
    }
    const std::uint32_t room =
        shift.on() ? limits_.context_tokens : limits_.context_tokens - prompt_tokens;
    const std::uint32_t tokens_max = request.max_tokens == 0 ? room
                                     : shift.on()            ? request.max_tokens
                                                             : std::min(request.max_tokens, room);
    auto generation =
        std::make_unique<Generation>(std::move(request), std::move(sink), tokens_max, clock_.now());
    generation->follow(std::move(guide));
    generation->shift_by(shift);
    return enqueue(std::move(generation));
}

base::Result<GenerationId> Batcher::enqueue(std::unique_ptr<Generation> generation) {
    const std::lock_guard lock(mutex_);
    if (stopping_) return base::fail(base::Code::cancelled, "the engine is stopping");
    if (queue_.size() >= limits_.queue_depth_max) {
        return base::fail(base::Code::resource_exhausted,
                          "{} requests are waiting, which is the limit; retry later",
                          queue_.size());
    }
    generation->name(++last_id_);
    put_waiting(std::move(generation));
    ++stats_.requests_total;
    stats_.queued = static_cast<std::uint32_t>(queue_.size());
    changed_.notify_all();
    return last_id_;
}

base::Result<KeptPrefix> Batcher::keep(GenerateRequest request, base::Duration time_to_live) {
    const auto order = std::make_shared<KeepOrder>();
    order->time_to_live = time_to_live;
    const auto end = std::make_shared<End>();
    auto generation = std::make_unique<Generation>(std::move(request), end, 1, clock_.now());
    generation->keep_prompt(order);
    DG_TRY(enqueue(std::move(generation)));
    const Completion completion = end->wait();
    if (completion.error) return std::unexpected(*completion.error);
    return std::move(order->kept);
}

void Batcher::cancel(GenerationId id) {
    const std::lock_guard lock(mutex_);
    if (id == 0 || id > last_id_) return;
    cancelled_.push_back(id);
    changed_.notify_all();
}

base::Result<void> Batcher::call(std::function<Progress(RunningSet*)> work) {
    auto call = std::make_shared<Call>();
    call->work = std::move(work);
    std::unique_lock lock(mutex_);
    if (stopping_) return base::fail(base::Code::cancelled, "the engine is stopping");
    if (calls_.size() >= limits_.queue_depth_max) {
        return base::fail(base::Code::resource_exhausted,
                          "{} requests are waiting, which is the limit; retry later",
                          calls_.size());
    }
    calls_.push_back(call);
    changed_.notify_all();
    changed_.wait(lock, [&] { return call->finished; });
    if (!call->ran) return base::fail(base::Code::cancelled, "the engine is stopping");
    return {};
}

void Batcher::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    const std::lock_guard lock(join_mutex_);
    if (thread_.joinable()) thread_.join();
}

BatcherStats Batcher::stats() const {
    const std::lock_guard lock(mutex_);
    BatcherStats stats = stats_;
    stats.gaps = gaps_.read(clock_.now());
    return stats;
}

void Batcher::run() {
    if (running_ != nullptr) running_->on_famine([this] { return surrender_waiting(); });
    while (take_orders()) {
        // A call that holds pages ends by itself; who has no room beside it waits for that.
        const Progress call = run_call();
        if (running_ != nullptr) running_->share_pages(call == Progress::more);
        if (call != Progress::wants_pages) admit();
        if (running_ != nullptr && !running_->empty()) running_->step();
        requeue_set_aside();
        publish();
    }
    if (running_ != nullptr) running_->finish_all(FinishReason::cancelled);
    end_queued();
    publish();
}

/// Waits until there is something to do and ends what is cancelled or overdue. Returns false when
/// the engine stops.
bool Batcher::take_orders() {
    std::vector<GenerationId> cancelled, overdue;
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] {
            return stopping_ || !queue_.empty() || !cancelled_.empty() || !calls_.empty() ||
                   (running_ != nullptr && !running_->empty());
        });
        if (stopping_) return false;
        cancelled = std::exchange(cancelled_, {});
        overdue = queue_.overdue(clock_.now());
    }
    end_waiting(overdue, FinishReason::deadline);
    end_waiting(cancelled, FinishReason::cancelled);
    if (running_ != nullptr) {
        for (const GenerationId id : cancelled) running_->cancel(id);
    }
    return true;
}

/// One part of the call that waits longest.
Batcher::Progress Batcher::run_call() {
    std::shared_ptr<Call> call;
    {
        const std::lock_guard lock(mutex_);
        if (calls_.empty()) return Progress::done;
        call = calls_.front();
    }
    const Progress progress = call->work(running_.get());
    if (progress != Progress::done) return progress;
    call->work = nullptr;
    const std::lock_guard lock(mutex_);
    calls_.pop_front();
    call->finished = call->ran = true;
    changed_.notify_all();
    return Progress::done;
}

void Batcher::end_waiting(const std::vector<GenerationId>& ids, FinishReason reason) {
    for (const GenerationId id : ids) {
        const std::unique_ptr<Generation> generation = take_waiting(id);
        if (generation != nullptr) generation->finish(reason, clock_.now());
    }
}

/// In the queue's order. Who waits for a prefix that is being computed is passed; who waits for
/// room is not, or small requests would keep a large one out for ever.
void Batcher::admit() {
    if (running_ == nullptr) return;
    std::set<GenerationId> passed;
    while (Generation* const next = next_waiting(passed)) {
        if (!admit_next(*next, passed)) return;
    }
}

/// False when nobody can be admitted now.
bool Batcher::admit_next(Generation& next, std::set<GenerationId>& passed) {
    const bool full = running_->size() >= limits_.running_max;
    const Verdict verdict = full ? Verdict::no_pages : running_->consider(next);
    if (verdict == Verdict::no_pages) {
        const bool way = running_->make_way(next.priority());
        requeue_set_aside();
        return way;
    }
    if (verdict == Verdict::prefix_is_coming) {
        passed.insert(next.id());
        return true;
    }
    std::unique_ptr<Generation> generation = take_waiting(next.id());
    if (verdict == Verdict::too_late) {
        generation->finish(FinishReason::deadline, clock_.now());
        return true;
    }
    const std::string tenant = generation->tenant();
    const std::optional<std::uint64_t> tokens = running_->admit(generation);
    const std::lock_guard lock(mutex_);
    if (tokens) {
        queue_.charge(tenant, *tokens);
    } else {
        put_waiting(std::move(generation));
    }
    return tokens.has_value();
}

void Batcher::requeue_set_aside() {
    if (running_ == nullptr) return;
    std::vector<std::unique_ptr<Generation>> set_aside = running_->take_set_aside();
    const std::lock_guard lock(mutex_);
    for (auto& generation : set_aside) put_waiting(std::move(generation));
}

/// Who waits swapped out still holds pages that it shared; whoever runs alone goes before it.
bool Batcher::surrender_waiting() {
    std::vector<Generation*> waiting;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, generation] : waiting_) waiting.push_back(generation.get());
    }
    bool freed = false;
    for (Generation* const generation : waiting) freed |= generation->surrender_pages();
    return freed;
}

Generation* Batcher::next_waiting(const std::set<GenerationId>& passed) {
    const std::lock_guard lock(mutex_);
    const std::optional<GenerationId> id = queue_.next(passed);
    return id ? waiting_.at(*id).get() : nullptr;
}

/// Null when it does not wait.
std::unique_ptr<Generation> Batcher::take_waiting(GenerationId id) {
    const std::lock_guard lock(mutex_);
    if (!queue_.remove(id)) return nullptr;
    return std::move(waiting_.extract(id).mapped());
}

/// Pre: mutex_ is held.
void Batcher::put_waiting(std::unique_ptr<Generation> generation) {
    queue_.push(
        {generation->id(), generation->tenant(), generation->priority(), generation->deadline()});
    const GenerationId id = generation->id();
    waiting_.emplace(id, std::move(generation));
}

void Batcher::end_queued() {
    std::map<GenerationId, std::unique_ptr<Generation>> waiting;
    std::deque<std::shared_ptr<Call>> calls;
    {
        const std::lock_guard lock(mutex_);
        waiting = std::exchange(waiting_, {});
        queue_ = WaitQueue();
        calls = std::exchange(calls_, {});
    }
    for (const auto& call : calls) call->work = nullptr;
    for (const auto& [id, generation] : waiting) {
        generation->finish(FinishReason::cancelled, clock_.now());
    }
    const std::lock_guard lock(mutex_);
    for (const auto& call : calls) call->finished = true;
    changed_.notify_all();
}

void Batcher::publish() {
    StepReport done = running_ != nullptr ? running_->take_report() : StepReport{};
    const base::Instant now = clock_.now();
    const std::lock_guard lock(mutex_);
    stats_.queued = static_cast<std::uint32_t>(queue_.size());
    stats_.running = running_ != nullptr ? static_cast<std::uint32_t>(running_->size()) : 0;
    stats_.rows_last = done.rows;
    stats_.totals += done.counters;
    for (const auto& [tenant, tokens] : done.generated) queue_.charge(tenant, tokens);
    for (const base::Duration gap : done.gaps) gaps_.add(now, gap);
}

}  // namespace engine
