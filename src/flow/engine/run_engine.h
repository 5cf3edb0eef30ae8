#pragma once
// Runs live here: inputs come in, `Machine` decides, the log makes it durable, then calls go out.
// One thread owns an engine; what others have to say goes through `post`. In simulation the same
// engine runs with a pumped log and a clock that is set.
//
// Order that holds everything else: an event is durable before anything follows from it outside.
// A write that fails takes the runs it touched out of memory; what came in is kept and given to
// them again once the log works, so a full disk is a pause and nothing is lost.
//
// With a log that many processes share (fleet.h) the open runs here are those that this process
// owns; what comes for others goes into their inboxes.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/core/rng.h"
#include "flow/engine/timers.h"
#include "flow/engine/wait_counts.h"
#include "flow/fleet.h"
#include "flow/run/run_input.h"
#include "flow/run_log.h"
#include "flow/step_runner.h"

namespace flow {

struct StartRequest {
    std::string tenant = {}, workflow;
    std::uint32_t version = 0;  ///< 0: the newest
    base::json::value input = {}, labels = {};
    std::string idempotency_key = {};                ///< the same key starts one run
    std::shared_ptr<const ForkPlan> fork = nullptr;  ///< begins where another run was
    std::optional<std::int32_t> priority = {};       ///< in queues; none: the workflow's
    std::string traceparent = {};                    ///< W3C: the caller's span; empty: none
};

struct EngineOptions {
    std::size_t hot_runs_max = 20'000;  ///< states in memory; the rest is loaded when needed
    std::size_t inbox_max = 10'000;     ///< signals nobody took, per run
    /// A run that got so many events is written whole, one with a large state after more: what is
    /// written is so a share of its events, however long it becomes.
    std::uint32_t snapshot_events = 1'000;
    std::uint32_t depth_max = 32;  ///< subflows within subflows
    std::uint32_t lost_max = 3;    ///< a step whose call was out so many times in a row when the
                                   ///< process died is quarantined; 0: never
    bool after_crash = true;       ///< the last process that decided did not end by itself
    bool take_up = true;  ///< at the start, what was open; without, only what is named is loaded
};

struct EngineStats {
    std::uint64_t runs_open = 0, runs_hot = 0, calls_out = 0, timers = 0, stalled_inputs = 0;
    WaitCounts waiting;
    std::uint64_t started = 0, completed = 0, failed = 0, cancelled = 0, events = 0, commits = 0;
};

class RunEngine {
public:
    using Post = std::function<void(std::function<void()>)>;
    /// All outlive the engine. `post` runs a task on the engine's thread, later.
    RunEngine(RunLog& log, DefinitionSource& definitions, StepRunner& runner,
              const base::Clock& clock, std::uint64_t seed, const EngineOptions& options,
              Post post);

    ~RunEngine();

    /// Takes up what was open. Errors: the log's.
    base::Result<void> recover();

    using Started = std::function<void(base::Result<RunId>)>;
    /// `started` is called when the run is durable. Errors: not_found (workflow), invalid_argument
    /// (input; the subject is its JSON pointer), resource_exhausted.
    void start(const StartRequest& request, Started started);
    using Input = std::function<base::Result<void>(Machine&, std::int64_t now_ms)>;
    using Done = std::function<void(base::Result<void>)>;
    /// Gives a run something, wherever it is; `done` is called when what follows is durable.
    /// Errors: the input's, not_found, the log's.
    void give(RunId run, RunInput input, Done done);
    /// The same with a function, which stays in this process; `done` may be empty. `keep`: give it
    /// again when the log fails, instead of the error to `done`. Errors: failed_precondition (the
    /// run is another process's), too.
    void input(RunId run, Input input, Done done, bool keep = false);
    /// Looks at a run with what decides for it, wherever it is owned: `look` may ask `Machine` and
    /// decide nothing. Errors: not_found, data_loss, those of `look`.
    base::Result<void> peek(RunId run, const Input& look);
    /// Gives an event to every open run of the tenant that waits for it.
    void publish(std::string_view tenant, std::string_view event, const base::json::value& payload,
                 Done done);
    using Ended =
        std::function<void(const base::Result<RunHead>&, const base::json::value& output)>;
    /// Called once, when the run is over; at once when it is.
    void when_ended(RunId run, Ended ended);
    using Watcher = std::function<void(RunId, const std::vector<Event>&, std::uint64_t first)>;
    /// Told of every durable event, with its place in the run's history. Returns its number.
    std::uint64_t watch(Watcher watcher);
    void unwatch(std::uint64_t number) { watchers_.erase(number); }
    /// Told how late each timer was looked at, in milliseconds. Before the first tick.
    void on_timer(std::function<void(std::int64_t late_ms)> told) { timer_told_ = std::move(told); }
    /// Watchers hear of this run from place `from` on also while it is another process's, once for
    /// each follow() until as many unfollow().
    void follow(RunId run, std::uint64_t from);
    void unfollow(RunId run);
    /// Another process has it, or it is over: what is told of it was told there first.
    bool foreign(RunId run) const { return fleet_ != nullptr && !open_.contains(run); }

