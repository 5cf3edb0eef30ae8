#pragma once
// What a run is at one moment: how each step stands, what it gave, what the run waits for. The
// explicit state of a workflow without a program counter: `apply` folds events into it, `Machine`
// decides what comes next. One thread.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "flow/definition/definition.h"
#include "flow/run/event.h"
#include "flow/run/run_id.h"
#include "flow/run/totals.h"

namespace flow {

enum class RunStatus : std::uint8_t {
    running,
    paused,   ///< by a person or by a step's `on_error: pause`; what was begun ends, nothing new
              ///< starts
    undoing,  ///< compensations run; then it has failed
    completed,
    failed,
    cancelled,
};
std::string_view status_name(RunStatus status);
inline bool is_final(RunStatus status) {
    return status >= RunStatus::completed;
}

enum class StepStatus : std::uint8_t {
    pending,
    running,  ///< its call is out
    backoff,  ///< waits for its next attempt
    waiting,  ///< for time, a signal or a person
    open,     ///< what is within it runs
    done,
    skipped,
    failed,
    cancelled,
};
std::string_view status_name(StepStatus status);
inline bool is_settled(StepStatus status) {
    return status >= StepStatus::done;
}

struct ScopeState;

struct StepState {
    StepStatus status = StepStatus::pending;
    std::uint32_t attempt = 0;
    std::uint32_t resets = 0;  ///< times it was begun anew: by hand or by a jump
    std::int64_t started_ms = 0, finished_ms = 0;
    std::int64_t since_ms = 0;  ///< when the attempt, pause or wait it is in began; 0: in none
    std::int64_t until_ms =
        0;             ///< next attempt, end of a wait, or end of an attempt's time; 0: none
    std::string name;  ///< the signal it waits for, the arm it took, the run it started
    base::json::value output;  ///< of a waiting person's step: what they are shown
    std::optional<base::Error> error;
    base::json::value with;    ///< stands for its rendered input; null: none
    std::uint32_t lost = 0;    ///< times in a row that the process died with its call out
    bool quarantined = false;  ///< failed because it was lost too often
    // Of a step that has steps within:
    base::json::array items;   ///< what a loop goes over
    std::uint64_t rounds = 0;  ///< begun so far
    std::uint64_t rounds_done = 0;
    std::map<std::uint64_t, base::json::value> outputs;  ///< of finished rounds, by index
    std::vector<std::unique_ptr<ScopeState>> scopes;     ///< of a for-each: those that run; of a
                                                         ///< while, also the last that ended

    StepState();
    ~StepState();
    StepState(StepState&&) noexcept;
    StepState& operator=(StepState&&) noexcept;
};

/// A block that runs or, outside loops, has run: an arm, a branch, a round, the whole run.
struct ScopeState {
    const Block* block = nullptr;  ///< of the definition, which the run holds
    ScopeState* outer = nullptr;
    std::uint32_t outer_step = 0;  ///< in the outer block
    std::string key;               ///< "then", a branch's name, a round's index
    std::uint64_t index = 0;
    base::json::value item;
    bool closed = false, failed = false;
    std::vector<StepState> steps;  ///< as in the block
};

struct Signal {
    std::uint64_t number = 0;
    std::string name;
    base::json::value payload;
};

/// What undoes a finished step, should a later one fail for good.
struct Undo {
    std::string path;  ///< of the step it undoes
    base::json::value request;
    StepState state;
};

struct Parent {
    RunId run;
    std::string path;  ///< the step that waits
};

/// A place that a run can go on from, with what its step said of it.
struct Checkpoint {
    std::string name, path;
    std::int64_t at_ms = 0;
    base::json::value value;  ///< {"summary", "state", "result", "reflection", "next"}, any of them
    base::json::object vars;  ///< as they were
};

struct RunState {
    RunId id;
    std::string tenant, idempotency_key;
    std::string traceparent;  ///< W3C: the span above its own; empty: none
    std::shared_ptr<const Definition> definition;
    base::json::value input, labels;
    std::optional<Parent> parent;
    std::optional<Parent> forked_from;  ///< another run, and the step at which this one begins
    RunStatus status = RunStatus::running;
    std::string reason;     ///< why it is paused or cancelled
    std::string queued_in;  ///< the queue in which the whole run waits
    std::int32_t priority = 0;
    std::int64_t started_ms = 0, finished_ms = 0;
    base::json::object vars;
    base::json::value output;
    std::optional<base::Error> error;
    std::uint64_t tokens = 0, steps_done = 0, events = 0, signals = 0, jumps = 0;
    double cost_usd = 0;
    RunTotals totals;
    std::int64_t paused_since_ms = 0;     ///< 0: it is not paused
    std::deque<Signal> inbox;             ///< signals nobody has taken
    std::vector<Undo> undos;              ///< in the order their steps finished
    std::vector<Checkpoint> checkpoints;  ///< the newest last, one of a name
    ScopeState root;

    RunState() = default;
    RunState(const RunState&) = delete;  // scopes point at each other
    RunState& operator=(const RunState&) = delete;
};

/// What `run_started` says.
struct RunStart {
    std::string tenant, idempotency_key;
    base::json::value input, labels;
    std::optional<Parent> parent;
    std::optional<std::int32_t> priority = {};  ///< none: the workflow's
    std::string traceparent = {};
};
base::json::value to_value(const RunStart& start);

/// Folds one event in. `state.definition` must be that of the run before its first event.
/// Errors: data_loss (an event that this state cannot have met: the journal or the definition is
/// not the run's).
base::Result<void> apply(RunState& state, const Event& event);

/// What a step that waits for a place in a queue has as its name, before the queue's.
inline constexpr std::string_view kQueuePrefix = "queue/";
inline bool waits_in_queue(const StepState& step) {
    return step.status == StepStatus::waiting && step.name.starts_with(kQueuePrefix);
}

/// A step by its path, "collect" or "each[3].fit"; null: there is none now. A compensation's path
/// is its step's with "~undo" behind it.
struct StepRef {
    ScopeState* scope = nullptr;  ///< null: a compensation
    std::uint32_t index = 0;
    StepState* state = nullptr;
    const Step* step = nullptr;
};
std::optional<StepRef> find_step(RunState& state, std::string_view path);
/// The definition's step at a path, rounds and branches included, whether it has begun or not.
const Step* find_definition(const Definition& definition, std::string_view path);
/// The block a step runs under `key`: an arm, a branch, a round's body; null: none of that name.
const Block* inner_block(const Step& step, std::string_view key);
/// A path's parts: "each[3].fit" is {"each", "3"}, {"fit", ""}. Empty: it is no path.
struct PathPart {
    std::string_view id, key;
};
std::vector<PathPart> split_path(std::string_view path);
std::string path_of(const ScopeState& scope, std::uint32_t index);
inline constexpr std::string_view kUndoSuffix = "~undo";

/// Those of a block that come after one of it, itself included, by what they depend on.
std::vector<bool> after(const Block& block, std::uint32_t index);

/// The earliest moment at which something is due; 0: nothing is.
std::int64_t next_due_ms(const RunState& state);

/// The whole state as JSON, for snapshots of long runs and for people.
base::json::object to_json(const RunState& state);
/// Errors: data_loss. `state` must hold the definition.
base::Result<void> from_json(const base::json::object& json, RunState& state);

/// What a fork takes over of a state: its steps, variables, signals and checkpoints.
base::json::object taken_over(const RunState& state);
/// Puts it into the state of a run that has started. Errors: data_loss.
base::Result<void> take_over(const base::json::value& taken, RunState& state);

}  // namespace flow
