// The part of a decision that moves a run: what has become possible, what has ended, what follows.
// How each kind of step begins is in machine_steps.cc, what time and people do in
// machine_inputs.cc.

#include "flow/run/machine.h"

#include <algorithm>
#include <cmath>

#include "base/core/check.h"
#include "flow/run/run_variables.h"

namespace flow {

using base::Code;
using base::Error;
namespace json = base::json;

namespace {

constexpr std::size_t kEventsMax = 1'000;    // of one decision; the rest comes with the next
constexpr std::uint64_t kJumpsMax = 10'000;  // of a run: on_error goto and retries by hand

/// 64 bits that follow from a text alone (FNV-1a, mixed): chance that a crash does not change.
std::uint64_t steady_hash(std::string_view text, std::uint64_t seed) {
    std::uint64_t hash = 0xcbf29ce484222325ull ^ seed;
    for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ull;
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93ull;
    return hash ^ (hash >> 32);
}

}  // namespace

bool is_call(const Action& action) {
    return std::holds_alternative<LlmAction>(action) ||
           std::holds_alternative<ToolAction>(action) ||
           std::holds_alternative<CodeAction>(action) ||
           std::holds_alternative<HttpAction>(action) ||
           std::holds_alternative<MemoryAction>(action) ||
           std::holds_alternative<NativeAction>(action) ||
           std::holds_alternative<WorkerAction>(action);
}

bool may_heal(Code code) {
    return code == Code::unavailable || code == Code::deadline_exceeded ||
           code == Code::resource_exhausted;
}

Decision Machine::take() {
    Decision decided = std::move(out_);
    out_ = {};
    return decided;
}

void Machine::emit(Event event) {
    event.at_ms = now_ms_;
    switch (event.kind) {
        case EventKind::scope_closed:
        case EventKind::step_reset:
        case EventKind::run_forked:
        case EventKind::run_completed:
        case EventKind::run_failed:
        case EventKind::run_cancelled:
        case EventKind::run_undoing:
            ++changes_;
            break;
        default:
            break;
    }
    const base::Result<void> folded = apply(state_, event);
    DG_CHECK(folded.has_value());  // a decision follows from the state
    out_.events.push_back(std::move(event));
    if (!is_final(state_.status)) return;
    out_.ended = true;
    if (!state_.definition->run_queue.empty())
        out_.cancelled.emplace_back();  // gives its place back
}

void Machine::start(const RunStart& start, std::int64_t now_ms) {
    now_ms_ = now_ms;
    emit({.kind = EventKind::run_started, .value = to_value(start)});
    if (!state_.definition->run_queue.empty()) ask_run_place();
    settle();
}

void Machine::proceed(std::int64_t now_ms) {
    now_ms_ = now_ms;
    while (state_.status == RunStatus::running && take_signals(state_.root)) {
    }
    settle();
}

void Machine::settle() {
    if (!state_.queued_in.empty()) return;
    while (state_.status == RunStatus::running && out_.events.size() < kEventsMax) {
        if (!advance(state_.root)) break;
    }
    if (state_.status == RunStatus::undoing) undo_next();
    out_.more = state_.status == RunStatus::running && out_.events.size() >= kEventsMax;
}

/// One walk over what is open: begins what can begin. True: something changed, walk again.
bool Machine::advance(ScopeState& scope) {
    if (scope.closed) return false;
    bool progress = false, all_settled = true;
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
        const std::uint64_t changes = changes_;
        StepState& step = scope.steps[i];
        if (step.status == StepStatus::pending) {
            const Step& definition = scope.block->steps[i];
            const bool ready = std::ranges::all_of(definition.needs, [&](std::uint32_t need) {
                return is_settled(scope.steps[need].status);
            });
            if (ready) {
                begin(scope, i);
                progress = true;
                if (changes_ != changes || state_.status != RunStatus::running) return true;
                if (out_.events.size() >= kEventsMax) return true;
            }
        }
        if (step.status == StepStatus::open) {
            const StepRef ref{&scope, i, &step, &scope.block->steps[i]};
            if (const auto* loop = std::get_if<LoopAction>(&ref.step->action)) {
                const std::size_t before = out_.events.size();
                next_rounds(ref, path_of(scope, i), *loop);
                if (changes_ != changes || out_.events.size() != before) return true;
            }
            for (std::size_t s = 0; s < step.scopes.size(); ++s) {
                if (advance(*step.scopes[s])) progress = true;
                if (changes_ != changes || state_.status != RunStatus::running) return true;
            }
        }
        all_settled = all_settled && is_settled(step.status);
    }
    if (!all_settled) return progress;
    close(scope, std::nullopt);
    return true;
}

