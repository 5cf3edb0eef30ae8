// What comes to a run from outside: results of calls, time, signals, people.

#include <algorithm>

#include "flow/run/machine.h"
#include "flow/run/run_variables.h"

namespace flow {

using base::Code;
using base::Error;
using base::fail;
namespace json = base::json;

namespace {

constexpr std::size_t kInboxMax = 10'000;

}  // namespace

void Machine::finished(std::string_view path, std::uint32_t attempt,
                       base::Result<StepOutput> result, std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (is_final(state_.status)) return;
    if (path.empty()) {
        if (result) got_run_place();
        return;
    }
    const auto ref = find_step(state_, path);
    if (ref && waits_in_queue(*ref->state)) {
        if (result) got_place(*ref, std::string(path), attempt);
        return;
    }
    if (!ref || ref->state->status != StepStatus::running || ref->state->attempt != attempt) return;
    const std::string place(path);
    if (result) {
        finish(*ref, place, std::move(result->value), 0, result->tokens, result->cost_usd);
    } else {
        fail_step(*ref, place, {std::move(result).error()});
    }
    settle();
}

void Machine::child_finished(std::string_view path, base::Result<json::value> result,
                             std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (is_final(state_.status)) return;
    const auto ref = find_step(state_, path);
    if (!ref || ref->state->status != StepStatus::open ||
        !std::holds_alternative<SubflowAction>(ref->step->action)) {
        return;
    }
    if (result) {
        finish(*ref, std::string(path), *std::move(result));
    } else {
        fail_step(*ref, std::string(path), {std::move(result).error()});
    }
    settle();
}

std::vector<Call> Machine::outstanding() {
    std::vector<Call> calls;
    const auto add = [&](const StepRef& ref, const std::string& path,
                         base::Result<json::value> request) {
        // It was rendered from the same state before, so it renders again.
        if (request) calls.push_back(call_of(ref, path, ref.state->attempt, *std::move(request)));
    };
    const auto walk = [&](const auto& self, ScopeState& scope) -> void {
        for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
            StepState& step = scope.steps[i];
            if (step.status == StepStatus::running) {
                const StepRef ref{&scope, i, &step, &scope.block->steps[i]};
                add(ref, path_of(scope, i), request_of(ref));
            } else if (waits_in_queue(step)) {
                const StepRef ref{&scope, i, &step, &scope.block->steps[i]};
                calls.push_back(call_of(ref, path_of(scope, i), step.attempt + 1, {}));
                calls.back().admission = true;
            }
            for (const auto& inner : step.scopes) self(self, *inner);
        }
    };
    if (is_final(state_.status)) return calls;
    if (!state_.definition->run_queue.empty()) calls.push_back(run_place());
    if (state_.status != RunStatus::undoing) walk(walk, state_.root);
    for (const Undo& undo : state_.undos) {
        if (undo.state.status != StepStatus::running) continue;
        const std::string path = undo.path + std::string(kUndoSuffix);
        if (const auto ref = find_step(state_, path)) add(*ref, path, undo.request);
    }
    return calls;
}

void Machine::tick(std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (is_final(state_.status)) return;
    const std::int64_t deadline_ms = state_.definition->deadline.count();
    if (deadline_ms > 0 && state_.started_ms + deadline_ms <= now_ms &&
        state_.status != RunStatus::undoing) {
        fail_run({Code::deadline_exceeded,
                  fmt::format("the run took longer than its deadline of {} s", deadline_ms / 1000),
                  "deadline"});
        return;
    }
    if (state_.status == RunStatus::running) {
        while (state_.status == RunStatus::running && tick_scope(state_.root)) {
        }
    } else if (state_.status == RunStatus::undoing) {
        for (std::size_t i = 0; i < state_.undos.size(); ++i) {
            StepState& step = state_.undos[i].state;
            if (is_settled(step.status) || step.until_ms == 0 || step.until_ms > now_ms) continue;
            const std::string path = state_.undos[i].path + std::string(kUndoSuffix);
            if (const auto ref = find_step(state_, path)) due(*ref, path);
        }
    }
    proceed(now_ms);
}

/// True: something was due, and the walk has to begin anew.
bool Machine::tick_scope(ScopeState& scope) {
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
        StepState& step = scope.steps[i];
        if (step.status == StepStatus::pending || is_settled(step.status)) continue;
        if (step.until_ms != 0 && step.until_ms <= now_ms_) {
            due(StepRef{&scope, i, &step, &scope.block->steps[i]}, path_of(scope, i));
            return true;
        }
        for (const auto& inner : step.scopes) {
            if (tick_scope(*inner)) return true;
        }
    }
    return false;
}

