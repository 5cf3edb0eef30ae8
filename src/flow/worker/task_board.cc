#include "flow/worker/task_board.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace flow {

using base::Code;
using base::fail;
using base::Instant;
using base::Result;

namespace {

std::string call_key(RunId run, std::string_view path) {
    std::string key(reinterpret_cast<const char*>(&run), sizeof run);
    key += path;
    return key;
}

/// A number off the front of `text`, with the character after it.
template <class T>
bool read_number(std::string_view& text, T& out, int base, char after) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (after == '\0') return text.empty();
    if (text.empty() || text[0] != after) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

TaskBoard::TaskBoard(std::uint64_t boot, Limits limits) : boot_(boot), limits_(limits) {}

std::string TaskBoard::id_of(std::uint64_t number, std::uint32_t giving) const {
    return fmt::format("task_{:x}_{}_{}", boot_, number, giving);
}

Result<void> TaskBoard::add(Call call, Done done, Instant now) {
    if (tasks_.size() >= limits_.tasks_max) {
        return fail(Code::resource_exhausted, "{} tasks wait for workers, which is the most",
                    tasks_.size());
    }
    const auto& action = std::get<WorkerAction>(call.step->action);
    const std::uint64_t number = ++last_;
    by_call_[call_key(call.run, call.path)] = number;
    Task& task = tasks_[number];
    task.key = {call.tenant, action.queue, action.function};
    task.urgency = -std::int64_t{call.definition ? call.definition->priority : 0};
    task.call = std::make_shared<const Call>(std::move(call));
    task.done = std::move(done);
    task.since = now;
    set_pending(number, task);
    return {};
}

void TaskBoard::set_pending(std::uint64_t number, Task& task) {
    task.given = false;
    task.worker.clear();
    pending_[task.key].emplace(task.urgency, number);
}

void TaskBoard::remove(std::uint64_t number) {
    const auto found = tasks_.find(number);
    const Task& task = found->second;
    if (task.given) {
        leases_.erase({task.lease_until, number});
    } else if (const auto list = pending_.find(task.key); list != pending_.end()) {
        list->second.erase({task.urgency, number});
        if (list->second.empty()) pending_.erase(list);
    }
    const auto call = by_call_.find(call_key(task.call->run, task.call->path));
    if (call != by_call_.end() && call->second == number) by_call_.erase(call);
    tasks_.erase(found);
}

void TaskBoard::remember(std::uint64_t number, std::uint32_t giving, Fate fate) {
    fates_order_.push_back(id_of(number, giving));
    fates_[fates_order_.back()] = fate;
    if (fates_order_.size() <= limits_.remembered) return;
    fates_.erase(fates_order_.front());
    fates_order_.pop_front();
}

std::optional<TaskBoard::Cancelled> TaskBoard::cancel(RunId run, std::string_view path) {
    const auto call = by_call_.find(call_key(run, path));
    if (call == by_call_.end()) return std::nullopt;
    const std::uint64_t number = call->second;
    Task& task = tasks_.at(number);
    Cancelled out{std::move(task.done), task.key.tenant, task.worker, {}};
    if (task.given) {
        out.id = id_of(number, task.giving);
        remember(number, task.giving, Fate::cancelled);
    }
    remove(number);
    return out;
}

/// Every list of pending tasks that the wish names.
template <class Each>
void TaskBoard::each_list(const TaskWish& wish, const Each& each) const {
    for (const auto& [queue, functions] : wish.queues) {
        for (const std::string& function : functions) {
            const auto list = pending_.find(Key{wish.tenant, queue, function});
            if (list != pending_.end()) each(list);
        }
        if (!functions.empty()) continue;
        auto list = pending_.lower_bound(Key{wish.tenant, queue, ""});
        while (list != pending_.end() && list->first.tenant == wish.tenant &&
               list->first.queue == queue) {
            each(list++);
        }
    }
}

std::size_t TaskBoard::pending(const TaskWish& wish, std::size_t enough) const {
    std::size_t count = 0;
    each_list(wish, [&](auto list) { count += list->second.size(); });
    return std::min(count, enough);
}

std::vector<GivenTask> TaskBoard::take(const TaskWish& wish, Instant now) {
    std::vector<Order> found;
    each_list(wish, [&](auto list) {
        std::size_t few = 0;
        for (auto at = list->second.begin(); at != list->second.end() && few < wish.tasks_max;
             ++at, ++few) {
            found.push_back(*at);
        }
    });
    std::ranges::sort(found);
    if (found.size() > wish.tasks_max) found.resize(wish.tasks_max);
    std::vector<GivenTask> out;
    out.reserve(found.size());
    for (const auto& order : found) {
        const std::uint64_t number = order.second;
        Task& task = tasks_.at(number);
        const auto list = pending_.find(task.key);
        list->second.erase(order);
        if (list->second.empty()) pending_.erase(list);
        task.given = true;
        task.worker = wish.worker;
        task.lease = wish.lease;
        task.lease_until = now + wish.lease;
        leases_.emplace(task.lease_until, number);
        ++task.giving;
        out.push_back({id_of(number, task.giving), task.call, task.lost + 1, task.lease});
    }
    return out;
}

Result<std::uint64_t> TaskBoard::number_of(std::string_view tenant, std::string_view id) const {
    std::uint64_t boot = 0, number = 0;
    std::uint32_t giving = 0;
    std::string_view rest = id;
    if (!rest.starts_with("task_")) {
        return base::fail_on("task", Code::invalid_argument, "'{}' is no task's id", id);
    }
    rest.remove_prefix(5);
    if (!read_number(rest, boot, 16, '_') || !read_number(rest, number, 10, '_') ||
        !read_number(rest, giving, 10, '\0')) {
        return base::fail_on("task", Code::invalid_argument, "'{}' is no task's id", id);
    }
    if (boot != boot_) {
        return base::fail_on("task", Code::not_found,
                             "{} was given by a server that has ended since: whoever waits for it "
                             "gives it out again, with the same idempotency key",
                             id);
    }
    const auto task = tasks_.find(number);
    if (task != tasks_.end() && task->second.key.tenant == tenant && task->second.given &&
        task->second.giving == giving) {
        return number;
    }
    if (const auto fate = fates_.find(std::string(id)); fate != fates_.end()) {
        switch (fate->second) {
            case Fate::cancelled:
                return base::fail_on("task", Code::cancelled,
                                     "{} was cancelled: nobody waits for its result", id);
            case Fate::finished:
                return base::fail_on("task", Code::already_exists, "{} has its result already", id);
            case Fate::lost:
                return base::fail_on("task", Code::failed_precondition,
                                     "the lease of {} ran out: the task is given to another worker "
                                     "with the same idempotency key; send heartbeats, or ask for a "
                                     "longer lease_ms",
                                     id);
        }
    }
    return base::fail_on("task", Code::not_found, "{} is not given to anybody", id);
}

Result<void> TaskBoard::extend(std::string_view tenant, std::string_view id, Instant now) {
    const std::uint64_t number = DG_TRY(number_of(tenant, id));
    Task& task = tasks_.at(number);
    leases_.erase({task.lease_until, number});
    task.lease_until = now + task.lease;
    leases_.emplace(task.lease_until, number);
    return {};
}

Result<TaskBoard::Done> TaskBoard::finish(std::string_view tenant, std::string_view id) {
    const std::uint64_t number = DG_TRY(number_of(tenant, id));
    Task& task = tasks_.at(number);
    Done done = std::move(task.done);
    remember(number, task.giving, Fate::finished);
    remove(number);
    return done;
}

void TaskBoard::give_back(std::string_view id) {
    std::uint64_t boot = 0, number = 0;
    std::uint32_t giving = 0;
    id.remove_prefix(std::min<std::size_t>(5, id.size()));
    if (!read_number(id, boot, 16, '_') || !read_number(id, number, 10, '_') ||
        !read_number(id, giving, 10, '\0')) {
        return;
    }
    const auto found = tasks_.find(number);
    if (found == tasks_.end() || !found->second.given || found->second.giving != giving) return;
    leases_.erase({found->second.lease_until, number});
    remember(number, giving, Fate::lost);
    set_pending(number, found->second);
}

std::vector<TaskBoard::Exhausted> TaskBoard::tick(Instant now) {
    std::vector<Exhausted> out;
    while (!leases_.empty() && leases_.begin()->first <= now) {
        const std::uint64_t number = leases_.begin()->second;
        leases_.erase(leases_.begin());
        Task& task = tasks_.at(number);
        remember(number, task.giving, Fate::lost);
        if (++task.lost >= limits_.givings_max) {
            out.push_back({std::move(task.done),
                           fmt::format("{} workers lost '{}' of queue '{}': the last was '{}'",
                                       task.lost, task.key.function, task.key.queue, task.worker)});
            task.given = false;
            remove(number);
            continue;
        }
        set_pending(number, task);
    }
    return out;
}

Instant TaskBoard::next_due() const {
    return leases_.empty() ? Instant::never() : leases_.begin()->first;
}

std::vector<TaskCounts> TaskBoard::counts(std::string_view tenant) const {
    std::map<std::pair<std::string, std::string>, TaskCounts> by_name;
    for (const auto& [number, task] : tasks_) {
        if (task.key.tenant != tenant) continue;
        TaskCounts& counts = by_name[{task.key.queue, task.key.function}];
        counts.queue = task.key.queue;
        counts.function = task.key.function;
        ++(task.given ? counts.given : counts.pending);
        if (!task.given) counts.oldest = std::min(counts.oldest, task.since);
    }
    std::vector<TaskCounts> out;
    for (auto& [name, counts] : by_name) out.push_back(std::move(counts));
    return out;
}

}  // namespace flow
