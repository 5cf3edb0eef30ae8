#include "agent/compile/compile.h"

#include <fmt/format.h>

#include <algorithm>

namespace agent {

namespace json = base::json;

namespace {

constexpr std::string_view kPrefix = "agent.";
constexpr std::uint32_t kTurnsBeyond = 4;  // the loop's own bound: observe() ends it before

/// The value as workflows read it: what a pack says is text, also where it looks like an
/// expression.
json::value literal(const json::value& value) {
    if (const auto* object = value.if_object()) {
        json::object out;
        for (const auto& [name, each] : *object) out[name] = literal(each);
        return out;
    }
    if (const auto* list = value.if_array()) {
        json::array out;
        for (const json::value& each : *list) out.push_back(literal(each));
        return out;
    }
    const auto* text = value.if_string();
    if (text == nullptr) return value;
    const std::string_view view(text->data(), text->size());
    for (const std::string_view open : {"{{", "{%", "{#"}) {
        // JSON's escapes are the expression language's, too.
        if (view.contains(open)) return json::string("{{ " + base::to_text(value) + " }}");
    }
    return value;
}

json::string expression(std::string_view text) {
    return json::string(fmt::format("{{{{ {} }}}}", text));
}

struct Offered {
    Tool tool;
    Kind kind = Kind::tool;
    std::string source;
    std::uint64_t calls_max = 0;
    bool trusted = false;
    std::string agent = {};  ///< of Kind::agent: who is asked
};

/// "ask_log_triage" of log-triage: calls are named as functions are.
std::string ask_name(std::string_view agent) {
    std::string out = "ask_" + std::string(agent);
    std::ranges::replace(out, '-', '_');
    return out;
}

Tool ask_tool(const std::string& agent) {
    return {
        ask_name(agent),
        fmt::format("Give agent {} a goal and get its answer. It knows nothing of your work: say "
                    "all that it needs.",
                    agent),
        base::parse_json(R"({"type": "object", "additionalProperties": false, "required": ["goal"],
                "properties": {"goal": {"type": "string", "minLength": 1, "maxLength": 20000}}})")
            ->as_object(),
        true};
}

std::vector<Offered> offered(const Pack& pack, std::span<const Tool> tools) {
    std::vector<Offered> out;
    for (const Pack::ToolUse& use : pack.tools) {
        if (const BuiltIn* own = built_in_tool(use.name)) {
            const bool trusted = use.name == "calculator" || use.name == "clock";
            out.push_back({own->tool, own->kind, std::string(own->source), use.calls_max, trusted});
            continue;
        }
        const auto found = std::ranges::find(tools, use.name, &Tool::name);
        if (found != tools.end()) out.push_back({*found, Kind::tool, "", use.calls_max});
    }
    for (const std::string& agent : pack.agents) {
        out.push_back({ask_tool(agent), Kind::agent, "", 0, false, agent});
    }
    return out;
}

class Compiler {
public:
    Compiler(const Pack& pack, std::span<const Tool> tools)
        : pack_(pack), tools_(offered(pack, tools)) {
        final_answer_ = pack.model.must_call || pack.output.has_value();
        output_wrapped_ = pack.output && !is_object_schema(*pack.output);
        has_files_ = std::ranges::any_of(
            tools_, [](const Offered& each) { return each.kind == Kind::workspace; });
        config_ = config();
    }

    json::object whole() {
        json::array steps;
        if (pack_.recall > 0) {
            steps.push_back(
                {{"id", "recall"},
                 {"memory",
                  json::object{{"operation", "memory_search"},
                               {"arguments", json::object{{"query", expression("input.goal")},
                                                          {"limit", pack_.recall}}}}},
                 {"on_error", "skip"}});
        }
        json::object first{{"agent", config_},
                           {"goal", expression("input.goal")},
                           {"context", expression("input.context")},
                           {"history", expression("input.history")}};
        first["agent"].get_object()["instructions"] = literal(json::string(pack_.instructions));
        first["agent"].get_object()["examples"] = examples();
        if (pack_.recall > 0) first["recalled"] = expression("steps.recall.output");
        steps.push_back(call("begin", "agent.begin", std::move(first)));
        steps.push_back(
            {{"id", "opening"},
             {"set", json::object{{"messages", expression("steps.begin.output.messages")},
                                  {"progress", expression("steps.begin.output.progress")}}}});
        steps.push_back({{"id", "turns"},
                         {"while", json::object{{"condition", "not vars.progress.end"},
                                                {"max", pack_.limits.turns + kTurnsBeyond},
                                                {"collect", false},
                                                {"steps", turn()}}}});
        steps.push_back({{"id", "failed"},
                         {"if", "vars.progress.end.failed"},
                         {"end", json::object{{"fail", expression("vars.progress.end.failed")}}}});
        json::object output{{"answer", expression("vars.progress.end.answer")},
                            {"turns", expression("vars.progress.turn")},
                            {"tool_calls", expression("vars.progress.tool_calls")},
                            {"tokens", expression("vars.progress.tokens")},
                            {"cost_usd", expression("vars.progress.cost_usd")},
                            {"ended_by", expression("vars.progress.forced.why")}};
        if (has_files_) {
            output["workspace"] = expression("vars.workspace");
            output["files"] = expression("vars.files");
        }
        json::object out{
            {"name", workflow_name(pack_.name)},
            {"description", pack_.description.empty() ? "An agent." : pack_.description},
            {"labels", json::object{{"agent", pack_.name}}},
            {"input", input()},
            {"budget", budget()}};
        if (!pack_.limits.time.empty()) out["deadline"] = pack_.limits.time;
        out["steps"] = std::move(steps);
        out["output"] = std::move(output);
        return out;
    }

private:
    static bool is_object_schema(const json::value& schema) {
        const json::object* fields = schema.if_object();
        const json::value* type = fields != nullptr ? fields->if_contains("type") : nullptr;
        return type != nullptr && type->is_string() && type->get_string() == "object";
    }