/// The moment a step had set itself has come.
void Machine::due(const StepRef& ref, const std::string& path) {
    StepState& step = *ref.state;
    switch (step.status) {
        case StepStatus::backoff:
            begin_call(ref, path);
            return;
        case StepStatus::running:
            out_.cancelled.push_back(path);
            fail_step(ref, path,
                      {Error{Code::deadline_exceeded,
                             fmt::format("took longer than its timeout of {} ms",
                                         ref.step->timeout.count()),
                             {}}});
            return;
        case StepStatus::waiting:
            break;
        default:
            return;
    }
    if (const auto* human = std::get_if<HumanAction>(&ref.step->action)) {
        const json::object* shown = step.output.if_object();
        const bool escalated = shown != nullptr && shown->contains("escalated_to");
        const json::value* deadline =
            shown != nullptr ? shown->if_contains("deadline_ms") : nullptr;
        const std::int64_t until = deadline != nullptr ? deadline->to_number<std::int64_t>() : 0;
        if (human->escalate_after && !escalated && (until == 0 || until > now_ms_)) {
            emit({.kind = EventKind::step_escalated,
                  .path = path,
                  .until_ms = until,
                  .value = json::value_from(human->escalate_to)});
            return;
        }
    } else if (step.name.empty()) {
        finish(ref, path, json::object{{"fired_at", static_cast<double>(now_ms_) / 1000}});
        return;
    }
    fail_step(ref, path, {Error{Code::deadline_exceeded, "nobody answered in time", {}}});
}

base::Result<void> Machine::deliver(std::string_view name, json::value payload,
                                    std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (is_final(state_.status)) {
        return fail(Code::failed_precondition, "{} is {}; nothing waits for a signal",
                    to_text(state_.id), status_name(state_.status));
    }
    if (state_.inbox.size() >= kInboxMax) {
        return fail(Code::resource_exhausted, "{} has {} signals that nobody took",
                    to_text(state_.id), state_.inbox.size());
    }
    emit({.kind = EventKind::signal_received,
          .name = std::string(name),
          .number = state_.signals + 1,
          .value = std::move(payload)});
    return {};
}

base::Result<void> Machine::signal(std::string_view name, json::value payload,
                                   std::int64_t now_ms) {
    DG_TRY(deliver(name, std::move(payload), now_ms));
    proceed(now_ms);
    return {};
}

bool Machine::take_signals(ScopeState& scope) {
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
        StepState& step = scope.steps[i];
        const auto* wait = std::get_if<WaitAction>(&scope.block->steps[i].action);
        if (wait != nullptr && step.status == StepStatus::waiting && !step.name.empty()) {
            const StepRef ref{&scope, i, &step, &scope.block->steps[i]};
            if (take_signal(ref, path_of(scope, i), *wait)) return true;
        }
        for (const auto& inner : step.scopes) {
            if (take_signals(*inner)) return true;
        }
    }
    return false;
}

/// The first signal in the inbox that this step waits for.
bool Machine::take_signal(const StepRef& ref, const std::string& path, const WaitAction& wait) {
    for (const Signal& signal : state_.inbox) {
        if (signal.name != ref.state->name) continue;
        if (wait.where) {
            RunVariables variables(state_, ref.scope);
            variables.set_payload(signal.payload);
            const auto fits = wait.where->test(variables, render_options(now_ms_));
            if (!fits || !*fits) continue;  // what it cannot judge, it does not take
        }
        const std::uint64_t number = signal.number;
        json::value payload = signal.payload;
        finish(ref, path, std::move(payload), number);
        return true;
    }
    return false;
}

