#include "flow/run/totals.h"

#include <algorithm>

#include "flow/definition/graph.h"
#include "flow/run/state.h"

namespace flow {

namespace json = base::json;

namespace {

template <class Number>
Number number(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || !value->is_number()) return 0;
    boost::system::error_code wrong;
    const Number out = value->to_number<Number>(wrong);
    return wrong ? Number{0} : out;
}

}  // namespace

RunTotals::Kind& RunTotals::of(std::string_view kind) {
    const auto found = kinds.find(kind);
    return found != kinds.end() ? found->second : kinds[std::string(kind)];
}

void RunTotals::ended(const StepState& step, const Step& definition, std::int64_t at_ms) {
    if (step.since_ms == 0) return;
    const std::int64_t took = std::max<std::int64_t>(at_ms - step.since_ms, 0);
    const std::string_view word = kind_name(definition.action);
    if (step.status == StepStatus::running) {
        Kind& kind = of(word);
        ++kind.attempts;
        kind.working_ms += took;
    } else if (step.status == StepStatus::backoff) {
        of(word).waiting_ms += took;
        backoff_ms += took;
    } else if (step.status == StepStatus::waiting && (word == "human" || word == "wait")) {
        of(word).waiting_ms += took;
        (word == "human" ? people_ms : !step.name.empty() ? signals_ms : timers_ms) += took;
    }
}

ShortTotals RunTotals::in_short() const {
    ShortTotals out;
    for (const auto& [word, kind] : kinds) {
        out.steps += kind.steps;
        out.attempts += kind.attempts;
        out.tokens += kind.tokens;
        out.cost_usd += kind.cost_usd;
        out.working_ms += kind.working_ms;
    }
    out.waiting_ms = people_ms + signals_ms + timers_ms + backoff_ms;
    return out;
}

json::object to_json(const RunTotals& totals) {
    json::object kinds;
    for (const auto& [word, kind] : totals.kinds) {
        kinds[word] = {{"steps", kind.steps},           {"attempts", kind.attempts},
                       {"tokens", kind.tokens},         {"cost_usd", kind.cost_usd},
                       {"working_ms", kind.working_ms}, {"waiting_ms", kind.waiting_ms}};
    }
    const ShortTotals all = totals.in_short();
    json::object out{{"tokens", all.tokens},
                     {"cost_usd", all.cost_usd},
                     {"working_ms", all.working_ms},
                     {"waiting_ms", json::object{{"people", totals.people_ms},
                                                 {"signals", totals.signals_ms},
                                                 {"timers", totals.timers_ms},
                                                 {"backoff", totals.backoff_ms},
                                                 {"paused", totals.paused_ms}}},
                     {"kinds", std::move(kinds)}};
    if (!totals.whole) out["partial"] = true;
    return out;
}

RunTotals totals_from_json(const json::value& value) {
    RunTotals out;
    const json::object* object = value.if_object();
    if (object == nullptr) return out;
    out.whole = !object->contains("partial");
    if (const json::value* waiting = object->if_contains("waiting_ms");
        waiting != nullptr && waiting->is_object()) {
        const json::object& by = waiting->get_object();
        out.people_ms = number<std::int64_t>(by, "people");
        out.signals_ms = number<std::int64_t>(by, "signals");
        out.timers_ms = number<std::int64_t>(by, "timers");
        out.backoff_ms = number<std::int64_t>(by, "backoff");
        out.paused_ms = number<std::int64_t>(by, "paused");
    }
    const json::value* kinds = object->if_contains("kinds");
    if (kinds == nullptr || !kinds->is_object()) return out;
    for (const auto& [word, each] : kinds->get_object()) {
        if (!each.is_object()) continue;
        const json::object& from = each.get_object();
        out.kinds[std::string(word)] = {.steps = number<std::uint64_t>(from, "steps"),
                                        .attempts = number<std::uint64_t>(from, "attempts"),
                                        .tokens = number<std::uint64_t>(from, "tokens"),
                                        .cost_usd = number<double>(from, "cost_usd"),
                                        .working_ms = number<std::int64_t>(from, "working_ms"),
                                        .waiting_ms = number<std::int64_t>(from, "waiting_ms")};
    }
    return out;
}

json::object to_json(const ShortTotals& totals) {
    return {{"steps", totals.steps},           {"attempts", totals.attempts},
            {"tokens", totals.tokens},         {"cost_usd", totals.cost_usd},
            {"working_ms", totals.working_ms}, {"waiting_ms", totals.waiting_ms}};
}

ShortTotals short_totals_from_json(const json::object& from) {
    return {.steps = number<std::uint64_t>(from, "steps"),
            .attempts = number<std::uint64_t>(from, "attempts"),
            .tokens = number<std::uint64_t>(from, "tokens"),
            .cost_usd = number<double>(from, "cost_usd"),
            .working_ms = number<std::int64_t>(from, "working_ms"),
            .waiting_ms = number<std::int64_t>(from, "waiting_ms")};
}

}  // namespace flow
