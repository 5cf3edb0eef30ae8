#pragma once
// Starts runs when schedules say so: exactly one run for each moment, whatever dies in between and
// however many processes share the store. What is decided is written before a run starts, and the
// run's idempotency key follows from workflow, schedule and moment.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/store/store.h"
#include "flow/flow.h"
#include "flow/schedule/plan.h"
#include "flow/store/definition_store.h"

namespace flow {

struct ScheduleView {
    std::string workflow;
    Schedule schedule;
    ScheduleState state;
    std::optional<std::int64_t> next_s;  ///< with its jitter
    std::string error;                   ///< why its last moment started nothing
};

/// Thread-safe. One thread of its own.
class Scheduler {
public:
    /// `location`: as base::store::Store::open. All outlive it. `threaded` false: look() alone does
    /// the work. Errors: the store's.
    static base::Result<std::unique_ptr<Scheduler>> open(std::string_view location,
                                                         DefinitionStore& definitions,
                                                         Runtime& runtime, RunLog& log,
                                                         const base::Clock& clock,
                                                         bool threaded = true);
    ~Scheduler();  ///< stop()
    /// Starts nothing more. Idempotent; before the runtime's halt.
    void stop();

    /// Decides for what has come, and starts it. Errors: the store's; then it is tried again.
    base::Result<void> look();
    base::Result<std::vector<ScheduleView>> list(std::string_view tenant);
    /// Paused, moments pass without a run; they are not caught up later. `schedule` empty: all of
    /// the workflow. Errors: not_found.
    base::Result<void> set_paused(std::string_view tenant, std::string_view workflow,
                                  std::string_view schedule, bool paused);
    /// A run now, beside the moments. Errors: not_found, invalid_argument (which one?), the
    /// runtime's.
    base::Result<RunId> trigger(std::string_view tenant, std::string_view workflow,
                                std::string_view schedule);

private:
    struct Known {
        std::string tenant;
        std::shared_ptr<const Definition> definition;
        std::size_t index = 0;  ///< of its schedules
        Timetable table;
        std::string of;
        std::int64_t due_s = 0;
        bool pending = false;
        std::string error;
        const Schedule& schedule() const { return definition->schedules[index]; }
    };
    Scheduler(std::unique_ptr<base::store::Store> store, DefinitionStore& definitions,
              Runtime& runtime, RunLog& log, const base::Clock& clock);
    base::Result<void> refresh();
    base::Result<void> work(Known& known);
    base::Result<ScheduleState> read(const Known& known);
    /// Reads, changes and writes its state in one transaction.
    base::Result<ScheduleState> change(const Known& known,
                                       const std::function<void(ScheduleState&)>& how);
    base::Result<std::vector<Known*>> named(std::string_view tenant, std::string_view workflow,
                                            std::string_view schedule);
    bool is_open(const std::string& run);
    std::int64_t now_s() const { return clock_.unix_ns() / 1'000'000'000; }
    void run(const std::stop_token& stop);

    const std::unique_ptr<base::store::Store> store_;
    DefinitionStore& definitions_;
    Runtime& runtime_;
    RunLog& log_;
    const base::Clock& clock_;
    std::mutex mutex_;  // held while it works; guards what is below
    std::map<std::string, Known> known_;
    std::uint64_t seen_changes_ = 0;
    std::int64_t refreshed_s_ = 0, looked_s_ = 0;
    std::condition_variable_any wake_;
    std::jthread thread_;
};

}  // namespace flow