/// A block has ended: well, or because one of its steps failed for good.
void Machine::close(ScopeState& scope, std::optional<Error> failed) {
    if (scope.outer == nullptr) {
        if (failed) {
            fail_run(*std::move(failed));
        } else {
            complete_run();
        }
        return;
    }
    ScopeState& outer = *scope.outer;
    const StepRef ref{&outer, scope.outer_step, &outer.steps[scope.outer_step],
                      &outer.block->steps[scope.outer_step]};
    const std::string path = path_of(outer, ref.index);
    if (failed) cancel_calls(scope);
    json::value last;
    if (!failed && !scope.steps.empty()) last = scope.steps.back().output;
    emit({.kind = EventKind::scope_closed, .path = path, .name = scope.key, .error = failed});
    if (const auto* parallel = std::get_if<ParallelAction>(&ref.step->action)) {
        close_branch(ref, path, *parallel);
    } else if (failed) {
        fail_step(ref, path, {*std::move(failed)});
    } else if (std::holds_alternative<ChooseAction>(ref.step->action)) {
        finish(ref, path, std::move(last));
    }  // a loop goes on in next_rounds
}

void Machine::close_branch(const StepRef& ref, const std::string& path,
                           const ParallelAction& parallel) {
    const std::size_t branches = parallel.branches.size();
    const std::size_t needed = parallel.needed == 0 ? branches : parallel.needed;
    std::size_t good = 0, bad = 0;
    std::optional<Error> why;
    json::object outputs;
    for (const auto& branch : ref.state->scopes) {
        if (!branch->closed) continue;
        if (branch->failed) {
            ++bad;
            for (const StepState& step : branch->steps) {
                if (step.status == StepStatus::failed && step.error) why = step.error;
            }
            continue;
        }
        ++good;
        outputs[branch->key] = branch->steps.empty() ? json::value() : branch->steps.back().output;
    }
    if (good >= needed) {
        for (const auto& branch : ref.state->scopes) cancel_calls(*branch);
        finish(ref, path, std::move(outputs));
    } else if (branches - bad < needed) {
        for (const auto& branch : ref.state->scopes) cancel_calls(*branch);
        fail_step(ref, path, {why ? *why : Error{Code::internal, "a branch failed", {}}});
    }
}

void Machine::finish(const StepRef& ref, const std::string& path, json::value output,
                     std::uint64_t signal, std::uint64_t tokens, double cost_usd) {
    if (ref.step->output_check) {
        if (auto fits = ref.step->output_check->check(output); !fits) {
            Error error = std::move(fits).error();
            error.message = fmt::format("the output at '{}' is not as the step's schema says: {}",
                                        error.subject, error.message);
            fail_step(ref, path, {std::move(error), tokens, cost_usd});
            return;
        }
    }
    const bool sets = std::holds_alternative<SetAction>(ref.step->action);
    if (sets) emit({.kind = EventKind::vars_set, .path = path, .value = output});
    emit({.kind = EventKind::step_finished,
          .path = path,
          .attempt = ref.state->attempt,
          .number = signal,
          .tokens = tokens,
          .cost_usd = cost_usd,
          .value = std::move(output)});
    if (ref.scope == nullptr) return;
    for (const auto& inner : ref.state->scopes) cancel_calls(*inner);
    if (!ref.step->checkpoint.empty()) reach_checkpoint(ref, path);
    if (ref.step->compensation != nullptr) {
        const StepRef undo{ref.scope, ref.index, ref.state, ref.step->compensation.get()};
        auto request = request_of(undo);
        if (request) {
            emit({.kind = EventKind::step_undo, .path = path, .value = *std::move(request)});
        } else {
            fail_run(
                std::move(request).error().with_context("compensation of step '" + path + "'"));
            return;
        }
    }
    check_budget();
}

void Machine::check_budget() {
    const Budget& budget = state_.definition->budget;
    const auto over = [&](double used, double bound, std::string_view what) {
        if (bound <= 0 || used <= bound || is_final(state_.status)) return;
        fail_run({Code::resource_exhausted,
                  fmt::format("the run's budget is used up: {} of {} {}", used, bound, what),
                  "budget"});
    };
    over(static_cast<double>(state_.tokens), static_cast<double>(budget.tokens), "tokens");
    over(state_.cost_usd, budget.cost_usd, "USD");
    over(static_cast<double>(state_.steps_done), static_cast<double>(budget.steps), "steps");
}

