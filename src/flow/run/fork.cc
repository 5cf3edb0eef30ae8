#include "flow/run/fork.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace flow {

using base::Code;
using base::fail;
using base::Result;
namespace json = base::json;

namespace {

/// Does `on` wait for `of`, directly or not? Both are in the block.
bool comes_after(const Block& block, std::uint32_t of, std::uint32_t on) {
    return of < on && after(block, of)[on];
}

/// What happened to other steps after one has begun: does it stand on its own?
class Beside {
public:
    Beside(const Definition& definition, std::string_view step)
        : root_(definition.body.get()), mine_(split_path(step)) {}

    /// Of an event of a step at `path`; `event` matters for those around the step.
    bool holds(const Event& event) const {
        const Block* block = root_;
        const std::vector<PathPart> theirs = split_path(event.path);
        for (std::size_t level = 0; level < theirs.size() && block != nullptr; ++level) {
            if (level >= mine_.size()) return false;  // inside of the step
            const auto own = index_in(*block, mine_[level].id);
            const auto other = index_in(*block, theirs[level].id);
            if (!own || !other) return false;
            if (*own != *other) {
                return !comes_after(*block, *own, *other) && !comes_after(*block, *other, *own);
            }
            if (level + 1 == mine_.size()) return false;  // the step itself
            const Step& around = block->steps[*own];
            const auto* loop = std::get_if<LoopAction>(&around.action);
            const bool one_by_one = loop != nullptr && (!loop->items || loop->concurrency <= 1);
            if (level + 1 == theirs.size()) {  // a step around it: only of other rounds
                const bool scope =
                    event.kind == EventKind::scope_opened || event.kind == EventKind::scope_closed;
                return scope && !one_by_one && event.name != mine_[level].key;
            }
            if (theirs[level].key != mine_[level].key) return !one_by_one;
            block = inner_block(around, mine_[level].key);
        }
        return false;
    }

private:
    static std::optional<std::uint32_t> index_in(const Block& block, std::string_view id) {
        for (std::uint32_t i = 0; i < block.steps.size(); ++i) {
            if (block.steps[i].id == id) return i;
        }
        return std::nullopt;
    }

    const Block* root_;
    std::vector<PathPart> mine_;
};

bool ended_well(const Event& event, const Definition& definition) {
    switch (event.kind) {
        case EventKind::step_started:
        case EventKind::step_finished:
        case EventKind::step_skipped:
        case EventKind::step_waiting:
        case EventKind::step_child:
        case EventKind::step_reset:
        case EventKind::loop_opened:
        case EventKind::scope_opened:
        case EventKind::vars_set:
        case EventKind::checkpoint_reached:
            return true;
        case EventKind::scope_closed:
            return !event.error;
        case EventKind::step_failed: {
            const Step* step = find_definition(definition, event.path);
            return event.until_ms == 0 && step != nullptr &&
                   step->on_error.what == OnError::Do::skip;
        }
        default:
            return false;
    }
}

/// What was at work has not begun; what has ended stays, also within what is open.
void rest(ScopeState& scope) {
    if (scope.closed) return;
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
        StepState& step = scope.steps[i];
        const Step& definition = scope.block->steps[i];
        const bool child = step.status == StepStatus::open && step.scopes.empty() &&
                           std::holds_alternative<SubflowAction>(definition.action);
        const bool stuck = step.status == StepStatus::failed &&
                           (step.quarantined || definition.on_error.what == OnError::Do::pause);
        if (child || stuck || step.status == StepStatus::running ||
            step.status == StepStatus::backoff || step.status == StepStatus::waiting ||
            step.status == StepStatus::cancelled) {
            const std::uint32_t resets = step.resets;
            json::value with = std::move(step.with);
            step = StepState();
            step.resets = resets;
            step.with = std::move(with);
            continue;
        }
        for (const auto& inner : step.scopes) rest(*inner);
    }
}

