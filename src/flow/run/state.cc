#include "flow/run/state.h"

#include <algorithm>
#include <charconv>

#include "flow/definition/graph.h"

namespace flow {

using base::Code;
using base::fail;
namespace json = base::json;

StepState::StepState() = default;
StepState::~StepState() = default;
StepState::StepState(StepState&&) noexcept = default;
StepState& StepState::operator=(StepState&&) noexcept = default;

std::string_view status_name(RunStatus status) {
    constexpr std::string_view kNames[] = {"running",   "paused", "undoing",
                                           "completed", "failed", "cancelled"};
    return kNames[static_cast<std::size_t>(status)];
}

std::string_view status_name(StepStatus status) {
    constexpr std::string_view kNames[] = {"pending", "running", "backoff", "waiting",  "open",
                                           "done",    "skipped", "failed",  "cancelled"};
    return kNames[static_cast<std::size_t>(status)];
}

json::value to_value(const RunStart& start) {
    json::object out;
    out["input"] = start.input;
    if (!start.labels.is_null()) out["labels"] = start.labels;
    if (!start.tenant.empty()) out["tenant"] = start.tenant;
    if (!start.idempotency_key.empty()) out["key"] = start.idempotency_key;
    if (start.priority) out["priority"] = *start.priority;
    if (!start.traceparent.empty()) out["traceparent"] = start.traceparent;
    if (start.parent) out["parent"] = {to_text(start.parent->run), start.parent->path};
    return out;
}

std::string path_of(const ScopeState& scope, std::uint32_t index) {
    const std::string& id = scope.block->steps[index].id;
    if (scope.outer == nullptr) return id;
    return path_of(*scope.outer, scope.outer_step) + "[" + scope.key + "]." + id;
}

const Block* inner_block(const Step& step, std::string_view key) {
    if (const auto* loop = std::get_if<LoopAction>(&step.action)) return loop->body.get();
    if (const auto* choose = std::get_if<ChooseAction>(&step.action)) {
        for (const auto& arm : choose->arms) {
            if (arm.label == key) return arm.block.get();
        }
    }
    if (const auto* parallel = std::get_if<ParallelAction>(&step.action)) {
        for (const auto& branch : parallel->branches) {
            if (branch.name == key) return branch.block.get();
        }
    }
    return nullptr;
}

namespace {

std::optional<std::uint32_t> index_of(const Block& block, std::string_view id) {
    for (std::uint32_t i = 0; i < block.steps.size(); ++i) {
        if (block.steps[i].id == id) return i;
    }
    return std::nullopt;
}

}  // namespace

std::vector<PathPart> split_path(std::string_view path) {
    std::vector<PathPart> parts;
    for (;;) {
        const std::size_t open = path.find('[');
        if (open == std::string_view::npos) {
            parts.push_back({path, {}});
            return parts;
        }
        const std::size_t close = path.find("].", open);
        if (close == std::string_view::npos) return {};
        parts.push_back({path.substr(0, open), path.substr(open + 1, close - open - 1)});
        path.remove_prefix(close + 2);
    }
}

namespace {

void set_up(ScopeState& scope, const Block& block) {
    scope.block = &block;
    scope.steps = std::vector<StepState>(block.steps.size());
}

std::unexpected<base::Error> strange(const Event& event) {
    return fail(Code::data_loss,
                "a run's journal says {} of step '{}', which its state does not know",
                event_name(event.kind), event.path);
}

void start_run(RunState& state, const Event& event) {
    const json::object& start = event.value.as_object();
    const auto text = [&](std::string_view name) {
        const json::value* value = start.if_contains(name);
        return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                      : std::string();
    };
    if (const json::value* input = start.if_contains("input")) state.input = *input;
    if (const json::value* labels = start.if_contains("labels")) state.labels = *labels;
    state.tenant = text("tenant");
    state.idempotency_key = text("key");
    state.traceparent = text("traceparent");
    if (const json::value* parent = start.if_contains("parent"); parent && parent->is_array()) {
        const json::array& pair = parent->get_array();
        if (pair.size() == 2 && pair[0].is_string() && pair[1].is_string()) {
            if (const auto id = run_id_from(std::string_view(pair[0].get_string()))) {
                state.parent = Parent{*id, std::string(pair[1].get_string())};
            }
        }
    }
    state.priority = state.definition->priority;
    if (const json::value* own = start.if_contains("priority"); own && own->is_int64()) {
        state.priority = static_cast<std::int32_t>(own->get_int64());
    }
    state.started_ms = event.at_ms;
    set_up(state.root, *state.definition->body);
}

/// It is paused no more.
void count_pause(RunState& state, std::int64_t at_ms) {
    if (state.paused_since_ms == 0) return;
    state.totals.paused_ms += std::max<std::int64_t>(at_ms - state.paused_since_ms, 0);
    state.paused_since_ms = 0;
}

void end_run(RunState& state, const Event& event, RunStatus status) {
    count_pause(state, event.at_ms);
    state.status = status;
    state.finished_ms = event.at_ms;
    state.output = event.value;
    if (event.error) state.error = event.error;
    if (status == RunStatus::cancelled) state.reason = event.name;
    state.inbox.clear();
    state.queued_in.clear();
}

void take_signal(RunState& state, std::uint64_t number) {
    if (number == 0) return;
    const auto at = std::find_if(state.inbox.begin(), state.inbox.end(),
                                 [&](const Signal& signal) { return signal.number == number; });
    if (at != state.inbox.end()) state.inbox.erase(at);
}

/// Everything that had begun and not ended is over.
void cancel_open(RunState& state, ScopeState& scope, std::int64_t at_ms) {
    for (std::size_t i = 0; i < scope.steps.size(); ++i) {
        StepState& step = scope.steps[i];
        for (const auto& inner : step.scopes) cancel_open(state, *inner, at_ms);
        if (step.status != StepStatus::pending && !is_settled(step.status)) {
            state.totals.ended(step, scope.block->steps[i], at_ms);
            step.status = StepStatus::cancelled;
            step.since_ms = 0;
            step.until_ms = 0;
        }
    }
}

base::Result<void> open_scope(StepRef ref, const Event& event) {
    const Block* block = inner_block(*ref.step, event.name);
    if (block == nullptr) return strange(event);
    auto scope = std::make_unique<ScopeState>();
    set_up(*scope, *block);
    scope->outer = ref.scope;
    scope->outer_step = ref.index;
    scope->key = event.name;
    scope->index = event.number;
    scope->item = event.value;
    ref.state->status = StepStatus::open;
    ref.state->name = event.name;
    if (ref.state->started_ms == 0) ref.state->started_ms = event.at_ms;
    ++ref.state->rounds;
    std::erase_if(ref.state->scopes, [&](const auto& old) {
        return old->closed && std::holds_alternative<LoopAction>(ref.step->action);
    });
    ref.state->scopes.push_back(std::move(scope));
    return {};
}

base::Result<void> close_scope(RunState& state, StepRef ref, const Event& event) {
    auto& scopes = ref.state->scopes;
    const auto at = std::find_if(scopes.begin(), scopes.end(), [&](const auto& scope) {
        return scope->key == event.name && !scope->closed;
    });
    if (at == scopes.end()) return strange(event);
    ++ref.state->rounds_done;
    (*at)->closed = true;
    (*at)->failed = event.error.has_value();
    if ((*at)->failed) cancel_open(state, **at, event.at_ms);
    const auto* loop = std::get_if<LoopAction>(&ref.step->action);
    if (loop == nullptr) return {};  // its steps stay to be looked at
    StepState* last = (*at)->steps.empty() ? nullptr : &(*at)->steps.back();
    const bool keep = !loop->items;  // the condition may ask what its steps gave
    json::value output;
    if (last != nullptr) output = keep ? last->output : std::move(last->output);
    if (!loop->collect) ref.state->outputs.clear();
    ref.state->outputs[(*at)->index] = std::move(output);
    if (!keep) scopes.erase(at);
    return {};
}

/// The step and all that came after it in its block, as if they had not begun; what a person put
/// for an input stays.
void reset(RunState& state, StepRef ref, std::int64_t at_ms) {
    auto& steps = ref.scope->steps;
    const std::vector<bool> which = after(*ref.scope->block, ref.index);
    for (std::uint32_t i = ref.index; i < steps.size(); ++i) {
        if (!which[i]) continue;
        for (const auto& inner : steps[i].scopes) cancel_open(state, *inner, at_ms);
        state.totals.ended(steps[i], ref.scope->block->steps[i], at_ms);
        const std::uint32_t resets = steps[i].resets + 1;
        json::value with = std::move(steps[i].with);
        steps[i] = StepState();
        steps[i].resets = resets;
        steps[i].with = std::move(with);
    }
}

void reach(RunState& state, const Event& event) {
    std::erase_if(state.checkpoints, [&](const Checkpoint& one) { return one.name == event.name; });
    state.checkpoints.push_back({event.name, event.path, event.at_ms, event.value, state.vars});
}

/// Variables are as they were; what was reached later is not reached any more.
base::Result<void> rewind(RunState& state, const Event& event) {
    const auto at = std::ranges::find(state.checkpoints, event.name, &Checkpoint::name);
    if (at == state.checkpoints.end()) return strange(event);
    state.vars = at->vars;
    state.checkpoints.erase(at + 1, state.checkpoints.end());
    return {};
}

base::Result<void> fork_run(RunState& state, const Event& event) {
    const auto origin = run_id_from(event.name);
    if (!origin) return strange(event);
    state.forked_from = Parent{*origin, event.path};
    return take_over(event.value, state);
}

base::Result<void> migrate_run(RunState& state, const Event& event) {
    const std::uint64_t events = state.events;
    RunTotals totals = std::move(state.totals);
    const std::int64_t paused_since_ms = state.paused_since_ms;
    const json::object* whole = event.value.if_object();
    if (whole == nullptr) return strange(event);
    DG_TRY(from_json(*whole, state));
    state.events = events;
    state.totals = std::move(totals);  // what it used, whatever it is from now on
    state.paused_since_ms = paused_since_ms;
    return {};
}

/// Does an event of this kind, of a step that has not begun, begin it?
bool begins(EventKind kind) {
    return kind != EventKind::step_reset && kind != EventKind::step_edited &&
           kind != EventKind::step_undo && kind != EventKind::step_lost;
}

/// Is what a step was in, an attempt, a pause or a wait, over with an event of this kind?
bool ends_phase(EventKind kind) {
    return kind == EventKind::step_started || kind == EventKind::step_finished ||
           kind == EventKind::step_failed || kind == EventKind::step_skipped ||
           kind == EventKind::step_waiting || kind == EventKind::step_quarantined;
}

base::Result<void> apply_to_step(RunState& state, const Event& event) {
    const auto found = find_step(state, event.path);
    if (!found) return strange(event);
    const StepRef ref = *found;
    StepState& step = *ref.state;
    if (step.status == StepStatus::pending && begins(event.kind)) {
        ++state.totals.of(kind_name(ref.step->action)).steps;
    }
    if (ends_phase(event.kind)) {
        state.totals.ended(step, *ref.step, event.at_ms);
        step.since_ms = 0;
    }
    if (event.tokens != 0 || event.cost_usd != 0) {
        RunTotals::Kind& kind = state.totals.of(kind_name(ref.step->action));
        kind.tokens += event.tokens;
        kind.cost_usd += event.cost_usd;
    }
    switch (event.kind) {
        case EventKind::step_started:
            step.since_ms = event.at_ms;
            step.status = StepStatus::running;
            step.attempt = event.attempt;
            step.started_ms = event.at_ms;
            step.until_ms = event.until_ms;
            break;
        case EventKind::step_finished:
            step.status = StepStatus::done;
            step.output = event.value;
            step.until_ms = 0;
            if (step.started_ms == 0) step.started_ms = event.at_ms;
            step.finished_ms = event.at_ms;
            step.error.reset();
            step.lost = 0;
            state.tokens += event.tokens;
            state.cost_usd += event.cost_usd;
            ++state.steps_done;
            take_signal(state, event.number);
            step.items = {};
            step.outputs.clear();
            for (const auto& inner : step.scopes) cancel_open(state, *inner, event.at_ms);
            break;
        case EventKind::step_failed:
            step.error = event.error;
            step.until_ms = event.until_ms;
            step.status = event.until_ms != 0 ? StepStatus::backoff : StepStatus::failed;
            step.finished_ms = event.until_ms != 0 ? 0 : event.at_ms;
            step.since_ms = event.until_ms != 0 ? event.at_ms : 0;
            step.lost = 0;
            state.tokens += event.tokens;
            state.cost_usd += event.cost_usd;
            for (const auto& inner : step.scopes) cancel_open(state, *inner, event.at_ms);
            break;
        case EventKind::step_skipped:
            step.status = StepStatus::skipped;
            step.finished_ms = event.at_ms;
            break;
        case EventKind::step_waiting:
        case EventKind::step_escalated:
            step.status = StepStatus::waiting;
            if (step.started_ms == 0) step.started_ms = event.at_ms;
            step.until_ms = event.until_ms;
            if (event.kind == EventKind::step_waiting) {
                step.since_ms = event.at_ms;
                step.name = event.name;
                step.output = event.value;
            } else if (step.output.is_object() && event.value.is_array()) {
                step.output.get_object()["escalated_to"] = event.value;
            }
            break;
        case EventKind::step_reset:
            if (ref.scope == nullptr) return strange(event);
            reset(state, ref, event.at_ms);
            ++state.jumps;
            break;
        case EventKind::step_edited:
            step.with = event.value;
            break;
        case EventKind::step_lost:
            step.lost = static_cast<std::uint32_t>(event.number);
            break;
        case EventKind::step_quarantined:
            step.status = StepStatus::failed;
            step.quarantined = true;
            step.error = event.error;
            step.until_ms = 0;
            step.finished_ms = event.at_ms;
            break;
        case EventKind::step_undo: {
            Undo undo;
            undo.path = event.path;
            undo.request = event.value;
            state.undos.push_back(std::move(undo));
            break;
        }
        case EventKind::step_child:
            step.status = StepStatus::open;
            step.name = event.name;
            step.started_ms = event.at_ms;
            break;
        case EventKind::loop_opened:
            step.status = StepStatus::open;
            step.started_ms = event.at_ms;
            if (event.value.is_array()) step.items = event.value.get_array();
            break;
        case EventKind::scope_opened:
            return open_scope(ref, event);
        case EventKind::scope_closed:
            return close_scope(state, ref, event);
        default:
            return strange(event);
    }
    return {};
}

}  // namespace

std::optional<StepRef> find_step(RunState& state, std::string_view path) {
    if (path.ends_with(kUndoSuffix)) {
        const std::string_view undone = path.substr(0, path.size() - kUndoSuffix.size());
        for (Undo& undo : state.undos) {
            if (undo.path != undone) continue;
            const Step* step = find_definition(*state.definition, undone);
            if (step == nullptr || step->compensation == nullptr) return std::nullopt;
            return StepRef{nullptr, 0, &undo.state, step->compensation.get()};
        }
        return std::nullopt;
    }
    ScopeState* scope = &state.root;
    if (scope->block == nullptr) return std::nullopt;
    for (const PathPart& part : split_path(path)) {
        const auto index = index_of(*scope->block, part.id);
        if (!index) return std::nullopt;
        StepState& step = scope->steps[*index];
        if (part.key.empty()) return StepRef{scope, *index, &step, &scope->block->steps[*index]};
        ScopeState* inner = nullptr;
        for (const auto& candidate : step.scopes) {
            if (candidate->key == part.key) inner = candidate.get();
        }
        if (inner == nullptr) return std::nullopt;
        scope = inner;
    }
    return std::nullopt;
}

const Step* find_definition(const Definition& definition, std::string_view path) {
    const Block* block = definition.body.get();
    for (const PathPart& part : split_path(path)) {
        if (block == nullptr) return nullptr;
        const auto index = index_of(*block, part.id);
        if (!index) return nullptr;
        const Step& step = block->steps[*index];
        if (part.key.empty()) return &step;
        block = inner_block(step, part.key);
    }
    return nullptr;
}

std::vector<bool> after(const Block& block, std::uint32_t index) {
    std::vector<bool> out(block.steps.size(), false);
    out[index] = true;
    for (std::uint32_t i = index; i < out.size(); ++i) {
        for (const std::uint32_t need : block.steps[i].needs) {
            if (out[need]) out[i] = true;
        }
    }
    return out;
}

base::Result<void> apply(RunState& state, const Event& event) {
    ++state.events;
    switch (event.kind) {
        case EventKind::run_started:
            if (!event.value.is_object()) return strange(event);
            start_run(state, event);
            return {};
        case EventKind::run_paused:
            state.status = RunStatus::paused;
            state.reason = event.name;
            if (state.paused_since_ms == 0) state.paused_since_ms = event.at_ms;
            return {};
        case EventKind::run_resumed:
            count_pause(state, event.at_ms);
            state.status = RunStatus::running;
            state.reason.clear();
            state.error.reset();
            state.finished_ms = 0;
            return {};
        case EventKind::run_completed:
            end_run(state, event, RunStatus::completed);
            cancel_open(state, state.root, event.at_ms);
            return {};
        case EventKind::run_failed:
            end_run(state, event, RunStatus::failed);
            cancel_open(state, state.root, event.at_ms);
            return {};
        case EventKind::run_cancelled:
            end_run(state, event, RunStatus::cancelled);
            cancel_open(state, state.root, event.at_ms);
            return {};
        case EventKind::run_undoing:
            state.status = RunStatus::undoing;
            state.error = event.error;
            cancel_open(state, state.root, event.at_ms);
            return {};
        case EventKind::signal_received:
            state.signals = std::max(state.signals, event.number);
            state.inbox.push_back(Signal{event.number, event.name, event.value});
            return {};
        case EventKind::vars_set:
            if (!event.value.is_object()) return strange(event);
            for (const auto& [name, value] : event.value.get_object()) state.vars[name] = value;
            return {};
        case EventKind::run_queued:
            state.queued_in = event.name;
            return {};
        case EventKind::run_admitted:
            state.queued_in.clear();
            return {};
        case EventKind::run_migrated:
            return migrate_run(state, event);
        case EventKind::run_forked:
            return fork_run(state, event);
        case EventKind::checkpoint_reached:
            reach(state, event);
            return {};
        case EventKind::run_rewound:
            return rewind(state, event);
        default:
            return apply_to_step(state, event);
    }
}

namespace {

void earlier(std::int64_t& earliest, std::int64_t at) {
    if (at != 0 && (earliest == 0 || at < earliest)) earliest = at;
}

void due_in(const ScopeState& scope, std::int64_t& earliest) {
    for (const StepState& step : scope.steps) {
        if (step.status == StepStatus::pending || is_settled(step.status)) continue;
        earlier(earliest, step.until_ms);
        for (const auto& inner : step.scopes) due_in(*inner, earliest);
    }
}

}  // namespace

std::int64_t next_due_ms(const RunState& state) {
    std::int64_t earliest = 0;
    if (is_final(state.status)) return 0;
    if (state.status == RunStatus::undoing) {
        for (const Undo& undo : state.undos) {
            if (!is_settled(undo.state.status)) earlier(earliest, undo.state.until_ms);
        }
        return earliest;
    }
    if (state.status == RunStatus::running) due_in(state.root, earliest);
    if (state.definition->deadline.count() > 0) {
        earlier(earliest, state.started_ms + state.definition->deadline.count());
    }
    return earliest;
}

}  // namespace flow
