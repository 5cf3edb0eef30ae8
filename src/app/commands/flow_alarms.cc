// dougong flow alarms: what is worth waking somebody for, what fires, who takes it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "app/commands/flow_commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/flow/flow_access.h"
#include "app/server_client.h"
#include "app/terminal/terminal.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

constexpr int kNotDelivered = 1;

std::string local_time(std::uint64_t unix_ms) {
    const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
    std::tm local{};
    localtime_r(&seconds, &local);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", local.tm_year + 1900,
                       local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
}

std::string by_of(const Args& args, const Program& program) {
    return args.value("--by").value_or(variable(program.environment, "USER").value_or(""));
}

std::string path_of(const Args& args, std::string_view rest = "") {
    return fmt::format("/v1/alarms/{}{}", url_escape(args.value("NAME").value_or("")), rest);
}

std::string alarm_text(const json::object& alarm, bool runs) {
    std::string out = fmt::format(
        "  {:<8}  {:<24}  since {}  {}", json_text(alarm, "phase"), json_text(alarm, "workflow"),
        local_time(json_count(alarm, "since_unix_ms")), json_text(alarm, "text"));
    if (alarm.contains("acked_unix_ms")) out += "  (taken by " + json_text(alarm, "acked_by") + ")";
    out += "\n";
    if (!runs) return out;
    for (const json::value& each : alarm.at("runs").as_array()) {
        const json::object& run = each.as_object();
        out += fmt::format("            {}  {}\n", json_text(run, "id"), json_text(run, "detail"));
    }
    return out;
}

std::string rule_text(const json::object& rule, bool whole) {
    const json::object& said = rule.at("rule").as_object();
    std::string out =
        fmt::format("{:<24}  {:<8}  {:<16}  {}", json_text(rule, "name"), json_text(rule, "phase"),
                    said.contains("workflow") ? json_text(said, "workflow") : "each",
                    base::to_text(said.at("when")));
    if (rule.contains("silenced_until_unix_ms")) {
        out += "  silenced until " + local_time(json_count(rule, "silenced_until_unix_ms"));
    }
    out += "\n";
    for (const json::value& each : rule.at("alarms").as_array()) {
        const json::object& alarm = each.as_object();
        if (whole || json_text(alarm, "phase") != "quiet") out += alarm_text(alarm, whole);
    }
    return out;
}

Result<int> list(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("GET", "/v1/alarms"));
    std::string text;
    for (const json::value& each : answer.at("data").as_array()) {
        text += rule_text(each.as_object(), false);
    }
    for (const json::value& each : answer.at("webhooks").as_array()) {
        text += fmt::format("told: {}  {}\n", json_text(each.as_object(), "name"),
                            json_text(each.as_object(), "host"));
    }
    return tell(args, program, answer, text.empty() ? "no alarms\n" : text);
}

Result<int> show(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("GET", path_of(args)));
    return tell(args, program, answer, rule_text(answer, true));
}

Result<int> add(const Args& args, Program& program) {
    json::object rule;
    if (const auto whole = args.value("--rule")) {
        json::value given = DG_TRY(json_of_flag("--rule", *whole));
        if (!given.is_object()) {
            return base::fail_on("--rule", Code::invalid_argument, "--rule is no JSON object");
        }
        rule = std::move(given.as_object());
    }
    rule["name"] = args.value("NAME").value_or("");
    if (const auto when = args.value("--when")) {
        rule["when"] = DG_TRY(json_of_flag("--when", *when));
    }
    constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kTexts = {
        {{"--workflow", "workflow"},
         {"--for", "for"},
         {"--clear-after", "clear_after"},
         {"--repeat", "repeat"},
         {"--note", "note"}}};
    for (const auto& [flag, name] : kTexts) {
        if (const auto value = args.value(flag)) rule[name] = *value;
    }
    if (const auto webhooks = args.all("--webhook"); !webhooks.empty()) {
        rule["webhooks"] = json::value_from(webhooks);
    }
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("POST", "/v1/alarms", &rule));
    return tell(args, program, answer, rule_text(answer, false));
}

Result<int> remove(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("DELETE", path_of(args)));
    return tell(args, program, answer, json_text(answer, "name") + "  removed\n");
}

Result<int> silence(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object body{{"for", args.value("--for").value_or("1h")},
                            {"by", by_of(args, program)}};
    const json::object answer = DG_TRY(access->call("POST", path_of(args, "/silence"), &body));
    const std::uint64_t until = json_count(answer, "silenced_until_unix_ms");
    return tell(args, program, answer,
                fmt::format("{}  {}\n", json_text(answer, "name"),
                            until == 0 ? "tells again" : "silenced until " + local_time(until)));
}

Result<int> acknowledge(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    json::object body{{"by", by_of(args, program)}};
    if (const auto workflow = args.value("--workflow")) body["workflow"] = *workflow;
    const json::object answer = DG_TRY(access->call("POST", path_of(args, "/acknowledge"), &body));
    return tell(args, program, answer,
                fmt::format("{}  {} taken\n", json_text(answer, "name"),
                            json_count(answer, "acknowledged")));
}

