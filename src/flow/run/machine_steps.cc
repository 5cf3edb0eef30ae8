// How each kind of step begins.

#include <algorithm>
#include <cmath>

#include "flow/cron/cron.h"
#include "flow/run/machine.h"
#include "flow/run/run_variables.h"
#include "flow/run/time_text.h"
#include "flow/run/trace_ids.h"

namespace flow {

using base::Code;
using base::Error;
namespace json = base::json;

namespace {

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};

const ValueTemplate& arguments_of(const Action& action) {
    static const ValueTemplate none;
    return std::visit(
        Overloaded{[](const LlmAction& a) -> const ValueTemplate& { return a.request; },
                   [](const HttpAction& a) -> const ValueTemplate& { return a.request; },
                   [](const ToolAction& a) -> const ValueTemplate& { return a.arguments; },
                   [](const CodeAction& a) -> const ValueTemplate& { return a.arguments; },
                   [](const MemoryAction& a) -> const ValueTemplate& { return a.arguments; },
                   [](const NativeAction& a) -> const ValueTemplate& { return a.arguments; },
                   [](const WorkerAction& a) -> const ValueTemplate& { return a.arguments; },
                   [](const auto&) -> const ValueTemplate& { return none; }},
        action);
}

}  // namespace

base::Result<json::value> Machine::request_of(const StepRef& ref) const {
    const RunVariables variables(state_, ref.scope);
    auto own = edited(ref);
    json::value arguments =
        own ? *std::move(own)
            : DG_TRY(arguments_of(ref.step->action).render(variables, render_options(now_ms_)));
    if (const auto* code = std::get_if<CodeAction>(&ref.step->action)) {
        json::value sandbox = DG_TRY(code->sandbox.render(variables, render_options(now_ms_)));
        json::value files = DG_TRY(code->workspace.render(variables, render_options(now_ms_)));
        json::object request{{"args", std::move(arguments)}, {"sandbox", std::move(sandbox)}};
        if (!files.is_null()) request["workspace"] = std::move(files);
        return request;
    }
    return arguments;
}

base::Result<json::value> Machine::input_of(const StepRef& ref, const ValueTemplate& from) const {
    if (auto own = edited(ref)) return *std::move(own);
    return from.render(RunVariables(state_, ref.scope), render_options(now_ms_));
}

/// What a person put for the step's input; a compensation has its own.
std::optional<json::value> Machine::edited(const StepRef& ref) const {
    if (ref.scope == nullptr || ref.state->with.is_null()) return std::nullopt;
    if (ref.step != &ref.scope->block->steps[ref.index]) return std::nullopt;
    return ref.state->with;
}

base::Result<json::value> Machine::request(std::string_view path, std::int64_t now_ms) {
    now_ms_ = now_ms;
    const auto ref = find_step(state_, path);
    if (!ref)
        return base::fail(Code::not_found, "{} has no step '{}' now", to_text(state_.id), path);
    if (ref->scope == nullptr) {
        for (const Undo& undo : state_.undos) {
            if (&undo.state == ref->state) return undo.request;
        }
    }
    if (const auto* subflow = std::get_if<SubflowAction>(&ref->step->action)) {
        return input_of(*ref, subflow->input);
    }
    return request_of(*ref);
}

std::string Machine::key_of(const StepRef& ref, const std::string& path) const {
    std::string key = to_text(state_.id) + "/" + path;
    if (ref.state->resets != 0) key += "#" + std::to_string(ref.state->resets);
    return key;
}

Call Machine::call_of(const StepRef& ref, const std::string& path, std::uint32_t attempt,
                      json::value request) const {
    Call call;
    call.run = state_.id;
    call.tenant = state_.tenant;
    call.path = path;
    call.attempt = attempt;
    call.definition = state_.definition;
    call.step = ref.step;
    call.request = std::move(request);
    call.idempotency_key = key_of(ref, path);
    if (ref.step->idempotency_key && ref.scope != nullptr) {
        const auto own = ref.step->idempotency_key->render(RunVariables(state_, ref.scope),
                                                           render_options(now_ms_));
        if (own && own->is_string()) call.idempotency_key = own->get_string();
    }
    call.deadline_ms = ref.state->until_ms;
    call.priority = ref.step->priority.value_or(state_.priority);
    call.since_ms = ref.state->started_ms;
    call.trace = run_trace(state_.id, state_.traceparent);
    call.trace.span_id = span_id(state_.id, path, attempt, ref.state->started_ms);
    return call;
}

