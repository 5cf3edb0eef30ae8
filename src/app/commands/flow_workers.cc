// dougong flow workers: who does steps outside of the server, and what waits for them.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "app/commands/flow_commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/flow/flow_access.h"
#include "app/server_client.h"

namespace app {
namespace {

using base::Result;
namespace json = base::json;

std::string names_of(const json::value& queues) {
    std::string out;
    for (const auto& [queue, functions] : queues.as_object()) {
        out += (out.empty() ? "" : "; ") + std::string(queue) + ":";
        if (functions.as_array().empty()) out += " all";
        for (const json::value& function : functions.as_array()) {
            out += " " + std::string(function.as_string());
        }
    }
    return out;
}

Result<int> workers(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("GET", "/v1/workers"));
    std::string text;
    for (const json::value& each : answer.at("workers").as_array()) {
        const json::object& one = each.as_object();
        text += fmt::format(
            "{:<40}  {:>8} done  {:>6} failed  seen {:>5.1f} s ago  {}\n", json_text(one, "worker"),
            json_count(one, "finished"), json_count(one, "failed"),
            static_cast<double>(json_count(one, "seen_ms_ago")) / 1000, names_of(one.at("queues")));
    }
    for (const json::value& each : answer.at("tasks").as_array()) {
        const json::object& one = each.as_object();
        text += fmt::format("queue {:<20}  function {:<20}  {:>6} wait  {:>6} given\n",
                            json_text(one, "queue"), json_text(one, "function"),
                            json_count(one, "pending"), json_count(one, "given"));
    }
    return tell(args, program, answer, text.empty() ? "no workers, and nothing waits\n" : text);
}

Result<int> queues(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("GET", "/v1/queues"));
    std::string text;
    for (const json::value& each : answer.at("data").as_array()) {
        const json::object& one = each.as_object();
        text += fmt::format("{:<24}  {:<16}  {:>6} run  {:>6} wait", json_text(one, "workflow"),
                            json_text(one, "queue"), json_count(one, "running"),
                            json_count(one, "waiting"));
        if (one.contains("oldest_ms")) {
            text += fmt::format(", the first for {:.1f} s",
                                static_cast<double>(json_count(one, "oldest_ms")) / 1000);
        }
        text += "\n";
    }
    return tell(args, program, answer, text.empty() ? "nobody is in a queue\n" : text);
}

std::string utc_text(std::uint64_t unix_ms) {
    const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", utc.tm_year + 1900,
                       utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

Result<int> schedules(const Args& args, Program& program) {
    const std::string action = args.value("ACTION").value_or("");
    const auto access = DG_TRY(FlowAccess::open(args, program));
    if (!action.empty()) {
        if (action != "pause" && action != "resume" && action != "trigger") {
            return base::fail_on("ACTION", base::Code::invalid_argument,
                                 "'{}' is neither pause nor resume nor trigger", action);
        }
        const auto workflow = args.value("WORKFLOW");
        if (!workflow) {
            return base::fail_on("WORKFLOW", base::Code::invalid_argument,
                                 "which workflow's schedule? dougong flow schedules {} WORKFLOW",
                                 action);
        }
        std::string path = fmt::format("/v1/schedules/{}/{}", url_escape(*workflow), action);
        if (const auto name = args.value("NAME")) path += "?name=" + url_escape(*name);
        const json::object answer = DG_TRY(access->call("POST", path));
        const std::string run = json_text(answer, "id");
        return tell(args, program, answer,
                    run.empty() ? fmt::format("{}  {}d\n", *workflow, action) : run + "\n");
    }
    const json::object answer = DG_TRY(access->call("GET", "/v1/schedules"));
    std::string text;
    for (const json::value& each : answer.at("data").as_array()) {
        const json::object& one = each.as_object();
        const std::string when =
            one.contains("cron") ? json_text(one, "cron")
                                 : fmt::format("every {} s", json_count(one, "every_ms") / 1000);
        const std::string next = one.contains("next_unix_ms")
                                     ? "next " + utc_text(json_count(one, "next_unix_ms"))
                                     : "paused";
        text += fmt::format("{:<24}  {:<12}  {:<20}  {}  {}\n", json_text(one, "workflow"),
                            json_text(one, "name"), when, next, json_text(one, "error"));
    }
    return tell(args, program, answer, text.empty() ? "no schedules\n" : text);
}

}  // namespace

std::vector<Command> flow_worker_commands() {
    return {subcommand("workers", "list workers outside, and what waits for them", "", {},
                       flow_options(), {}, workers, {"flow"}),
            subcommand("queues", "list queues that somebody is in", "", {}, flow_options(), {},
                       queues, {"flow"}),
            subcommand("schedules", "list schedules; pause, resume or trigger one",
                       "Paused, moments pass without a run. A trigger starts one now.",
                       {{"ACTION", "pause, resume or trigger.", false, false},
                        {"WORKFLOW", "Whose.", false, false},
                        {"NAME", "Which, where it has several.", false, false}},
                       flow_options(),
                       {{"dougong flow schedules", "When runs start by themselves."},
                        {"dougong flow schedules pause nightly", ""}},
                       schedules, {"flow"})};
}

}  // namespace app