Result<int> test(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("POST", path_of(args, "/test")));
    std::string text;
    for (const json::value& each : answer.at("data").as_array()) {
        const json::object& one = each.as_object();
        text += fmt::format("{:<24}  {}\n", json_text(one, "webhook"),
                            one.at("delivered").as_bool()
                                ? fmt::format("delivered, {}", json_count(one, "status"))
                                : json_text(one, "error"));
    }
    const int told = tell(args, program, answer, text);
    return answer.at("delivered").as_bool() ? told : kNotDelivered;
}

Result<int> history(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    std::string path = "/v1/alarm-history?limit=200";
    if (const auto name = args.value("NAME")) path += "&name=" + url_escape(*name);
    const json::object answer = DG_TRY(access->call("GET", path));
    std::string text;
    for (const json::value& each : answer.at("data").as_array()) {
        const json::object& one = each.as_object();
        text += fmt::format("{}  {:<12}  {:<24}  {:<16}  {}{}\n",
                            local_time(json_count(one, "at_unix_ms")), json_text(one, "what"),
                            json_text(one, "name"), json_text(one, "workflow"),
                            json_text(one, "by"), json_text(one, "text"));
    }
    return tell(args, program, answer, text.empty() ? "nothing yet\n" : text);
}

Result<int> deliveries(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    if (const auto id = args.value("--retry")) {
        const json::object answer = DG_TRY(
            access->call("POST", fmt::format("/v1/alarm-deliveries/{}/retry", url_escape(*id))));
        return tell(args, program, answer, *id + "  is sent again\n");
    }
    std::string path = "/v1/alarm-deliveries?limit=200";
    if (const auto status = args.value("--status")) path += "&status=" + url_escape(*status);
    const json::object answer = DG_TRY(access->call("GET", path));
    std::string text;
    for (const json::value& each : answer.at("data").as_array()) {
        const json::object& one = each.as_object();
        text +=
            fmt::format("{}  {:<9}  {:>3} tried  {:<16}  {:<24}  {}\n", json_text(one, "id"),
                        json_text(one, "status"), json_count(one, "attempts"),
                        json_text(one, "webhook"), json_text(one, "name"), json_text(one, "error"));
    }
    return tell(args, program, answer, text.empty() ? "no messages\n" : text);
}

Result<int> schema(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    program.terminal.out(
        base::to_text(DG_TRY(access->call(
            "GET", "/v1/alarm-schema?of=" + url_escape(args.value("OF").value_or("message"))))) +
        "\n");
    return 0;
}

}  // namespace

Command flow_alarm_command() {
    const PositionalSpec name{"NAME", "The rule's.", true, false};
    const OptionSpec by{"--by", "NAME", "Who does it. [default: $USER]"};
    const auto part = [](std::string_view word, std::string_view summary, std::string_view about,
                         std::vector<PositionalSpec> positionals, std::vector<OptionSpec> own,
                         std::vector<Example> examples, RunCommand run) {
        return subcommand(word, summary, about, std::move(positionals),
                          with_flow_options(std::move(own)), std::move(examples), run, {"flow"});
    };
    return command_group(
        "alarms", "rules that tell people by webhook when workflows need them",
        "Rules and webhooks stand in the file that flow.alarms names; rules also come by 'add'. "
        "A server decides and sends.",
        {part("list", "list rules and what fires", "", {}, {}, {{"dougong flow alarms list", ""}},
              list),
         part("show", "show a rule, its alarms and the runs they are about", "", {name}, {}, {},
              show),
         part("add", "add a rule", "", {name},
              {{"--when", "JSON", "When it is so: JSON, @FILE, or -."},
               {"--workflow", "NAME", "Only this one. [default: each by itself]"},
               {"--for", "TIME", "It must be so for this long, as 5m."},
               {"--clear-after", "TIME", "It must not be so for this long. [default: 1m]"},
               {"--repeat", "TIME", "Tell again so often while nobody took it."},
               {"--webhook", "NAME", "Whom to tell; several times. [default: all]"},
               {"--note", "TEXT", "What to do."},
               {"--rule", "JSON", "The whole rule instead: JSON, @FILE, or -."}},
              {{"dougong flow alarms add failing --when '{\"failure_rate\": 0.2, \"over\": "
                "\"15m\"}'",
                "A fifth of the runs within a quarter of an hour."},
               {"dougong flow alarms add hung --when '{\"stuck\": \"1h\"}'", ""}},
              add),
         part("remove", "remove a rule that was added", "", {name}, {}, {}, remove),
         part("silence", "tell nobody for some time", "", {name},
              {{"--for", "TIME", "As 30m; 0s: tell again. [default: 1h]"}, by}, {}, silence),
         part("ack", "take what fires, so that nobody is reminded", "", {name},
              {{"--workflow", "NAME", "Only its alarm. [default: all of the rule's]"}, by}, {},
              acknowledge),
         part("test", "send a test to each of its webhooks",
              "Exit status: 0 when all took it, 1 when one did not.", {name}, {}, {}, test),
         part("history", "what happened to alarms, the newest first", "",
              {{"NAME", "Only of this rule.", false, false}}, {}, {}, history),
         part("deliveries", "messages to webhooks, and whether they arrived", "", {},
              {{"--status", "WORD", "due, delivered or dead."},
               {"--retry", "ID", "Send a dead one again."}},
              {{"dougong flow alarms deliveries --status dead", "What nobody heard of."}},
              deliveries),
         part("schema", "print the JSON Schema of messages, or of the file", "",
              {{"OF", "message or file. [default: message]", false, false}}, {}, {}, schema)});
}

}  // namespace app
