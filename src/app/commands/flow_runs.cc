// dougong flow deploy|run|list|show|watch|...: workflows that run, from the command line.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "app/commands/flow_commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/flow/flow_access.h"
#include "app/server_client.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/terminal.h"
#include "base/files/files.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

std::string clock_text(std::int64_t unix_ms) {
    const std::time_t seconds = unix_ms / 1000;
    std::tm local{};
    localtime_r(&seconds, &local);
    return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

/// Day and time here.
static std::string day_text(std::int64_t unix_ms) {
    const std::time_t seconds = unix_ms / 1000;
    std::tm local{};
    localtime_r(&seconds, &local);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", local.tm_year + 1900, local.tm_mon + 1,
                       local.tm_mday, local.tm_hour, local.tm_min);
}

std::string short_text(const json::value& value, std::size_t length) {
    std::string text = value.is_string() ? std::string(value.get_string()) : base::to_text(value);
    std::ranges::replace(text, '\n', ' ');
    if (text.size() <= length) return text;
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
    return text.substr(0, length) + "...";
}

namespace {

constexpr std::uint64_t kFileBytesMax = 8u << 20;

bool is_file(const std::string& word) {
    return word.ends_with(".yaml") || word.ends_with(".yml") || word.ends_with(".json");
}

Result<json::object> deploy_file(FlowAccess& access, const std::string& file) {
    const std::string text = DG_TRY(base::read_file(file, kFileBytesMax));
    const bool is_json = file.ends_with(".json");
    return access.post("/v1/workflows?file=" + url_escape(file),
                       is_json ? "application/json" : "application/yaml", text);
}

/// One line about an event; empty for those that say nothing to people.
std::string event_line(const json::object& event) {
    const std::string kind = json_text(event, "event");
    const std::string step = json_text(event, "step");
    std::string what;
    const json::value* value = event.if_contains("value");
    const json::value* error = event.if_contains("error");
    const std::string why = error != nullptr && error->is_object()
                                ? json_text(error->get_object(), "message")
                                : json_text(event, "name");
    if (kind == "step_started") {
        const auto attempt = json_count(event, "attempt");
        what = attempt > 1 ? fmt::format("started, attempt {}", attempt) : "started";
    } else if (kind == "step_finished") {
        what = "done" + (value != nullptr ? "   " + short_text(*value) : "");
    } else if (kind == "step_failed") {
        what =
            event.contains("until_ms") ? "failed, will be tried again: " + why : "failed: " + why;
    } else if (kind == "step_skipped") {
        what = "skipped";
    } else if (kind == "step_waiting") {
        what = "waits";
        if (value != nullptr && value->is_object()) {
            what += " for a person: " + json_text(value->get_object(), "prompt");
        } else if (const std::string name = json_text(event, "name"); !name.empty()) {
            what += " for " + name;
        } else if (const auto until = json_count(event, "until_ms"); until != 0) {
            what += " until " + clock_text(static_cast<std::int64_t>(until));
        }
    } else if (kind.starts_with("run_") || kind == "step_reset" || kind == "signal_received") {
        what = kind.substr(kind.find('_') + 1) + (why.empty() ? "" : ": " + why);
    }
    if (what.empty()) return what;
    return fmt::format("{}  {:<24}  {}\n",
                       clock_text(static_cast<std::int64_t>(json_count(event, "at_ms"))),
                       step.empty() ? "run" : step, what);
}

/// Prints events until the run is over. Gives the exit status.
Result<int> follow(FlowAccess& access, const Args& args, Program& program, const std::string& run) {
    Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    int status = -1;
    json::value output;
    const bool as_json = args.has("--json");
    // An end in the past that the run has gone on from is none.
    const json::object before = DG_TRY(access.call("GET", "/v1/runs/" + url_escape(run)));
    const std::string now = json_text(before, "status");
    const bool over = now == "completed" || now == "failed" || now == "cancelled";
    std::uint64_t past = json_count(before, "events");
    if (over && past > 0) --past;
    std::string speaking;  // the step whose model's words stand on the last line
    DG_TRY(access.watch(
        run,
        [&](const json::object& event) {
            const std::string kind = json_text(event, "event");
            if (as_json) {
                print_json(program, event);
            } else if (kind == "token") {
                const std::string step = json_text(event, "step");
                if (speaking != step) {
                    program.terminal.out((speaking.empty() ? "" : "\n") + step + "> ");
                    speaking = step;
                }
                program.terminal.out(json_text(event, "text"));
            } else if (const std::string line = event_line(event); !line.empty()) {
                program.terminal.out((speaking.empty() ? "" : "\n") + line);
                speaking.clear();
            }
            if (past > 0) {
                --past;
                return true;
            }
            if (kind == "run_completed") {
                status = 0;
                if (const json::value* value = event.if_contains("value")) output = *value;
            }
            if (kind == "run_failed" || kind == "run_cancelled") status = 1;
            return status < 0;
        },
        [&] { return interrupt.wait_ms(0); }));
    if (status < 0) {
        program.terminal.out(fmt::format(
            "{} is not over; {}\n", run,
            access.local() ? "it goes on with 'dougong flow watch " + run + "' or a server"
                           : "the server goes on with it"));
        return 0;
    }
    if (status == 0 && !as_json) program.terminal.out(base::to_text(output) + "\n");
    return status;
}

/// Who will go on with a run that this command only wrote to.
std::string goes_on(const FlowAccess& access, const std::string& run) {
    if (!access.local()) return "";
    return "  (goes on with 'dougong flow watch " + run + "', or when a server starts)";
}

Result<int> deploy(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    json::array all;
    std::string text;
    for (const std::string& file : args.all("FILE")) {
        json::object one = DG_TRY(deploy_file(*access, file));
        const json::value* same = one.if_contains("unchanged");
        text += fmt::format(
            "{} version {}{}\n", json_text(one, "name"), json_count(one, "version"),
            same != nullptr && same->is_bool() && same->get_bool() ? ", as it was" : "");
        all.push_back(std::move(one));
    }
    return tell(args, program, {{"object", "list"}, {"data", std::move(all)}}, text);
}

Result<int> run(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program, !args.has("--detach")));
    const std::string word = args.value("WORKFLOW").value_or("");
    std::string name = word;
    json::object body;
    if (is_file(word)) {
        const json::object deployed = DG_TRY(deploy_file(*access, word));
        name = json_text(deployed, "name");
        body["version"] = json_count(deployed, "version");
    } else if (const auto version = DG_TRY(args.count("--version", 1, 1u << 30))) {
        body["version"] = *version;
    }
    if (const auto input = args.value("--input"))
        body["input"] = DG_TRY(json_of_flag("--input", *input));
    if (const auto key = args.value("--key")) body["idempotency_key"] = *key;
    if (const auto priority = args.value("--priority")) {
        body["priority"] = DG_TRY(json_of_flag("--priority", *priority));
    }
    if (args.has("--label")) {
        json::object labels;
        for (const std::string& label : args.all("--label")) {
            const std::size_t equals = label.find('=');
            if (equals == std::string::npos) {
                return base::fail_on("--label", Code::invalid_argument, "write it as NAME=VALUE");
            }
            labels[label.substr(0, equals)] = label.substr(equals + 1);
        }
        body["labels"] = std::move(labels);
    }
    const json::object started =
        DG_TRY(access->call("POST", "/v1/workflows/" + url_escape(name) + "/runs", &body));
    const std::string id = json_text(started, "id");
    if (args.has("--detach")) {
        return tell(args, program, started, id + goes_on(*access, id) + "\n");
    }
    if (!args.has("--json")) program.terminal.out(id + "\n");
    return follow(*access, args, program, id);
}

