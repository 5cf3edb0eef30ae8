// dougong flow trace: where a run's time went.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "app/commands/flow_commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/flow/flow_access.h"
#include "app/server_client.h"

namespace app {
namespace {

using base::Result;
namespace json = base::json;

std::string took_text(std::int64_t ms) {
    if (ms < 1'000) return fmt::format("{} ms", ms);
    if (ms < 120'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1e3);
    if (ms < 7'200'000) return fmt::format("{:.1f} min", static_cast<double>(ms) / 60e3);
    return fmt::format("{:.1f} h", static_cast<double>(ms) / 3'600e3);
}

/// Each span as a bar on the time of all of them, beneath the one it belongs to.
std::string waterfall(const json::array& spans) {
    constexpr std::int64_t kBar = 40;
    const auto at = [](const json::object& span, std::string_view name) {
        return static_cast<std::int64_t>(json_count(span, name));
    };
    std::int64_t first = 0, last = 0;
    std::map<std::string, std::vector<const json::object*>> below;
    std::set<std::string> known;
    for (const json::value& each : spans) {
        const json::object& span = each.as_object();
        known.insert(json_text(span, "span_id"));
        const std::int64_t start = at(span, "start_unix_ms");
        first = first == 0 ? start : std::min(first, start);
        last = std::max({last, start, at(span, "end_unix_ms")});
    }
    for (const json::value& each : spans) {
        const std::string parent = json_text(each.as_object(), "parent_id");
        below[known.contains(parent) ? parent : ""].push_back(&each.as_object());
    }
    const std::int64_t whole = std::max<std::int64_t>(last - first, 1);
    std::string out;
    const auto draw = [&](const auto& self, const std::string& parent, int depth) -> void {
        for (const json::object* span : below[parent]) {
            const std::int64_t start = at(*span, "start_unix_ms");
            const std::int64_t end =
                span->contains("end_unix_ms") ? at(*span, "end_unix_ms") : last;
            const std::int64_t from = std::min((start - first) * kBar / whole, kBar - 1);
            const std::int64_t to = std::clamp((end - first) * kBar / whole, from + 1, kBar);
            std::string name = json_text(*span, "name");
            if (json_text(*span, "what") == "block") {
                if (const json::value* attributes = span->if_contains("attributes")) {
                    name += " [" + json_text(attributes->as_object(), "dougong.block") + "]";
                }
            }
            out += fmt::format("{:<36}  |{}{}{}|  {:>9}  {}\n",
                               std::string(static_cast<std::size_t>(std::min(depth, 12)) * 2, ' ') +
                                   name.substr(0, 30),
                               std::string(static_cast<std::size_t>(from), ' '),
                               std::string(static_cast<std::size_t>(to - from), '='),
                               std::string(static_cast<std::size_t>(kBar - to), ' '),
                               took_text(end - start), json_text(*span, "status"));
            self(self, json_text(*span, "span_id"), depth + 1);
        }
    };
    draw(draw, "", 0);
    return out;
}

Result<int> trace(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call(
        "GET", fmt::format("/v1/runs/{}/trace?limit={}", url_escape(args.value("RUN").value_or("")),
                           DG_TRY(args.count("--limit", 1, 100'000)).value_or(1'000))));
    std::string text = "trace " + json_text(answer, "trace_id") + "\n";
    text += waterfall(answer.at("spans").as_array());
    if (answer.at("truncated").as_bool()) text += "there are more; --limit N shows them\n";
    const json::object& totals = answer.at("totals").as_object();
    for (const auto& [kind, value] : totals.at("kinds").as_object()) {
        const json::object& one = value.as_object();
        text +=
            fmt::format("{:<10}  {:>6} steps  {:>8} tokens  {:>9} at work  {:>9} waiting\n",
                        std::string_view(kind), json_count(one, "steps"), json_count(one, "tokens"),
                        took_text(static_cast<std::int64_t>(json_count(one, "working_ms"))),
                        took_text(static_cast<std::int64_t>(json_count(one, "waiting_ms"))));
    }
    return tell(args, program, answer, text);
}

}  // namespace

Command flow_trace_command() {
    std::vector<OptionSpec> options = {{"--limit", "N", "At most so many spans [default: 1000]."}};
    for (OptionSpec& option : flow_options()) options.push_back(std::move(option));
    return subcommand("trace", "show where a run's time went",
                      "Its spans as a waterfall: steps, attempts, rounds, waits.",
                      {{"RUN", "The run's id.", true, false}}, options,
                      {{"dougong flow trace RUN", ""}}, trace, {"flow"});
}

}  // namespace app
