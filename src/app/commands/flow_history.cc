// dougong flow show --events and flow blob: what happened to a run, a page at a time, and the
// values that are too large for a page.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "app/commands/flow_commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/flow/flow_access.h"
#include "app/server_client.h"
#include "app/terminal/terminal.h"
#include "base/files/files.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

namespace {

Result<int> blob(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const std::string bytes = DG_TRY(access->fetch(fmt::format(
        "/v1/runs/{}/blobs/{}", url_escape(*args.value("RUN")), url_escape(*args.value("HASH")))));
    if (const auto target = args.value("--output")) {
        DG_TRY(base::write_file_atomically(*target, bytes));
        return tell(args, program, {{"file", *target}, {"bytes", bytes.size()}}, "");
    }
    program.terminal.out(bytes + "\n");
    return 0;
}

/// "value <hash>, 70012 bytes" of a value that is kept beside the events.
std::string blob_words(const json::object& event) {
    const json::value* value = event.if_contains("value");
    if (value == nullptr || !value->is_object() || !value->get_object().contains("$blob"))
        return "";
    const json::object& link = value->get_object();
    return fmt::format("{} bytes: dougong flow blob RUN {}", json_count(link, "bytes"),
                       json_text(link, "$blob"));
}

/// One line about an event, whatever it is.
std::string history_line(const json::object& event) {
    const std::string step = json_text(event, "step");
    std::string what = json_text(event, "event");
    if (const std::string name = json_text(event, "name"); !name.empty()) what += " " + name;
    if (const std::string large = blob_words(event); !large.empty()) {
        what += "   " + large;
    } else if (const json::value* value = event.if_contains("value")) {
        what += "   " + short_text(*value);
    }
    if (const json::value* error = event.if_contains("error"); error && error->is_object()) {
        what += ": " + json_text(error->get_object(), "message");
    }
    return fmt::format("{:>9}  {}  {:<24}  {}\n", json_count(event, "place"),
                       clock_text(static_cast<std::int64_t>(json_count(event, "at_ms"))),
                       step.empty() ? "run" : step, what);
}

}  // namespace

bool asks_for_events(const Args& args) {
    return args.has("--events") || args.has("--tail") || args.has("--after") ||
           args.has("--before");
}

Result<int> show_events(const Args& args, Program& program) {
    const auto after = DG_TRY(args.count("--after", 0, UINT32_MAX)),
               before = DG_TRY(args.count("--before", 1, UINT32_MAX)),
               tail = DG_TRY(args.count("--tail", 1, 1'000)),
               limit = DG_TRY(args.count("--limit", 1, 1'000));
    if (after.has_value() + before.has_value() + tail.has_value() > 1) {
        return base::fail_on("--after", Code::invalid_argument,
                             "say one of --after, --before and --tail");
    }
    std::string path =
        fmt::format("/v1/runs/{}/events?values=link&limit={}", url_escape(*args.value("RUN")),
                    tail.value_or(limit.value_or(50)));
    if (tail) path += "&newest=1";
    if (after) path += fmt::format("&after={}", *after);
    if (before) path += fmt::format("&before={}", *before);
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("GET", path));
    std::string text;
    const json::array& data = answer.at("data").as_array();
    for (const json::value& one : data) text += history_line(one.as_object());
    const std::uint64_t total = json_count(answer, "total");
    if (data.empty()) return tell(args, program, answer, fmt::format("none of {} events\n", total));
    const std::uint64_t first = json_count(data.front().as_object(), "place"),
                        last = json_count(data.back().as_object(), "place");
    text += fmt::format("{} to {} of {} events", first, last, total);
    if (first > 1) text += fmt::format("; earlier ones with --before {}", first);
    if (last < total) text += fmt::format("; later ones with --after {}", last);
    return tell(args, program, answer, text + "\n");
}

Command flow_blob_command() {
    return subcommand("blob", "fetch a large value of a run",
                      "Values that are too large for an event are kept beside it by their SHA-256; "
                      "'flow show RUN --events' names them.",
                      {{"RUN", "The run's id.", true, false},
                       {"HASH", "As \"$blob\" in an event's value names it.", true, false}},
                      with_flow_options({{"-o,--output", "FILE", "Into this file."}}),
                      {{"dougong flow blob RUN HASH -o report.json", ""}}, blob, {"flow"});
}

}  // namespace app
