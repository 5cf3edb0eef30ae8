#pragma once
// Calls that go on after they were answered with a handle (extension
// io.modelcontextprotocol/tasks): what they are at, what they need of their client, how they ended.
// In memory: with the process go the calls, too.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "agent/mcp/call.h"
#include "agent/mcp/json_rpc.h"
#include "base/core/clock.h"
#include "base/exec/worker.h"

namespace agent::mcp {

inline constexpr std::string_view kTasksExtension = "io.modelcontextprotocol/tasks";
/// {"extensions": {...}}, as capabilities have it.
json::object tasks_capability();
bool knows_tasks(const json::object& capabilities);
/// tasks/get, tasks/update, tasks/cancel.
bool is_task_method(std::string_view method);

struct TaskLimits {
    std::size_t tasks_max = 10'000;  ///< those that ended a while ago included
    std::chrono::milliseconds keep = std::chrono::hours(1);  ///< after the end
    std::chrono::milliseconds poll{500};                     ///< what clients are advised
    std::size_t threads = 16;                                ///< for rounds after the first
};

/// Thread-safe.
class TaskBoard {
public:
    using Limits = TaskLimits;
    /// `id`, and the whole of it as tasks/get tells.
    using OnChange = std::function<void(const std::string& id, const json::object& task)>;

    explicit TaskBoard(const base::Clock& clock, Limits limits = {});
    ~TaskBoard() { stop(); }

    /// Makes a call once more, after its client answered, and tells how that round ended.
    using Again = std::function<void(const std::string& id, Call& call)>;
    /// A call goes on as a task of its caller's tenant: the task, without what it comes to.
    /// Nothing: there are too many.
    std::optional<json::object> begin(std::shared_ptr<Call> call, Again again);
    /// How a round of it ended.
    void completed(const std::string& id, json::object result);
    void failed(const std::string& id, const RpcError& error);
    void needs(const std::string& id, Needed needed);

    /// Errors: not_found, also for another tenant's.
    base::Result<json::object> get(const std::string& tenant, const std::string& id);
    /// Answers to what it asked; those to nothing asked are passed over.
    base::Result<void> update(const std::string& tenant, const std::string& id,
                              const json::object& answers);
    base::Result<void> cancel(const std::string& tenant, const std::string& id);

    /// Told of every change, under no lock. One; null: nobody.
    void on_change(OnChange listener);
    /// Cancels what runs and takes nothing more. Idempotent.
    void stop();

private:
    enum class Status : std::uint8_t { working, input_required, completed, failed, cancelled };
    struct Task {
        std::string id, tenant;
        std::shared_ptr<Call> call;
        Again again;
        Status status = Status::working;
        std::int64_t created_ms = 0, updated_ms = 0;
        json::object outcome;  ///< the result, or the error
        json::object asked;    ///< by keys that are never used twice
        json::object answers;  ///< by the names that the call gave
        json::value state;     ///< Needed::state
        std::uint64_t rounds = 0;
        bool over() const { return status > Status::input_required; }
    };
    /// What follows from a change, outside of the lock.
    struct Round {
        json::object told = {};
        std::function<void()> again = {};
    };
    json::object handle(const Task& task) const;
    json::object whole(const Task& task) const;
    Task* own(const std::string& tenant, const std::string& id);  // under mutex_
    void forget_old();                                            // under mutex_
    void settle(const std::string& id, Status status, json::object outcome);
    Round next_round(Task& task);
    void go(const std::string& id, const Round& round);

    const base::Clock& clock_;
    const Limits limits_;
    std::mutex mutex_;  // guards the rest; nothing is called out under it
    std::map<std::string, Task> tasks_;
    std::set<std::pair<std::int64_t, std::string>> ended_;  ///< by when
    OnChange listener_;
    base::Worker workers_;
};

}  // namespace agent::mcp