void Machine::begin(ScopeState& scope, std::uint32_t index) {
    const StepRef ref{&scope, index, &scope.steps[index], &scope.block->steps[index]};
    const std::string path = path_of(scope, index);
    if (ref.step->when) {
        const auto wanted =
            ref.step->when->test(RunVariables(state_, &scope), render_options(now_ms_));
        if (!wanted) {
            fail_step(ref, path, {wanted.error()});
            return;
        }
        if (!*wanted) {
            emit({.kind = EventKind::step_skipped, .path = path});
            return;
        }
    }
    std::visit(Overloaded{
                   [&](const WaitAction& wait) { begin_wait(ref, path, wait); },
                   [&](const HumanAction& human) { begin_human(ref, path, human); },
                   [&](const ChooseAction& choose) { begin_choose(ref, path, choose); },
                   [&](const LoopAction& loop) { begin_loop(ref, path, loop); },
                   [&](const ParallelAction& parallel) { begin_parallel(ref, path, parallel); },
                   [&](const SubflowAction& subflow) { begin_subflow(ref, path, subflow); },
                   [&](const EmitAction& say) { begin_emit(ref, path, say); },
                   [&](const EndAction& end) { begin_end(ref, path, end); },
                   [&](const SetAction& set) {
                       auto values = input_of(ref, set.values);
                       if (values && !values->is_object()) {
                           fail_step(ref, path,
                                     {Error{Code::invalid_argument, "set needs an object", {}}});
                       } else if (values) {
                           finish(ref, path, *std::move(values));
                       } else {
                           fail_step(ref, path, {values.error()});
                       }
                   },
                   [&](const auto&) { begin_call(ref, path); },
               },
               ref.step->action);
}

void Machine::begin_call(const StepRef& ref, const std::string& path) {
    if (ref.scope != nullptr && !ref.step->queue.empty()) return ask_place(ref, path);
    make_call(ref, path);
}

void Machine::make_call(const StepRef& ref, const std::string& path) {
    base::Result<json::value> request = json::value();
    if (ref.scope != nullptr) {
        request = request_of(ref);
    } else {
        for (const Undo& undo : state_.undos) {
            if (&undo.state == ref.state) request = undo.request;
        }
    }
    const std::uint32_t attempt = ref.state->attempt + 1;
    Event event{.kind = EventKind::step_started, .path = path, .attempt = attempt};
    if (ref.step->timeout.count() > 0) event.until_ms = now_ms_ + ref.step->timeout.count();
    emit(std::move(event));
    if (!request) {
        fail_step(ref, path, {request.error()});
        return;
    }
    out_.calls.push_back(call_of(ref, path, attempt, *std::move(request)));
}

void Machine::begin_wait(const StepRef& ref, const std::string& path, const WaitAction& wait) {
    const RunVariables variables(state_, ref.scope);
    Event event{.kind = EventKind::step_waiting, .path = path};
    if (!wait.signal.empty() || !wait.event.empty()) {
        event.name = wait.signal.empty() ? "event/" + wait.event : wait.signal;
        if (ref.step->timeout.count() > 0) event.until_ms = now_ms_ + ref.step->timeout.count();
    } else if (const auto* time = std::get_if<milliseconds>(&wait.duration)) {
        event.until_ms = now_ms_ + std::max<std::int64_t>(time->count(), 0);
    } else if (!wait.cron.empty()) {
        const auto cron = Cron::parse(wait.cron);
        if (!cron) {
            fail_step(ref, path, {cron.error()});
            return;
        }
        const auto next = cron->next(now_ms_ / 1000);
        if (!next) {
            fail_step(ref, path, {Error{Code::invalid_argument, "that moment never comes", {}}});
            return;
        }
        event.until_ms = *next * 1000;
    } else if (wait.until) {
        const auto value = wait.until->render(variables, render_options(now_ms_));
        const auto moment =
            value ? moment_ms(*value) : base::Result<std::int64_t>(std::unexpected(value.error()));
        if (!moment) {
            fail_step(ref, path, {moment.error()});
            return;
        }
        event.until_ms = std::max<std::int64_t>(*moment, 1);
    }
    emit(std::move(event));
    if (ref.state->until_ms != 0 && ref.state->until_ms <= now_ms_ && ref.state->name.empty()) {
        due(ref, path);
    } else if (!ref.state->name.empty()) {
        take_signal(ref, path, wait);
    }
}

