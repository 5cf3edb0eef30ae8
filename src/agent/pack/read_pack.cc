#include <fmt/format.h>

#include <algorithm>

#include "agent/pack/pack.h"
#include "agent/pack/pack_shape.h"
#include "base/core/nearest.h"
#include "base/schema/schema_check.h"
#include "base/template/template.h"

namespace agent {

using base::Fault;
using base::Node;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::size_t kFaultsTold = 20;

/// Reads what pack_shape() has found good; what only this plane knows is checked on the way.
class Reader {
public:
    Reader(std::span<const Tool> tools, std::vector<Fault>& faults) : faults_(faults) {
        for (const BuiltIn& each : built_in_tools()) known_.emplace_back(each.tool.name);
        for (const Tool& each : tools) known_.emplace_back(each.name);
    }

    Pack read(const Node& root) {
        Pack pack;
        text(root, "name", pack.name);
        text(root, "description", pack.description);
        text(root, "instructions", pack.instructions);
        if (const Node* node = root.find("model")) model(*node, pack.model);
        if (const Node* node = root.find("tools")) tools(*node, pack.tools);
        if (const Node* node = root.find("agents")) agents(*node, pack);
        if (const Node* node = root.find("policy")) policy(*node, pack);
        if (const Node* node = root.find("memory")) number(*node, "recall", pack.recall);
        if (const Node* node = root.find("limits")) limits(*node, pack.limits);
        if (const Node* node = root.find("output")) {
            if (schema(*node, "output")) pack.output = base::to_json(*node);
        }
        if (const Node* node = root.find("examples")) {
            for (const Node& each : node->items) {
                text(each, "goal", pack.examples.emplace_back().goal);
                text(each, "says", pack.examples.back().says);
                context(each, pack.examples.back().context);
            }
        }
        if (const Node* node = root.find("evals")) evals(*node, pack.evals);
        return pack;
    }

private:
    void fault(const Node& node, std::string path, std::string message) {
        faults_.push_back({node.line, node.column, std::move(path), std::move(message)});
    }
    static void text(const Node& from, std::string_view name, std::string& out) {
        if (const Node* node = from.find(name)) out = node->text;
    }
    template <class T>
    static void number(const Node& from, std::string_view name, T& out) {
        const Node* node = from.find(name);
        if (node == nullptr) return;
        if (const auto value = base::number_of(*node)) out = static_cast<T>(*value);
    }
    static void flag(const Node& from, std::string_view name, bool& out) {
        const Node* node = from.find(name);
        if (node != nullptr) out = base::flag_of(*node).value_or(out);
    }
    static void context(const Node& from, json::value& out) {
        if (const Node* node = from.find("context")) out = base::to_json(*node);
    }
    static void verdict(const Node& from, std::string_view name, Verdict& out) {
        std::string word;
        text(from, name, word);
        if (word == "allow") out = Verdict::allow;
        if (word == "ask") out = Verdict::ask;
        if (word == "deny") out = Verdict::deny;
    }
    bool schema(const Node& node, const std::string& path) {
        const auto made = base::SchemaCheck::compile(base::to_json(node));
        if (made) return true;
        fault(node, path,
              fmt::format("{} is no JSON Schema: {}", path.empty() ? "it" : path,
                          made.error().message));
        return false;
    }

    static void model(const Node& node, Pack::Model& out) {
        text(node, "name", out.name);
        number(node, "temperature", out.temperature);
        number(node, "max_tokens", out.max_tokens);
        if (node.find("seed") != nullptr) number(node, "seed", out.seed.emplace());
        std::string calls = "must";
        text(node, "calls", calls);
        out.must_call = calls == "must";
        flag(node, "parallel_calls", out.parallel_calls);
        number(node, "input_usd_per_million", out.input_usd_per_million);
        number(node, "output_usd_per_million", out.output_usd_per_million);
    }

    void tools(const Node& node, std::vector<Pack::ToolUse>& out) {
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const Node& each = node.items[i];
            Pack::ToolUse use{each.text};
            text(each, "name", use.name);
            number(each, "calls_max", use.calls_max);
            const std::string path = fmt::format("tools[{}]", i);
            if (std::ranges::count(known_, std::string_view(use.name)) == 0) {
                fault(each, path,
                      fmt::format("there is no tool '{}'{}", use.name,
                                  base::did_you_mean(use.name, known_)));
            } else if (std::ranges::count(out, use.name, &Pack::ToolUse::name) > 0) {
                fault(each, path, fmt::format("tool '{}' is named twice", use.name));
            } else {
                out.push_back(std::move(use));
            }
        }
    }