Result<int> watch(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program, true));
    return follow(*access, args, program, args.value("RUN").value_or(""));
}

/// "human:gate" as "a person: gate". The same words as the console's.
std::string wait_words(const json::object& head) {
    constexpr std::pair<std::string_view, std::string_view> kWords[] = {
        {"human:", "a person: "},
        {"signal:", "signal: "},
        {"event/", "event: "},
        {"time:", "time: "},
        {"quarantine:", "release from quarantine: "}};
    constexpr std::size_t kShown = 3;
    const json::value* waiting = head.if_contains("waiting");
    if (waiting == nullptr || !waiting->is_array()) return "";
    const json::array& all = waiting->get_array();
    std::string out;
    for (std::size_t i = 0; i < std::min(all.size(), kShown); ++i) {
        std::string text(all[i].is_string() ? std::string_view(all[i].get_string()) : "");
        for (const auto& [begins, words] : kWords) {
            if (!text.starts_with(begins)) continue;
            text.replace(0, begins.size(), words);
            const auto due = static_cast<std::int64_t>(json_count(head, "due_unix_ms"));
            if (begins == "time:" && all.size() == 1 && due != 0)
                text += ", until " + clock_text(due);
            break;
        }
        out += (i == 0 ? "waits for " : ", ") + text;
    }
    if (all.size() > kShown) out += fmt::format(" and {} more", all.size() - kShown);
    return out;
}

