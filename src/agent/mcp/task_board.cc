#include "agent/mcp/task_board.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <utility>

#include "base/files/aead.h"
#include "base/files/sha256.h"

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;

constexpr std::size_t kWaitingMax = 1'000;
constexpr const char* kStatusNames[] = {"working", "input_required", "completed", "failed",
                                        "cancelled"};

std::string utc_text(std::int64_t unix_ms) {
    const std::time_t seconds = unix_ms / 1'000;
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), unix_ms % 1'000);
}

std::string new_id() {
    return "task-" + base::sha256_hex(base::SecretKey::random().bytes()).substr(0, 32);
}

/// "3.name": the third round's question `name`.
std::string_view name_in(std::string_view key) {
    return key.substr(key.find('.') + 1);
}

}  // namespace

json::object tasks_capability() {
    return {{"extensions", json::object{{kTasksExtension, json::object()}}}};
}

bool knows_tasks(const json::object& capabilities) {
    const json::value* extensions = capabilities.if_contains("extensions");
    return extensions != nullptr && extensions->is_object() &&
           extensions->get_object().contains(kTasksExtension);
}

bool is_task_method(std::string_view method) {
    return method == "tasks/get" || method == "tasks/update" || method == "tasks/cancel";
}

TaskBoard::TaskBoard(const base::Clock& clock, Limits limits)
    : clock_(clock), limits_(limits), workers_(limits.threads, kWaitingMax) {}

std::optional<json::object> TaskBoard::begin(std::shared_ptr<Call> call, Again again) {
    const std::int64_t now_ms = clock_.unix_ns() / 1'000'000;
    const std::lock_guard lock(mutex_);
    forget_old();
    if (tasks_.size() >= limits_.tasks_max) return std::nullopt;
    std::string id = new_id();
    Task& task = tasks_[id];
    task.id = std::move(id);
    task.tenant = call->caller().tenant;
    task.call = std::move(call);
    task.again = std::move(again);
    task.created_ms = task.updated_ms = now_ms;
    return handle(task);
}

void TaskBoard::completed(const std::string& id, json::object result) {
    settle(id, Status::completed, std::move(result));
}

void TaskBoard::failed(const std::string& id, const RpcError& error) {
    json::object told{{"code", error.code}, {"message", error.message}};
    if (!error.data.is_null()) told["data"] = error.data;
    settle(id, Status::failed, std::move(told));
}

void TaskBoard::settle(const std::string& id, Status status, json::object outcome) {
    Round round;
    std::shared_ptr<Call> call;  // its end, and the end of its client's connection, under no lock
    {
        const std::lock_guard lock(mutex_);
        const auto found = tasks_.find(id);
        if (found == tasks_.end() || found->second.over()) return;
        Task& task = found->second;
        task.status = task.call->cancelled() ? Status::cancelled : status;
        if (task.status == status) task.outcome = std::move(outcome);
        task.updated_ms = clock_.unix_ns() / 1'000'000;
        task.asked.clear();
        task.again = nullptr;
        call = std::move(task.call);
        ended_.emplace(task.updated_ms, id);
        round.told = whole(task);
    }
    go(id, round);
}

void TaskBoard::needs(const std::string& id, Needed needed) {
    Round round;
    bool cancelled = false;
    {
        const std::lock_guard lock(mutex_);
        const auto found = tasks_.find(id);
        if (found == tasks_.end() || found->second.over()) return;
        Task& task = found->second;
        ++task.rounds;
        task.state = std::move(needed.state);
        task.answers.clear();
        for (auto& [name, input] : needed.inputs) {
            task.asked[fmt::format("{}.{}", task.rounds, std::string_view(name))] =
                std::move(input);
        }
        cancelled = task.call->cancelled();
        if (task.asked.empty()) {  // it only wants to be called again
            round = next_round(task);
        } else {
            task.status = Status::input_required;
            task.updated_ms = clock_.unix_ns() / 1'000'000;
            round.told = whole(task);
        }
    }
    if (cancelled) return settle(id, Status::cancelled, {});
    go(id, round);
}

