// From a model's answer to calls. Nothing of it is trusted: names, arguments and their number.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agent/loop/fields.h"
#include "agent/loop/loop.h"
#include "agent/loop/policy.h"
#include "agent/tool.h"
#include "base/core/nearest.h"
#include "base/schema/schema_check.h"

namespace agent {

using base::Result;
namespace json = base::json;

namespace {

constexpr std::size_t kCallsMax = 64;  // of one answer

struct Asked {
    std::string verdict, why;
    json::value arguments;
};

/// Does it fit the schema? Compiled each time: tools have small ones, and nothing is kept here.
Result<void> fits(const json::value& schema, const json::value& value) {
    const auto check = DG_TRY(base::SchemaCheck::compile(schema));
    const auto good = check.check(value);
    if (good) return {};
    const std::string& place = good.error().subject;
    return base::fail(base::Code::invalid_argument, "{}{}", place.empty() ? "" : place + ": ",
                      good.error().message);
}

class Planner {
public:
    explicit Planner(const json::value& in) : in_(in), calls_(count_at(in, "/progress/calls")) {}

    /// schema -> policy -> budget
    Asked ask(const std::string& name, const std::string& text) {
        const json::object* tools = tools_of();
        const json::value* tool = tools != nullptr ? tools->if_contains(name) : nullptr;
        if (tool == nullptr) {
            std::vector<std::string_view> known;
            if (tools != nullptr) {
                for (const auto& each : *tools) known.push_back(each.key());
            }
            return {"refuse",
                    fmt::format("there is no tool '{}'{}", name, base::did_you_mean(name, known)),
                    json::object()};
        }
        auto arguments =
            text.empty() ? Result<json::value>(json::object()) : base::parse_json(text);
        if (!arguments) {
            return {"refuse", "the arguments are not JSON: " + arguments.error().message,
                    json::object()};
        }
        if (const json::value* schema = at(*tool, "/arguments")) {
            if (const auto good = fits(*schema, *arguments); !good) {
                return {"refuse", "the arguments do not fit: " + good.error().message,
                        *std::move(arguments)};
            }
        }
        const json::value* policy = at(in_, "/agent/policy");
        const Decided decided =
            decide(policy != nullptr ? *policy : json::value(), name, *arguments);
        if (decided.verdict == "deny") {
            return {"refuse",
                    "this is not allowed" + (decided.why.empty() ? "" : ": " + decided.why),
                    *std::move(arguments)};
        }
        if (++calls_ > count_at(in_, "/agent/limits/tool_calls")) {
            return {"refuse", "the run has no tool calls left; answer with what you know",
                    *std::move(arguments)};
        }
        const std::uint64_t most = count_at(*tool, "/calls_max");
        std::uint64_t& used = used_.try_emplace(name, used_before(name)).first->second;
        if (most != 0 && used >= most) {
            return {"refuse",
                    fmt::format("{} may be called {} times in a run, and was", name, most),
                    *std::move(arguments)};
        }
        ++used;
        return {decided.verdict == "ask" ? "ask" : "run", decided.why, *std::move(arguments)};
    }

    bool alone(const std::string& name) const {
        const json::object* tools = tools_of();
        const json::value* tool = tools != nullptr ? tools->if_contains(name) : nullptr;
        return tool == nullptr || !flag_at(*tool, "/parallel");
    }

private:
    const json::object* tools_of() const {
        const json::value* tools = at(in_, "/agent/tools");
        return tools != nullptr ? tools->if_object() : nullptr;
    }
    std::uint64_t used_before(const std::string& name) const {
        const json::value* all = at(in_, "/progress/tool_calls");
        const json::value* one =
            all != nullptr && all->is_object() ? all->get_object().if_contains(name) : nullptr;
        return one != nullptr ? count_at(*one, "") : 0;
    }

