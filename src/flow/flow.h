#pragma once
// Durable workflows: what is begun ends, whatever dies in between [AInfra 2.2.2, 3.2].
//
//   auto runtime = DG_TRY(flow::Runtime::open(log, definitions, runner, clock, {}));
//   const flow::RunId run = DG_TRY(runtime->start({.workflow = "analytics", .input = input}));
//   const flow::RunEnd end = DG_TRY(runtime->wait(run, 60s));
//
// A step's result is on disk before anything follows from it, so a run goes on after any crash
// where it stood. README.md has the folders, definition/definition.h what a workflow may say.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "flow/engine/run_engine.h"

namespace flow {

/// How a run ended.
struct RunEnd {
    RunHead head;
    base::json::value output;
};

/// Thread-safe. One thread of its own decides for all runs.
class Runtime {
public:
    /// All outlive the runtime. Takes up what was open. Errors: the log's.
    static base::Result<std::unique_ptr<Runtime>> open(RunLog& log, DefinitionSource& definitions,
                                                       StepRunner& runner, const base::Clock& clock,
                                                       const EngineOptions& options);
    ~Runtime();  ///< halt()
    /// Stops deciding. Open runs are taken up by the next owner of the log; what the runner still
    /// says is not heard. Nobody may wait for an answer then. Idempotent.
    void halt();

    /// Returns when the run's start is durable. Errors: RunEngine::start's.
    base::Result<RunId> start(StartRequest request);
    void start(StartRequest request, RunEngine::Started started);
    /// Errors: not_found, deadline_exceeded (it goes on).
    base::Result<RunEnd> wait(RunId run, std::chrono::milliseconds patience);
    void when_ended(RunId run, RunEngine::Ended ended);

    /// Gives a run something and returns when what follows is durable. Errors: not_found, those of
    /// the input, the log's.
    /// With many processes: wherever it is. Errors: deadline_exceeded (it waits for the run's
    /// owner, who will take it), too.
    base::Result<void> give(RunId run, RunInput input);
    /// A function instead, which stays in this process. Errors: failed_precondition (the run is
    /// another process's), too.
    base::Result<void> input(RunId run, RunEngine::Input input);
    /// RunEngine::peek. Errors: not_found, data_loss, those of `look`.
    base::Result<void> peek(RunId run, const RunEngine::Input& look);
    base::Result<void> signal(RunId run, std::string_view name, base::json::value payload);
    base::Result<void> answer(RunId run, std::string_view step, base::json::value answer);
    base::Result<void> pause(RunId run, std::string_view why, std::string_view by);
    base::Result<void> resume(RunId run, std::string_view by);
    base::Result<void> cancel(RunId run, std::string_view why);
    base::Result<void> retry(RunId run, std::string_view step, std::string_view by,
                             const base::json::value& with = {});
    base::Result<void> rewind(RunId run, std::string_view checkpoint, std::string_view by);
    base::Result<void> publish(std::string_view tenant, std::string_view event,
                               base::json::value payload);

    /// The run as JSON: its head, every step as it stands. Errors: not_found, data_loss.
    base::Result<base::json::object> show(RunId run);
    EngineStats stats();
    /// The processes that share the log; null: there is this one.
    Fleet* fleet() { return log_.fleet(); }

    /// Runs `task` on the runtime's thread.
    void post(std::function<void()> task);
    /// Only on the runtime's thread.
    RunEngine& engine() { return *engine_; }

private:
    Runtime(RunLog& log, const base::Clock& clock) : log_(log), clock_(clock) {}
    void run(const std::stop_token& stop);
    template <class T>
    T ask(const std::function<void(std::function<void(T)>)>& question);

    RunLog& log_;
    const base::Clock& clock_;
    std::unique_ptr<RunEngine> engine_;
    std::mutex mutex_;  // guards tasks_
    std::condition_variable_any wake_;
    std::vector<std::function<void()>> tasks_;
    std::jthread thread_;
};

}  // namespace flow
