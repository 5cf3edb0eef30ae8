#include "flow/run/migrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/json/canonical.h"
#include "flow/definition/graph.h"
#include "flow/run/run_input.h"

namespace flow {

using base::Code;
using base::Result;
namespace json = base::json;

namespace {

using Weight = Finding::Weight;

json::array& list_of(json::object& object, std::string_view name) {
    json::value& value = object[name];
    if (!value.is_array()) value = json::array();
    return value.get_array();
}

bool waits_for_child(const StepState& step) {
    return step.status == StepStatus::open && step.scopes.empty() && run_id_from(step.name);
}

/// Paths of what is out within a step, itself included.
void calls_within(const StepState& step, const std::string& path, std::vector<std::string>& out) {
    if (step.status == StepStatus::running || waits_in_queue(step) || waits_for_child(step)) {
        out.push_back(path);
    }
    for (const auto& inner : step.scopes) {
        for (std::uint32_t i = 0; i < inner->steps.size(); ++i) {
            calls_within(inner->steps[i], path_of(*inner, i), out);
        }
    }
}

/// Every step of a definition, those within others included.
void ids_of(const Block& block, std::set<std::string>& out) {
    for (const Step& step : block.steps) {
        out.insert(step.id);
        if (const auto* loop = std::get_if<LoopAction>(&step.action)) ids_of(*loop->body, out);
        if (const auto* choose = std::get_if<ChooseAction>(&step.action)) {
            for (const auto& arm : choose->arms) ids_of(*arm.block, out);
        }
        if (const auto* parallel = std::get_if<ParallelAction>(&step.action)) {
            for (const auto& branch : parallel->branches) ids_of(*branch.block, out);
        }
    }
}

/// All that a step of a block waits for, directly or not.
std::vector<bool> before(const Block& block, std::uint32_t index) {
    std::vector<bool> out(block.steps.size(), false);
    for (const std::uint32_t need : block.steps[index].needs) out[need] = true;
    for (std::uint32_t i = index; i-- > 0;) {
        if (!out[i]) continue;
        for (const std::uint32_t need : block.steps[i].needs) out[need] = true;
    }
    return out;
}

json::object not_begun(const Step& step) {
    return {{"id", step.id}, {"status", status_name(StepStatus::pending)}};
}

json::object new_scope(const Block& block, std::string_view key) {
    json::object out{{"key", key}};
    for (const Step& step : block.steps) list_of(out, "steps").emplace_back(not_begun(step));
    return out;
}

std::string source_of(const std::optional<base::SchemaCheck>& check) {
    return check ? base::canonical_text(check->source()) : std::string();
}

class Move {
public:
    Move(const RunState& state, const Definition& to, const MigrationRules& rules)
        : state_(state), to_(to), rules_(rules) {
        ids_of(*to.body, new_ids_);
        out_.state = to_json(state);
        totals_ = state.totals;
    }

    MigrationPlan go(std::int64_t now_ms) {
        now_ms_ = now_ms;
        whole(now_ms);
        json::object root = std::move(out_.state["root"].as_object());
        out_.state["root"] = scope(state_.root, std::move(root), *to_.body, "", true);
        undos();
        checkpoints();
        out_.state["totals"] = to_json(totals_);
        return std::move(out_);
    }

private:
    void blocks(std::string_view step, std::string message) {
        out_.findings.push_back({Weight::blocks, std::string(step), std::move(message)});
    }
    void note(std::string_view step, std::string message) {
        out_.findings.push_back({Weight::note, std::string(step), std::move(message)});
    }
    const std::string& name_now(const std::string& id) const {
        const auto found = rules_.renamed.find(id);
        return found == rules_.renamed.end() ? id : found->second;
    }
    bool named(const std::set<std::string>& rule, const Step& old, const Step& now) const {
        return rule.contains(old.id) || rule.contains(now.id);
    }
    std::string path_now(std::string_view path) const {
        std::string out;
        for (const PathPart& part : split_path(path)) {
            if (!out.empty()) out += '.';
            out += name_now(std::string(part.id));
            if (!part.key.empty()) out += "[" + std::string(part.key) + "]";
        }
        return out;
    }