    void agents(const Node& node, Pack& out) {
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const std::string& name = node.items[i].text;
            const std::string path = fmt::format("agents[{}]", i);
            if (name == out.name) {
                fault(node.items[i], path, "an agent cannot give goals to itself");
            } else if (std::ranges::count(out.agents, name) > 0) {
                fault(node.items[i], path, fmt::format("agent '{}' is named twice", name));
            } else {
                out.agents.push_back(name);
            }
        }
    }

    void policy(const Node& node, Pack& out) {
        verdict(node, "default", out.otherwise);
        const Node* rules = node.find("rules");
        if (rules == nullptr) return;
        for (std::size_t i = 0; i < rules->items.size(); ++i) {
            const Node& each = rules->items[i];
            Pack::Rule rule;
            text(each, "tool", rule.tool);
            text(each, "when", rule.when);
            text(each, "why", rule.why);
            verdict(each, "do", rule.verdict);
            check_rule(each, rule, fmt::format("policy.rules[{}]", i), out);
            out.rules.push_back(std::move(rule));
        }
    }

    /// A rule that can never fit is a hole in a policy that somebody believes in.
    void check_rule(const Node& node, const Pack::Rule& rule, const std::string& path,
                    const Pack& pack) {
        const std::string_view beginning = std::string_view(rule.tool).substr(
            0, rule.tool.ends_with('*') ? rule.tool.size() - 1 : std::string::npos);
        const bool fits = std::ranges::any_of(pack.tools, [&](const Pack::ToolUse& use) {
            return rule.tool.ends_with('*') ? use.name.starts_with(beginning)
                                            : use.name == rule.tool;
        });
        const bool of_agent = std::ranges::any_of(pack.agents, [&](std::string name) {
            std::ranges::replace(name, '-', '_');
            name.insert(0, "ask_");
            return rule.tool.ends_with('*') ? name.starts_with(beginning) : name == rule.tool;
        });
        if (!fits && !of_agent) {
            fault(node, path + ".tool",
                  fmt::format("no tool of this pack is called '{}'; its 'tools' must come first",
                              rule.tool));
        }
        if (rule.when.empty()) return;
        const Node& where = *node.find("when");
        const auto parsed = base::Expression::parse(rule.when);
        if (!parsed) {
            fault(where, path + ".when", parsed.error().message);
            return;
        }
        for (const auto& use : parsed->variables()) {
            if (use.path.front() == "arguments") continue;
            fault(where, path + ".when",
                  fmt::format("unknown name '{}'; a rule sees `arguments`", use.path.front()));
        }
    }

    static void limits(const Node& node, Pack::Limits& out) {
        number(node, "turns", out.turns);
        number(node, "tokens", out.tokens);
        number(node, "context_tokens", out.context_tokens);
        number(node, "cost_usd", out.cost_usd);
        text(node, "time", out.time);
        number(node, "tool_calls", out.tool_calls);
        number(node, "repeats", out.repeats);
        number(node, "parallel", out.parallel);
        number(node, "result_bytes", out.result_bytes);
        text(node, "tool_time", out.tool_time);
    }

    void evals(const Node& node, std::vector<Pack::Eval>& out) {
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const Node& each = node.items[i];
            Pack::Eval eval;
            text(each, "name", eval.name);
            text(each, "goal", eval.goal);
            context(each, eval.context);
            using Kind = Pack::Eval::Kind;
            for (const auto& [name, kind] : {std::pair{"exact", Kind::exact},
                                             {"contains", Kind::contains},
                                             {"schema", Kind::schema}}) {
                const Node* expected = each.find(name);
                if (expected == nullptr) continue;
                eval.kind = kind;
                eval.expected = base::to_json(*expected);
                const std::string path = fmt::format("evals[{}].{}", i, name);
                if (kind == Kind::schema) schema(*expected, path);
                if (kind == Kind::contains) contains(*expected, path, eval.expected);
            }
            out.push_back(std::move(eval));
        }
    }

    void contains(const Node& node, const std::string& path, json::value& expected) {
        if (node.kind == Node::Kind::scalar) {
            expected = json::array{json::string(node.text)};
            return;
        }
        if (node.kind == Node::Kind::list && !node.items.empty() &&
            std::ranges::all_of(node.items,
                                [](const Node& each) { return each.kind == Node::Kind::scalar; })) {
            json::array texts;
            for (const Node& each : node.items) texts.emplace_back(json::string(each.text));
            expected = std::move(texts);
            return;
        }
        fault(node, path, "expected a text or a list of texts");
    }

    std::vector<Fault>& faults_;
    std::vector<std::string_view> known_;
};

}  // namespace

std::string_view verdict_name(Verdict verdict) {
    constexpr std::string_view kNames[] = {"allow", "ask", "deny"};
    return kNames[static_cast<std::size_t>(verdict)];
}

ReadPack read_pack_faults(std::string_view text, const std::string& file,
                          std::span<const Tool> tools) {
    ReadPack out;
    const auto root = base::parse_document(text, file);
    if (!root) {
        Fault fault;
        fault.message = root.error().message;
        // "file:line:column: what": the place is told apart, as for all others.
        const std::string begin = root.error().subject + ": ";
        if (fault.message.starts_with(begin)) fault.message.erase(0, begin.size());
        if (root.error().subject.starts_with(file + ":")) {
            std::sscanf(root.error().subject.c_str() + file.size(), ":%u:%u", &fault.line,
                        &fault.column);
        }
        out.faults.push_back(std::move(fault));
        return out;
    }
    out.faults = base::shape_faults(*root, pack_shape(), file.ends_with(".json"));
    if (!out.faults.empty()) return out;
    Pack pack = Reader(tools, out.faults).read(*root);
    if (out.faults.empty()) out.pack = std::move(pack);
    std::ranges::stable_sort(out.faults, {},
                             [](const Fault& each) { return std::pair(each.line, each.column); });
    return out;
}

Result<Pack> read_pack(std::string_view text, const std::string& file,
                       std::span<const Tool> tools) {
    ReadPack read = read_pack_faults(text, file, tools);
    if (read.pack) return *std::move(read.pack);
    std::string message;
    for (std::size_t i = 0; i < std::min(read.faults.size(), kFaultsTold); ++i) {
        const Fault& fault = read.faults[i];
        message += fmt::format("{}{}:{}:{}: {}", i == 0 ? "" : "\n", file, fault.line, fault.column,
                               fault.message);
    }
    const Fault& first = read.faults.front();
    return base::fail_on(fmt::format("{}:{}:{}", file, first.line, first.column),
                         base::Code::invalid_argument, "{}", message);
}

}  // namespace agent