    /// What is due; to be called at next_due_ms().
    void tick();
    std::int64_t next_due_ms() const;

    /// The state as it is decided, loaded when it is not in memory. Errors: not_found, data_loss.
    base::Result<const RunState*> state(RunId run);
    EngineStats stats() const;

private:
    struct Hot {
        RunState state;
        RunHead head;
        std::uint64_t serial = 0;       ///< tells this copy of the run from one loaded later
        std::uint32_t writes = 0;       ///< appends on their way
        std::uint64_t snapshot_at = 0;  ///< events in the last snapshot
        std::uint64_t snapshot_bytes = 0;
        std::uint64_t used = 0;  ///< for choosing who leaves memory
        bool created = false;    ///< its first event is not written yet
    };
    struct Waiting {
        RunId run;
        Input input;
        Done done;
        bool keep = false;
        std::shared_ptr<const RunInput> form = {};  ///< instead of `input`
        Settled settled = {};                       ///< the arrival it was; number 0: none
    };
    struct KeyedStart {
        RunId run;
        std::vector<Started> others;
    };
    struct Commit;

    void take(Waiting waiting);
    bool route(Waiting& waiting);
    void refuse(Waiting waiting, base::Error why);
    void adopt(const RunHead& head, bool crashed);
    void arrived(std::vector<Arrival> arrivals);
    void moved(RunId run, const std::vector<Event>& events, std::uint64_t first);
    void lost_lease();
    void rejoin();
    void watch_foreign(RunId run, std::uint64_t from);
    void unwatch_foreign(RunId run);
    void answer_conflict(Commit& commit);

    base::Result<Hot*> hot(RunId run);
    void create(Commit& commit, RunId id, const StartRequest& request,
                std::shared_ptr<const Definition> definition, std::optional<Parent> parent);
    void decided(Commit& commit, Hot& run, Machine& machine);
    void start_children(Commit& commit, Hot& run, std::vector<ChildStart> children);
    void send(Commit& commit, Hot& run, std::vector<Sending> sendings);
    void give_to(Commit& commit, RunId run, const std::function<void(Machine&)>& input);
    void signal_to(Commit& commit, RunId run, const std::string& name,
                   const base::json::value& payload);
    void tell_waiting(Commit& commit, std::string_view tenant, std::string_view event,
                      const base::json::value& payload);
    void tell_parent(Commit& commit, Hot& run);
    base::Result<base::json::value> checked_input(const Definition& definition,
                                                  const base::json::value& input) const;
    void append(Commit commit);
    void durable(Commit& commit);
    void failed(Commit& commit, const base::Error& error);
    void make(Call call);
    void count_end(RunStatus status);
    void answer_waiters(Hot& run);
    void refresh(Hot& run);
    void index_waits(const RunHead& head, bool add);
    void resume(RunId run, bool crashed);
    void call_lost(RunId run, bool crashed);
    void proceed(RunId run);
    void hear_children(RunId run);
    void evict();
    std::int64_t now_ms() const { return clock_.unix_ns() / 1'000'000; }

    RunLog& log_;
    Fleet* const fleet_;  ///< null: every run is ours
    DefinitionSource& definitions_;
    StepRunner& runner_;
    const base::Clock& clock_;
    base::Rng rng_;
    const EngineOptions options_;
    const Post post_;

    struct Open {
        std::int64_t due_ms = 0;
    };
    std::unordered_map<RunId, Open> open_;  ///< every run that is not over
    std::unordered_map<RunId, std::unique_ptr<Hot>> hot_;
    Timers timers_;
    std::unordered_map<std::string, KeyedStart> keys_;  ///< of runs whose start is not durable yet
    std::unordered_map<std::string, std::unordered_set<RunId>> event_waits_;  ///< tenant/event
    std::unordered_map<RunId, std::vector<Ended>> waiters_;
    std::unordered_map<std::uint64_t, Watcher> watchers_;
    std::uint64_t watcher_last_ = 0, use_ = 0, serial_last_ = 0;
    std::uint32_t following_ = 0;  ///< how deep what one decision led to is: other runs' decisions
    std::deque<Waiting> stalled_;  ///< inputs that the log could not take
    std::int64_t stalled_until_ms_ = 0;
    std::unordered_map<RunId, std::uint32_t> follows_;
    std::int64_t rejoin_ms_ = 0;  ///< when a lost lease is asked for again; 0: it holds
    EngineStats stats_;
    std::function<void(std::int64_t)> timer_told_;
};

}  // namespace flow