    static json::object call(std::string_view id, std::string_view function,
                             json::object arguments) {
        return {
            {"id", id},
            {"call", json::object{{"function", function}, {"arguments", std::move(arguments)}}}};
    }

    static json::object input() {
        return {{"type", "object"},
                {"required", json::array{"goal"}},
                {"additionalProperties", false},
                {"properties",
                 json::object{{"goal", json::object{{"type", "string"}, {"minLength", 1}}},
                              {"context", json::object()},
                              {"history", json::object{{"type", "array"}}}}}};
    }

    json::object budget() const {
        json::object out{{"tokens", pack_.limits.tokens}};
        if (pack_.limits.cost_usd > 0) out["cost_usd"] = pack_.limits.cost_usd;
        return out;
    }

    json::array examples() const {
        json::array out;
        for (const Pack::Example& each : pack_.examples)
            out.push_back(literal(json::string(each.goal)));
        return out;
    }

    json::value last_choice() const {
        if (!final_answer_) return "none";
        return json::object{{"type", "function"},
                            {"function", json::object{{"name", kFinalAnswer}}}};
    }

    /// What the loop's functions need to know of the pack.
    json::object config() const {
        json::object tools;
        for (const Offered& each : tools_) {
            json::object one{{"arguments", literal(each.tool.arguments)},
                             {"parallel", each.tool.reads_only && (each.kind == Kind::tool ||
                                                                   each.kind == Kind::agent)}};
            if (each.calls_max > 0) one["calls_max"] = each.calls_max;
            if (each.trusted) one["trusted"] = true;
            tools[each.tool.name] = std::move(one);
        }
        json::array rules;
        for (const Pack::Rule& rule : pack_.rules) {
            json::object one{{"tool", rule.tool}, {"do", verdict_name(rule.verdict)}};
            if (!rule.when.empty()) one["when"] = literal(json::string(rule.when));
            if (!rule.why.empty()) one["why"] = literal(json::string(rule.why));
            rules.push_back(std::move(one));
        }
        const bool only_last = pack_.limits.turns == 1;
        json::object out{{"name", pack_.name},
                         {"tools", std::move(tools)},
                         {"policy", json::object{{"default", verdict_name(pack_.otherwise)},
                                                 {"rules", std::move(rules)}}},
                         {"limits", json::object{{"turns", pack_.limits.turns},
                                                 {"tokens", pack_.limits.tokens},
                                                 {"answer_tokens", pack_.model.max_tokens},
                                                 {"context_tokens", pack_.limits.context_tokens},
                                                 {"cost_usd", pack_.limits.cost_usd},
                                                 {"tool_calls", pack_.limits.tool_calls},
                                                 {"repeats", pack_.limits.repeats},
                                                 {"result_bytes", pack_.limits.result_bytes}}},
                         {"final_answer", final_answer_},
                         {"tool_choice", only_last               ? last_choice()
                                         : pack_.model.must_call ? json::value("required")
                                         : tools_.empty() && !final_answer_ ? json::value("none")
                                                                            : json::value("auto")}};
        if (const json::value price = prices(); !price.is_null()) out["price"] = price;
        if (!pack_.agents.empty()) out["agents"] = json::value_from(pack_.agents);
        if (pack_.output) {
            out["output"] = literal(*pack_.output);
            out["output_wrapped"] = output_wrapped_;
        }
        return out;
    }

    json::value prices() const {
        if (pack_.model.input_usd_per_million <= 0 && pack_.model.output_usd_per_million <= 0)
            return {};
        return json::object{{"input_usd_per_million", pack_.model.input_usd_per_million},
                            {"output_usd_per_million", pack_.model.output_usd_per_million}};
    }

