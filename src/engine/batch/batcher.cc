#include "engine/batch/batcher.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace engine {

struct Batcher::Call {
    std::function<void()> work;
    bool finished = false;
    bool ran = false;
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
    const std::uint32_t room = limits_.context_tokens - prompt_tokens;
    const std::uint32_t tokens_max =
        request.max_tokens == 0 ? room : std::min(request.max_tokens, room);
    const base::Instant now = clock_.now();

    const std::lock_guard lock(mutex_);
    if (stopping_) return base::fail(base::Code::cancelled, "the engine is stopping");
    if (queue_.size() >= limits_.queue_depth_max) {
        return base::fail(base::Code::resource_exhausted,
                          "{} requests are waiting, which is the limit; retry later",
                          queue_.size());
    }
    const GenerationId id = ++last_id_;
    queue_.push_back(
        std::make_unique<Generation>(id, std::move(request), std::move(sink), tokens_max, now));
    queue_.back()->follow(std::move(guide));
    ++stats_.requests_total;
    stats_.queued = static_cast<std::uint32_t>(queue_.size());
    changed_.notify_all();
    return id;
}

void Batcher::cancel(GenerationId id) {
    const std::lock_guard lock(mutex_);
    if (id == 0 || id > last_id_) return;
    cancelled_.push_back(id);
    changed_.notify_all();
}

base::Result<void> Batcher::call(const std::function<void()>& work) {
    auto call = std::make_shared<Call>();
    call->work = work;
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
    return stats_;
}

void Batcher::run() {
    while (take_orders()) {
        admit();
        if (running_ != nullptr && !running_->empty()) running_->step();
        publish();
    }
    if (running_ != nullptr) running_->finish_all(FinishReason::cancelled);
    end_queued();
    publish();
}

/// Waits until there is something to do, cancels what was asked for and runs one pending call.
/// Returns false when the engine stops.
bool Batcher::take_orders() {
    std::vector<GenerationId> cancelled;
    std::vector<std::unique_ptr<Generation>> never_started;
    std::shared_ptr<Call> call;
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] {
            return stopping_ || !queue_.empty() || !cancelled_.empty() || !calls_.empty() ||
                   (running_ != nullptr && !running_->empty());
        });
        if (stopping_) return false;
        cancelled = std::exchange(cancelled_, {});
        const base::Instant now = clock_.now();
        std::erase_if(queue_, [&](auto& generation) {
            const bool gone = now >= generation->deadline() ||
                              std::ranges::find(cancelled, generation->id()) != cancelled.end();
            if (gone) never_started.push_back(std::move(generation));
            return gone;
        });
        if (!calls_.empty()) {
            call = std::move(calls_.front());
            calls_.pop_front();
        }
    }
    const base::Instant now = clock_.now();
    for (const auto& generation : never_started) {
        generation->finish(
            now >= generation->deadline() ? FinishReason::deadline : FinishReason::cancelled, now);
    }
    if (running_ != nullptr) {
        for (const GenerationId id : cancelled) running_->cancel(id);
    }
    if (call != nullptr) {
        call->work();
        const std::lock_guard lock(mutex_);
        call->finished = call->ran = true;
        changed_.notify_all();
    }
    return true;
}

/// First come, first served: the head of the queue waits for pages, nobody overtakes it.
void Batcher::admit() {
    while (running_ != nullptr && running_->size() < limits_.running_max) {
        std::unique_ptr<Generation> head;
        {
            const std::lock_guard lock(mutex_);
            if (queue_.empty()) return;
            head = std::move(queue_.front());
            queue_.pop_front();
        }
        if (running_->try_admit(head)) continue;
        const std::lock_guard lock(mutex_);
        queue_.push_front(std::move(head));
        return;
    }
}

void Batcher::end_queued() {
    std::deque<std::unique_ptr<Generation>> queue;
    {
        const std::lock_guard lock(mutex_);
        queue = std::exchange(queue_, {});
        for (const auto& call : calls_) call->finished = true;
        calls_.clear();
        changed_.notify_all();
    }
    for (const auto& generation : queue) {
        generation->finish(FinishReason::cancelled, clock_.now());
    }
}

void Batcher::publish() {
    const StepCounters done = running_ != nullptr ? running_->take_counters() : StepCounters{};
    const std::lock_guard lock(mutex_);
    stats_.queued = static_cast<std::uint32_t>(queue_.size());
    stats_.running = running_ != nullptr ? static_cast<std::uint32_t>(running_->size()) : 0;
    stats_.totals.steps += done.steps;
    stats_.totals.prompt_tokens += done.prompt_tokens;
    stats_.totals.completion_tokens += done.completion_tokens;
    stats_.totals.forced_tokens += done.forced_tokens;
    stats_.totals.prefill_seconds += done.prefill_seconds;
    stats_.totals.decode_seconds += done.decode_seconds;
}

}  // namespace engine
