// dougong flow fork|export|replay|migrate: whole runs, taken apart, gone through again and moved.
#include <fmt/format.h>

#include <iostream>
#include <iterator>

#include "app/commands/flow_commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/flow/flow_access.h"
#include "app/server_client.h"
#include "app/terminal/terminal.h"
#include "base/files/files.h"
#include "flow/definition/read_definition.h"
#include "flow/http/run_change_routes.h"
#include "flow/run/replay.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

Result<json::value> json_of_flag(std::string_view flag, const std::string& text) {
    constexpr std::uint64_t kFileBytesMax = 1u << 30;
    std::string source = text;
    if (text == "-") {
        source.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else if (text.starts_with('@')) {
        source = DG_TRY(base::read_file(text.substr(1), kFileBytesMax));
    }
    auto value = base::parse_json(source, {.depth_max = 512});
    if (value) return value;
    return base::fail_on(std::string(flag), Code::invalid_argument, "{} is not JSON: {}", flag,
                         value.error().message);
}

std::vector<OptionSpec> with_flow_options(std::vector<OptionSpec> own) {
    for (OptionSpec& option : flow_options()) own.push_back(std::move(option));
    return own;
}

namespace {

constexpr std::uint64_t kExportBytesMax = 1u << 30;
constexpr int kDiffers = 1;

Result<int> fork(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    json::object body{{"step", args.value("--step").value_or("")}};
    if (const auto input = args.value("--input")) {
        body["input"] = DG_TRY(json_of_flag("--input", *input));
    }
    if (const auto with = args.value("--with")) {
        body["with"] = DG_TRY(json_of_flag("--with", *with));
    }
    const std::string run = args.value("RUN").value_or("");
    const json::object made =
        DG_TRY(access->call("POST", fmt::format("/v1/runs/{}/fork", url_escape(run)), &body));
    const std::string id = json_text(made, "id");
    const std::string then = access->local() ? "  (goes on with 'dougong flow watch " + id +
                                                   "', or when a server starts)"
                                             : "";
    return tell(args, program, made, id + then + "\n");
}

Result<json::value> exported(const Args& args, Program& program, const std::string& run) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    return DG_TRY(access->call("GET", fmt::format("/v1/runs/{}/export", url_escape(run))));
}

Result<int> export_run(const Args& args, Program& program) {
    const std::string run = args.value("RUN").value_or("");
    const std::string text = base::to_text(DG_TRY(exported(args, program, run))) + "\n";
    if (const auto file = args.value("--output")) {
        DG_TRY(base::write_file_atomically(*file, text));
    } else {
        program.terminal.out(text);
    }
    return 0;
}

std::string words_of(const json::value* event) {
    if (event == nullptr || !event->is_object()) return "nothing";
    const json::object& fields = event->get_object();
    std::string out = json_text(fields, "event");
    if (const std::string step = json_text(fields, "step"); !step.empty()) out += " of " + step;
    if (const std::string name = json_text(fields, "name"); !name.empty()) out += " '" + name + "'";
    if (const json::value* value = fields.if_contains("value")) out += " " + base::to_text(*value);
    if (const json::value* error = fields.if_contains("error"); error && error->is_object()) {
        out += " (" + json_text(error->get_object(), "message") + ")";
    }
    return out;
}

std::string replay_text(const json::object& answer) {
    std::string text;
    if (const json::value* requests = answer.if_contains("requests")) {
        for (const json::value& each : requests->as_array()) {
            const json::object& one = each.as_object();
            text += fmt::format(
                "step {} would be asked something else\n  recorded  {}\n  today     {}\n",
                json_text(one, "step"), base::to_text(one.at("recorded")),
                base::to_text(one.at("today")));
        }
    }
    const json::value* difference = answer.if_contains("difference");
    if (difference == nullptr) {
        return text + fmt::format("{}  the same: {} events\n", json_text(answer, "run"),
                                  json_count(answer, "events"));
    }
    const json::object& found = difference->as_object();
    return text + fmt::format("{}  differs at event {} ({})\n  recorded  {}\n  today     {}\n",
                              json_text(answer, "run"), json_count(found, "place"),
                              json_text(found, "what"), words_of(found.if_contains("recorded")),
                              words_of(found.if_contains("today")));
}

Result<int> replay(const Args& args, Program& program) {
    const std::string word = args.value("RUN").value_or("");
    json::value document;
    if (word.starts_with("run_") && !word.ends_with(".json")) {
        document = DG_TRY(exported(args, program, word));
    } else {
        document = DG_TRY(json_of_flag("RUN", word == "-" ? word : "@" + word));
    }
    std::shared_ptr<const flow::Definition> other;
    if (const auto file = args.value("--definition")) {
        other =
            DG_TRY(flow::read_definition(DG_TRY(base::read_file(*file, kExportBytesMax)), *file));
    }
    const json::object answer =
        DG_TRY(flow::replay_answer(DG_TRY(flow::export_from_json(document)), std::move(other)));
    const int told = tell(args, program, answer, replay_text(answer));
    return answer.contains("difference") ? kDiffers : told;
}

// ---- another version ---------------------------------------------------------------------------

Result<json::object> rules_of(const Args& args) {
    json::object rules;
    for (const std::string& pair : args.all("--rename")) {
        const std::size_t equals = pair.find('=');
        if (equals == std::string::npos || equals == 0 || equals + 1 == pair.size()) {
            return base::fail_on("--rename", Code::invalid_argument,
                                 "write it as --rename OLD=NEW, found '{}'", pair);
        }
        if (!rules.contains("renamed")) rules["renamed"] = json::object();
        rules["renamed"].as_object()[pair.substr(0, equals)] = pair.substr(equals + 1);
    }
    if (args.has("--skip-removed")) rules["removed"] = "skip";
    for (const auto& [flag, name] : {std::pair{"--restart", "restart"}, {"--keep", "kept"}}) {
        if (args.has(flag)) rules[name] = json::value_from(args.all(flag));
    }
    return rules;
}

/// One run's part of the answer, for people.
std::string moved_text(const json::object& one, bool dry_run) {
    const json::value* can = one.if_contains("can");
    const bool may = can != nullptr && can->is_bool() && can->get_bool();
    std::string text = fmt::format("{}  {}\n", json_text(one, "id"),
                                   !may      ? "cannot move"
                                   : dry_run ? "can move"
                                             : "moved");
    if (const json::value* findings = one.if_contains("findings"); findings != nullptr) {
        for (const json::value& each : findings->as_array()) {
            const json::object& finding = each.as_object();
            const bool blocks = json_text(finding, "weight") == "blocks";
            text += fmt::format("  {}{}\n", blocks ? "" : "note: ", json_text(finding, "message"));
        }
    }
    const std::string error = json_text(one, "error");
    return error.empty() ? text : text + "  " + error + "\n";
}

/// All of a workflow's, page by page.
Result<int> migrate_all(FlowAccess& access, const Args& args, Program& program, json::object body) {
    const std::string workflow = args.value("--workflow").value_or("");
    if (const auto from = DG_TRY(args.count("--from", 1, 1u << 31))) body["from"] = *from;
    if (args.has("--failed")) body["status"] = "failed";
    const bool dry_run = args.has("--dry-run");
    json::array data;
    std::uint64_t can = 0, cannot = 0, to = 0;
    std::string text;
    for (;;) {
        const json::object page = DG_TRY(access.call(
            "POST", fmt::format("/v1/workflows/{}/migrate", url_escape(workflow)), &body));
        can += json_count(page, "can");
        cannot += json_count(page, "cannot");
        to = json_count(page, "to");
        for (const json::value& each : page.at("data").as_array()) {
            text += moved_text(each.as_object(), dry_run);
            data.push_back(each);
        }
        const std::string next = json_text(page, "next");
        if (next.empty()) break;
        body["after"] = next;
    }
    text += fmt::format("{} of workflow {} {} to version {}, {} cannot\n", can, workflow,
                        dry_run ? "can move" : "moved", to, cannot);
    tell(args, program,
         {{"workflow", workflow},
          {"to", to},
          {"dry_run", dry_run},
          {"can", can},
          {"cannot", cannot},
          {"data", std::move(data)}},
         text);
    return cannot == 0 ? 0 : 1;
}

Result<int> migrate(const Args& args, Program& program) {
    const auto run = args.value("RUN");
    if (run.has_value() == args.has("--workflow")) {
        return base::fail_on("RUN", Code::invalid_argument,
                             "name one run, or all of a workflow with --workflow NAME");
    }
    const auto access = DG_TRY(FlowAccess::open(args, program));
    json::object body{{"rules", DG_TRY(rules_of(args))}, {"by", "command line"}};
    if (const auto to = DG_TRY(args.count("--to", 1, 1u << 31))) body["version"] = *to;
    const bool dry_run = args.has("--dry-run");
    if (dry_run) body["dry_run"] = true;
    if (!run) return migrate_all(*access, args, program, std::move(body));
    const json::object answer =
        DG_TRY(access->call("POST", fmt::format("/v1/runs/{}/migrate", url_escape(*run)), &body));
    tell(args, program, answer, moved_text(answer, dry_run));
    return answer.at("can").as_bool() ? 0 : 1;
}

}  // namespace