    static json::object function(std::string_view name, std::string_view description,
                                 json::value parameters) {
        return {{"type", "function"},
                {"function", json::object{{"name", name},
                                          {"description", literal(json::string(description))},
                                          {"parameters", std::move(parameters)}}}};
    }

    json::object final_answer() const {
        json::value of_answer = json::object{{"type", "string"}, {"maxLength", 20'000}};
        if (pack_.output && !output_wrapped_) {
            return function(kFinalAnswer, "Give the final answer and end.", literal(*pack_.output));
        }
        if (pack_.output) of_answer = literal(*pack_.output);
        return function(
            kFinalAnswer, "Give the final answer and end.",
            json::object{{"type", "object"},
                         {"required", json::array{"answer"}},
                         {"additionalProperties", false},
                         {"properties", json::object{{"answer", std::move(of_answer)}}}});
    }

    json::object ask_model() const {
        json::object llm{{"messages", expression("vars.messages")},
                         {"temperature", pack_.model.temperature},
                         {"max_tokens", pack_.model.max_tokens}};
        if (!pack_.model.name.empty()) llm["model"] = pack_.model.name;
        if (pack_.model.seed) llm["seed"] = *pack_.model.seed;
        json::array tools;
        for (const Offered& each : tools_) {
            tools.push_back(
                function(each.tool.name, each.tool.description, literal(each.tool.arguments)));
        }
        if (final_answer_) tools.push_back(final_answer());
        if (!tools.empty()) {
            llm["tools"] = std::move(tools);
            llm["tool_choice"] = expression("vars.progress.tool_choice");
            llm["parallel_tool_calls"] = pack_.model.parallel_calls;
        }
        if (const json::value price = prices(); !price.is_null()) llm["price"] = price;
        return {{"id", "model"},
                {"title", "The model's turn"},
                {"llm", std::move(llm)},
                {"retry", json::object{{"attempts", 5}}},
                {"timeout", "10m"}};
    }

    /// Of the conversation so far, when it has become large: the model sums it up.
    void add_summary(json::array& steps) const {
        constexpr std::string_view kAsk =
            "Sum up what was done and found so far for somebody who goes on with it: the facts and "
            "numbers that matter, what failed, what is left to do. Call nothing.";
        json::object llm{{"messages", expression(fmt::format(
                                          "vars.messages + [{{'role': 'user', 'content': {}}}]",
                                          base::to_text(json::value(kAsk))))},
                         {"temperature", pack_.model.temperature},
                         {"max_tokens", std::min<std::uint32_t>(pack_.model.max_tokens, 1024)}};
        if (!pack_.model.name.empty()) llm["model"] = pack_.model.name;
        if (pack_.model.seed) llm["seed"] = *pack_.model.seed;
        if (const json::value price = prices(); !price.is_null()) llm["price"] = price;
        steps.push_back({{"id", "condense"},
                         {"title", "Sum up what is old"},
                         {"if", "vars.progress.condense"},
                         {"llm", std::move(llm)},
                         {"retry", json::object{{"attempts", 5}}},
                         {"timeout", "10m"}});
        json::object made = call("compact", "agent.compact",
                                 {{"messages", expression("vars.messages")},
                                  {"summary", expression("steps.condense.output.text")},
                                  {"usage", expression("steps.condense.output.usage")},
                                  {"progress", expression("vars.progress")}});
        made["if"] = "vars.progress.condense";
        steps.push_back(std::move(made));
        steps.push_back(
            {{"id", "compacted"},
             {"if", "vars.progress.condense"},
             {"set", json::object{{"messages", expression("steps.compact.output.messages")},
                                  {"progress", expression("steps.compact.output.progress")}}}});
    }

    json::array turn() {
        json::array steps;
        if (pack_.limits.context_tokens > 0) add_summary(steps);
        steps.push_back(ask_model());
        steps.push_back(call("plan", "agent.plan",
                             {{"agent", config_},
                              {"answer", expression("steps.model.output")},
                              {"progress", expression("vars.progress")}}));
        json::object seen{{"agent", config_},
                          {"plan", expression("steps.plan.output")},
                          {"usage", expression("steps.model.output.usage")},
                          {"progress", expression("vars.progress")}};
        if (!tools_.empty()) {
            steps.push_back(act());
            seen["results"] = expression("steps.act.output");
        }
        steps.push_back({{"id", "steer"},
                         {"title", "What a person says meanwhile"},
                         {"if", "'steer' in run.signals"},
                         {"wait", json::object{{"signal", "steer"}}}});
        seen["steer"] = json::array{expression("steps.steer.output")};
        steps.push_back(call("observe", "agent.observe", std::move(seen)));
        steps.push_back(
            {{"id", "keep"},
             {"set", json::object{
                         {"messages", expression("vars.messages + steps.observe.output.messages")},
                         {"progress", expression("steps.observe.output.progress")}}}});
        return steps;
    }

    json::object act() {
        json::object calls{{"id", "calls"},
                           {"for_each", json::object{{"in", "wave"},
                                                     {"as", "call"},
                                                     {"concurrency", pack_.limits.parallel},
                                                     {"steps", one_call()}}}};
        return {{"id", "act"},
                {"title", "The calls it asks for"},
                {"for_each", json::object{{"in", "steps.plan.output.waves"},
                                          {"as", "wave"},
                                          {"steps", json::array{std::move(calls)}}}}};
    }

    json::array one_call() {
        json::array steps;
        steps.push_back(
            {{"id", "approve"},
             {"if", "call.verdict == 'ask'"},
             {"human", json::object{{"ask", "edit"},
                                    {"prompt", json::string(fmt::format(
                                                   "{} wants to call {{{{ call.tool }}}}. {{{{ "
                                                   "call.why }}}}",
                                                   pack_.name))},
                                    {"draft", expression("call.arguments")}}},
             {"on_error", "skip"}});
        json::object asked = call("admit", "agent.admit",
                                  {{"agent", config_},
                                   {"call", expression("call")},
                                   {"decision", expression("steps.approve.output")},
                                   {"refused", expression("steps.approve.error")}});
        asked["if"] = "call.verdict == 'ask'";
        steps.push_back(std::move(asked));
        json::object cases, errors;
        for (const Offered& each : tools_) {
            const std::string id = "tool_" + each.tool.name;
            cases[each.tool.name] = json::array{tool_step(id, each)};
            errors[each.tool.name] = expression(fmt::format("steps.{}.error", id));
        }
        steps.push_back(
            {{"id", "use"},
             {"if",
              "call.verdict == 'run' or (call.verdict == 'ask' and "
              "steps.admit.output.run)"},
             {"switch", json::object{{"on", "call.tool"}, {"cases", std::move(cases)}}}});
        std::string output = "steps.use.output";
        if (has_files_) {
            steps.push_back(
                {{"id", "files"},
                 {"if", "steps.use.output.workspace"},
                 {"set", json::object{{"workspace", expression("steps.use.output.workspace")},
                                      {"files", expression("steps.use.output.files")}}}});
            output = "steps.use.output.result if steps.use.output.workspace else steps.use.output";
        }
        steps.push_back(call("result", "agent.result",
                             {{"agent", config_},
                              {"call", expression("call")},
                              {"admitted", expression("steps.admit.output")},
                              {"output", expression(output)},
                              {"errors", std::move(errors)}}));
        return steps;
    }

    json::object tool_step(const std::string& id, const Offered& offered) const {
        const json::string arguments =
            expression("steps.admit.output.arguments if call.verdict == 'ask' else call.arguments");
        json::object step{{"id", id}, {"title", offered.tool.name}, {"on_error", "skip"}};
        switch (offered.kind) {
            case Kind::tool:
                step["tool"] = json::object{{"name", offered.tool.name}, {"arguments", arguments}};
                break;
            case Kind::workspace:
                step["code"] = json::object{{"language", "python"},
                                            {"source", offered.source},
                                            {"args", arguments},
                                            {"sandbox", json::object{{"agent", pack_.name}}},
                                            {"workspace", expression("vars.workspace or []")},
                                            {"keep_workspace", true}};
                break;
            case Kind::agent:
                step["subflow"] = json::object{
                    {"workflow", workflow_name(offered.agent)},
                    {"input",
                     json::object{{"goal", expression("steps.admit.output.arguments.goal if "
                                                      "call.verdict == 'ask' else "
                                                      "call.arguments.goal")}}}};
                return step;  // its own limits bound it
            case Kind::human:
                step["human"] = json::object{
                    {"ask", "answer"},
                    {"prompt", expression("steps.admit.output.arguments.question if call.verdict "
                                          "== 'ask' else call.arguments.question")}};
                return step;  // people take their time
        }
        // Time that is over is the call's own fault; the model decides what to do about it.
        step["retry"] =
            json::object{{"attempts", 3}, {"on", json::array{"unavailable", "resource_exhausted"}}};
        step["timeout"] = pack_.limits.tool_time;
        return step;
    }

    const Pack& pack_;
    const std::vector<Offered> tools_;
    bool final_answer_ = false, output_wrapped_ = false, has_files_ = false;
    json::object config_;
};

}  // namespace

std::string workflow_name(std::string_view pack) {
    return std::string(kPrefix) + std::string(pack);
}

std::string_view agent_of(std::string_view workflow) {
    return workflow.starts_with(kPrefix) ? workflow.substr(kPrefix.size()) : std::string_view();
}

json::object compile(const Pack& pack, std::span<const Tool> tools) {
    return Compiler(pack, tools).whole();
}

}  // namespace agent