void Machine::begin_human(const StepRef& ref, const std::string& path, const HumanAction& human) {
    const RunVariables variables(state_, ref.scope);
    const auto prompt = human.prompt.render(variables, render_options(now_ms_));
    const auto draft = human.draft.render(variables, render_options(now_ms_));
    if (!prompt || !draft) {
        fail_step(ref, path, {prompt ? draft.error() : prompt.error()});
        return;
    }
    constexpr std::string_view kAsks[] = {"approve", "edit", "answer"};
    json::object shown;
    shown["ask"] = kAsks[static_cast<std::size_t>(human.ask)];
    shown["prompt"] = *prompt;
    if (!draft->is_null()) shown["draft"] = *draft;
    if (human.form) shown["form"] = human.form->source();
    if (!human.assignees.empty()) shown["assignees"] = json::value_from(human.assignees);
    std::int64_t until = ref.step->timeout.count() > 0 ? now_ms_ + ref.step->timeout.count() : 0;
    if (until != 0) shown["deadline_ms"] = until;
    if (human.escalate_after) {
        const std::int64_t escalate = now_ms_ + human.escalate_after->count();
        until = until == 0 ? escalate : std::min(until, escalate);
    }
    emit({.kind = EventKind::step_waiting,
          .path = path,
          .until_ms = until,
          .value = std::move(shown)});
}

void Machine::begin_choose(const StepRef& ref, const std::string& path,
                           const ChooseAction& choose) {
    const RunVariables variables(state_, ref.scope);
    std::optional<json::value> subject;
    if (choose.subject) {
        auto value = choose.subject->evaluate(variables, render_options(now_ms_));
        if (!value) {
            fail_step(ref, path, {value.error()});
            return;
        }
        subject = *std::move(value);
    }
    for (std::size_t i = 0; i < choose.arms.size(); ++i) {
        const auto& arm = choose.arms[i];
        base::Result<bool> taken = true;
        if (subject && i < choose.values.size()) {
            taken = *subject == choose.values[i];
        } else if (arm.when) {
            taken = arm.when->test(variables, render_options(now_ms_));
        }
        if (!taken) {
            fail_step(ref, path, {taken.error()});
            return;
        }
        if (!*taken) continue;
        emit({.kind = EventKind::scope_opened, .path = path, .name = arm.label});
        return;
    }
    finish(ref, path, nullptr);
}

void Machine::begin_loop(const StepRef& ref, const std::string& path, const LoopAction& loop) {
    Event event{.kind = EventKind::loop_opened, .path = path};
    if (loop.items) {
        auto items = loop.items->evaluate(RunVariables(state_, ref.scope), render_options(now_ms_));
        if (items && !items->is_array()) {
            fail_step(ref, path,
                      {Error{Code::invalid_argument,
                             "for_each goes over a list; its 'in' gave something else",
                             {}}});
            return;
        }
        if (items && items->get_array().size() > loop.rounds_max) {
            fail_step(ref, path,
                      {Error{Code::resource_exhausted,
                             fmt::format("for_each has {} items; 'max' allows {}",
                                         items->get_array().size(), loop.rounds_max),
                             {}}});
            return;
        }
        if (!items) {
            fail_step(ref, path, {items.error()});
            return;
        }
        event.value = *std::move(items);
    }
    emit(std::move(event));
}

void Machine::next_rounds(const StepRef& ref, const std::string& path, const LoopAction& loop) {
    if (!loop.items) {
        next_while_round(ref, path, loop);
        return;
    }
    StepState& step = *ref.state;
    const std::uint64_t bound = std::max<std::uint32_t>(loop.concurrency, 1);
    while (step.rounds < step.items.size() && step.rounds - step.rounds_done < bound) {
        const std::uint64_t index = step.rounds;
        emit({.kind = EventKind::scope_opened,
              .path = path,
              .name = std::to_string(index),
              .number = index,
              .value = step.items[static_cast<std::size_t>(index)]});
    }
    if (step.rounds_done == step.items.size()) finish_loop(ref, path, loop);
}

