// Tool calls without a model: of the Berkeley Function Calling data, how many right calls each
// family's grammar and parser take, and how many calls with one wrong field they refuse.
//
//   bench_tool_calls BFCL_DIR [FAMILY...]     the folder with BFCL_v4_*.jsonl.gz and answers/
//
// A right call has the first listed value of each argument, in the schema's order. Types are named
// as JSON Schema names them (dict: object, float: number, tuple: array, any: none).
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "engine/chat/output_parser.h"
#include "engine/chat/render_calls.h"
#include "engine/chat/tool_grammar.h"
#include "engine/constrain/matcher.h"

namespace {

namespace json = base::json;
namespace chat = engine::chat;

double cpu_us() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

std::vector<json::value> read_lines(const std::string& path) {
    std::string text;
    gzFile file = gzopen(path.c_str(), "rb");
    if (file == nullptr) return {};
    std::vector<char> buffer(1 << 20);
    for (int got = 0; (got = gzread(file, buffer.data(), 1 << 20)) > 0;) {
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    gzclose(file);
    std::vector<json::value> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        auto line = base::parse_json(std::string_view(text).substr(at, end - at));
        if (line) lines.push_back(*std::move(line));
        at = end + 1;
    }
    return lines;
}

json::value as_schema(const json::value& bfcl) {
    const json::object* object = bfcl.if_object();
    if (object == nullptr) return bfcl;
    json::object out;
    for (const auto& [key, value] : *object) {
        if (key == "type" && value.is_string()) {
            const std::string_view type = value.get_string();
            if (type == "any") continue;
            out[key] = type == "dict"    ? "object"
                       : type == "float" ? "number"
                       : type == "tuple" ? "array"
                                         : std::string(type);
        } else if (key == "properties" && value.is_object()) {
            json::object properties;
            for (const auto& [name, one] : value.get_object()) properties[name] = as_schema(one);
            out[key] = std::move(properties);
        } else if (key == "items") {
            out[key] = as_schema(value);
        } else if (key == "required" || key == "enum") {
            out[key] = value;
        }
    }
    return out;
}

const json::object* properties_of(const json::value& schema) {
    const json::object* object = schema.if_object();
    const json::value* found = object ? object->if_contains("properties") : nullptr;
    return found ? found->if_object() : nullptr;
}

bool is_required(const json::value& schema, std::string_view name) {
    const json::value* list = schema.as_object().if_contains("required");
    if (list == nullptr || !list->is_array()) return false;
    return std::ranges::find(list->get_array(), json::value(name)) != list->get_array().end();
}

/// Gold values list alternatives; inside of objects too.
json::value resolved(const json::value& gold, const json::value& schema);

json::object resolved_members(const json::object& gold, const json::value& schema) {
    json::object out;
    const auto add = [&](std::string_view name, const json::value& own) {
        const json::value* values = gold.if_contains(name);
        if (values == nullptr || out.contains(name)) return;
        const json::array* list = values->if_array();
        if (list != nullptr && list->empty()) return;
        const json::value& first = list ? list->front() : *values;
        // "" among the alternatives says that the argument may be left out.
        if (first.is_string() && first.get_string().empty() && !is_required(schema, name)) return;
        out[name] = resolved(first, own);
    };
    if (const json::object* properties = properties_of(schema)) {
        for (const auto& [name, own] : *properties) add(name, own);
    }
    for (const auto& [name, unused] : gold) add(name, json::object{});
    return out;
}

json::value resolved(const json::value& gold, const json::value& schema) {
    if (const json::object* object = gold.if_object()) return resolved_members(*object, schema);
    const json::array* list = gold.if_array();
    if (list == nullptr) return gold;
    const json::object* outer = schema.if_object();
    const json::value* items = outer ? outer->if_contains("items") : nullptr;
    json::array out;
    for (const json::value& one : *list)
        out.push_back(resolved(one, items ? *items : json::value(json::object{})));
    return out;
}

struct Task {
    std::string id;
    std::shared_ptr<const chat::ToolSet> tools;
    std::vector<chat::PastCall> gold;
};

std::vector<Task> read_tasks(const std::string& folder, const std::string& file) {
    std::map<std::string, json::value> answers;
    for (const json::value& line : read_lines(folder + "/answers/" + file)) {
        answers[std::string(line.at("id").as_string())] = line.at("ground_truth");
    }
    std::vector<Task> tasks;
    for (const json::value& line : read_lines(folder + "/" + file)) {
        Task task;
        task.id = std::string(line.at("id").as_string());
        json::array tools;
        for (const json::value& function : line.at("function").as_array()) {
            json::object copy = function.as_object();
            copy["parameters"] = as_schema(function.at("parameters"));
            tools.push_back(json::object{{"type", "function"}, {"function", copy}});
        }
        auto set = chat::ToolSet::parse(tools);
        if (!set || !answers.contains(task.id)) {
            std::fprintf(stderr, "%s left out: %s\n", task.id.c_str(),
                         set ? "no answer" : set.error().message.c_str());
            continue;
        }
        task.tools = *set;
        for (const json::value& call : answers[task.id].as_array()) {
            for (const auto& [name, arguments] : call.as_object()) {
                const chat::Tool* tool = task.tools->find(name);
                if (tool == nullptr) continue;
                task.gold.push_back({"call00001", std::string(name),
                                     resolved_members(arguments.as_object(), tool->parameters)});
            }
        }
        tasks.push_back(std::move(task));
    }
    return tasks;
}

struct Count {
    std::size_t total = 0, good = 0;
    void add(bool is_good) {
        ++total;
        good += is_good ? 1 : 0;
    }
    json::object json() const { return {{"total", total}, {"right", good}}; }
};

struct Figures {
    Count compiled, accepted, read_back;
    std::map<std::string, Count> rejected;  ///< by kind of damage
    std::vector<double> compile_us;
};

/// A value that the schema's type does not have; null when any type will do.
json::value of_wrong_type(const json::value& schema) {
    const json::object* object = schema.if_object();
    const json::value* type = object ? object->if_contains("type") : nullptr;
    if (type == nullptr || !type->is_string()) return nullptr;
    return type->get_string() == "object" ? json::value(json::array{1})
                                          : json::value(json::object{{"wrong", 1}});
}

using Damaged = std::pair<std::string, chat::PastCall>;

/// Where texts stand without quotes, any value reads as text: it is not of a wrong type.
bool reads_as_text(const chat::CallSyntax& syntax, const json::value& schema) {
    return syntax.shape == chat::CallShape::parameters && syntax.parameter_middles.size() == 1 &&
           chat::takes_text_only(&schema);
}

std::vector<Damaged> one_field_damages(const chat::CallSyntax& syntax, const chat::PastCall& call,
                                       const chat::Tool& tool) {
    std::vector<Damaged> out;
    chat::PastCall changed = call;
    changed.name += "_x";
    out.emplace_back("unknown function", changed);
    changed = call;
    changed.arguments["no_such_argument"] = 1;
    out.emplace_back("unknown argument", changed);
    const json::object* properties = properties_of(tool.parameters);
    for (const auto& [name, value] : call.arguments) {
        changed = call;
        if (is_required(tool.parameters, name)) {
            changed.arguments.erase(name);
            out.emplace_back("missing argument", changed);
            changed = call;
        }
        const json::value* schema = properties ? properties->if_contains(name) : nullptr;
        if (schema == nullptr) continue;
        const json::value wrong = of_wrong_type(*schema);
        if (!wrong.is_null() && !reads_as_text(syntax, *schema)) {
            changed.arguments[name] = wrong;
            out.emplace_back("wrong type", changed);
        }
        if (schema->is_object() && schema->get_object().contains("enum") && value.is_string()) {
            changed.arguments[name] = std::string(value.get_string()) + "_x";
            out.emplace_back("value not listed", changed);
        }
    }
    return out;
}

bool reads_back(const chat::ChatFormat& format, const Task& task, const std::string& text) {
    chat::ParserOptions options;
    options.new_id = [](auto&&...) { return "x"; };
    chat::OutputParser parser(std::make_shared<chat::ChatFormat>(format), task.tools, options);
    std::vector<chat::Event> events;
    parser.push(text, events);
    parser.finish(events);
    std::size_t calls = 0;
    std::string arguments;
    const auto same = [&] {
        const auto parsed = base::parse_json(arguments);
        return parsed && *parsed == json::value(task.gold[calls - 1].arguments);
    };
    for (const chat::Event& event : events) {
        if (event.kind == chat::Event::Kind::arguments) arguments += event.text;
        if (event.kind != chat::Event::Kind::call) continue;
        if (calls > 0 && !same()) return false;
        arguments.clear();
        if (++calls > task.gold.size() || event.name != task.gold[calls - 1].name) return false;
    }
    return calls == task.gold.size() && (calls == 0 || same());
}

void measure(const chat::ChatFormat& format, const Task& task, Figures& figures) {
    chat::ToolRule rule;
    rule.kind = chat::ToolRule::Kind::required;
    const double begin = cpu_us();
    const auto grammar = chat::tool_grammar(format, *task.tools, rule);
    figures.compile_us.push_back(cpu_us() - begin);
    figures.compiled.add(grammar.has_value());
    if (!grammar) {
        std::fprintf(stderr, "%s: %s\n", task.id.c_str(), grammar.error().message.c_str());
        return;
    }
    const auto takes = [&](const std::vector<chat::PastCall>& calls) {
        return engine::constrain::matches(
            *grammar, chat::render_calls(format.calls, calls, task.tools.get()));
    };
    for (const chat::PastCall& call : task.gold) {
        const bool good = takes({call});
        if (!good && format.calls.family == "hermes") {
            std::fprintf(stderr, "%s: refused %s %s\n", task.id.c_str(), call.name.c_str(),
                         chat::spaced_json(call.arguments).c_str());
        }
        figures.accepted.add(good);
        if (!good) continue;  // only what was right can be made wrong
        for (const auto& [kind, damaged] :
             one_field_damages(format.calls, call, *task.tools->find(call.name))) {
            figures.rejected[kind].add(!takes({damaged}));
        }
    }
    figures.read_back.add(
        reads_back(format, task, render_calls(format.calls, task.gold, task.tools.get())));
}

json::object report(Figures figures) {
    Count all;
    json::object kinds;
    for (const auto& [kind, count] : figures.rejected) {
        kinds[kind] = count.json();
        all.total += count.total;
        all.good += count.good;
    }
    std::ranges::sort(figures.compile_us);
    const auto at = [&](double share) {
        const auto last = static_cast<double>(figures.compile_us.size() - 1);
        return figures.compile_us[static_cast<std::size_t>(share * last)];
    };
    return {{"tasks_compiled", figures.compiled.json()},
            {"right_calls_accepted", figures.accepted.json()},
            {"tasks_read_back", figures.read_back.json()},
            {"wrong_calls_rejected", all.json()},
            {"wrong_calls_by_kind", kinds},
            {"compile_cpu_us_p50", at(0.5)},
            {"compile_cpu_us_p99", at(0.99)}};
}

/// One grammar of the first distinct tools of all tasks, until there are `tools_max` of them or
/// their text has `bytes_max` bytes; when the tasks have no more, again under other names.
json::object many_tools(const std::vector<Task>& tasks, std::size_t tools_max,
                        std::size_t bytes_max) {
    std::map<std::string, json::value> by_name;
    std::size_t bytes = 0;
    for (int round = 0; by_name.size() < tools_max && bytes < bytes_max; ++round) {
        for (const Task& task : tasks) {
            const auto listed = base::parse_json(task.tools->text());
            for (json::value tool : listed->as_array()) {
                json::value& own = tool.at("function").at("name");
                const std::string name = fmt::format("{}_{}", own.as_string().c_str(), round);
                if (by_name.size() == tools_max || bytes >= bytes_max) break;
                own = name;
                if (by_name.emplace(name, tool).second) bytes += json::serialize(tool).size();
            }
        }
    }
    json::array tools;
    for (const auto& [name, tool] : by_name) tools.push_back(tool);
    const auto set = chat::ToolSet::parse(tools);
    chat::ChatFormat format;
    format.calls = chat::call_syntax("hermes");
    chat::ToolRule rule;
    rule.kind = chat::ToolRule::Kind::required;
    const double begin = cpu_us();
    const auto grammar = chat::tool_grammar(format, **set, rule);
    const double compile_ms = (cpu_us() - begin) / 1000;
    return {{"tools", tools.size()},
            {"bytes", bytes},
            {"compiled", grammar.has_value()},
            {"nodes", grammar ? (*grammar)->size() : 0},
            {"compile_cpu_ms", compile_ms},
            {"compile_cpu_ms_per_100_kb", compile_ms * 1e5 / static_cast<double>(bytes)}};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: bench_tool_calls BFCL_DIR [FAMILY...]\n");
        return 2;
    }
    std::vector<Task> tasks;
    for (const char* file :
         {"simple_python", "multiple", "parallel", "parallel_multiple", "live_simple"}) {
        for (Task& task : read_tasks(argv[1], fmt::format("BFCL_v4_{}.jsonl.gz", file))) {
            tasks.push_back(std::move(task));
        }
    }
    if (tasks.empty()) {
        std::fprintf(stderr, "%s has no BFCL_v4_*.jsonl.gz with answers\n", argv[1]);
        return 1;
    }
    const std::vector<std::string> wanted(argv + 2, argv + argc);
    json::object families;
    for (const chat::CallSyntax& syntax : chat::call_syntaxes()) {
        if (!wanted.empty() && std::ranges::find(wanted, syntax.family) == wanted.end()) continue;
        chat::ChatFormat format;
        format.calls = syntax;
        Figures figures;
        for (const Task& task : tasks) measure(format, task, figures);
        families[syntax.family] = report(std::move(figures));
    }
    const json::object all{{"tasks", tasks.size()},
                           {"families", families},
                           {"500_tools", many_tools(tasks, 500, ~std::size_t{0})},
                           {"1_mb_of_tools", many_tools(tasks, ~std::size_t{0}, 1'000'000)}};
    std::printf("%s\n", base::to_text(all).c_str());
    return 0;
}
