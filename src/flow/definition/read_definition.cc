#include "flow/definition/read_definition.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/core/nearest.h"
#include "base/files/sha256.h"
#include "base/json/canonical.h"
#include "flow/cron/cron.h"
#include "flow/cron/time_zone.h"
#include "flow/definition/definition_shape.h"
#include "flow/definition/reader.h"

namespace flow {

using base::Fault;
using base::Node;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::size_t kStepsMax = 4000;

/// The syntax error of a document, whose subject is "file:line:column" or the file.
Fault syntax_fault(const base::Error& error, const std::string& file) {
    Fault fault;
    unsigned line = 1, column = 1;
    std::string_view rest = error.subject;
    if (rest.starts_with(file + ":") &&
        std::sscanf(error.subject.c_str() + file.size(), ":%u:%u", &line, &column) == 2) {
        fault.line = line;
        fault.column = column;
    } else {
        const std::size_t at = error.message.find("line ");
        if (at != std::string::npos &&
            std::sscanf(error.message.c_str() + at, "line %u, column %u", &line, &column) == 2) {
            fault.line = line;
            fault.column = column;
        }
    }
    fault.message = error.message;
    for (const std::string& prefix : {error.subject + ": ", file + ": "}) {
        if (fault.message.starts_with(prefix)) fault.message.erase(0, prefix.size());
    }
    return fault;
}

/// The defaults that the properties of a schema name.
json::value defaults_of(const Node* schema) {
    json::object out;
    const Node* properties = schema == nullptr ? nullptr : schema->find("properties");
    if (properties == nullptr) return out;
    for (const auto& [name, property] : properties->members) {
        if (const Node* value = property.find("default")) out[name] = base::to_json(*value);
    }
    return out;
}

bool makes_call(std::string_view kind) {
    return kind == "llm" || kind == "tool" || kind == "code" || kind == "http" ||
           kind == "memory" || kind == "call" || kind == "worker" || kind.empty();
}

class DefinitionReader {
public:
    DefinitionReader(std::string_view text, bool json) : in_(text, json) {}

    std::shared_ptr<const Definition> read(const Node& root) {
        auto out = std::make_shared<Definition>();
        out->document = base::to_json(root);
        out->hash = base::sha256_hex(base::canonical_text(out->document));
        Reader::text(root, "name", out->name);
        Reader::text(root, "description", out->description);
        read_contract(root, *out);
        StepReader steps(in_);
        static const Node kNothing;
        const Node* list = root.find("steps");
        out->body = steps.block(list != nullptr ? *list : kNothing, "steps", "");
        in_.step.clear();
        if (const Node* output = root.find("output")) {
            out->output = in_.value(*output, "output", Sight::output);
        }
        read_limits(root, *out, steps.places());
        if (steps.places().size() > kStepsMax) {
            in_.fault(root, "steps",
                      fmt::format("the workflow has {} steps, at most {}; put some into workflows "
                                  "of their own and call them by `subflow`",
                                  steps.places().size(), kStepsMax));
            return out;
        }
        check_failure_paths(in_, steps.places());
        check_names(root, steps.places());
        return out;
    }

    std::vector<Fault> take_faults() { return std::move(in_.faults); }

private:
    void read_contract(const Node& root, Definition& out) {
        const Node* input = root.find("input");
        if (input != nullptr) out.input_check = in_.schema(*input, "input");
        out.input_defaults = defaults_of(input);
        if (const Node* schema = root.find("output_schema")) {
            out.output_check = in_.schema(*schema, "output_schema");
        }
        if (const Node* labels = Reader::map(root, "labels")) out.labels = base::to_json(*labels);
    }

