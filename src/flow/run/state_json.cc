// A run's whole state as JSON: snapshots of long runs, and what people look at. Statuses are words,
// fields that say nothing are left out, the definition is not part of it.

#include <array>

#include "flow/run/state.h"

namespace flow {

using base::Code;
using base::fail;
namespace json = base::json;

namespace {

template <class Status, std::size_t N>
std::optional<Status> status_from(std::string_view word, const std::array<Status, N>& all) {
    for (const Status status : all) {
        if (status_name(status) == word) return status;
    }
    return std::nullopt;
}

constexpr std::array kRunStatuses = {RunStatus::running,   RunStatus::paused, RunStatus::undoing,
                                     RunStatus::completed, RunStatus::failed, RunStatus::cancelled};
constexpr std::array kStepStatuses = {
    StepStatus::pending, StepStatus::running, StepStatus::backoff,
    StepStatus::waiting, StepStatus::open,    StepStatus::done,
    StepStatus::skipped, StepStatus::failed,  StepStatus::cancelled};

json::value error_json(const base::Error& error) {
    json::object out{{"code", base::code_name(error.code)}, {"message", error.message}};
    if (!error.subject.empty()) out["subject"] = error.subject;
    return out;
}

/// Fields of an object, absent ones as their zero.
class Fields {
public:
    explicit Fields(const json::value& value) : object_(value.if_object()) {}
    const json::value* find(std::string_view name) const {
        return object_ != nullptr ? object_->if_contains(name) : nullptr;
    }
    std::string text(std::string_view name) const {
        const json::value* value = find(name);
        return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                      : std::string();
    }
    template <class Number>
    Number number(std::string_view name) const {
        const json::value* value = find(name);
        if (value == nullptr || !value->is_number()) return 0;
        boost::system::error_code wrong;
        const Number out = value->to_number<Number>(wrong);
        return wrong ? Number{0} : out;
    }
    bool flag(std::string_view name) const {
        const json::value* value = find(name);
        return value != nullptr && value->is_bool() && value->get_bool();
    }
    json::value value(std::string_view name) const {
        const json::value* value = find(name);
        return value != nullptr ? *value : json::value();
    }
    const json::array* list(std::string_view name) const {
        const json::value* value = find(name);
        return value != nullptr ? value->if_array() : nullptr;
    }
    std::optional<base::Error> error(std::string_view name) const {
        const json::value* value = find(name);
        if (value == nullptr) return std::nullopt;
        const Fields fields(*value);
        base::Error out{Code::internal, fields.text("message"), fields.text("subject")};
        for (int code = 0; code <= static_cast<int>(Code::internal); ++code) {
            if (base::code_name(static_cast<Code>(code)) == fields.text("code")) {
                out.code = static_cast<Code>(code);
            }
        }
        return out;
    }

private:
    const json::object* object_;
};

json::value scope_json(const ScopeState& scope);

/// Rounds that ended one behind the other as a list, the others with their index.
void add_outputs(const StepState& step, json::object& out) {
    if (step.outputs.empty()) return;
    const std::uint64_t first = step.outputs.begin()->first;
    json::array results, others;
    results.reserve(step.outputs.size());
    for (const auto& [index, value] : step.outputs) {
        if (index == first + results.size()) {
            results.push_back(value);
        } else {
            others.push_back({index, value});
        }
    }
    out["results"] = std::move(results);
    if (first != 0) out["results_at"] = first;
    if (!others.empty()) out["outputs"] = std::move(others);
}

json::object step_json(const StepState& step, const Step& definition) {
    json::object out{{"id", definition.id}, {"status", status_name(step.status)}};
    if (step.attempt != 0) out["attempt"] = step.attempt;
    if (step.resets != 0) out["resets"] = step.resets;
    if (step.started_ms != 0) out["started_ms"] = step.started_ms;
    if (step.finished_ms != 0) out["finished_ms"] = step.finished_ms;
    if (step.since_ms != 0) out["since_ms"] = step.since_ms;
    if (step.until_ms != 0) out["until_ms"] = step.until_ms;
    if (!step.name.empty()) out["name"] = step.name;
    if (!step.output.is_null()) out["output"] = step.output;
    if (step.error) out["error"] = error_json(*step.error);
    if (!step.with.is_null()) out["with"] = step.with;
    if (step.lost != 0) out["lost"] = step.lost;
    if (step.quarantined) out["quarantined"] = true;
    if (!step.items.empty()) out["items"] = step.items;
    if (step.rounds != 0) out["rounds"] = step.rounds;
    if (step.rounds_done != 0) out["rounds_done"] = step.rounds_done;
    add_outputs(step, out);
    if (!step.scopes.empty()) {
        json::array scopes;
        for (const auto& inner : step.scopes) scopes.push_back(scope_json(*inner));
        out["scopes"] = std::move(scopes);
    }
    return out;
}

json::value scope_json(const ScopeState& scope) {
    json::object out{{"key", scope.key}};
    if (scope.index != 0) out["index"] = scope.index;
    if (!scope.item.is_null()) out["item"] = scope.item;
    if (scope.closed) out["closed"] = true;
    if (scope.failed) out["failed"] = true;
    json::array steps;
    for (std::size_t i = 0; i < scope.steps.size(); ++i) {
        steps.push_back(step_json(scope.steps[i], scope.block->steps[i]));
    }
    out["steps"] = std::move(steps);
    return out;
}

base::Result<void> read_scope(const json::value& value, const Block& block, ScopeState& scope);

base::Result<void> read_step(const Fields& fields, const Step& definition, ScopeState& scope,
                             std::uint32_t index) {
    StepState& step = scope.steps[index];
    const auto status = status_from(fields.text("status"), kStepStatuses);
    if (!status) {
        return fail(Code::data_loss, "a snapshot's step '{}' has no known status", definition.id);
    }
    step.status = *status;
    step.attempt = fields.number<std::uint32_t>("attempt");
    step.resets = fields.number<std::uint32_t>("resets");
    step.started_ms = fields.number<std::int64_t>("started_ms");
    step.finished_ms = fields.number<std::int64_t>("finished_ms");
    step.since_ms = fields.number<std::int64_t>("since_ms");
    step.until_ms = fields.number<std::int64_t>("until_ms");
    step.name = fields.text("name");
    step.output = fields.value("output");
    step.error = fields.error("error");
    step.with = fields.value("with");
    step.lost = fields.number<std::uint32_t>("lost");
    step.quarantined = fields.flag("quarantined");
    if (const json::array* items = fields.list("items")) step.items = *items;
    step.rounds = fields.number<std::uint64_t>("rounds");
    step.rounds_done = fields.number<std::uint64_t>("rounds_done");
    if (const json::array* results = fields.list("results")) {
        auto place = fields.number<std::uint64_t>("results_at");
        for (const json::value& each : *results) {
            step.outputs.emplace_hint(step.outputs.end(), place++, each);
        }
    }
    if (const json::array* outputs = fields.list("outputs")) {
        for (const json::value& pair : *outputs) {
            const json::array* both = pair.if_array();
            if (both == nullptr || both->size() != 2 || !(*both)[0].is_number()) continue;
            step.outputs[(*both)[0].to_number<std::uint64_t>()] = (*both)[1];
        }
    }
    if (const json::array* scopes = fields.list("scopes")) {
        for (const json::value& each : *scopes) {
            auto inner = std::make_unique<ScopeState>();
            inner->outer = &scope;
            inner->outer_step = index;
            const Block* block = inner_block(definition, Fields(each).text("key"));
            if (block == nullptr) {
                return fail(Code::data_loss, "a snapshot's step '{}' has a part it cannot have",
                            definition.id);
            }
            DG_TRY(read_scope(each, *block, *inner));
            step.scopes.push_back(std::move(inner));
        }
    }
    return {};
}

base::Result<void> read_scope(const json::value& value, const Block& block, ScopeState& scope) {
    const Fields fields(value);
    scope.block = &block;
    scope.steps = std::vector<StepState>(block.steps.size());
    scope.key = fields.text("key");
    scope.index = fields.number<std::uint64_t>("index");
    scope.item = fields.value("item");
    scope.closed = fields.flag("closed");
    scope.failed = fields.flag("failed");
    const json::array* steps = fields.list("steps");
    if (steps == nullptr || steps->size() != block.steps.size()) {
        return fail(Code::data_loss, "a snapshot has {} steps where the definition has {}",
                    steps != nullptr ? steps->size() : 0, block.steps.size());
    }
    for (std::uint32_t i = 0; i < block.steps.size(); ++i) {
        DG_TRY(read_step(Fields((*steps)[i]), block.steps[i], scope, i));
    }
    return {};
}

json::array inbox_json(const RunState& state) {
    json::array out;
    for (const Signal& signal : state.inbox) {
        out.push_back(
            {{"number", signal.number}, {"name", signal.name}, {"payload", signal.payload}});
    }
    return out;
}

json::array checkpoints_json(const RunState& state) {
    json::array out;
    for (const Checkpoint& one : state.checkpoints) {
        json::object each{{"name", one.name}, {"step", one.path}, {"at_ms", one.at_ms}};
        if (!one.value.is_null()) each["value"] = one.value;
        if (!one.vars.empty()) each["vars"] = one.vars;
        out.push_back(std::move(each));
    }
    return out;
}

/// Variables, signals and checkpoints: what a snapshot and a fork both hold.
void read_shared(const Fields& fields, RunState& state) {
    state.vars.clear();
    state.inbox.clear();
    state.checkpoints.clear();
    if (const json::value* vars = fields.find("vars"); vars && vars->is_object()) {
        state.vars = vars->get_object();
    }
    state.signals = fields.number<std::uint64_t>("signals");
    if (const json::array* inbox = fields.list("inbox")) {
        for (const json::value& each : *inbox) {
            const Fields signal(each);
            state.inbox.push_back({signal.number<std::uint64_t>("number"), signal.text("name"),
                                   signal.value("payload")});
        }
    }
    if (const json::array* checkpoints = fields.list("checkpoints")) {
        for (const json::value& each : *checkpoints) {
            const Fields one(each);
            const json::value vars = one.value("vars");
            state.checkpoints.push_back({one.text("name"), one.text("step"),
                                         one.number<std::int64_t>("at_ms"), one.value("value"),
                                         vars.is_object() ? vars.get_object() : json::object()});
        }
    }
}

std::optional<Parent> run_and_step(const json::value* value) {
    if (value == nullptr) return std::nullopt;
    const Fields both(*value);
    const auto run = run_id_from(both.text("run"));
    return run ? std::optional(Parent{*run, both.text("step")}) : std::nullopt;
}

}  // namespace

json::object taken_over(const RunState& state) {
    json::object out{{"root", scope_json(state.root)}};
    if (!state.vars.empty()) out["vars"] = state.vars;
    if (state.signals != 0) out["signals"] = state.signals;
    if (!state.inbox.empty()) out["inbox"] = inbox_json(state);
    if (!state.checkpoints.empty()) out["checkpoints"] = checkpoints_json(state);
    return out;
}

base::Result<void> take_over(const json::value& taken, RunState& state) {
    const Fields fields(taken);
    const json::value* root = fields.find("root");
    if (root == nullptr) return fail(Code::data_loss, "a fork does not say what it takes over");
    read_shared(fields, state);
    return read_scope(*root, *state.definition->body, state.root);
}

json::object to_json(const RunState& state) {
    json::object out{{"id", to_text(state.id)}, {"status", status_name(state.status)}};
    if (!state.reason.empty()) out["reason"] = state.reason;
    if (!state.queued_in.empty()) out["queued_in"] = state.queued_in;
    if (state.priority != 0) out["priority"] = state.priority;
    if (!state.tenant.empty()) out["tenant"] = state.tenant;
    if (!state.idempotency_key.empty()) out["key"] = state.idempotency_key;
    if (state.parent) {
        out["parent"] = {{"run", to_text(state.parent->run)}, {"step", state.parent->path}};
    }
    if (state.forked_from) {
        out["forked_from"] = {{"run", to_text(state.forked_from->run)},
                              {"step", state.forked_from->path}};
    }
    if (!state.traceparent.empty()) out["traceparent"] = state.traceparent;
    out["started_ms"] = state.started_ms;
    if (state.finished_ms != 0) out["finished_ms"] = state.finished_ms;
    out["input"] = state.input;
    if (!state.labels.is_null()) out["labels"] = state.labels;
    if (!state.vars.empty()) out["vars"] = state.vars;
    if (!state.output.is_null()) out["output"] = state.output;
    if (state.error) out["error"] = error_json(*state.error);
    out["usage"] = {
        {"tokens", state.tokens}, {"cost_usd", state.cost_usd}, {"steps", state.steps_done}};
    out["totals"] = to_json(state.totals);
    if (state.paused_since_ms != 0) out["paused_since_ms"] = state.paused_since_ms;
    out["events"] = state.events;
    if (state.signals != 0) out["signals"] = state.signals;
    if (state.jumps != 0) out["jumps"] = state.jumps;
    if (!state.inbox.empty()) out["inbox"] = inbox_json(state);
    if (!state.checkpoints.empty()) out["checkpoints"] = checkpoints_json(state);
    if (!state.undos.empty()) {
        json::array undos;
        for (const Undo& undo : state.undos) {
            const Step* step = find_definition(*state.definition, undo.path);
            static const Step kNone;
            undos.push_back({{"step", undo.path},
                             {"request", undo.request},
                             {"state", step_json(undo.state, step != nullptr ? *step : kNone)}});
        }
        out["undos"] = std::move(undos);
    }
    if (state.root.block != nullptr) out["root"] = scope_json(state.root);
    return out;
}

base::Result<void> from_json(const json::object& object, RunState& state) {
    const json::value whole(object);
    const Fields fields(whole);
    const auto id = run_id_from(fields.text("id"));
    const auto status = status_from(fields.text("status"), kRunStatuses);
    const json::value* root = fields.find("root");
    if (!id || !status || root == nullptr) {
        return fail(Code::data_loss, "a snapshot of {} does not read as one", to_text(state.id));
    }
    state.id = *id;
    state.status = *status;
    state.reason = fields.text("reason");
    state.queued_in = fields.text("queued_in");
    state.priority = fields.number<std::int32_t>("priority");
    state.tenant = fields.text("tenant");
    state.idempotency_key = fields.text("key");
    state.parent = run_and_step(fields.find("parent"));
    state.forked_from = run_and_step(fields.find("forked_from"));
    state.traceparent = fields.text("traceparent");
    state.started_ms = fields.number<std::int64_t>("started_ms");
    state.finished_ms = fields.number<std::int64_t>("finished_ms");
    state.input = fields.value("input");
    state.labels = fields.value("labels");
    read_shared(fields, state);
    state.output = fields.value("output");
    state.error = fields.error("error");
    if (const json::value* usage = fields.find("usage")) {
        const Fields used(*usage);
        state.tokens = used.number<std::uint64_t>("tokens");
        state.cost_usd = used.number<double>("cost_usd");
        state.steps_done = used.number<std::uint64_t>("steps");
    }
    state.totals = totals_from_json(fields.value("totals"));
    // A snapshot of a version that did not count them.
    if (fields.find("totals") == nullptr) state.totals.whole = false;
    state.paused_since_ms = fields.number<std::int64_t>("paused_since_ms");
    state.events = fields.number<std::uint64_t>("events");
    state.jumps = fields.number<std::uint64_t>("jumps");
    state.undos.clear();
    if (const json::array* undos = fields.list("undos")) {
        for (const json::value& each : *undos) {
            const Fields fields_of(each);
            Undo undo;
            undo.path = fields_of.text("step");
            undo.request = fields_of.value("request");
            const Step* step = find_definition(*state.definition, undo.path);
            if (step == nullptr) {
                return fail(Code::data_loss, "a snapshot undoes step '{}', which is not there",
                            undo.path);
            }
            const json::value* inner = fields_of.find("state");
            ScopeState holder;
            holder.steps.emplace_back();
            if (inner != nullptr) DG_TRY(read_step(Fields(*inner), *step, holder, 0));
            undo.state = std::move(holder.steps[0]);
            state.undos.push_back(std::move(undo));
        }
    }
    return read_scope(*root, *state.definition->body, state.root);
}

}  // namespace flow
