// dougong flow workers: who does steps outside of the server, and what waits for them.
#include <fmt/format.h>

#include <algorithm>

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

}  // namespace

std::vector<Command> flow_worker_commands() {
    return {subcommand("workers", "list workers outside, and what waits for them", "", {},
                       flow_options(), {}, workers, {"flow"})};
}

}  // namespace app