    void read_limits(const Node& root, Definition& out,
                     const std::map<std::string, StepPlace>& places) {
        if (const Node* queues = Reader::map(root, "queues")) {
            for (const auto& [name, node] : queues->members) {
                Queue queue{.name = name};
                Reader::number(node, "concurrency", queue.concurrency);
                Reader::number(node, "per_second", queue.per_second);
                Reader::number(node, "per_minute", queue.per_minute);
                if (queue.per_second > 0 && queue.per_minute > 0) {
                    in_.fault(node, "queues." + name,
                              fmt::format("queue '{}' has per_second and per_minute, expected one",
                                          name));
                }
                out.queues.push_back(std::move(queue));
            }
        }
        Reader::text(root, "queue", out.run_queue);
        if (const Node* queue = root.find("queue")) check_queue(*queue, "queue", out);
        for (const auto& [id, place] : places) {
            if (const Node* queue = place.node->find("queue")) {
                in_.step = id;
                in_.step_path = place.path;
                check_queue(*queue, place.path + ".queue", out);
                if (!makes_call(place.kind)) {
                    in_.fault(*queue, place.path + ".queue",
                              fmt::format("step '{}' is a {}, which takes no place in a queue; "
                                          "steps that call something do",
                                          id, place.kind));
                }
                in_.step.clear();
            }
        }
        Reader::number(root, "priority", out.priority);
        Reader::duration(root, "deadline", out.deadline);
        if (const Node* budget = root.find("budget")) {
            Reader::number(*budget, "tokens", out.budget.tokens);
            Reader::number(*budget, "steps", out.budget.steps);
            Reader::number(*budget, "cost_usd", out.budget.cost_usd);
        }
        if (const Node* schedules = Reader::list(root, "schedules")) {
            for (std::size_t i = 0; i < schedules->items.size(); ++i) {
                read_schedule(schedules->items[i], fmt::format("schedules[{}]", i), out);
            }
        }
    }

    void check_queue(const Node& node, const std::string& path, const Definition& out) {
        if (node.kind != Node::Kind::scalar) return;
        std::vector<std::string_view> known;
        for (const Queue& queue : out.queues) known.push_back(queue.name);
        if (std::ranges::count(known, std::string_view(node.text)) > 0) return;
        in_.fault(node, path,
                  fmt::format("{} is '{}', which is not under `queues`{}", in_.words(path),
                              node.text, base::did_you_mean(node.text, known)));
    }

    void read_schedule(const Node& node, const std::string& path, Definition& out) {
        Schedule schedule;
        schedule.name = std::to_string(out.schedules.size() + 1);
        Reader::text(node, "name", schedule.name);
        for (const Schedule& other : out.schedules) {
            if (other.name != schedule.name) continue;
            in_.fault(node, path,
                      fmt::format("{}: there is a schedule '{}' already", path, schedule.name));
        }
        Reader::duration(node, "every", schedule.every);
        if (const Node* every = node.find("every");
            every != nullptr && schedule.every < milliseconds(1000)) {
            in_.fault(*every, path + ".every",
                      fmt::format("{}.every: a schedule has at least a second", path));
        }
        Reader::duration(node, "jitter", schedule.jitter);
        std::string word;
        Reader::text(node, "overlap", word);
        if (word == "allow") schedule.overlap = Schedule::Overlap::allow;
        if (word == "queue") schedule.overlap = Schedule::Overlap::queue;
        word.clear();
        Reader::text(node, "catch_up", word);
        if (word == "none") schedule.catch_up = Schedule::CatchUp::none;
        if (word == "all") schedule.catch_up = Schedule::CatchUp::all;
        Reader::number(node, "catch_up_max", schedule.catch_up_max);
        if (schedule.catch_up == Schedule::CatchUp::all &&
            schedule.overlap == Schedule::Overlap::skip) {
            if (node.find("overlap") != nullptr) {
                in_.fault(*node.find("overlap"), path + ".overlap",
                          fmt::format("{} catches up all moments, which come at once: overlap must "
                                      "be queue or allow",
                                      path));
            }
            schedule.overlap = Schedule::Overlap::queue;
        }
        Reader::text(node, "cron", schedule.cron);
        if (const Node* line = node.find("cron")) {
            if (const auto cron = Cron::parse(schedule.cron); !cron) {
                in_.fault(*line, path + ".cron", fmt::format("{}: {}", path, cron.error().message));
            }
        }
        Reader::text(node, "zone", schedule.zone);
        if (!schedule.zone.empty()) {
            if (const auto zone = TimeZone::find(schedule.zone); !zone) {
                in_.fault(*node.find("zone"), path + ".zone",
                          fmt::format("{}.zone: {}", path, zone.error().message));
            }
        }
        if (const Node* input = node.find("input")) {
            schedule.input = base::to_json(*input);
            check_input(*input, path + ".input", schedule.input, out);
        } else {
            schedule.input = json::object();
        }
        out.schedules.push_back(std::move(schedule));
    }