/// What a run used so far, as columns; those that an older version did not count are empty.
std::string totals_words(const json::object& head) {
    const json::value* found = head.if_contains("totals");
    if (found == nullptr || !found->is_object()) return fmt::format("{:>58}  ", "");
    const json::object& totals = found->get_object();
    const json::value* cost = totals.if_contains("cost_usd");
    const double usd = cost != nullptr && cost->is_number() ? cost->to_number<double>() : 0;
    return fmt::format("{:>7} calls {:>9} tokens {:>9.4f} USD {:>9.1f} s at work  ",
                       json_count(totals, "attempts"), json_count(totals, "tokens"), usd,
                       static_cast<double>(json_count(totals, "working_ms")) / 1e3);
}

Result<int> list(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    std::string path =
        "/v1/runs?limit=" + std::to_string(DG_TRY(args.count("--limit", 1, 1000)).value_or(50));
    for (const auto& [flag, name] : {std::pair{"--workflow", "workflow"},
                                     {"--status", "status"},
                                     {"--waiting", "waiting"},
                                     {"--label", "label"},
                                     {"--after", "after"}}) {
        if (const auto text = args.value(flag))
            path += fmt::format("&{}={}", name, url_escape(*text));
    }
    const json::object answer = DG_TRY(access->call("GET", path));
    std::string text;
    for (const json::value& one : answer.at("data").as_array()) {
        const json::object& head = one.as_object();
        std::string note = json_text(head, "error");
        if (const std::string waits = wait_words(head); !waits.empty()) note = waits;
        text += fmt::format("{}  {:<10}  {:<20}  {}{}\n", json_text(head, "id"),
                            json_text(head, "status"), json_text(head, "workflow"),
                            args.has("--totals") ? totals_words(head) : "", note);
    }
    return tell(args, program, answer, text.empty() ? "no runs\n" : text);
}

Result<int> workflows(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("GET", "/v1/workflows"));
    std::string text;
    for (const json::value& one : answer.at("data").as_array()) {
        const json::object& head = one.as_object();
        text += fmt::format("{:<24}  version {:<4}  {}\n", json_text(head, "name"),
                            json_count(head, "version"), json_text(head, "description"));
    }
    return tell(args, program, answer, text.empty() ? "no workflows\n" : text);
}

Result<int> health(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("GET", "/v1/flow/health"));
    const auto part = [&](const char* name) {
        const json::value* found = answer.if_contains(name);
        return found != nullptr && found->is_object() ? found->get_object() : json::object();
    };
    const json::object runs = part("runs");
    std::string text =
        fmt::format("store       {}\nruns        {} open, {} waiting, {} in memory\n",
                    json_text(answer, "store"), json_count(runs, "open"),
                    json_count(runs, "waiting"), json_count(runs, "hot"));
    if (const json::object journal = part("journal"); !journal.empty()) {
        const auto ms = [&](const char* name) {
            const json::value* found = journal.if_contains(name);
            return found != nullptr && found->is_number() ? found->to_number<double>() : 0.0;
        };
        text += fmt::format("journal     {} bytes in {} segments, {} records, {} commits\n",
                            json_count(journal, "bytes"), json_count(journal, "segments"),
                            json_count(journal, "records"), json_count(journal, "commits"));
        text += fmt::format("sync        p50 {:.2f} ms, p99 {:.2f} ms, {} failed\n",
                            ms("sync_p50_ms"), ms("sync_p99_ms"), json_count(journal, "failures"));
        text += fmt::format("index       {} behind\n", json_count(journal, "index_behind"));
    }
    text += fmt::format("timers      {}\ncalls out   {}\nstalled     {} inputs\n",
                        json_count(answer, "timers"), json_count(answer, "calls_out"),
                        json_count(answer, "stalled_inputs"));
    if (const json::value* fleet = answer.if_contains("fleet"); fleet && fleet->is_array()) {
        for (const json::value& one : fleet->get_array()) {
            if (!one.is_object()) continue;
            const json::object& worker = one.get_object();
            text += fmt::format("worker      {}  {}  {} runs\n", json_text(worker, "worker"),
                                json_text(worker, "url"), json_count(worker, "runs"));
        }
    }
    return tell(args, program, answer, text);
}