base::Result<void> Machine::answer(std::string_view path, const json::value& answer,
                                   std::int64_t now_ms) {
    now_ms_ = now_ms;
    const auto ref = find_step(state_, path);
    const HumanAction* human =
        ref && ref->scope != nullptr ? std::get_if<HumanAction>(&ref->step->action) : nullptr;
    if (human == nullptr || ref->state->status != StepStatus::waiting || is_final(state_.status)) {
        return fail(Code::not_found, "no step '{}' of {} waits for a person", path,
                    to_text(state_.id));
    }
    const json::object* fields = answer.if_object();
    const json::value* decision = fields != nullptr ? fields->if_contains("decision") : nullptr;
    const json::value* content = fields != nullptr ? fields->if_contains("answer") : nullptr;
    const json::value* by = fields != nullptr ? fields->if_contains("by") : nullptr;
    const std::string word = decision != nullptr && decision->is_string()
                                 ? std::string(decision->get_string())
                                 : std::string();
    using Ask = HumanAction::Ask;
    // A draft may be approved as it stands, or answered with another in its place.
    const bool gives = human->ask == Ask::answer || (human->ask == Ask::edit && word == "answered");
    const bool approves = human->ask != Ask::answer && word == "approved";
    if (word != "rejected" && !approves && !(gives && word == "answered")) {
        return base::fail_on("decision", Code::invalid_argument,
                             "'decision' must be {} or rejected",
                             human->ask == Ask::answer ? "answered"
                             : human->ask == Ask::edit ? "approved, answered"
                                                       : "approved");
    }
    const std::string place(path);
    const std::string who = by != nullptr && by->is_string() ? std::string(by->get_string()) : "";
    if (word == "rejected") {
        const std::string why = content != nullptr && content->is_string()
                                    ? ": " + std::string(content->get_string())
                                    : "";
        fail_step(*ref, place,
                  {Error{Code::permission_denied,
                         "rejected" + (who.empty() ? "" : " by " + who) + why,
                         {}}});
        settle();
        return {};
    }
    if (gives && content == nullptr) {
        return base::fail_on("answer", Code::invalid_argument, "'answer' is missing");
    }
    if (human->form && content != nullptr) {
        if (auto fits = human->form->check(*content); !fits) {
            Error error = std::move(fits).error();
            error.subject = "answer" + error.subject;
            return std::unexpected(std::move(error));
        }
    }
    json::object output{{"decision", word}};
    if (content != nullptr) output["answer"] = *content;
    if (!who.empty()) output["by"] = who;
    finish(*ref, place, std::move(output));
    settle();
    return {};
}

base::Result<void> Machine::pause(std::string_view why, std::string_view by, std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (state_.status != RunStatus::running) {
        return fail(Code::failed_precondition, "{} is {}; only a running run can be paused",
                    to_text(state_.id), status_name(state_.status));
    }
    emit({.kind = EventKind::run_paused, .name = std::string(why), .value = json::value(by)});
    return {};
}

base::Result<void> Machine::resume(std::string_view by, std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (state_.status != RunStatus::paused) {
        return fail(Code::failed_precondition, "{} is {}; only a paused run can be resumed",
                    to_text(state_.id), status_name(state_.status));
    }
    reset_all([](const StepState& step, const Step& definition) {
        return step.status == StepStatus::failed &&
               (definition.on_error.what == OnError::Do::pause ||
                step.quarantined);  // what paused it is tried again
    });
    emit({.kind = EventKind::run_resumed, .value = json::value(by)});
    for (Call& call : outstanding()) {
        if (call.admission && !call.holds) out_.calls.push_back(std::move(call));
    }
    while (state_.status == RunStatus::running && tick_scope(state_.root)) {
    }
    settle();
    return {};
}

/// Every step that `which` wants, in blocks that have not ended, begins anew.
void Machine::reset_all(bool (*which)(const StepState&, const Step&)) {
    std::vector<std::string> paths;
    const auto walk = [&](const auto& self, ScopeState& scope) -> void {
        for (std::uint32_t i = 0; i < scope.steps.size() && !scope.closed; ++i) {
            if (which(scope.steps[i], scope.block->steps[i])) {
                paths.push_back(path_of(scope, i));
                continue;
            }
            for (const auto& inner : scope.steps[i].scopes) self(self, *inner);
        }
    };
    walk(walk, state_.root);
    for (const std::string& path : paths) {
        const auto ref = find_step(state_, path);
        if (!ref || !which(*ref->state, *ref->step)) continue;  // reset with one before it
        emit({.kind = EventKind::step_reset, .path = path, .name = "the run goes on"});
    }
}

base::Result<void> Machine::cancel(std::string_view why, std::int64_t now_ms) {
    now_ms_ = now_ms;
    if (is_final(state_.status)) {
        return fail(Code::failed_precondition, "{} is {} already", to_text(state_.id),
                    status_name(state_.status));
    }
    cancel_calls(state_.root);
    emit({.kind = EventKind::run_cancelled, .name = std::string(why)});
    return {};
}

}  // namespace flow