    void check_input(const Node& node, const std::string& path, json::value input,
                     const Definition& out) {
        if (!out.input_check) return;
        if (input.is_object()) {
            for (const auto& [name, value] : out.input_defaults.get_object()) {
                if (!input.get_object().contains(name)) input.get_object()[name] = value;
            }
        }
        if (const auto checked = out.input_check->check(input); !checked) {
            in_.fault(node, path, fmt::format("{}: {}", path, checked.error().message));
        }
    }

    void check_names(const Node& root, const std::map<std::string, StepPlace>& places) {
        Names names{.places = places};
        for (const auto& [id, place] : places) {
            if (place.kind != "set") continue;
            const Node* set = place.node->find("set");
            for (const auto& [name, value] : set->members) names.vars.push_back(name);
        }
        // A property that is not declared may still come, unless the schema closes the object.
        const Node* input = root.find("input");
        const Node* open = input == nullptr ? nullptr : input->find("additionalProperties");
        const Node* properties = input == nullptr ? nullptr : input->find("properties");
        if (open != nullptr && base::flag_of(*open) == false && properties != nullptr &&
            input->find("patternProperties") == nullptr && input->find("$ref") == nullptr &&
            input->find("allOf") == nullptr && input->find("anyOf") == nullptr) {
            names.inputs_open = false;
            for (const auto& [name, property] : properties->members) names.inputs.push_back(name);
        }
        check_references(in_, names);
    }

    Reader in_;
};

}  // namespace

ReadDefinition read_definition_faults(std::string_view text, const std::string& file) {
    ReadDefinition out;
    auto root = base::parse_document(text, file);
    if (!root) {
        out.faults.push_back(syntax_fault(root.error(), file));
        return out;
    }
    const bool json = file.ends_with(".json");
    out.faults = base::shape_faults(*root, definition_shape(), json);
    DefinitionReader reader(text, json);
    out.definition = reader.read(*root);
    for (Fault& fault : reader.take_faults()) out.faults.push_back(std::move(fault));
    std::ranges::stable_sort(
        out.faults, {}, [](const Fault& fault) { return std::pair(fault.line, fault.column); });
    if (!out.faults.empty()) out.definition = nullptr;
    return out;
}

std::string fault_line(const std::string& file, const Fault& fault) {
    return fmt::format("{}:{}:{}: {}", file, fault.line, fault.column, fault.message);
}

Result<std::shared_ptr<const Definition>> read_definition(std::string_view text,
                                                          const std::string& file) {
    ReadDefinition read = read_definition_faults(text, file);
    if (read.faults.empty()) return std::move(read.definition);
    constexpr std::size_t kShown = 10;
    std::string message;
    for (std::size_t i = 0; i < std::min(read.faults.size(), kShown); ++i) {
        message += (i > 0 ? "\n" : "") + fault_line(file, read.faults[i]);
    }
    if (read.faults.size() > kShown) {
        message += fmt::format("\nand {} more", read.faults.size() - kShown);
    }
    const Fault& first = read.faults.front();
    return base::fail_on(fmt::format("{}:{}:{}", file, first.line, first.column),
                         base::Code::invalid_argument, "{}", message);
}

}  // namespace flow