void describe_scope(const json::object& scope, const std::string& indent, std::string& out) {
    const json::value* steps = scope.if_contains("steps");
    if (steps == nullptr || !steps->is_array()) return;
    for (const json::value& each : steps->get_array()) {
        const json::object& step = each.as_object();
        std::string note;
        if (const json::value* error = step.if_contains("error"); error && error->is_object()) {
            note = json_text(error->get_object(), "message");
        } else if (const json::value* output = step.if_contains("output")) {
            note = short_text(*output, 80);
        }
        out += fmt::format("{}{:<{}}  {:<9}  {}\n", indent, json_text(step, "id"),
                           std::max<int>(24 - static_cast<int>(indent.size()), 1),
                           json_text(step, "status"), note);
        const json::value* scopes = step.if_contains("scopes");
        if (scopes == nullptr || !scopes->is_array()) continue;
        for (const json::value& inner : scopes->get_array()) {
            out += fmt::format("{}  [{}]\n", indent, json_text(inner.as_object(), "key"));
            describe_scope(inner.as_object(), indent + "    ", out);
        }
    }
}

Result<int> show(const Args& args, Program& program) {
    if (asks_for_events(args)) return show_events(args, program);
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer =
        DG_TRY(access->call("GET", "/v1/runs/" + url_escape(args.value("RUN").value_or(""))));
    std::string text =
        fmt::format("{}  {}  {} version {}\n", json_text(answer, "id"), json_text(answer, "status"),
                    json_text(answer, "workflow"), json_count(answer, "version"));
    if (const json::value* error = answer.if_contains("error"); error && error->is_object()) {
        text += json_text(error->get_object(), "message") + "\n";
    }
    if (const json::value* root = answer.if_contains("root"); root && root->is_object()) {
        describe_scope(root->get_object(), "  ", text);
    }
    if (const json::value* output = answer.if_contains("output")) {
        text += base::to_text(*output) + "\n";
    }
    return tell(args, program, answer, text);
}

Result<int> steer(const Args& args, Program& program, std::string_view what, json::object body) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const std::string run = args.value("RUN").value_or("");
    const json::object answer =
        DG_TRY(access->call("POST", fmt::format("/v1/runs/{}/{}", url_escape(run), what), &body));
    return tell(args, program, answer,
                fmt::format("{}  {}{}\n", run, json_text(answer, "status"), goes_on(*access, run)));
}

json::object why_of(const Args& args) {
    json::object body{{"by", "command line"}};
    if (const auto why = args.value("--why")) body["why"] = *why;
    return body;
}

Result<int> pause(const Args& args, Program& program) {
    return steer(args, program, "pause", why_of(args));
}
Result<int> resume(const Args& args, Program& program) {
    json::object body{{"by", "command line"}};
    if (const auto checkpoint = args.value("--checkpoint")) body["checkpoint"] = *checkpoint;
    return steer(args, program, "resume", std::move(body));
}
Result<int> cancel(const Args& args, Program& program) {
    return steer(args, program, "cancel", why_of(args));
}
Result<int> retry(const Args& args, Program& program) {
    json::object body{{"by", "command line"}, {"step", args.value("STEP").value_or("")}};
    if (const auto with = args.value("--with"))
        body["with"] = DG_TRY(json_of_flag("--with", *with));
    return steer(args, program, "retry", std::move(body));
}