/// All it asked is answered. Under mutex_.
TaskBoard::Round TaskBoard::next_round(Task& task) {
    task.status = Status::working;
    task.updated_ms = clock_.unix_ns() / 1'000'000;
    task.call->answered(std::move(task.answers), std::move(task.state));
    return {.told = whole(task),
            .again = [id = task.id, call = task.call, again = task.again] { again(id, *call); }};
}

void TaskBoard::go(const std::string& id, const Round& round) {
    OnChange listener;
    {
        const std::lock_guard lock(mutex_);
        listener = listener_;
    }
    if (listener) listener(id, round.told);
    if (round.again && !workers_.post(round.again)) {
        failed(id, {kInternalError, "too many calls wait; try again", nullptr});
    }
}

Result<json::object> TaskBoard::get(const std::string& tenant, const std::string& id) {
    const std::lock_guard lock(mutex_);
    forget_old();
    const Task* task = own(tenant, id);
    if (task == nullptr) {
        return base::fail(Code::not_found, "there is no task '{}', or it ended long ago",
                          id.substr(0, 64));
    }
    return whole(*task);
}

Result<void> TaskBoard::update(const std::string& tenant, const std::string& id,
                               const json::object& answers) {
    Round round;
    {
        const std::lock_guard lock(mutex_);
        Task* task = own(tenant, id);
        if (task == nullptr) {
            return base::fail(Code::not_found, "there is no task '{}'", id.substr(0, 64));
        }
        if (task->status != Status::input_required) return {};
        for (const auto& [key, answer] : answers) {
            if (!task->asked.contains(key)) continue;
            task->answers[name_in(key)] = answer;
            task->asked.erase(key);
        }
        if (!task->asked.empty()) return {};
        round = next_round(*task);
    }
    go(id, round);
    return {};
}

Result<void> TaskBoard::cancel(const std::string& tenant, const std::string& id) {
    bool idle = false;
    {
        const std::lock_guard lock(mutex_);
        const Task* task = own(tenant, id);
        if (task == nullptr) {
            return base::fail(Code::not_found, "there is no task '{}'", id.substr(0, 64));
        }
        if (task->over()) return {};
        task->call->cancel();
        idle = task->status == Status::input_required;
    }
    if (idle) settle(id, Status::cancelled, {});
    return {};
}

void TaskBoard::on_change(OnChange listener) {
    const std::lock_guard lock(mutex_);
    listener_ = std::move(listener);
}

void TaskBoard::stop() {
    {
        const std::lock_guard lock(mutex_);
        listener_ = nullptr;
        for (const auto& [id, task] : tasks_) {
            if (task.call) task.call->cancel();
        }
    }
    workers_.stop();
}

TaskBoard::Task* TaskBoard::own(const std::string& tenant, const std::string& id) {
    const auto found = tasks_.find(id);
    return found != tasks_.end() && found->second.tenant == tenant ? &found->second : nullptr;
}

void TaskBoard::forget_old() {
    const std::int64_t before_ms = clock_.unix_ns() / 1'000'000 - limits_.keep.count();
    while (!ended_.empty() && ended_.begin()->first < before_ms) {
        tasks_.erase(ended_.begin()->second);
        ended_.erase(ended_.begin());
    }
}

json::object TaskBoard::handle(const Task& task) const {
    // It is there for as long as it works; the time it is kept begins with its end.
    const std::int64_t lived_ms = task.updated_ms - task.created_ms;
    return {{"taskId", task.id},
            {"status", kStatusNames[static_cast<std::size_t>(task.status)]},
            {"createdAt", utc_text(task.created_ms)},
            {"lastUpdatedAt", utc_text(task.updated_ms)},
            {"ttlMs", task.over() ? json::value(lived_ms + limits_.keep.count()) : nullptr},
            {"pollIntervalMs", limits_.poll.count()}};
}

json::object TaskBoard::whole(const Task& task) const {
    json::object out = handle(task);
    switch (task.status) {
        case Status::working:
        case Status::cancelled:
            break;
        case Status::input_required:
            out["inputRequests"] = task.asked;
            break;
        case Status::completed:
            out["result"] = task.outcome;
            break;
        case Status::failed:
            out["error"] = task.outcome;
            out["statusMessage"] = task.outcome.at("message");
            break;
    }
    return out;
}

}  // namespace agent::mcp