std::vector<Command> flow_change_commands() {
    const PositionalSpec run{"RUN", "The run's id.", true, false};
    return {
        subcommand("fork", "begin a new run at a step of another one",
                   "What was finished before the step is taken over and not called again; the "
                   "step and what follows run. The other run stays as it is.",
                   {run},
                   with_flow_options(
                       {{"--step", "STEP", "Its path, as 'flow show' tells it."},
                        {"--input", "JSON", "Instead of the run's input: JSON, @FILE, or -."},
                        {"--with", "JSON", "Instead of the step's own input: an object."}}),
                   {{"dougong flow fork RUN --step train --with '{\"rate\": 0.1}'", ""}}, fork,
                   {"flow"}),
        subcommand("export", "write a run, its workflow and its whole history as one document", "",
                   {run}, with_flow_options({{"-o,--output", "FILE", "Else to standard output."}}),
                   {{"dougong flow export RUN -o run.json", ""}}, export_run, {"flow"}),
        subcommand(
            "replay", "decide a recorded run again, without making a call",
            "Says at which event, if any, what is decided today differs from what was "
            "recorded; with another definition, where the run would go another way. Exit "
            "status: 0 when nothing differs, 1 when something does.",
            {{"RUN", "A run's id, or a file that 'flow export' wrote; - for standard input.", true,
              false}},
            with_flow_options({{"--definition", "FILE", "A workflow instead of the run's."}}),
            {{"dougong flow replay RUN --definition new.yaml",
              "Would it go another way after a deploy?"}},
            replay, {"flow"}),
        subcommand(
            "migrate", "go on with open runs as another version of their workflow says",
            "What is done is kept and not done again; what comes is of the new version. A run "
            "that cannot move stays as it is, and every reason is told. Exit status: 1 when some "
            "run cannot.",
            {{"RUN", "One run, also one that failed; or none, with --workflow.", false, false}},
            with_flow_options(
                {{"--workflow", "NAME", "All open runs of other versions than the new one."},
                 {"--to", "VERSION", "Absent: the newest."},
                 {"--from", "VERSION", "With --workflow: of this version alone."},
                 {"--failed", "", "With --workflow: those that failed, for 'flow retry'."},
                 {"--rename", "OLD=NEW", "A step's new id; may be repeated."},
                 {"--skip-removed", "", "What is at work and gone ends there."},
                 {"--restart", "STEP", "A step at work begins anew; may be repeated."},
                 {"--keep", "STEP", "A finished step's output is good as it is; may be repeated."},
                 {"--dry-run", "", "Say what would happen, run by run."}}),
            {{"dougong flow migrate --workflow letters --dry-run", "Which runs can, which cannot?"},
             {"dougong flow migrate RUN --to 3 --rename gate=approve", ""}},
            migrate, {"flow"}),
    };
}

}  // namespace app