Result<int> signal(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const std::string run = args.value("RUN").value_or(""), name = args.value("NAME").value_or("");
    std::string payload;
    if (const auto text = args.value("PAYLOAD")) {
        payload = base::to_text(DG_TRY(json_of_flag("PAYLOAD", *text)));
    }
    const json::object answer = DG_TRY(
        access->post(fmt::format("/v1/runs/{}/signals/{}", url_escape(run), url_escape(name)),
                     "application/json", payload));
    return tell(args, program, answer,
                fmt::format("{} got {}{}\n", run, name, goes_on(*access, run)));
}

Result<int> answer(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const std::string run = args.value("RUN").value_or("");
    json::object body{{"step", args.value("STEP").value_or("")}};
    if (const auto user = variable(program.environment, "USER")) body["by"] = *user;
    if (args.has("--approve") + args.has("--reject") + args.has("--answer") != 1) {
        return base::fail_on("--approve", Code::invalid_argument,
                             "say one of --approve, --reject and --answer JSON");
    }
    body["decision"] = args.has("--approve")  ? "approved"
                       : args.has("--reject") ? "rejected"
                                              : "answered";
    if (const auto text = args.value("--answer"))
        body["answer"] = DG_TRY(json_of_flag("--answer", *text));
    if (const auto why = args.value("--why")) body["answer"] = *why;
    const json::object told =
        DG_TRY(access->call("POST", fmt::format("/v1/runs/{}/answer", url_escape(run)), &body));
    return tell(args, program, told,
                fmt::format("{}  {}{}\n", json_text(told, "step"), json_text(told, "decision"),
                            goes_on(*access, run)));
}

Result<int> files(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const std::string path =
        fmt::format("/v1/runs/{}/files", url_escape(args.value("RUN").value()));
    if (const auto name = args.value("NAME")) {
        std::string from = path + "/" + url_escape(*name);
        if (const auto step = args.value("--step")) from += "?step=" + url_escape(*step);
        const std::string bytes = DG_TRY(access->fetch(from));
        if (const auto target = args.value("--output")) {
            DG_TRY(base::write_file_atomically(*target, bytes));
            return 0;
        }
        program.terminal.out(bytes);
        return 0;
    }
    const json::object answer = DG_TRY(access->call("GET", path));
    std::string text;
    for (const json::value& one : answer.at("data").as_array()) {
        const json::object& step = one.as_object();
        const json::value* kept = step.if_contains("kept");
        const bool gone = kept != nullptr && kept->is_bool() && !kept->get_bool();
        text += json_text(step, "step");
        if (gone) text += "  removed: flow.workspaces_keep_days or flow.workspaces_bytes_max";
        if (const auto until = json_count(step, "until_unix_ms"); until != 0) {
            text += "  kept until " + day_text(static_cast<std::int64_t>(until)) +
                    " if no step uses them";
        }
        text += "\n";
        for (const json::value& each : step.at("files").as_array()) {
            text += fmt::format("  {:>10}  {}\n", json_count(each.as_object(), "bytes"),
                                json_text(each.as_object(), "name"));
        }
    }
    return tell(args, program, answer,
                text.empty() ? "no step has kept files (keep_workspace: true)\n" : text);
}

const PositionalSpec kRun{"RUN", "The run's id.", true, false};
const OptionSpec kWhy{"--why", "TEXT", "Kept in the run's history."};

}  // namespace