std::int64_t Machine::backoff_ms(const Step& step, const std::string& path,
                                 std::uint32_t attempt) const {
    const RetryPolicy& retry = step.retry;
    const double plain = static_cast<double>(retry.backoff.count()) *
                         std::pow(retry.factor, static_cast<double>(attempt) - 1);
    const double most = std::min(plain, static_cast<double>(retry.backoff_max.count()));
    const double chance =
        static_cast<double>(steady_hash(path, state_.id.low + attempt) >> 11) * 0x1p-53;
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>(most * (1 + retry.jitter * (2 * chance - 1))));
}

void Machine::fail_step(const StepRef& ref, const std::string& path, Failure failure) {
    const Step& step = *ref.step;
    const auto& on = step.retry.on;
    const std::string code(base::code_name(failure.error.code));
    const bool retryable =
        is_call(step.action) &&
        (on.empty() ? may_heal(failure.error.code) : std::ranges::find(on, code) != on.end());
    Event event{.kind = EventKind::step_failed,
                .path = path,
                .attempt = ref.state->attempt,
                .tokens = failure.tokens,
                .cost_usd = failure.cost_usd,
                .error = failure.error};
    if (retryable && ref.state->attempt < step.retry.attempts_max) {
        event.until_ms = now_ms_ + backoff_ms(step, path, ref.state->attempt);
        emit(std::move(event));
        check_budget();
        return;
    }
    for (const auto& inner : ref.state->scopes) cancel_calls(*inner);
    emit(std::move(event));
    if (ref.scope == nullptr) return;  // a compensation: undo_next goes on with the others
    Error error = std::move(failure.error);
    if (!error.message.starts_with("step '")) {
        error.message = fmt::format("step '{}': {}", path, error.message);
    }
    OnError::Do what = step.on_error.what;
    if (what == OnError::Do::go_to && state_.jumps >= kJumpsMax) what = OnError::Do::fail;
    switch (what) {
        case OnError::Do::skip:
            break;
        case OnError::Do::fail:
            close(*ref.scope, std::move(error));
            return;
        case OnError::Do::pause:
            emit({.kind = EventKind::run_paused, .name = error.message});
            break;
        case OnError::Do::compensate:
            cancel_calls(state_.root);
            emit({.kind = EventKind::run_undoing, .error = std::move(error)});
            break;
        case OnError::Do::go_to:
            for (std::uint32_t i = 0; i < ref.scope->steps.size(); ++i) {
                if (ref.scope->block->steps[i].id != step.on_error.target) continue;
                emit({.kind = EventKind::step_reset,
                      .path = path_of(*ref.scope, i),
                      .name = "on_error of '" + path + "'"});
            }
            break;
    }
    check_budget();
}

void Machine::complete_run() {
    json::value output;
    if (state_.definition->output) {
        auto rendered = state_.definition->output->render(RunVariables(state_, nullptr),
                                                          render_options(now_ms_));
        if (!rendered) {
            fail_run(std::move(rendered).error().with_context("the run's output"));
            return;
        }
        output = *std::move(rendered);
    } else if (!state_.root.steps.empty()) {
        output = state_.root.steps.back().output;
    }
    if (state_.definition->output_check) {
        if (auto fits = state_.definition->output_check->check(output); !fits) {
            fail_run(std::move(fits).error().with_context(
                "the run's output is not as the definition says"));
            return;
        }
    }
    emit({.kind = EventKind::run_completed, .value = std::move(output)});
}

void Machine::fail_run(Error error) {
    cancel_calls(state_.root);
    emit({.kind = EventKind::run_failed, .error = std::move(error)});
}

/// Compensations run one at a time, the last finished step's first.
void Machine::undo_next() {
    std::string failures;
    for (std::size_t i = state_.undos.size(); i-- > 0;) {
        Undo& undo = state_.undos[i];
        if (undo.state.status == StepStatus::failed) {
            failures += fmt::format("; undoing '{}' failed: {}", undo.path,
                                    undo.state.error ? undo.state.error->message : "");
        }
        if (is_settled(undo.state.status)) continue;
        if (undo.state.status != StepStatus::pending) return;
        const std::string path = undo.path + std::string(kUndoSuffix);
        if (const auto ref = find_step(state_, path)) begin_call(*ref, path);
        return;
    }
    Error error = state_.error.value_or(Error{Code::internal, "undone", {}});
    error.message += failures;
    emit({.kind = EventKind::run_failed, .error = std::move(error)});
}

void Machine::cancel_calls(ScopeState& scope) {
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
        const StepState& step = scope.steps[i];
        if (step.status == StepStatus::running || waits_in_queue(step) ||
            (step.status == StepStatus::open && step.scopes.empty())) {
            out_.cancelled.push_back(path_of(scope, i));
        }
        for (const auto& inner : step.scopes) cancel_calls(*inner);
    }
}

}  // namespace flow