void Machine::next_while_round(const StepRef& ref, const std::string& path,
                               const LoopAction& loop) {
    StepState& step = *ref.state;
    if (step.rounds != step.rounds_done) return;
    RunVariables variables(state_, ref.scope);
    variables.set_round(step.rounds);
    const auto wanted = loop.while_->test(variables, render_options(now_ms_));
    if (!wanted) {
        fail_step(ref, path, {wanted.error()});
    } else if (!*wanted) {
        finish_loop(ref, path, loop);
    } else if (step.rounds >= loop.rounds_max) {
        fail_step(ref, path,
                  {Error{Code::resource_exhausted,
                         fmt::format("its condition still holds after {} rounds, which is 'max'",
                                     loop.rounds_max),
                         {}}});
    } else {
        emit({.kind = EventKind::scope_opened,
              .path = path,
              .name = std::to_string(step.rounds),
              .number = step.rounds});
    }
}

void Machine::finish_loop(const StepRef& ref, const std::string& path, const LoopAction& loop) {
    json::value output;
    if (loop.collect) {
        json::array all;
        all.reserve(ref.state->outputs.size());
        for (auto& [index, value] : ref.state->outputs) all.push_back(value);
        output = std::move(all);
    } else if (!ref.state->outputs.empty()) {
        output = ref.state->outputs.rbegin()->second;
    }
    finish(ref, path, std::move(output));
}

void Machine::begin_parallel(const StepRef& ref, const std::string& path,
                             const ParallelAction& parallel) {
    for (const auto& branch : parallel.branches) {
        emit({.kind = EventKind::scope_opened, .path = path, .name = branch.name});
    }
    if (parallel.branches.empty()) finish(ref, path, json::object());
}

void Machine::begin_subflow(const StepRef& ref, const std::string& path,
                            const SubflowAction& subflow) {
    auto input = input_of(ref, subflow.input);
    if (!input) {
        fail_step(ref, path, {input.error()});
        return;
    }
    // The id follows from the run and the step, so that it is the same whoever decides it again.
    base::Rng rng(state_.id.low ^ std::hash<std::string>()(key_of(ref, path)));
    const RunId child = make_run_id(now_ms_, rng);
    emit({.kind = EventKind::step_child, .path = path, .name = to_text(child)});
    out_.children.push_back(
        {child, path, subflow.workflow, subflow.version, *std::move(input), subflow.detached});
    if (subflow.detached) finish(ref, path, json::object{{"run_id", to_text(child)}});
}

void Machine::begin_emit(const StepRef& ref, const std::string& path, const EmitAction& say) {
    const RunVariables variables(state_, ref.scope);
    auto payload = input_of(ref, say.payload);
    if (!payload) {
        fail_step(ref, path, {payload.error()});
        return;
    }
    Sending sending;
    sending.name = say.signal.empty() ? say.event : say.signal;
    if (!say.signal.empty() && say.run) {
        const auto target = say.run->render(variables, render_options(now_ms_));
        if (target && target->is_string())
            sending.run = run_id_from(std::string_view(target->get_string()));
        if (!sending.run) {
            fail_step(ref, path,
                      {Error{Code::invalid_argument, "'run' does not name a run", "run"}});
            return;
        }
    }
    sending.payload = *payload;
    out_.sendings.push_back(std::move(sending));
    finish(ref, path, *std::move(payload));
}

void Machine::begin_end(const StepRef& ref, const std::string& path, const EndAction& end) {
    auto value = end.value.render(RunVariables(state_, ref.scope), render_options(now_ms_));
    if (!value) {
        fail_step(ref, path, {value.error()});
        return;
    }
    if (end.failed) {
        fail_run({Code::failed_precondition,
                  value->is_string() ? std::string(value->get_string()) : base::to_text(*value),
                  path});
        return;
    }
    emit({.kind = EventKind::step_finished, .path = path, .value = *value});
    cancel_calls(state_.root);
    emit({.kind = EventKind::run_completed, .value = *std::move(value)});
}

}  // namespace flow