std::vector<Command> flow_run_commands() {
    return {
        subcommand("deploy", "make workflows known under their names",
                   "Each change of a workflow is a version; runs keep the one they began with.",
                   {{"FILE", "YAML or JSON.", true, true}}, with_flow_options({}),
                   {{"dougong flow deploy analytics.yaml", "Checks it and keeps it."}}, deploy,
                   {"flow"}),
        subcommand(
            "run", "run a workflow and show what happens",
            "A file is deployed first. Without a server the run happens in this process: "
            "should it be killed, 'dougong flow watch RUN' goes on where it stood.",
            {{"WORKFLOW", "A deployed workflow's name, or a file.", true, false}},
            with_flow_options(
                {{"--input", "JSON", "Its input: JSON, @FILE, or - for standard input."},
                 {"--version", "N", "Not the newest version."},
                 {"--key", "TEXT", "The same key starts one run."},
                 {"--priority", "N", "In queues and for workers, higher goes first."},
                 {"--label", "NAME=VALUE", "For finding it; may be repeated."},
                 {"--detach", "", "Do not wait for its end."}}),
            {{"dougong flow run hello.yaml --input '{\"name\": \"Ann\"}'", "Deploy and run."}}, run,
            {"flow"}),
        subcommand("workflows", "list deployed workflows", "", {}, with_flow_options({}), {},
                   workflows, {"flow"}),
        subcommand(
            "list", "list runs, the newest first", "", {},
            with_flow_options(
                {{"--workflow", "NAME", "Of this workflow."},
                 {"--status", "WORD", "open, running, paused, completed, failed, cancelled."},
                 {"--waiting", "WORD",
                  "That wait for this: human, quarantine, signal:paid, event/news."},
                 {"--label", "NAME=VALUE", "With this label."},
                 {"--limit", "N", "At most so many [default: 50]."},
                 {"--after", "RUN", "The page after this run."},
                 {"--totals", "", "With calls, tokens, cost and time of each."}}),
            {{"dougong flow list --waiting human", "What waits for people."}}, list, {"flow"}),
        subcommand("health", "how the store of runs is, and what waits", "", {},
                   with_flow_options({}),
                   {{"dougong flow health --json", "The same for programs."}}, health, {"flow"}),
        subcommand(
            "show", "show a run and each of its steps, or its events",
            "With --events a page of what happened to it; of a run of any length as quickly.",
            {kRun},
            with_flow_options({{"--events", "", "Its events, from the first on."},
                               {"--after", "N", "Those after the event with this number."},
                               {"--before", "N", "Those before it."},
                               {"--tail", "N", "The last N."},
                               {"--limit", "N", "At most so many [default: 50]."}}),
            {{"dougong flow show RUN --tail 20", "What happened last."}}, show, {"flow"}),
        subcommand("watch", "follow a run to its end", "", {kRun}, with_flow_options({}), {}, watch,
                   {"flow"}),
        subcommand(
            "files", "list or fetch the files that a run's steps kept", "",
            {kRun, {"NAME", "Of the last step that kept files.", false, false}},
            with_flow_options({{"--step", "PATH", "Of this step."},
                               {"--output", "FILE", "Into this file, not to the terminal."}}),
            {{"dougong flow files RUN report.html --output report.html", ""}}, files, {"flow"}),
        subcommand("signal", "send a run a signal", "",
                   {kRun,
                    {"NAME", "What it waits for.", true, false},
                    {"PAYLOAD", "JSON, @FILE, or -.", false, false}},
                   with_flow_options({}), {{"dougong flow signal RUN paid '{\"amount\": 12}'", ""}},
                   signal, {"flow"}),
        subcommand("answer", "answer a step that waits for a person", "",
                   {kRun, {"STEP", "The step's path, as 'flow show' tells it.", true, false}},
                   with_flow_options({{"--approve", "", "Go on."},
                                      {"--reject", "", "The step fails."},
                                      {"--answer", "JSON", "For steps that ask for something."},
                                      kWhy}),
                   {{"dougong flow answer RUN gate --approve", ""}}, answer, {"flow"}),
        subcommand("pause", "let a run begin nothing new", "", {kRun}, with_flow_options({kWhy}),
                   {}, pause, {"flow"}),
        subcommand(
            "resume", "go on with a paused run",
            "Steps whose failure paused it are tried again. From a checkpoint: what came "
            "after it runs again, variables are as they were.",
            {kRun},
            with_flow_options({{"--checkpoint", "NAME", "One of the run's; last: the newest."}}),
            {{"dougong flow resume RUN --checkpoint last", ""}}, resume, {"flow"}),
        subcommand("cancel", "end a run", "", {kRun}, with_flow_options({kWhy}), {}, cancel,
                   {"flow"}),
        subcommand(
            "retry", "run a step again, and what came after it", "",
            {kRun, {"STEP", "The step's path; absent: the one that failed.", false, false}},
            with_flow_options(
                {{"--with", "JSON", "Instead of the step's own input: JSON, @FILE, or -."}}),
            {{"dougong flow retry RUN fetch --with '{\"url\": \"https://b.example/\"}'", ""}},
            retry, {"flow"}),
    };
}

}  // namespace app