bool begun(RunState& state, std::string_view path) {
    const auto found = find_step(state, path);
    return found && found->state->status != StepStatus::pending;
}

}  // namespace

std::span<const Event> foldable(std::span<const Event> history) {
    const auto last = std::find_if(history.rbegin(), history.rend(), [](const Event& event) {
        return event.kind == EventKind::run_migrated;
    });
    if (last == history.rend()) return history;
    return history.subspan(static_cast<std::size_t>(history.rend() - last) - 1);
}

namespace {

/// Place of the first event that `definition` of the history's end can fold.
Result<std::uint64_t> foldable_from(const History& history) {
    std::uint64_t place = 0, from = 0;
    DG_TRY(history(0, [&](const Event& event) {
        if (event.kind == EventKind::run_migrated) from = place;
        ++place;
        return true;
    }));
    return from;
}

/// Places, from `from` on, at which `step` began; the last one counts. None: it has not begun.
Result<std::optional<std::uint64_t>> last_begin(const History& history, std::uint64_t from,
                                                RunState& state, std::string_view step) {
    std::optional<std::uint64_t> begin;
    std::uint64_t place = from;
    Result<void> folded;
    DG_TRY(history(from, [&](const Event& event) {
        const bool mine = event.path == step;
        const bool before = mine && begun(state, step);
        folded = apply(state, event);
        if (!folded) return false;
        if (mine && !before && begun(state, step)) begin = place;
        ++place;
        return true;
    }));
    DG_TRY(std::move(folded));
    return begin;
}

}  // namespace

Result<ForkPlan> plan_fork(RunId origin, std::shared_ptr<const Definition> definition,
                           std::span<const Event> history, std::string_view step,
                           const json::value& with) {
    const History source = [history](std::uint64_t from, const auto& each) -> Result<void> {
        for (std::size_t i = from; i < history.size(); ++i) {
            if (!each(history[i])) break;
        }
        return {};
    };
    return plan_fork(origin, std::move(definition), source, step, with);
}

Result<ForkPlan> plan_fork(RunId origin, std::shared_ptr<const Definition> definition,
                           const History& history, std::string_view step, const json::value& with) {
    const Step* known = find_definition(*definition, step);
    if (known == nullptr || step.ends_with(kUndoSuffix)) {
        return base::fail_on("step", Code::not_found,
                             "workflow '{}' has no step '{}'; name it by its path, such as "
                             "'each[3].fit'",
                             definition->name, step);
    }
    if (!with.is_null() && !takes_input(known->action)) {
        return base::fail_on("with", Code::invalid_argument,
                             "step '{}' has no input that 'with' could stand for", step);
    }
    const std::uint64_t from = DG_TRY(foldable_from(history));
    std::optional<std::uint64_t> begin;
    {
        RunState whole;
        whole.id = origin;
        whole.definition = definition;
        begin = DG_TRY(last_begin(history, from, whole, step));
    }
    if (!begin) {
        return base::fail_on("step", Code::not_found,
                             "step '{}' has not begun in {}; a fork begins at a step that has",
                             step, to_text(origin));
    }
    RunState state;
    state.id = origin;
    state.definition = definition;
    const Beside beside(*definition, step);
    std::uint64_t place = from;
    Result<void> folded;
    DG_TRY(history(from, [&](const Event& event) {
        if (place++ < *begin) {
            folded = apply(state, event);
            return folded.has_value();
        }
        if (event.path.empty() || !ended_well(event, *definition) || !beside.holds(event)) {
            return true;
        }
        // Where it hung on something that is left out it has no place: it will be done again.
        (void)apply(state, event);
        return true;
    }));
    DG_TRY(std::move(folded));
    rest(state.root);
    ForkPlan plan;
    plan.origin = origin;
    plan.step = step;
    plan.hash = definition->hash;
    plan.taken = taken_over(state);
    plan.with = with;
    plan.input = state.input;
    plan.labels = state.labels;
    return plan;
}

}  // namespace flow
