#include "flow/run/run_variables.h"

#include "base/template/object_methods.h"

namespace flow {

namespace json = base::json;

namespace {

bool hides_steps(const Step& step) {
    const auto* loop = std::get_if<LoopAction>(&step.action);
    return loop != nullptr && loop->items;
}

const StepState* find_below(const ScopeState& scope, std::string_view id);

/// Arms, branches and the last round of a while loop keep their steps, so that what they gave can
/// be asked for later; the rounds of a for-each are seen from within alone.
const StepState* find_in(const ScopeState& scope, std::string_view id) {
    for (std::size_t i = 0; i < scope.steps.size(); ++i) {
        if (scope.block->steps[i].id == id) return &scope.steps[i];
    }
    return find_below(scope, id);
}

const StepState* find_below(const ScopeState& scope, std::string_view id) {
    for (std::size_t i = 0; i < scope.steps.size(); ++i) {
        if (hides_steps(scope.block->steps[i])) continue;
        for (const auto& inner : scope.steps[i].scopes) {
            if (const StepState* found = find_in(*inner, id)) return found;
        }
    }
    return nullptr;
}

/// As far as `path` names members of objects; a method is the template's to call.
const json::value* walk(const json::value& from, std::span<const std::string_view> path,
                        std::size_t& used) {
    const json::value* at = &from;
    while (used < path.size() && at->is_object() && !base::is_object_method(path[used])) {
        const json::value* next = at->get_object().if_contains(path[used]);
        if (next == nullptr) break;
        at = next;
        ++used;
    }
    return at;
}

/// A step that has given nothing, as far down as is asked: a condition may look at a round that was
/// not yet, an output at an arm that was not taken.
const json::value* nothing(std::span<const std::string_view> path, std::size_t& used) {
    used = path.size();
    return nullptr;
}

json::object step_object(const StepState& step) {
    json::object out;
    out["status"] = status_name(step.status);
    if (step.status == StepStatus::done) out["output"] = step.output;
    if (step.error) {
        out["error"] = {{"code", base::code_name(step.error->code)},
                        {"message", step.error->message}};
    }
    out["attempt"] = step.attempt;
    return out;
}

void add_steps(const ScopeState& scope, json::object& out) {
    for (std::size_t i = 0; i < scope.steps.size(); ++i) {
        const Step& step = scope.block->steps[i];
        if (scope.steps[i].status != StepStatus::pending) {
            out[step.id] = step_object(scope.steps[i]);
        }
        if (hides_steps(step)) continue;
        for (const auto& inner : scope.steps[i].scopes) add_steps(*inner, out);
    }
}

const LoopAction* loop_around(const ScopeState& scope) {
    if (scope.outer == nullptr) return nullptr;
    return std::get_if<LoopAction>(&scope.outer->block->steps[scope.outer_step].action);
}

}  // namespace

const json::value* RunVariables::keep(json::value value) const {
    return &made_.emplace_back(std::move(value));
}

const StepState* RunVariables::step(std::string_view id) const {
    const ScopeState* scope = scope_ != nullptr ? scope_ : &state_.root;
    for (; scope != nullptr; scope = scope->outer) {
        if (const StepState* found = find_in(*scope, id)) return found;
    }
    return nullptr;
}

const json::value* RunVariables::step_field(const StepState& step,
                                            std::span<const std::string_view> path,
                                            std::size_t& used) const {
    used = 2;
    if (path.size() < 3 || path[2] != "output") return keep(step_object(step));
    if (step.status != StepStatus::done) return nothing(path, used);
    used = 3;
    return walk(step.output, path, used);
}

const json::value* RunVariables::find(std::span<const std::string_view> path,
                                      std::size_t& used) const {
    const std::string_view name = path[0];
    used = 1;
    if (name == "payload" && payload_ != nullptr) return walk(*payload_, path, used);
    if (name == "index" && round_) return keep(*round_);
    for (const ScopeState* scope = scope_; scope != nullptr; scope = scope->outer) {
        const LoopAction* loop = loop_around(*scope);
        if (loop == nullptr) continue;
        if (name == loop->item_name && loop->items) return walk(scope->item, path, used);
        if (name == "index") return keep(scope->index);
    }
    if (name == "input") return walk(state_.input, path, used);
    if (name == "vars") {
        if (path.size() > 1) {
            const json::value* var = state_.vars.if_contains(path[1]);
            used = 2;
            return var != nullptr ? walk(*var, path, used) : (used = 1, keep(json::object()));
        }
        return keep(state_.vars);
    }
    if (name == "steps") {
        if (path.size() > 1) {
            const StepState* found = step(path[1]);
            return found != nullptr ? step_field(*found, path, used) : nothing(path, used);
        }
        json::object all;
        for (const ScopeState* scope = scope_ != nullptr ? scope_ : &state_.root; scope != nullptr;
             scope = scope->outer) {
            add_steps(*scope, all);
        }
        return keep(std::move(all));
    }
    if (name == "run") {
        json::object run;
        run["id"] = to_text(state_.id);
        run["name"] = state_.definition->name;
        run["version"] = state_.definition->version;
        run["started_at"] = static_cast<double>(state_.started_ms) / 1000;
        run["tenant"] = state_.tenant;
        run["labels"] = state_.labels;
        json::object signals;  // that nobody has taken, by name
        for (const Signal& signal : state_.inbox) {
            json::value& count = signals[signal.name];
            count = count.is_null() ? 1 : count.as_int64() + 1;
        }
        run["signals"] = std::move(signals);
        if (state_.error) {
            run["error"] = {{"code", base::code_name(state_.error->code)},
                            {"message", state_.error->message}};
        }
        return keep(std::move(run));
    }
    return nullptr;
}

base::RenderOptions render_options(std::int64_t now_ms) {
    base::RenderOptions options;
    options.now_unix_s = now_ms / 1000;
    return options;
}

}  // namespace flow