    // ---- the run -------------------------------------------------------------------------------

    void whole(std::int64_t now_ms) {
        const Definition& from = *state_.definition;
        if (from.name != to_.name) {
            blocks("", fmt::format("it is of workflow '{}', not of '{}'", from.name, to_.name));
        }
        if (from.hash == to_.hash) {
            blocks("", fmt::format("version {} says the same as its own", to_.version));
        }
        if (state_.status == RunStatus::completed || state_.status == RunStatus::cancelled) {
            blocks("", fmt::format("it is {}", status_name(state_.status)));
        }
        if (state_.status == RunStatus::undoing) {
            blocks("", "it undoes what it did, as its own version says");
        }
        auto input = checked_input(to_, state_.input);
        if (input) {
            out_.state["input"] = *std::move(input);
        } else {
            blocks("", input.error().message);
        }
        const std::int64_t deadline = to_.deadline.count();
        if (deadline > 0 && state_.started_ms + deadline <= now_ms && !is_final(state_.status)) {
            blocks("", fmt::format("it has run longer than the new deadline of {} s",
                                   deadline / 1'000));
        }
        over(static_cast<double>(state_.tokens), static_cast<double>(to_.budget.tokens), "tokens");
        over(state_.cost_usd, to_.budget.cost_usd, "USD");
        over(static_cast<double>(state_.steps_done), static_cast<double>(to_.budget.steps),
             "steps");
        if (from.run_queue == to_.run_queue || is_final(state_.status)) return;
        if (!from.run_queue.empty()) out_.cancelled.emplace_back();  // its place
        out_.state.erase("queued_in");
        out_.run_place = !to_.run_queue.empty();
        if (out_.run_place) {
            note("", fmt::format("it waits for a place in queue '{}'", to_.run_queue));
        }
    }

    void over(double used, double bound, std::string_view what) {
        if (bound <= 0 || used <= bound) return;
        blocks("", fmt::format("it has used {} {}, the new budget allows {}", used, what, bound));
    }

    // ---- blocks --------------------------------------------------------------------------------

    /// `strict`: it may still run. Else what is in it is only looked at.
    json::object scope(const ScopeState& old, json::object was, const Block& now,
                       const std::string& prefix, bool strict) {
        strict = strict && !old.closed;
        json::array steps_were = std::move(list_of(was, "steps"));
        std::vector<std::optional<std::uint32_t>> origin(now.steps.size());
        for (std::uint32_t i = 0; i < old.steps.size(); ++i) {
            const std::string& name = name_now(old.block->steps[i].id);
            const auto found = std::ranges::find(now.steps, name, &Step::id);
            if (found != now.steps.end()) {
                origin[static_cast<std::size_t>(found - now.steps.begin())] = i;
            } else if (strict) {
                gone(old, i, name);
            }
        }
        json::array steps;
        for (std::uint32_t i = 0; i < now.steps.size(); ++i) {
            const Step& step = now.steps[i];
            if (!origin[i]) {
                steps.emplace_back(not_begun(step));
                continue;
            }
            json::object one = std::move(steps_were[*origin[i]].as_object());
            one["id"] = step.id;
            const std::string path = prefix + step.id;
            steps.emplace_back(moved(old, *origin[i], std::move(one), step, path, strict));
        }
        if (strict) order(old, now, origin, steps);
        was["steps"] = std::move(steps);
        return was;
    }

    /// A step that the new block has not.
    void gone(const ScopeState& old, std::uint32_t index, const std::string& name) {
        const StepState& step = old.steps[index];
        if (step.status == StepStatus::pending) return;
        const std::string path = path_of(old, index);
        if (new_ids_.contains(name)) {
            blocks(path, fmt::format("step '{}' is {} and stands elsewhere in the new version, "
                                     "where it would be done again; give it another id there",
                                     path, status_name(step.status)));
        } else if (is_settled(step.status)) {
            note(path,
                 fmt::format("step '{}' is gone; what it gave stands in the history alone", path));
        } else if (rules_.skip_removed) {
            leave(step, old.block->steps[index], path);
            note(path, fmt::format("step '{}' is {} and gone: it ends here", path,
                                   status_name(step.status)));
        } else {
            blocks(path, fmt::format("step '{}' is {} and gone; wait for its end, or let it end "
                                     "here (removed: skip), or say what it is called now (renamed)",
                                     path, status_name(step.status)));
        }
    }

    void leave(const StepState& step, const Step& old, const std::string& path) {
        out_.left.push_back(path);
        calls_within(step, path, out_.cancelled);
        count(step, old);
    }

    /// What it was in, and what is open within it, counts as far as it came.
    void count(const StepState& step, const Step& old) {
        totals_.ended(step, old, now_ms_);
        for (const auto& inner : step.scopes) {
            for (std::size_t i = 0; i < inner->steps.size(); ++i) {
                if (!inner->closed) count(inner->steps[i], inner->block->steps[i]);
            }
        }
    }

    /// What has begun must not wait for what has not been.
    void order(const ScopeState& old, const Block& now,
               const std::vector<std::optional<std::uint32_t>>& origin, const json::array& steps) {
        const auto pending = [&](std::uint32_t i) {
            return steps[i].as_object().at("status").as_string() ==
                   status_name(StepStatus::pending);
        };
        const auto settled = [&](std::uint32_t i) {
            return origin[i] && is_settled(old.steps[*origin[i]].status);
        };
        for (std::uint32_t i = 0; i < now.steps.size(); ++i) {
            if (!origin[i] || pending(i)) continue;
            const std::vector<bool> new_needs = before(now, i);
            const std::vector<bool> old_needs = before(*old.block, *origin[i]);
            const std::string path = path_of(old, *origin[i]);
            for (std::uint32_t need = 0; need < i; ++need) {
                if (!new_needs[need] || settled(need)) continue;
                const std::string& id = now.steps[need].id;
                if (!origin[need]) {
                    note(path, fmt::format("step '{}' is new and stands before '{}', which has "
                                           "begun: it is done late",
                                           id, path));
                } else if (!old_needs[*origin[need]]) {
                    blocks(path, fmt::format("step '{}' is {} and waits for '{}' now, which is {}",
                                             path, status_name(old.steps[*origin[i]].status), id,
                                             status_name(old.steps[*origin[need]].status)));
                }
            }
        }
    }

    // ---- a step --------------------------------------------------------------------------------

    json::object moved(const ScopeState& scope, std::uint32_t index, json::object one,
                       const Step& now, const std::string& path, bool strict) {
        const StepState& step = scope.steps[index];
        const Step& old = scope.block->steps[index];
        const bool same_kind = kind_name(old.action) == kind_name(now.action);
        if (!strict) return inner(step, std::move(one), now, path, same_kind, false);
        if (step.status == StepStatus::pending) {
            if (!same_kind) one.erase("with");
            return one;
        }
        const std::string was = path_of(scope, index);
        if (named(rules_.restart, old, now)) return restarted(step, old, now, was);
        if (is_settled(step.status)) {
            settled(step, old, now, was);
            return inner(step, std::move(one), now, path, same_kind, false);
        }
        if (!same_kind) {
            blocks(was, fmt::format("step '{}' is {} as {} and is {} now; wait for its end, or "
                                    "begin it anew (restart)",
                                    was, status_name(step.status), kind_name(old.action),
                                    kind_name(now.action)));
            return one;
        }
        if (waits_in_queue(step)) {
            if (was == path && now.queue == old.queue) return one;
            leave(step, old, was);
            return again(step, now);
        }
        if (was != path && (step.status == StepStatus::running ||
                            step.status == StepStatus::backoff || waits_for_child(step))) {
            blocks(was, fmt::format("step '{}' is {} under that name, which is in the key that its "
                                    "call was made with; wait for its end, or begin it anew as "
                                    "'{}' (restart)",
                                    was, status_name(step.status), path));
        }
        at_work(step, old, now, was);
        if (was != path) out_.left.push_back(was);
        return inner(step, std::move(one), now, path, true, true);
    }

    /// Not begun, with a number that answers to earlier attempts do not have.
    static json::object again(const StepState& step, const Step& now) {
        json::object out = not_begun(now);
        out["attempt"] = step.attempt + (waits_in_queue(step) ? 1 : 0);
        if (step.resets != 0) out["resets"] = step.resets;
        if (!step.with.is_null()) out["with"] = step.with;
        return out;
    }

    json::object restarted(const StepState& step, const Step& old, const Step& now,
                           const std::string& was) {
        json::object out = again(step, now);
        if (is_settled(step.status)) {
            blocks(was, fmt::format("step '{}' is {}; 'restart' is for what is at work: move the "
                                    "run without it, then retry the step",
                                    was, status_name(step.status)));
            return out;
        }
        leave(step, old, was);
        note(was, fmt::format("step '{}' begins anew", was));
        out["resets"] = step.resets + 1;
        return out;
    }

    void settled(const StepState& step, const Step& old, const Step& now, const std::string& was) {
        if (step.status != StepStatus::done) return;
        if (old.compensation == nullptr && now.compensation != nullptr) {
            note(was,
                 fmt::format("step '{}' is done: what would undo it now is not done for it", was));
        }
        if (named(rules_.kept, old, now)) return;
        if (kind_name(old.action) != kind_name(now.action)) {
            blocks(was, fmt::format("step '{}' is done as {} and is {} now: its output is of "
                                    "another kind; say that it is good nevertheless (kept)",
                                    was, kind_name(old.action), kind_name(now.action)));
            return;
        }
        if (!now.output_check || source_of(old.output_check) == source_of(now.output_check)) return;
        if (auto fits = now.output_check->check(step.output); !fits) {
            blocks(was, fmt::format("step '{}' is done and its output at '{}' is not as the new "
                                    "schema says: {}; say that it is good nevertheless (kept)",
                                    was, fits.error().subject, fits.error().message));
        }
    }

    /// Of a step that goes on as it is.
    void at_work(const StepState& step, const Step& old, const Step& now, const std::string& was) {
        if (step.status == StepStatus::running) {
            note(was, fmt::format("the call of step '{}' is out and goes on as it began", was));
        }
        if (const auto* wait = std::get_if<WaitAction>(&old.action)) {
            const auto& other = std::get<WaitAction>(now.action);
            if (wait->signal != other.signal || wait->event != other.event) {
                blocks(was,
                       fmt::format("step '{}' waits for '{}' and would wait for '{}'; begin "
                                   "it anew (restart)",
                                   was, wait->signal + wait->event, other.signal + other.event));
            }
        } else if (const auto* human = std::get_if<HumanAction>(&old.action)) {
            const auto& other = std::get<HumanAction>(now.action);
            if (human->ask != other.ask || source_of(human->form) != source_of(other.form)) {
                blocks(was, fmt::format("step '{}' asks for something else now, and somebody sees "
                                        "the old question; begin it anew (restart)",
                                        was));
            }
        } else if (const auto* loop = std::get_if<LoopAction>(&old.action)) {
            loops(step, *loop, std::get<LoopAction>(now.action), was);
        }
    }

    void loops(const StepState& step, const LoopAction& old, const LoopAction& now,
               const std::string& was) {
        if (old.item_name != now.item_name || old.collect != now.collect) {
            blocks(was, fmt::format("loop '{}' names or keeps its rounds differently, and {} have "
                                    "begun; begin it anew (restart)",
                                    was, step.rounds));
        }
        if (step.rounds_done == 0 || !old.collect || old.body->steps.empty() ||
            now.body->steps.empty()) {
            return;
        }
        const Step& last = old.body->steps.back();
        const Step& new_last = now.body->steps.back();
        if (named(rules_.kept, last, new_last)) return;
        if (name_now(last.id) != new_last.id ||
            kind_name(last.action) != kind_name(new_last.action)) {
            blocks(was,
                   fmt::format("loop '{}' has {} finished rounds with the output of '{}', and "
                               "its body ends with '{}' now; begin it anew (restart) or say that "
                               "they are good nevertheless (kept: {})",
                               was, step.rounds_done, last.id, new_last.id, new_last.id));
        }
    }

    /// What is within a step, under the new one's blocks.
    json::object inner(const StepState& step, json::object one, const Step& now,
                       const std::string& path, bool same_kind, bool strict) {
        if (step.scopes.empty()) return one;
        json::array scopes_were = std::move(list_of(one, "scopes"));
        json::array scopes;
        std::set<std::string> keys;
        for (std::size_t i = 0; i < step.scopes.size(); ++i) {
            const ScopeState& each = *step.scopes[i];
            keys.insert(each.key);
            const Block* block = same_kind ? inner_block(now, each.key) : nullptr;
            if (block == nullptr) {
                if (!strict) continue;
                blocks(path, fmt::format("step '{}' is in its part '{}', which it has no more; "
                                         "begin it anew (restart)",
                                         path, each.key));
                continue;
            }
            scopes.emplace_back(scope(each, std::move(scopes_were[i].as_object()), *block,
                                      path + "[" + each.key + "].", strict));
        }
        if (const auto* parallel = std::get_if<ParallelAction>(&now.action); parallel && strict) {
            for (const auto& branch : parallel->branches) {
                if (keys.contains(branch.name)) continue;
                scopes.emplace_back(new_scope(*branch.block, branch.name));
                one["rounds"] = scopes.size();
                note(path, fmt::format("branch '{}' of step '{}' is new and begins now",
                                       branch.name, path));
            }
        }
        if (scopes.empty()) {
            one.erase("scopes");
        } else {
            one["scopes"] = std::move(scopes);
        }
        return one;
    }

    // ---- what names steps ----------------------------------------------------------------------

    void undos() {
        if (state_.undos.empty()) return;
        json::array kept, were = std::move(list_of(out_.state, "undos"));
        for (std::size_t i = 0; i < were.size(); ++i) {
            const std::string& path = state_.undos[i].path;
            const std::string now = path_now(path);
            const Step* old = find_definition(*state_.definition, path);
            const Step* step = find_definition(to_, now);
            const bool there = step != nullptr && step->compensation != nullptr;
            if (there && old != nullptr && old->compensation != nullptr &&
                kind_name(old->compensation->action) == kind_name(step->compensation->action)) {
                were[i].as_object()["step"] = now;
                kept.push_back(std::move(were[i]));
            } else if (rules_.skip_removed && !there) {
                note(path, fmt::format("what undoes step '{}' is gone: it will stay done", path));
            } else {
                blocks(path,
                       fmt::format("step '{}' is done, and what would undo it is {} in the new "
                                   "version; {}",
                                   path, there ? "of another kind" : "gone",
                                   there ? "keep its kind" : "let it stay done (removed: skip)"));
            }
        }
        if (kept.empty()) {
            out_.state.erase("undos");
        } else {
            out_.state["undos"] = std::move(kept);
        }
    }

    void checkpoints() {
        if (state_.checkpoints.empty()) return;
        json::array kept, were = std::move(list_of(out_.state, "checkpoints"));
        for (std::size_t i = 0; i < were.size(); ++i) {
            const Checkpoint& one = state_.checkpoints[i];
            const std::string now = path_now(one.path);
            if (find_definition(to_, now) == nullptr) {
                note(one.path, fmt::format("checkpoint '{}' is gone with its step", one.name));
                continue;
            }
            were[i].as_object()["step"] = now;
            kept.push_back(std::move(were[i]));
        }
        out_.state["checkpoints"] = std::move(kept);
    }

    const RunState& state_;
    const Definition& to_;
    const MigrationRules& rules_;
    std::set<std::string> new_ids_;
    RunTotals totals_;
    std::int64_t now_ms_ = 0;
    MigrationPlan out_;
};

}  // namespace

MigrationPlan plan_migration(const RunState& state, const Definition& to,
                             const MigrationRules& rules, std::int64_t now_ms) {
    return Move(state, to, rules).go(now_ms);
}

Result<void> check_rules(const MigrationRules& rules, const Definition& from,
                         const Definition& to) {
    std::set<std::string> old_ids, new_ids;
    ids_of(*from.body, old_ids);
    ids_of(*to.body, new_ids);
    const auto unknown = [](std::string_view field, const std::string& step,
                            const Definition& definition) {
        return base::fail_on(std::string(field), Code::invalid_argument,
                             "{}: version {} of workflow '{}' has no step '{}'", field,
                             definition.version, definition.name, step);
    };
    std::set<std::string> taken;
    for (const auto& [old, now] : rules.renamed) {
        if (!old_ids.contains(old)) return unknown("rules.renamed", old, from);
        if (!new_ids.contains(now)) return unknown("rules.renamed", now, to);
        if (!taken.insert(now).second || (old_ids.contains(now) && !rules.renamed.contains(now))) {
            return base::fail_on("rules.renamed", Code::invalid_argument,
                                 "rules.renamed: two steps of version {} would be '{}'",
                                 from.version, now);
        }
    }
    for (const auto& [field, named] :
         {std::pair{"rules.restart", &rules.restart}, std::pair{"rules.kept", &rules.kept}}) {
        for (const std::string& step : *named) {
            if (!old_ids.contains(step) && !new_ids.contains(step)) {
                return unknown(field, step, from);
            }
        }
    }
    return {};
}

json::object to_json(const Finding& finding) {
    return {{"weight", finding.weight == Weight::blocks ? "blocks" : "note"},
            {"step", finding.step},
            {"message", finding.message}};
}

json::object to_json(const MigrationRules& rules) {
    json::object out;
    if (!rules.renamed.empty()) out["renamed"] = json::value_from(rules.renamed);
    if (rules.skip_removed) out["removed"] = "skip";
    if (!rules.restart.empty()) out["restart"] = json::value_from(rules.restart);
    if (!rules.kept.empty()) out["kept"] = json::value_from(rules.kept);
    return out;
}

Result<MigrationRules> migration_rules_from(const json::value& value) {
    MigrationRules out;
    if (value.is_null()) return out;
    const json::object* object = value.if_object();
    if (object == nullptr) {
        return base::fail_on("rules", Code::invalid_argument, "rules: must be an object");
    }
    const auto wrong = [](std::string_view field, std::string_view what) {
        return base::fail_on("rules." + std::string(field), Code::invalid_argument, "rules.{}: {}",
                             field, what);
    };
    for (const auto& [key, member] : *object) {
        const std::string name(key);
        if (name == "renamed") {
            if (!member.is_object()) return wrong(name, "must be an object of old: new");
            for (const auto& [old, now] : member.get_object()) {
                if (!now.is_string()) return wrong(name, "must be an object of old: new");
                out.renamed[std::string(old)] = now.get_string();
            }
        } else if (name == "removed") {
            if (member != "fail" && member != "skip") return wrong(name, "is 'fail' or 'skip'");
            out.skip_removed = member == "skip";
        } else if (name == "restart" || name == "kept") {
            if (!member.is_array()) return wrong(name, "must be a list of steps");
            for (const json::value& step : member.get_array()) {
                if (!step.is_string()) return wrong(name, "must be a list of steps");
                (name == "kept" ? out.kept : out.restart).emplace(step.get_string());
            }
        } else {
            return wrong(name, "is no rule; there are renamed, removed, restart and kept");
        }
    }
    return out;
}

}  // namespace flow
