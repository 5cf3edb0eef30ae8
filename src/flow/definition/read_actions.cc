// What each kind of step does, from its field to its action.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "flow/cron/cron.h"
#include "flow/definition/reader.h"

namespace flow {

using base::Node;
namespace json = base::json;

namespace {

/// The members of `node` but some, as a map of its own.
Node without(const Node& node, std::initializer_list<std::string_view> names) {
    Node out = node;
    std::erase_if(out.members, [&](const auto& member) {
        return std::ranges::count(names, std::string_view(member.first)) > 0;
    });
    return out;
}

}  // namespace

Action StepReader::action(std::string_view kind, const Node& node, const std::string& path,
                          Step& out) {
    const auto value = [&](const Node& from, std::string_view name) {
        const Node* found = from.find(name);
        return found == nullptr ? ValueTemplate()
                                : in_.value(*found, fmt::format("{}.{}", path, name));
    };
    const auto arguments = [&](const Node& from, std::string_view name) {
        static const ValueTemplate kNone = ValueTemplate::parse(json::object()).value();
        return from.find(name) == nullptr ? kNone : value(from, name);
    };
    if (kind == "llm") {
        LlmAction llm;
        Reader::text(node, "model", llm.model);
        if (const Node* schema = node.find("schema")) {
            if (in_.schema(*schema, path + ".schema")) llm.schema = base::to_json(*schema);
        }
        const Node* prompt = node.find("prompt");
        const Node* messages = node.find("messages");
        if (node.kind == Node::Kind::map && (prompt == nullptr) == (messages == nullptr)) {
            in_.fault(node, path,
                      fmt::format("llm of step '{}' needs either prompt or messages", in_.step));
        }
        llm.request = in_.value(without(node, {"model", "schema"}), path);
        return llm;
    }
    if (kind == "tool") {
        ToolAction tool;
        if (node.kind == Node::Kind::scalar) tool.tool = node.text;
        Reader::text(node, "name", tool.tool);
        tool.arguments = arguments(node, "arguments");
        return tool;
    }
    if (kind == "code") {
        CodeAction code;
        Reader::text(node, "language", code.language);
        Reader::text(node, "source", code.source);
        Reader::flag(node, "keep_workspace", code.keep_workspace);
        if (!in_.undoing) places_[out.id].keeps_files = code.keep_workspace;
        code.workspace = value(node, "workspace");
        code.arguments = arguments(node, "args");
        code.sandbox = arguments(node, "sandbox");
        return code;
    }
    if (kind == "http") {
        HttpAction http;
        if (node.find("json") != nullptr && node.find("body") != nullptr) {
            in_.fault(*node.find("body"), path + ".body",
                      fmt::format("http of step '{}' has json and body, expected one", in_.step));
        }
        if (const Node* statuses = Reader::list(node, "ok_status")) {
            for (const Node& each : statuses->items) {
                const double status = base::number_of(each).value_or(0);
                if (status >= 100 && status <= 599) {
                    http.ok_status.push_back(static_cast<std::uint16_t>(status));
                }
            }
        }
        http.request = in_.value(without(node, {"ok_status"}), path);
        return http;
    }
    if (kind == "memory") {
        MemoryAction memory;
        Reader::text(node, "operation", memory.operation);
        memory.arguments = arguments(node, "arguments");
        return memory;
    }
    if (kind == "call") {
        NativeAction native;
        Reader::text(node, "function", native.function);
        native.arguments = arguments(node, "arguments");
        return native;
    }
    if (kind == "worker") {
        WorkerAction worker;
        Reader::text(node, "queue", worker.queue);
        Reader::text(node, "function", worker.function);
        worker.arguments = arguments(node, "arguments");
        return worker;
    }
    if (kind == "human") return human(node, path, out);
    if (kind == "wait") return wait(node, path);
    if (kind == "branch") return branch(node, path, out.id);
    if (kind == "switch") return choose(node, path, out.id);
    if (kind == "for_each" || kind == "while") return loop(node, path, out.id, kind == "for_each");
    if (kind == "parallel") return parallel(node, path, out.id);
    if (kind == "subflow") {
        SubflowAction subflow;
        Reader::text(node, "workflow", subflow.workflow);
        Reader::number(node, "version", subflow.version);
        Reader::flag(node, "detached", subflow.detached);
        subflow.input = arguments(node, "input");
        return subflow;
    }
    if (kind == "emit") {
        EmitAction emit;
        Reader::text(node, "event", emit.event);
        Reader::text(node, "signal", emit.signal);
        if (node.find("run") != nullptr) emit.run = value(node, "run");
        if (!emit.signal.empty() != emit.run.has_value()) {
            in_.fault(
                node, path,
                fmt::format("emit of step '{}': a signal goes to a `run`, an event to whoever "
                            "waits; give signal and run, or event alone",
                            in_.step));
        }
        emit.payload = value(node, "payload");
        return emit;
    }
    if (kind == "set") return SetAction{in_.value(node, path)};
    EndAction end;
    end.failed = node.find("fail") != nullptr;
    end.value = value(node, end.failed ? "fail" : "output");
    return end;
}

Action StepReader::human(const Node& node, const std::string& path, Step& out) {
    HumanAction human;
    std::string ask = "approve";
    Reader::text(node, "ask", ask);
    human.ask = ask == "edit"     ? HumanAction::Ask::edit
                : ask == "answer" ? HumanAction::Ask::answer
                                  : HumanAction::Ask::approve;
    if (const Node* prompt = node.find("prompt")) {
        human.prompt = in_.value(*prompt, path + ".prompt");
    }
    const Node* draft = node.find("draft");
    if (draft != nullptr) human.draft = in_.value(*draft, path + ".draft");
    if ((human.ask == HumanAction::Ask::edit) != (draft != nullptr)) {
        in_.fault(draft != nullptr ? *draft : node, path,
                  fmt::format("human of step '{}': `draft` is what `ask: edit` is about; give both "
                              "or neither",
                              in_.step));
    }
    if (const Node* form = node.find("form")) human.form = in_.schema(*form, path + ".form");
    Reader::texts(node, "assignees", human.assignees);
    if (node.find("deadline") != nullptr) {
        milliseconds deadline{0};
        Reader::duration(node, "deadline", deadline);
        out.timeout = deadline;
    }
    if (const Node* escalate = Reader::map(node, "escalate")) {
        milliseconds after{0};
        Reader::duration(*escalate, "after", after);
        human.escalate_after = after;
        Reader::texts(*escalate, "to", human.escalate_to);
        if (out.timeout.count() > 0 && after >= out.timeout) {
            in_.fault(*escalate, path + ".escalate",
                      fmt::format("step '{}' escalates after its deadline: nobody would answer in "
                                  "time; make `after` shorter",
                                  in_.step));
        }
    }
    return human;
}

Action StepReader::wait(const Node& node, const std::string& path) {
    WaitAction wait;
    if (node.find("for") != nullptr) {
        milliseconds span{0};
        Reader::duration(node, "for", span);
        wait.duration = span;
    }
    if (const Node* until = node.find("until")) wait.until = in_.value(*until, path + ".until");
    Reader::text(node, "cron", wait.cron);
    if (!wait.cron.empty()) {
        if (const auto cron = Cron::parse(wait.cron); !cron) {
            in_.fault(*node.find("cron"), path + ".cron",
                      in_.words(path + ".cron") + ": " + cron.error().message);
        }
    }
    Reader::text(node, "signal", wait.signal);
    Reader::text(node, "event", wait.event);
    if (const Node* where = node.find("where")) {
        wait.where = in_.expression(*where, path + ".where", Sight::where);
        if (wait.signal.empty() && wait.event.empty()) {
            in_.fault(*where, path + ".where",
                      fmt::format("step '{}': `where` is asked of a signal or an event", in_.step));
        }
    }
    return wait;
}

Action StepReader::branch(const Node& node, const std::string& path, const std::string& id) {
    ChooseAction choose;
    const auto arm = [&](const Node& from, const std::string& at, std::string label) {
        ChooseAction::Arm made;
        if (const Node* when = from.find("if")) made.when = in_.expression(*when, at + ".if");
        made.label = std::move(label);
        const Node* then = from.find("then");
        made.block = then != nullptr ? block(*then, at + ".then", id) : std::make_shared<Block>();
        choose.arms.push_back(std::move(made));
    };
    arm(node, path, "then");
    if (const Node* more = Reader::list(node, "elif")) {
        for (std::size_t i = 0; i < more->items.size(); ++i) {
            arm(more->items[i], fmt::format("{}.elif[{}]", path, i), fmt::format("elif_{}", i + 1));
        }
    }
    if (const Node* other = node.find("else")) {
        choose.arms.push_back({std::nullopt, "else", block(*other, path + ".else", id)});
    }
    return choose;
}

Action StepReader::choose(const Node& node, const std::string& path, const std::string& id) {
    ChooseAction choose;
    if (const Node* subject = node.find("on")) {
        choose.subject = in_.expression(*subject, path + ".on");
    }
    const auto arm = [&](const Node& where, json::value value, const Node& steps,
                         const std::string& at) {
        if (std::ranges::count(choose.values, value) > 0) {
            in_.fault(
                where, at,
                fmt::format("step '{}' has the case {} twice", in_.step, base::to_text(value)));
        }
        std::string label =
            value.is_string() ? std::string(value.get_string()) : base::to_text(value);
        choose.values.push_back(std::move(value));
        choose.arms.push_back({std::nullopt, std::move(label), block(steps, at, id)});
    };
    if (const Node* cases = Reader::map(node, "cases")) {
        for (const auto& [name, steps] : cases->members) {
            arm(steps, json::value(name), steps, fmt::format("{}.cases.{}", path, name));
        }
    } else if (const Node* listed = Reader::list(node, "cases")) {
        for (std::size_t i = 0; i < listed->items.size(); ++i) {
            const Node& each = listed->items[i];
            const Node* value = each.find("value");
            const Node* steps = each.find("steps");
            if (value == nullptr || steps == nullptr) continue;
            arm(each, base::to_json(*value), *steps, fmt::format("{}.cases[{}].steps", path, i));
        }
    }
    if (const Node* other = node.find("default")) {
        choose.arms.push_back({std::nullopt, "default", block(*other, path + ".default", id)});
    }
    return choose;
}

Action StepReader::loop(const Node& node, const std::string& path, const std::string& id,
                        bool for_each) {
    LoopAction loop;
    if (for_each) {
        const Node* items = node.find("in");
        if (items != nullptr && items->kind == Node::Kind::list) {
            const std::string text = base::to_text(base::to_json(*items));  // Jinja reads it, too
            auto written = base::Expression::parse(text);
            if (!written || text.find("{{") != std::string::npos) {
                in_.fault(*items, path + ".in",
                          fmt::format("step '{}': a list with expressions in it goes under `set`; "
                                      "name it here as {{{{ vars.<name> }}}}",
                                      in_.step));
            } else {
                loop.items = *std::move(written);
            }
        } else if (items != nullptr) {
            loop.items = in_.expression(*items, path + ".in");
        }
        Reader::text(node, "as", loop.item_name);
        places_[id].item_name = loop.item_name;
        Reader::number(node, "concurrency", loop.concurrency);
    } else if (const Node* condition = node.find("condition")) {
        loop.while_ = in_.expression(*condition, path + ".condition", Sight::loop_test);
    }
    Reader::number(node, "max", loop.rounds_max);
    Reader::flag(node, "collect", loop.collect);
    const Node* steps = node.find("steps");
    loop.body = steps != nullptr ? block(*steps, path + ".steps", id) : std::make_shared<Block>();
    return loop;
}

Action StepReader::parallel(const Node& node, const std::string& path, const std::string& id) {
    ParallelAction parallel;
    if (const Node* branches = Reader::map(node, "branches")) {
        for (const auto& [name, steps] : branches->members) {
            parallel.branches.push_back(
                {name, block(steps, fmt::format("{}.branches.{}", path, name), id)});
        }
    }
    std::string word;
    Reader::text(node, "need", word);
    if (word == "any") parallel.needed = 1;
    Reader::number(node, "need", parallel.needed);
    if (parallel.needed > parallel.branches.size()) {
        in_.fault(*node.find("need"), path + ".need",
                  fmt::format("step '{}' needs {} of {} branches", in_.step, parallel.needed,
                              parallel.branches.size()));
    }
    return parallel;
}

}  // namespace flow
