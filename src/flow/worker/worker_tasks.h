#pragma once
// Workers outside, and the calls of `worker` steps that they take: one exchange carries results,
// heartbeats and a wish for more, and may wait until there is something to do. No HTTP here.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/core/clock.h"
#include "base/exec/batch_job.h"
#include "flow/worker/task_board.h"

namespace flow {

struct TaskResult {
    std::string task;
    base::Result<StepOutput> result;
};

/// What a worker says in one request.
struct WorkerMessage {
    TaskWish wish;  ///< tasks_max 0: it wants none now
    std::chrono::milliseconds patience{0};
    std::vector<TaskResult> results;
    std::vector<std::string> running;  ///< tasks it is at: their leases begin anew
};

/// A task that was named, and why it counts for nothing.
struct TaskRefusal {
    std::string task;
    base::Error why;
};

struct WorkerAnswer {
    std::vector<GivenTask> tasks = {};
    std::vector<TaskRefusal> refused = {};  ///< of its results
    std::vector<TaskRefusal> stop = {};     ///< of what it is at: nobody waits for it
    bool draining = false;                  ///< this server ends: ask again later, elsewhere
};

struct WorkerSeen {
    std::string worker;
    std::map<std::string, std::vector<std::string>> queues;
    base::Instant seen;
    bool waiting = false;
    std::uint64_t finished = 0, failed = 0;
};

/// Thread-safe. Answers are given on any thread, never under its lock.
class WorkerTasks {
public:
    using Answered = std::function<void(WorkerAnswer)>;
    explicit WorkerTasks(const base::Clock& clock);
    ~WorkerTasks();  ///< drain()
    WorkerTasks(const WorkerTasks&) = delete;
    WorkerTasks& operator=(const WorkerTasks&) = delete;

    /// As StepRunner has them.
    void run(Call call, StepRunner::Done done);
    void cancel(RunId run, std::string_view path);

    /// `answered` is called once: at once when there is something to say, else after `patience`.
    /// Returns a number for leave().
    std::uint64_t exchange(WorkerMessage message, Answered answered);
    /// Who waits under this number is gone: nothing is given to them.
    void leave(std::uint64_t waiting);
    /// Tasks whose answer did not reach their worker.
    void give_back(const std::vector<std::string>& tasks);
    /// Answers all who wait; from now on results are taken and no tasks given. Idempotent.
    void drain();
    /// Gives out what is pending and looks at the clock; by itself after each change and often.
    void look();

    std::vector<TaskCounts> counts(std::string_view tenant);
    std::vector<WorkerSeen> workers(std::string_view tenant);

private:
    struct Waiting {
        TaskWish wish;
        std::string kind;  ///< the same for all who want the same
        base::Instant until;
        Answered answered;
    };
    using Answers = std::vector<std::pair<Answered, WorkerAnswer>>;
    void hand_out(Answers& answers);
    void tell_cancelled(const std::string& worker, WorkerAnswer& answer);
    void forget_silent();
    void saw(const WorkerMessage& message, std::uint64_t finished, std::uint64_t failed);

    const base::Clock& clock_;
    std::mutex mutex_;  // guards what is below; nothing is called under it
    TaskBoard board_;
    std::map<std::uint64_t, Waiting> waiting_;  ///< by arrival
    std::uint64_t arrivals_ = 0;
    bool draining_ = false;
    std::map<std::string, WorkerSeen> seen_;  ///< by tenant and name
    /// Cancelled tasks whose worker was not waiting: it hears with its next request.
    std::unordered_map<std::string, std::vector<std::string>> untold_;
    base::BatchJob job_;  // last: its thread uses the above
};

}  // namespace flow
