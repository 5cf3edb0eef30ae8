#include "flow/worker/worker_tasks.h"

#include <algorithm>

#include "base/core/rng.h"
#include "flow/run/tenant_key.h"

namespace flow {

using base::Code;

namespace {

constexpr std::chrono::milliseconds kGrain{100};  // of leases and of patience
constexpr std::chrono::minutes kForgetAfter{10};  // a worker that says nothing
constexpr std::size_t kSeenMax = 10'000;

std::string kind_of(const TaskWish& wish) {
    std::string kind = wish.tenant;
    for (const auto& [queue, functions] : wish.queues) {
        kind += '\n' + queue;
        for (const std::string& function : functions) kind += '\t' + function;
    }
    return kind;
}

}  // namespace

WorkerTasks::WorkerTasks(const base::Clock& clock)
    : clock_(clock),
      board_(base::entropy64() >> 32),
      job_(
          [this]() -> base::Result<std::size_t> {
              look();
              return 0;
          },
          kGrain) {}

WorkerTasks::~WorkerTasks() {
    drain();
}

void WorkerTasks::run(Call call, StepRunner::Done done) {
    base::Result<void> added;
    {
        const std::lock_guard lock(mutex_);
        added = board_.add(std::move(call), done, clock_.now());
    }
    if (!added) {
        done(std::unexpected(std::move(added).error()));
        return;
    }
    job_.notify();
}

void WorkerTasks::cancel(RunId run, std::string_view path) {
    std::optional<TaskBoard::Cancelled> cancelled;
    Answers answers;
    {
        const std::lock_guard lock(mutex_);
        cancelled = board_.cancel(run, path);
        if (!cancelled) return;
        // Its worker is told at once when it waits here, else with its next request.
        const std::string worker = tenant_key(cancelled->tenant, cancelled->worker);
        if (!cancelled->id.empty()) untold_[worker].push_back(cancelled->id);
        for (auto at = waiting_.begin(); at != waiting_.end() && !cancelled->id.empty(); ++at) {
            const TaskWish& wish = at->second.wish;
            if (wish.worker != cancelled->worker || wish.tenant != cancelled->tenant) continue;
            WorkerAnswer answer;
            tell_cancelled(worker, answer);
            answers.emplace_back(std::move(at->second.answered), std::move(answer));
            waiting_.erase(at);
            break;
        }
    }
    cancelled->done(base::fail(Code::cancelled, "nobody waits for it"));
    for (auto& [answered, answer] : answers) answered(std::move(answer));
}

void WorkerTasks::tell_cancelled(const std::string& worker, WorkerAnswer& answer) {
    const auto found = untold_.find(worker);
    if (found == untold_.end()) return;
    for (std::string& task : found->second) {
        answer.stop.push_back(
            {std::move(task), {Code::cancelled, "the run was stopped, or waits no longer", {}}});
    }
    untold_.erase(found);
}

void WorkerTasks::saw(const WorkerMessage& message, std::uint64_t finished, std::uint64_t failed) {
    WorkerSeen& seen = seen_[tenant_key(message.wish.tenant, message.wish.worker)];
    seen.worker = message.wish.worker;
    if (message.wish.tasks_max > 0 && seen.queues != message.wish.queues) {
        seen.queues = message.wish.queues;
    }
    seen.seen = clock_.now();
    seen.finished += finished;
    seen.failed += failed;
    if (seen_.size() > kSeenMax) forget_silent();
}

void WorkerTasks::forget_silent() {
    std::erase_if(seen_,
                  [&](const auto& one) { return clock_.now() - one.second.seen > kForgetAfter; });
    std::erase_if(untold_, [&](const auto& one) { return !seen_.contains(one.first); });
}

std::uint64_t WorkerTasks::exchange(WorkerMessage message, Answered answered) {
    WorkerAnswer answer;
    std::vector<std::pair<StepRunner::Done, base::Result<StepOutput>>> ended;
    std::uint64_t number = 0, finished = 0, failed = 0;
    {
        const std::lock_guard lock(mutex_);
        const base::Instant now = clock_.now();
        for (TaskResult& result : message.results) {
            auto done = board_.finish(message.wish.tenant, result.task);
            if (done) {
                ++(result.result ? finished : failed);
                ended.emplace_back(*std::move(done), std::move(result.result));
            } else {
                answer.refused.push_back({result.task, std::move(done).error()});
            }
        }
        for (const std::string& task : message.running) {
            auto extended = board_.extend(message.wish.tenant, task, now);
            if (!extended) answer.stop.push_back({task, std::move(extended).error()});
        }
        tell_cancelled(tenant_key(message.wish.tenant, message.wish.worker), answer);
        answer.draining = draining_;
        if (message.wish.tasks_max > 0 && !draining_) {
            answer.tasks = board_.take(message.wish, now);
        }
        const bool waits = message.wish.tasks_max > 0 && !draining_ && answer.tasks.empty() &&
                           answer.refused.empty() && answer.stop.empty() &&
                           message.patience.count() > 0;
        saw(message, finished, failed);
        if (waits) {
            number = ++arrivals_;
            std::string kind = kind_of(message.wish);
            waiting_[number] = {std::move(message.wish), std::move(kind), now + message.patience,
                                std::move(answered)};
        }
    }
    for (auto& [done, result] : ended) done(std::move(result));
    if (number == 0) answered(std::move(answer));
    return number;
}

void WorkerTasks::leave(std::uint64_t waiting) {
    const std::lock_guard lock(mutex_);
    waiting_.erase(waiting);
}

void WorkerTasks::give_back(const std::vector<std::string>& tasks) {
    {
        const std::lock_guard lock(mutex_);
        for (const std::string& task : tasks) board_.give_back(task);
    }
    job_.notify();
}

/// To each who waits a fair share of what there is for them, in order of arrival.
void WorkerTasks::hand_out(Answers& answers) {
    const base::Instant now = clock_.now();
    std::unordered_map<std::string_view, std::size_t> rivals;
    for (const auto& [number, waiting] : waiting_) ++rivals[waiting.kind];
    std::vector<std::uint64_t> over;
    for (auto& [number, waiting] : waiting_) {
        const std::size_t left = rivals[waiting.kind]--;
        TaskWish& wish = waiting.wish;
        const std::size_t there = board_.pending(wish, left * wish.tasks_max);
        WorkerAnswer answer;
        if (there > 0) {
            wish.tasks_max = static_cast<std::uint32_t>((there + left - 1) / left);
            answer.tasks = board_.take(wish, now);
        } else if (waiting.until > now && !draining_) {
            continue;
        }
        answer.draining = draining_;
        answers.emplace_back(std::move(waiting.answered), std::move(answer));
        over.push_back(number);
    }
    for (const std::uint64_t number : over) waiting_.erase(number);
}

void WorkerTasks::look() {
    Answers answers;
    std::vector<TaskBoard::Exhausted> exhausted;
    {
        const std::lock_guard lock(mutex_);
        exhausted = board_.tick(clock_.now());
        hand_out(answers);
    }
    for (auto& one : exhausted) one.done(base::fail(Code::unavailable, "{}", one.message));
    for (auto& [answered, answer] : answers) answered(std::move(answer));
}

void WorkerTasks::drain() {
    Answers answers;
    {
        const std::lock_guard lock(mutex_);
        draining_ = true;
        for (auto& [number, waiting] : waiting_) {
            answers.emplace_back(std::move(waiting.answered), WorkerAnswer{.draining = true});
        }
        waiting_.clear();
    }
    for (auto& [answered, answer] : answers) answered(std::move(answer));
}

std::vector<TaskCounts> WorkerTasks::counts(std::string_view tenant) {
    const std::lock_guard lock(mutex_);
    return board_.counts(tenant);
}

std::vector<WorkerSeen> WorkerTasks::workers(std::string_view tenant) {
    const std::lock_guard lock(mutex_);
    forget_silent();
    std::vector<WorkerSeen> out;
    for (const auto& [key, seen] : seen_) {
        if (!key.starts_with(tenant_key(tenant, ""))) continue;
        out.push_back(seen);
        out.back().waiting = std::ranges::any_of(waiting_, [&](const auto& one) {
            return one.second.wish.tenant == tenant && one.second.wish.worker == seen.worker;
        });
    }
    return out;
}

}  // namespace flow
