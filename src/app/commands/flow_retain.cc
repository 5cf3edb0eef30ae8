// dougong flow purge|archive: finished runs that go, and those that went.
#include <fmt/format.h>

#include "app/commands/flow_commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/flow/flow_access.h"
#include "app/server_client.h"
#include "app/terminal/terminal.h"
#include "flow/definition/duration.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

/// Page by page: each is a handful of small commits.
Result<int> purge(const Args& args, Program& program) {
    const std::string age = args.value("--older-than").value_or("");
    if (!flow::parse_duration(age)) {
        return base::fail_on("--older-than", Code::invalid_argument,
                             "--older-than says how long runs are over that go, such as 30d; "
                             "found '{}'",
                             age);
    }
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const bool dry_run = args.has("--dry-run");
    json::object body{{"older_than", age}, {"dry_run", dry_run}};
    if (const auto workflow = args.value("--workflow")) body["workflow"] = *workflow;
    std::uint64_t removed = 0, archived = 0, held = 0, unreadable = 0;
    std::string why;
    for (;;) {
        const json::object page = DG_TRY(access->call("POST", "/v1/flow/purge", &body));
        removed += json_count(page, "removed");
        archived += json_count(page, "archived");
        held += json_count(page, "held");
        unreadable += json_count(page, "unreadable");
        if (why.empty()) why = json_text(page, "why");
        const std::string next = json_text(page, "next");
        if (next.empty()) break;
        body["after"] = next;
    }
    std::string text =
        fmt::format("{} finished runs {}", removed, dry_run ? "would go" : "are removed");
    if (!dry_run) text += fmt::format(", {} of them archived", archived);
    if (held != 0) text += fmt::format("; {} stay, because their parents are open", held);
    text += "\n";
    if (unreadable != 0) text += fmt::format("{} stay: {}\n", unreadable, why);
    json::object answer{{"dry_run", dry_run},
                        {"removed", removed},
                        {"archived", archived},
                        {"held", held},
                        {"unreadable", unreadable}};
    if (!why.empty()) answer["why"] = why;
    return tell(args, program, answer, text);
}

Result<int> archive_list(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    std::string path = fmt::format("/v1/flow/archive?limit={}",
                                   DG_TRY(args.count("--limit", 1, 1'000)).value_or(50));
    if (const auto workflow = args.value("--workflow")) {
        path += "&workflow=" + url_escape(*workflow);
    }
    if (const auto after = args.value("--after")) path += "&after=" + url_escape(*after);
    const json::object answer = DG_TRY(access->call("GET", path));
    std::string text;
    for (const json::value& each : answer.at("data").as_array()) {
        const json::object& head = each.as_object();
        text +=
            fmt::format("{}  {:<10} {:<24} {}\n", json_text(head, "id"), json_text(head, "status"),
                        json_text(head, "workflow"), json_text(head, "file"));
    }
    if (const std::string next = json_text(answer, "next"); !next.empty()) {
        text += "more: --after " + next + "\n";
    }
    return tell(args, program, answer, text.empty() ? "no archived runs\n" : text);
}

Result<int> archive_show(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const std::string run = args.value("RUN").value_or("");
    program.terminal.out(DG_TRY(access->fetch("/v1/flow/archive/" + url_escape(run))) + "\n");
    return 0;
}

}  // namespace

std::vector<Command> flow_retain_commands() {
    return {
        subcommand("purge", "remove finished runs, archived first where flow.archive says so",
                   "What 'flow.retention' does by itself on a server. A run whose parent is open "
                   "stays.",
                   {},
                   with_flow_options(
                       {{"--older-than", "TIME", "How long they have been over, such as 30d."},
                        {"--workflow", "NAME", "Of this workflow alone."},
                        {"--dry-run", "", "Say how many would go."}}),
                   {{"dougong flow purge --older-than 30d --dry-run", ""}}, purge, {"flow"}),
        command_group(
            "archive", "runs that left the store", "The folder is flow.archive.",
            {subcommand("list", "list archived runs, the newest first", "", {},
                        with_flow_options({{"--workflow", "NAME", "Of this workflow alone."},
                                           {"--limit", "N", "At most so many; 50."},
                                           {"--after", "RUN", "Those before it."}}),
                        {}, archive_list, {"flow"}),
             subcommand("show", "print an archived run as 'flow export' would have", "",
                        {{"RUN", "The run's id.", true, false}}, with_flow_options({}),
                        {{"dougong flow archive show RUN > run.json && dougong flow replay "
                          "run.json",
                          ""}},
                        archive_show, {"flow"})}),
    };
}

}  // namespace app
