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
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/trace/trace.h"
#include "flow/run/state.h"

namespace flow {

struct MigrationRules;

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
    base::trace::Context trace;    ///< of this attempt's span; told to who is called
    std::string tenant = {};       ///< whose run it is
    /// It asks for a place in the step's or the run's queue; what it gives counts for nothing.
    bool admission = false;
    bool holds = false;  ///< of an admission: it had the place before a crash
    std::int32_t priority = 0;
    std::int64_t since_ms = 0;  ///< when the step, or the run, began to wait
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

/// A call that was out when the process died.
struct LostCall {
    std::string path;
    std::uint32_t attempt = 0;
};

/// Where a run begins that takes over what another one has done (fork.h makes it).
struct ForkPlan {
    RunId origin;
    std::string step;
    std::string hash;                 ///< of the definition
    base::json::value taken;          ///< as taken_over gives it
    base::json::value with;           ///< in place of the step's rendered input; null: none
    base::json::value input, labels;  ///< the origin's
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
    /// The same for a run that begins where another one was. Pre: the plan is of its definition.
    void fork(const RunStart& start, const ForkPlan& plan, std::int64_t now_ms);
    void proceed(std::int64_t now_ms);
    /// Calls that were out when the process died: each is made again, or, when this is the
    /// `lost_max`-th time in a row (0: never), its step is quarantined and the run pauses.
    void lost(std::span<const LostCall> calls, std::uint32_t lost_max, std::int64_t now_ms);
    /// Calls to make again after a restart: those that were out. Decides nothing.
    std::vector<Call> outstanding();
    /// What a step is called with as its expressions stand now; null for kinds that call nothing.
    /// Decides nothing. Errors: not_found (no such step has begun), those of the expressions.
    base::Result<base::json::value> request(std::string_view path, std::int64_t now_ms);

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
    /// `path` may be the name of a checkpoint of the outermost block; empty: the step that failed.
    /// `with` stands for the step's rendered input from then on; null: as it was.
    /// Errors: not_found, failed_precondition (it runs now), invalid_argument (it has no input).
    base::Result<void> retry(std::string_view path, std::string_view by, std::int64_t now_ms,
                             const base::json::value& with = {});
    /// Goes on from a checkpoint ("last": the newest): what came after its step begins anew,
    /// variables are as they were. Errors: not_found, failed_precondition.
    base::Result<void> rewind(std::string_view checkpoint, std::string_view by,
                              std::int64_t now_ms);
    /// Goes on as another version of the workflow says (migrate.h). A run that is paused or has
    /// failed stays so. Errors: invalid_argument (the rules), failed_precondition (it cannot: every
    /// reason).
    base::Result<void> migrate(std::shared_ptr<const Definition> to, const MigrationRules& rules,
                               std::string_view by, std::int64_t now_ms);
    /// For replays: how a step ended that something outside decided about, as it was recorded.
    void again(const Event& ended);

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
    void make_call(const StepRef& ref, const std::string& path);
    void ask_place(const StepRef& ref, const std::string& path);
    void got_place(const StepRef& ref, const std::string& path, std::uint32_t attempt);
    void ask_run_place();
    void got_run_place();
    Call run_place() const;
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
    base::Result<void> may_go_back(const StepRef& ref, std::string_view path) const;
    void cancel_after(const StepRef& ref);
    void go_on(std::string_view by);
    base::Result<std::string> failed_step() const;
    void reach_checkpoint(const StepRef& ref, const std::string& path);
    base::Result<base::json::value> input_of(const StepRef& ref, const ValueTemplate& from) const;
    std::optional<base::json::value> edited(const StepRef& ref) const;

    RunState& state_;
    Decision out_;
    std::int64_t now_ms_ = 0;
    std::uint64_t changes_ = 0;  ///< scopes closed, steps reset, runs ended: references into the
                                 ///< state that were taken before are void
};

/// Is it done by something outside the run?
bool is_call(const Action& action);
/// Does the step ask for something that `with` can stand for?
bool takes_input(const Action& action);

/// An error that time may heal: what is tried again when `retry.on` says nothing.
bool may_heal(base::Code code);

}  // namespace flow
