#pragma once
// Decides what a run does next. Pure: the state and something that happened in, events to write and
// calls to make out; no clock, no disk, no thread. The same code runs live and in simulation.
//
//   Machine machine(state);
//   machine.finished("collect", 1, output, now_ms);
//   const Decision decided = machine.take();     // state is already as its events say
//   ... write decided.events; when they are durable, make decided.calls
//
// Should the write fail, the state is ahead of the journal: drop it and load the run again.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "flow/run/state.h"

namespace flow {

/// One attempt of a step that something outside the run has to do.
struct Call {
    RunId run;
    std::string path;
    std::uint32_t attempt = 1;
    std::shared_ptr<const Definition> definition;  ///< keeps `step` alive
    const Step* step = nullptr;
    base::json::value request;     ///< the rendered arguments
    std::string idempotency_key;   ///< the same for every attempt after a crash and every retry
    std::int64_t deadline_ms = 0;  ///< 0: none
    std::string tenant = {};       ///< whose run it is
    /// It asks for a place in the step's or the run's queue; what it gives counts for nothing.
    bool admission = false;
};

/// What a call gave.
struct StepOutput {
    base::json::value value;
    std::uint64_t tokens = 0;
    double cost_usd = 0;
};

/// A signal or event for other runs, to be in the same commit as the decision.
struct Sending {
    std::optional<RunId> run;  ///< none: whoever waits for an event of this name
    std::string name;
    base::json::value payload;
};

/// A run to be started in the same commit. Where it cannot be: child_finished with the error.
struct ChildStart {
    RunId id;
    std::string path, workflow;
    std::uint32_t version = 0;
    base::json::value input;
    bool detached = false;
};

struct Decision {
    std::vector<Event> events;
    std::vector<Call> calls;
    std::vector<Sending> sendings;
    std::vector<ChildStart> children;
    std::vector<std::string> cancelled;  ///< paths of calls nobody waits for any more
    bool ended = false;                  ///< the run became final
    bool more = false;  ///< there is more to decide: call proceed() once this is written
};

class Machine {
public:
    explicit Machine(RunState& state) : state_(state) {}

    /// The first event. Pre: the state is empty but for id and definition; the input was checked.
    void start(const RunStart& start, std::int64_t now_ms);
    void proceed(std::int64_t now_ms);
    /// Calls to make again after a restart: those that were out. Decides nothing.
    std::vector<Call> outstanding();

    /// A call ended. Ignored when the attempt is not the one that is out.
    void finished(std::string_view path, std::uint32_t attempt, base::Result<StepOutput> result,
                  std::int64_t now_ms);
    /// What a child run ended with.
    void child_finished(std::string_view path, base::Result<base::json::value> result,
                        std::int64_t now_ms);
    /// Whatever is due at `now_ms`.
    void tick(std::int64_t now_ms);
    /// Errors: failed_precondition (the run is over), resource_exhausted (too many signals that
    /// nobody took).
    base::Result<void> signal(std::string_view name, base::json::value payload,
                              std::int64_t now_ms);
    /// The same, but only put into the inbox: proceed() goes on.
    base::Result<void> deliver(std::string_view name, base::json::value payload,
                               std::int64_t now_ms);
    /// A person's answer to a waiting step: {"decision", "answer", "by"}.
    /// Errors: not_found (no such step waits), invalid_argument (the form).
    base::Result<void> answer(std::string_view path, const base::json::value& answer,
                              std::int64_t now_ms);

    /// Errors of these: failed_precondition (the run is over, or not paused).
    base::Result<void> pause(std::string_view why, std::string_view by, std::int64_t now_ms);
    base::Result<void> resume(std::string_view by, std::int64_t now_ms);
    base::Result<void> cancel(std::string_view why, std::int64_t now_ms);
    /// Runs a step again, with all that came after it in its block; a paused or failed run goes on.
    /// `path` may be the name of a checkpoint of the outermost block.
    /// Errors: not_found, failed_precondition (it runs now).
    base::Result<void> retry(std::string_view path, std::string_view by, std::int64_t now_ms);

    Decision take();

private:
    struct Failure {
        base::Error error;
        std::uint64_t tokens = 0;
        double cost_usd = 0;
    };
    void emit(Event event);
    void settle();
    bool advance(ScopeState& scope);
    void close(ScopeState& scope, std::optional<base::Error> failed);
    void begin(ScopeState& scope, std::uint32_t index);
    void begin_call(const StepRef& ref, const std::string& path);
    void begin_wait(const StepRef& ref, const std::string& path, const WaitAction& wait);
    void begin_human(const StepRef& ref, const std::string& path, const HumanAction& human);
    void begin_choose(const StepRef& ref, const std::string& path, const ChooseAction& choose);
    void begin_loop(const StepRef& ref, const std::string& path, const LoopAction& loop);
    void begin_parallel(const StepRef& ref, const std::string& path,
                        const ParallelAction& parallel);
    void begin_subflow(const StepRef& ref, const std::string& path, const SubflowAction& subflow);
    void begin_emit(const StepRef& ref, const std::string& path, const EmitAction& emit);
    void begin_end(const StepRef& ref, const std::string& path, const EndAction& end);
    void next_rounds(const StepRef& ref, const std::string& path, const LoopAction& loop);
    void next_while_round(const StepRef& ref, const std::string& path, const LoopAction& loop);
    void finish_loop(const StepRef& ref, const std::string& path, const LoopAction& loop);
    void close_branch(const StepRef& ref, const std::string& path, const ParallelAction& parallel);
    void complete_run();
    void finish(const StepRef& ref, const std::string& path, base::json::value output,
                std::uint64_t signal = 0, std::uint64_t tokens = 0, double cost_usd = 0);
    void fail_step(const StepRef& ref, const std::string& path, Failure failure);
    void fail_run(base::Error error);
    void undo_next();
    bool tick_scope(ScopeState& scope);
    void due(const StepRef& ref, const std::string& path);
    void check_budget();
    base::Result<base::json::value> request_of(const StepRef& ref) const;
    std::string key_of(const StepRef& ref, const std::string& path) const;
    bool take_signals(ScopeState& scope);
    bool take_signal(const StepRef& ref, const std::string& path, const WaitAction& wait);
    std::int64_t backoff_ms(const Step& step, const std::string& path, std::uint32_t attempt) const;
    Call call_of(const StepRef& ref, const std::string& path, std::uint32_t attempt,
                 base::json::value request) const;
    void cancel_calls(ScopeState& scope);
    void reset_all(bool (*which)(const StepState&, const Step&));

    RunState& state_;
    Decision out_;
    std::int64_t now_ms_ = 0;
    std::uint64_t changes_ = 0;  ///< scopes closed, steps reset, runs ended: references into the
                                 ///< state that were taken before are void
};

/// An error that time may heal: what is tried again when `retry.on` says nothing.
bool may_heal(base::Code code);

}  // namespace flow
