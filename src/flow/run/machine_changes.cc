// What people do to runs: steps run again, with other input, from a checkpoint, in a run of their
// own; and what a process that died again and again does to them.

#include <algorithm>

#include "flow/run/machine.h"
#include "flow/run/migrate.h"
#include "flow/run/run_variables.h"

namespace flow {

using base::Code;
using base::Error;
using base::fail;
namespace json = base::json;

bool takes_input(const Action& action) {
    return is_call(action) || std::holds_alternative<SubflowAction>(action) ||
           std::holds_alternative<EmitAction>(action) || std::holds_alternative<SetAction>(action);
}

// ---- going back --------------------------------------------------------------------------------

/// Is the run, and all around the step, so that it can begin anew?
base::Result<void> Machine::may_go_back(const StepRef& ref, std::string_view path) const {
    if (state_.status == RunStatus::completed || state_.status == RunStatus::cancelled ||
        state_.status == RunStatus::undoing) {
        return fail(Code::failed_precondition, "{} is {}; fork it to run a step of it again",
                    to_text(state_.id), status_name(state_.status));
    }
    if (!is_settled(ref.state->status)) {
        return fail(Code::failed_precondition,
                    "step '{}' is {}; only a step that ended can be run again", path,
                    status_name(ref.state->status));
    }
    for (const ScopeState* scope = ref.scope; scope != nullptr; scope = scope->outer) {
        if (scope->closed) {
            return fail(Code::failed_precondition,
                        "what is around step '{}' has ended; retry the step it is in, or fork the "
                        "run at '{}'",
                        path, path);
        }
    }
    return {};
}

/// Calls of what will begin anew with a step are for nothing.
void Machine::cancel_after(const StepRef& ref) {
    const std::vector<bool> which = after(*ref.scope->block, ref.index);
    for (std::uint32_t i = 0; i < which.size(); ++i) {
        const StepState& step = ref.scope->steps[i];
        if (!which[i]) continue;
        if (step.status == StepStatus::running ||
            (step.status == StepStatus::open && step.scopes.empty())) {
            out_.cancelled.push_back(path_of(*ref.scope, i));
        }
        for (const auto& inner : step.scopes) cancel_calls(*inner);
    }
}

/// Whatever it was, the run is running.
void Machine::go_on(std::string_view by) {
    const bool again = is_final(state_.status) && !state_.definition->run_queue.empty();
    if (state_.status != RunStatus::running) {
        emit({.kind = EventKind::run_resumed, .value = json::value(by)});
    }
    if (again) ask_run_place();
    settle();
}

/// The one step that failed and was not to be gone on without.
base::Result<std::string> Machine::failed_step() const {
    std::vector<std::string> found;
    const auto walk = [&](const auto& self, const ScopeState& scope) -> void {
        for (std::uint32_t i = 0; i < scope.steps.size() && !scope.closed; ++i) {
            const StepState& step = scope.steps[i];
            if (step.status == StepStatus::failed &&
                scope.block->steps[i].on_error.what != OnError::Do::skip) {
                found.push_back(path_of(scope, i));
                continue;
            }
            for (const auto& inner : step.scopes) self(self, *inner);
        }
    };
    if (state_.root.block != nullptr) walk(walk, state_.root);
    if (found.size() == 1) return found.front();
    if (found.empty()) {
        return base::fail_on("step", Code::failed_precondition,
                             "no step of {} has failed; name the step to run again",
                             to_text(state_.id));
    }
    std::string names;
    for (const std::string& each : found) names += (names.empty() ? "'" : ", '") + each + "'";
    return base::fail_on("step", Code::failed_precondition,
                         "several steps of {} have failed: {}; name the one to run again",
                         to_text(state_.id), names);
}

base::Result<void> Machine::retry(std::string_view path, std::string_view by, std::int64_t now_ms,
                                  const json::value& with) {
    now_ms_ = now_ms;
    std::string place(path);
    if (place.empty()) place = DG_TRY(failed_step());
    for (const Step& step : state_.definition->body->steps) {
        if (!step.checkpoint.empty() && step.checkpoint == path) place = step.id;
    }
    const auto ref = find_step(state_, place);
    if (!ref || ref->scope == nullptr) {
        return base::fail_on("step", Code::not_found, "{} has no step '{}' now", to_text(state_.id),
                             place);
    }
    DG_TRY(may_go_back(*ref, place));
    if (!with.is_null() && !takes_input(ref->step->action)) {
        return base::fail_on("with", Code::invalid_argument,
                             "step '{}' has no input that 'with' could stand for", place);
    }
    cancel_after(*ref);
    if (state_.status == RunStatus::failed) {  // what its failure cut off runs again, too
        reset_all([](const StepState& step, const Step&) {
            return step.status == StepStatus::cancelled;
        });
    }
    emit({.kind = EventKind::step_reset, .path = place, .name = "retried by " + std::string(by)});
    if (!with.is_null()) emit({.kind = EventKind::step_edited, .path = place, .value = with});
    go_on(by);
    return {};
}

// ---- checkpoints -------------------------------------------------------------------------------

void Machine::reach_checkpoint(const StepRef& ref, const std::string& path) {
    Event event{.kind = EventKind::checkpoint_reached, .path = path, .name = ref.step->checkpoint};
    if (ref.step->checkpoint_note) {
        auto note = ref.step->checkpoint_note->render(RunVariables(state_, ref.scope),
                                                      render_options(now_ms_));
        if (note && note->is_object()) {
            note->get_object().erase("name");
            event.value = *std::move(note);
        } else if (!note) {  // what it says of itself is no reason to fail
            event.value = json::object{{"error", note.error().message}};
        }
    }
    emit(std::move(event));
}

base::Result<void> Machine::rewind(std::string_view checkpoint, std::string_view by,
                                   std::int64_t now_ms) {
    now_ms_ = now_ms;
    auto& all = state_.checkpoints;
    const auto found = checkpoint == "last" && !all.empty()
                           ? all.end() - 1
                           : std::ranges::find(all, checkpoint, &Checkpoint::name);
    if (found == all.end()) {
        std::string names;
        for (const Checkpoint& each : all) names += (names.empty() ? "" : ", ") + each.name;
        return base::fail_on("checkpoint", Code::not_found, "{} has reached no checkpoint '{}'; {}",
                             to_text(state_.id), checkpoint,
                             names.empty() ? "it has reached none" : "it has reached " + names);
    }
    const std::string name = found->name, path = found->path;
    const auto ref = find_step(state_, path);
    if (!ref || ref->scope == nullptr || ref->state->status != StepStatus::done) {
        return fail(Code::failed_precondition,
                    "step '{}' of checkpoint '{}' is not done any more; fork the run at the step "
                    "after it",
                    path, name);
    }
    DG_TRY(may_go_back(*ref, path));
    if (state_.status == RunStatus::failed) {
        reset_all([](const StepState& step, const Step&) {
            return step.status == StepStatus::cancelled;
        });
    }
    const Block& block = *ref->scope->block;
    for (std::uint32_t i = ref->index + 1; i < block.steps.size(); ++i) {
        StepState& step = ref->scope->steps[i];
        if (step.status == StepStatus::pending ||
            std::ranges::find(block.steps[i].needs, ref->index) == block.steps[i].needs.end()) {
            continue;
        }
        cancel_after({ref->scope, i, &step, &block.steps[i]});
        emit({.kind = EventKind::step_reset,
              .path = path_of(*ref->scope, i),
              .name = "checkpoint '" + name + "'"});
    }
    emit({.kind = EventKind::run_rewound, .path = path, .name = name, .value = json::value(by)});
    go_on(by);
    return {};
}

// ---- another version ---------------------------------------------------------------------------

base::Result<void> Machine::migrate(std::shared_ptr<const Definition> to,
                                    const MigrationRules& rules, std::string_view by,
                                    std::int64_t now_ms) {
    now_ms_ = now_ms;
    DG_TRY(check_rules(rules, *state_.definition, *to));
    MigrationPlan plan = plan_migration(state_, *to, rules, now_ms);
    if (!may_move(plan.findings)) {
        std::string why;
        for (const Finding& each : plan.findings) {
            if (each.weight == Finding::Weight::blocks) why += "; " + each.message;
        }
        return base::fail_on("run", Code::failed_precondition, "{} cannot move to version {}{}",
                             to_text(state_.id), to->version, why);
    }
    plan.state["events"] = state_.events + 1;
    json::object value{{"from", state_.definition->hash},
                       {"from_version", state_.definition->version},
                       {"version", to->version},
                       {"rules", to_json(rules)},
                       {"by", by},
                       {"state", std::move(plan.state)}};
    if (!plan.left.empty()) value["left"] = json::value_from(plan.left);
    const bool over = is_final(state_.status);
    state_.definition = std::move(to);
    emit({.kind = EventKind::run_migrated,
          .name = state_.definition->hash,
          .value = std::move(value)});
    if (over) {  // it was before: nobody is told again
        out_.ended = false;
        out_.cancelled.clear();
        return {};
    }
    std::ranges::move(plan.cancelled, std::back_inserter(out_.cancelled));
    if (plan.run_place) {
        ask_run_place();
    } else {
        proceed(now_ms);  // what it waits for now may have come before
    }
    return {};
}

// ---- forks and replays -------------------------------------------------------------------------

void Machine::fork(const RunStart& start, const ForkPlan& plan, std::int64_t now_ms) {
    now_ms_ = now_ms;
    emit({.kind = EventKind::run_started, .value = to_value(start)});
    emit({.kind = EventKind::run_forked,
          .path = plan.step,
          .name = to_text(plan.origin),
          .value = plan.taken});
    if (!plan.with.is_null()) {
        emit({.kind = EventKind::step_edited, .path = plan.step, .value = plan.with});
    }
    if (!state_.definition->run_queue.empty()) ask_run_place();
    settle();
}

void Machine::again(const Event& ended) {
    now_ms_ = ended.at_ms;
    const auto ref = find_step(state_, ended.path);
    if (!ref || is_final(state_.status)) return;
    if (ended.kind == EventKind::step_finished) {
        finish(*ref, ended.path, ended.value, ended.number, ended.tokens, ended.cost_usd);
    } else {
        fail_step(
            *ref, ended.path,
            {ended.error.value_or(Error{Code::internal, "", {}}), ended.tokens, ended.cost_usd});
    }
    settle();
}

// ---- calls that a dead process left ------------------------------------------------------------

void Machine::lost(std::span<const LostCall> calls, std::uint32_t lost_max, std::int64_t now_ms) {
    now_ms_ = now_ms;
    std::string why;
    for (const LostCall& call : calls) {
        const auto ref = find_step(state_, call.path);
        if (!ref || is_final(state_.status) || ref->state->status != StepStatus::running ||
            ref->state->attempt != call.attempt) {
            continue;
        }
        const std::uint32_t times = ref->state->lost + 1;
        emit({.kind = EventKind::step_lost,
              .path = call.path,
              .attempt = call.attempt,
              .number = times});
        if (lost_max == 0 || times < lost_max) {
            base::Result<json::value> request = json::value();
            if (ref->scope != nullptr) {
                request = request_of(*ref);
            } else {
                for (const Undo& undo : state_.undos) {
                    if (&undo.state == ref->state) request = undo.request;
                }
            }
            // It was rendered from the same state before, so it renders again.
            if (request) {
                out_.calls.push_back(call_of(*ref, call.path, call.attempt, *std::move(request)));
            }
            continue;
        }
        Error error{
            Code::failed_precondition,
            fmt::format("its call was out each of the last {} times that the process died", times),
            "quarantine"};
        if (ref->scope == nullptr) {  // a compensation: the others go on, the run's error tells
            fail_step(*ref, call.path, {std::move(error)});
            continue;
        }
        why += fmt::format("{}step '{}' is quarantined: {}; retry it to try again",
                           why.empty() ? "" : "; ", call.path, error.message);
        emit({.kind = EventKind::step_quarantined,
              .path = call.path,
              .attempt = call.attempt,
              .error = std::move(error)});
        out_.cancelled.push_back(call.path);  // its place in a queue is free
    }
    if (!why.empty() && state_.status == RunStatus::running) {
        emit({.kind = EventKind::run_paused, .name = std::move(why)});
    }
    if (state_.status == RunStatus::undoing) settle();
}

}  // namespace flow