    const json::value& in_;
    std::uint64_t calls_;
    std::map<std::string, std::uint64_t> used_;
};

/// The answer that `given` is, or what is wrong with it.
Result<json::value> final_of(const json::value& agent, const json::value& given) {
    const json::value* schema = at(agent, "/output");
    if (schema == nullptr) {
        const json::value* answer = at(given, "/answer");
        if (answer != nullptr) return *answer;
        return base::fail(base::Code::invalid_argument, "'answer' is missing");
    }
    const bool wrapped = flag_at(agent, "/output_wrapped");
    const json::value* answer = wrapped ? at(given, "/answer") : &given;
    const json::value value = answer != nullptr ? *answer : json::value();
    DG_TRY(fits(*schema, value));
    return value;
}

struct Final {
    json::value answer;  ///< {"answer": ...} or null
    std::string problem;
};

void take(Final& out, Result<json::value> answer, std::string_view where) {
    if (answer) {
        out.answer = json::object{{"answer", *std::move(answer)}};
        out.problem.clear();
    } else {
        out.problem = fmt::format("{}: {}", where, answer.error().message);
    }
}

/// An answer without a call: the final one, where the model may answer so.
Final answer_in_words(const json::value& in) {
    Final out;
    const json::value* agent = at(in, "/agent");
    const std::string text = text_at(in, "/answer/text");
    if (agent == nullptr || text.empty()) {
        out.problem = "your answer was empty: call a tool or answer";
    } else if (at(*agent, "/output") == nullptr) {
        out.answer = json::object{{"answer", text}};
    } else if (auto parsed = base::parse_json(text); !parsed) {
        out.problem = "the answer must be JSON: " + parsed.error().message;
    } else {
        const json::value given = flag_at(*agent, "/output_wrapped")
                                      ? json::value(json::object{{"answer", *parsed}})
                                      : *parsed;
        take(out, final_of(*agent, given), "the answer does not fit its schema");
    }
    return out;
}

}  // namespace

Result<json::value> plan(const json::value& in) {
    const json::array& asked = list_at(in, "/answer/tool_calls");
    json::object message{{"role", "assistant"}, {"content", text_at(in, "/answer/text")}};
    json::array waves, wave, told;
    Final final;
    Planner planner(in);
    bool all_beside = false;
    const std::uint64_t turn = count_at(in, "/progress/turn");
    for (std::size_t i = 0; i < std::min(asked.size(), kCallsMax); ++i) {
        const std::string name = text_at(asked[i], "/function/name");
        const std::string text = text_at(asked[i], "/function/arguments");
        std::string id = text_at(asked[i], "/id");
        if (id.empty()) id = fmt::format("call_{}_{}", turn, i);
        if (name == kFinalAnswer && at(in, "/agent") != nullptr) {
            auto given = base::parse_json(text.empty() ? "{}" : text);
            if (given) {
                take(final, final_of(*at(in, "/agent"), *given), "final_answer does not fit");
            } else {
                final.problem = "final_answer's arguments are not JSON: " + given.error().message;
            }
            // Told as words: a call without a result is no good history.
            message["content"] = text;
            continue;
        }
        Asked decided = planner.ask(name, text);
        told.push_back({{"id", id},
                        {"type", "function"},
                        {"function", json::object{{"name", name}, {"arguments", text}}}});
        const bool beside = !planner.alone(name) && decided.verdict != "ask";
        if (!wave.empty() && !(beside && all_beside)) {
            waves.push_back(std::move(wave));
            wave = {};
        }
        all_beside = beside;
        wave.push_back({{"id", id},
                        {"tool", name},
                        {"arguments", std::move(decided.arguments)},
                        {"verdict", decided.verdict},
                        {"why", decided.why}});
    }
    if (!wave.empty()) waves.push_back(std::move(wave));
    if (!told.empty()) message["tool_calls"] = std::move(told);
    if (asked.empty()) final = answer_in_words(in);
    json::object out{{"message", std::move(message)},
                     {"waves", std::move(waves)},
                     {"final", std::move(final.answer)},
                     {"problem", nullptr}};
    if (!final.problem.empty()) out["problem"] = final.problem;
    if (asked.size() > kCallsMax) {
        out["problem"] =
            fmt::format("{} calls in one answer; only {} were looked at", asked.size(), kCallsMax);
    }
    return out;
}

Result<json::value> admit(const json::value& in) {
    json::object out{{"run", false}, {"arguments", json::object()}, {"why", ""}};
    if (const json::value* given = at(in, "/call/arguments")) out["arguments"] = *given;
    if (const std::string refused = text_at(in, "/refused/message"); !refused.empty()) {
        out["why"] = "a person was asked: " + refused;
        return out;
    }
    // The person may have changed the arguments; they are held to the schema as the model's are,
    // and a rule that denies denies people, too: it is the pack's, not the model's.
    const json::value* edited = at(in, "/decision/answer");
    if (edited != nullptr && text_at(in, "/decision/decision") == "answered") {
        out["arguments"] = *edited;
    }
    const std::string tool = text_at(in, "/call/tool");
    const json::value* schema = at(in, "/agent/tools/" + tool + "/arguments");
    if (schema != nullptr) {
        if (const auto good = fits(*schema, out["arguments"]); !good) {
            out["why"] =
                "a person changed the arguments, which do not fit: " + good.error().message;
            return out;
        }
    }
    const json::value* policy = at(in, "/agent/policy");
    const Decided decided =
        decide(policy != nullptr ? *policy : json::value(), tool, out["arguments"]);
    if (decided.verdict == "deny") {
        out["why"] = "this is not allowed: " + decided.why;
        return out;
    }
    out["run"] = at(in, "/decision") != nullptr;
    if (!out["run"].get_bool()) out["why"] = "nobody allowed it";
    return out;
}

}  // namespace agent
