// dougong agent run|resume|tell|stop|list|show|deploy|schema: agents from the command line.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "agent/compile/compile.h"
#include "app/commands/agent_commands.h"
#include "app/commands/commands.h"
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

std::string pack_file(const std::string& word) {
    for (const char* name : {"/pack.yaml", "/pack.yml", "/pack.json"}) {
        if (::access((word + name).c_str(), R_OK) == 0) return word + name;
    }
    const bool is_file =
        word.ends_with(".yaml") || word.ends_with(".yml") || word.ends_with(".json");
    return is_file || word.contains('/') ? word : "";
}

Result<std::string> deploy_pack(FlowAccess& access, const std::string& word) {
    const std::string file = pack_file(word);
    if (file.empty()) return word;
    const std::string text = DG_TRY(base::read_file(file, 8u << 20));
    const json::object answer = DG_TRY(
        access.post("/v1/agents?file=" + url_escape(file),
                    file.ends_with(".json") ? "application/json" : "application/yaml", text));
    return json_text(answer, "name");
}

Result<FlowAccess::Models> models_of(const Args& args, const Program& program) {
    const auto upstream = args.value("--upstream");
    if (!upstream) {
        if (!args.has("--upstream-model")) return FlowAccess::Models();
        return base::fail_on("--upstream-model", Code::invalid_argument,
                             "--upstream-model is what --upstream calls it; without that the model "
                             "is --model or the server's");
    }
    if (args.has("--url")) {
        return base::fail_on("--upstream", Code::invalid_argument,
                             "with --url the server asks its own model; leave --upstream out");
    }
    ModelEndpoint::Options options{
        .url = *upstream,
        .model = args.value("--upstream-model").value_or(""),
        .api_key = variable(program.environment, "OPENAI_API_KEY").value_or(""),
        .timeout = std::chrono::minutes(10)};
    return FlowAccess::Models([options]() -> Result<ModelEndpoint::Options> { return options; });
}

std::vector<OptionSpec> upstream_options() {
    return {{"--upstream", "URL",
             "Steps of workflows and agents ask the model behind this OpenAI-compatible API, up to "
             "and with /v1; its key is the variable OPENAI_API_KEY."},
            {"--upstream-model", "NAME", "What that API calls it."}};
}

std::vector<OptionSpec> with_model_options(std::vector<OptionSpec> own) {
    for (OptionSpec& option : upstream_options()) own.push_back(option);
    return with_flow_options(std::move(own));
}

namespace {

constexpr std::size_t kShown = 160;  // of a call or a result, on one line

const json::value* at(const json::value& value, std::string_view pointer) {
    boost::system::error_code none;
    return value.find_pointer(pointer, none);
}

/// Tells a person what the agent does, a line each: its calls, what they gave, who is asked.
class Teller {
public:
    explicit Teller(Program& program) : terminal_(program.terminal) {}

    void hear(const std::string& run, const json::object& event) {
        const std::string kind = json_text(event, "event"), step = json_text(event, "step");
        const json::value* value = event.if_contains("value");
        const std::string_view name = last_name(step);
        if (kind == "step_finished" && name == "plan" && value != nullptr) {
            tell_calls(*value);
        } else if (kind == "step_finished" && name == "result" && value != nullptr) {
            const json::value* said = at(*value, "/message/content");
            line("  =", said != nullptr ? short_text(*said, kShown) : "");
        } else if (kind == "step_waiting" && value != nullptr && value->is_object()) {
            const json::object& shown = value->get_object();
            line("  ?", json_text(shown, "prompt"));
            const bool approves = json_text(shown, "ask") == "edit";
            if (const json::value* draft = shown.if_contains("draft")) {
                line("   ", short_text(*draft, 1'000));
            }
            line("   ", fmt::format("dougong flow answer {} '{}' {}", run, step,
                                    approves ? "--approve" : "--answer '\"...\"'"));
        } else if (kind == "step_failed" && event.contains("until_ms")) {
            line("  !", step + " will be tried again: " + message_of(event));
        } else if (kind == "run_paused") {
            line("  !", "paused: " + json_text(event, "name"));
        }
    }

private:
    static std::string_view last_name(std::string_view path) {
        return path.substr(path.rfind('.') == std::string_view::npos ? 0 : path.rfind('.') + 1);
    }
    static std::string message_of(const json::object& event) {
        const json::value* error = event.if_contains("error");
        return error != nullptr && error->is_object() ? json_text(error->get_object(), "message")
                                                      : "";
    }
    void line(std::string_view mark, const std::string& text) {
        terminal_.err(terminal_.err_styled(Style::dim, fmt::format("{} {}", mark, text)) + "\n");
    }
    void tell_calls(const json::value& plan) {
        const json::value* waves = at(plan, "/waves");
        if (waves == nullptr || !waves->is_array()) return;
        for (const json::value& wave : waves->get_array()) {
            if (!wave.is_array()) continue;
            for (const json::value& call : wave.get_array()) {
                const json::value* arguments = at(call, "/arguments");
                line("  >",
                     fmt::format("{} {}", json_text(call.as_object(), "tool"),
                                 arguments != nullptr ? short_text(*arguments, kShown) : ""));
            }
        }
    }

    Terminal& terminal_;
};

/// Follows a run to its end and prints the answer. Gives the exit status.
Result<int> follow(FlowAccess& access, const Args& args, Program& program, const std::string& run) {
    Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    const bool as_json = args.has("--json");
    Teller teller(program);
    std::string status;
    json::value output, error;
    DG_TRY(access.watch(
        run,
        [&](const json::object& event) {
            if (!as_json) teller.hear(run, event);
            const std::string kind = json_text(event, "event");
            if (kind == "run_completed" || kind == "run_failed" || kind == "run_cancelled") {
                status = kind.substr(4);
                if (const json::value* value = event.if_contains("value")) output = *value;
                if (const json::value* value = event.if_contains("error")) error = *value;
                return false;
            }
            return true;
        },
        [&] { return interrupt.wait_ms(0); }));
    if (status.empty()) {
        program.terminal.err(fmt::format(
            "{} is not over; {}\n", run,
            access.local() ? "it goes on with 'dougong agent resume " + run + "' or a server"
                           : "the server goes on with it"));
        return base::exit_status(Code::cancelled);
    }
    if (as_json) {
        json::object out{{"id", run}, {"status", status}};
        if (status == "completed") out["output"] = output;
        if (!error.is_null()) out["error"] = error;
        print_json(program, out);
    } else if (status == "completed") {
        const json::value* answer = at(output, "/answer");
        const json::value given = answer != nullptr ? *answer : output;
        program.terminal.out(
            (given.is_string() ? std::string(given.get_string()) : base::to_text(given)) + "\n");
    } else {
        const json::value* message = at(error, "/message");
        program.terminal.err(fmt::format("{} {}{}\n", run, status,
                                         message != nullptr && message->is_string()
                                             ? ": " + std::string(message->get_string())
                                             : ""));
    }
    return status == "completed" ? 0 : 1;
}

Result<int> run(const Args& args, Program& program) {
    std::string goal;
    for (const std::string& word : args.all("GOAL")) goal += (goal.empty() ? "" : " ") + word;
    json::object body{{"goal", goal}};
    if (const auto context = args.value("--context")) {
        body["context"] = DG_TRY(json_of_flag("--context", *context));
    }
    if (const auto history = args.value("--history")) {
        body["history"] = DG_TRY(json_of_flag("--history", *history));
    }
    if (const auto key = args.value("--key")) body["idempotency_key"] = *key;
    const auto access = DG_TRY(
        FlowAccess::open(args, program, !args.has("--detach"), DG_TRY(models_of(args, program))));
    const std::string name = DG_TRY(deploy_pack(*access, args.value("AGENT").value_or("")));
    const json::object started =
        DG_TRY(access->call("POST", fmt::format("/v1/agents/{}/runs", url_escape(name)), &body));
    const std::string id = json_text(started, "id");
    if (args.has("--detach")) return tell(args, program, started, id + "\n");
    if (!args.has("--json")) program.terminal.err(id + "\n");
    return follow(*access, args, program, id);
}

Result<int> resume(const Args& args, Program& program) {
    const auto access =
        DG_TRY(FlowAccess::open(args, program, true, DG_TRY(models_of(args, program))));
    return follow(*access, args, program, args.value("RUN").value_or(""));
}

Result<int> list(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("GET", "/v1/agents"));
    std::string text;
    for (const json::value& one : answer.at("data").as_array()) {
        const json::object& head = one.as_object();
        text += fmt::format("{:<24}  version {:<4}  {}\n", json_text(head, "name"),
                            json_count(head, "version"), json_text(head, "description"));
    }
    return tell(args, program, answer, text.empty() ? "no agents\n" : text);
}

Result<int> show(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    const json::object answer =
        DG_TRY(access->call("GET", "/v1/agents/" + url_escape(args.value("AGENT").value_or(""))));
    std::string text = fmt::format("{}  version {}\n{}\n", json_text(answer, "name"),
                                   json_count(answer, "version"), json_text(answer, "description"));
    const json::value whole = answer;
    if (const json::value* tools = at(whole, "/pack/tools");
        tools != nullptr && tools->is_object()) {
        for (const auto& tool : tools->get_object())
            text += fmt::format("  {}\n", std::string(tool.key()));
    }
    return tell(args, program, answer, text);
}

Result<int> deploy(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    std::string text;
    json::array all;
    for (const std::string& word : args.all("PACK")) {
        const std::string name = DG_TRY(deploy_pack(*access, word));
        json::object one = DG_TRY(access->call("GET", "/v1/agents/" + url_escape(name)));
        text += fmt::format("{} version {}\n", name, json_count(one, "version"));
        all.push_back(std::move(one));
    }
    return tell(args, program, {{"object", "list"}, {"data", std::move(all)}}, text);
}

Result<int> stop(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    json::object body;
    const auto agent = args.value("AGENT");
    if (!agent && !args.has("--all")) {
        return base::fail_on("AGENT", Code::invalid_argument, "name an agent, or say --all");
    }
    if (agent) body["agent"] = *agent;
    if (const auto why = args.value("--why")) body["why"] = *why;
    if (const auto user = variable(program.environment, "USER")) body["by"] = *user;
    const json::object answer = DG_TRY(access->call("POST", "/v1/agents/stop", &body));
    return tell(args, program, answer,
                fmt::format("{} of {} runs stopped\n", json_count(answer, "stopped"),
                            json_count(answer, "runs")));
}

Result<int> say(const Args& args, Program& program) {
    const auto access = DG_TRY(FlowAccess::open(args, program));
    std::string text;
    for (const std::string& word : args.all("TEXT")) text += (text.empty() ? "" : " ") + word;
    const std::string run = args.value("RUN").value_or("");
    const json::object answer =
        DG_TRY(access->post(fmt::format("/v1/runs/{}/signals/steer", url_escape(run)),
                            "application/json", base::to_text(json::value(text))));
    return tell(args, program, answer, run + " will hear it before its next turn\n");
}

Result<int> schema(const Args&, Program& program) {
    program.terminal.out(base::to_text(agent::pack_schema()) + "\n");
    return 0;
}

}  // namespace

Command agent_command() {
    const PositionalSpec agent{"AGENT", "A pack's folder or file, or a deployed agent's name.",
                               true};
    Command group = command_group(
        "agent", "run agents: a model that calls tools until a goal is reached",
        "An agent is a pack: instructions, tools, policy, limits. A run of it is a durable "
        "workflow "
        "run: it survives crashes and is seen with 'dougong flow show'.",
        {subcommand("run", "give an agent a goal and print its answer",
                    "A pack is deployed first. Without a server the run happens in this process, "
                    "with the model of models.model or --upstream; killed, it goes on with "
                    "'dougong agent resume RUN'. Calls go to stderr, the answer to stdout.",
                    {agent, {"GOAL", "What it is to do, in words.", true, true}},
                    with_model_options(
                        {{"--context", "JSON", "Data that the goal speaks of: JSON, @FILE, or -."},
                         {"--history", "JSON",
                          "Messages of the conversation before: a list of "
                          "{role, content}."},
                         {"--key", "TEXT", "The same key starts one run."},
                         {"--detach", "", "Do not wait for its end."}}),
                    {{"dougong agent run packs/assistant 'What is 17 percent of 2340?'", ""}}, run,
                    {"models", "flow"}),
         subcommand("resume", "go on with a run that this machine's folder has", "",
                    {{"RUN", "The run's id.", true, false}}, with_model_options({}), {}, resume,
                    {"models", "flow"}),
         subcommand(
             "tell", "say something to a run while it works",
             "The model reads it before its next turn; an answer that it gave meanwhile does "
             "not end the run.",
             {{"RUN", "The run's id.", true, false}, {"TEXT", "What it is told.", true, true}},
             with_flow_options({}), {{"dougong agent tell RUN Use the newer file.", ""}}, say,
             {"flow"}),
         subcommand("stop", "emergency stop: end what agents do, now",
                    "Cancels the open runs of one agent or of all; their sandboxes are destroyed.",
                    {{"AGENT", "Whose runs.", false, false}},
                    with_flow_options({{"--all", "", "Of every agent."},
                                       {"--why", "TEXT", "Kept in the runs' histories."}}),
                    {{"dougong agent stop coder --why 'gone astray'", ""}}, stop, {"flow"}),
         subcommand("deploy", "make packs known under their names", "",
                    {{"PACK", "Folders or files.", true, true}}, with_flow_options({}),
                    {{"dougong agent deploy packs/coder", ""}}, deploy, {"flow"}),
         subcommand("list", "list deployed agents", "", {}, with_flow_options({}), {}, list,
                    {"flow"}),
         subcommand("show", "show a deployed agent", "", {agent}, with_flow_options({}), {}, show,
                    {"flow"}),
         subcommand("schema", "print the JSON Schema of packs, for editors", "", {}, {},
                    {{"dougong agent schema > pack.schema.json", ""}}, schema)});
    for (Command& command : agent_pack_commands()) group.subcommands.push_back(std::move(command));
    return group;
}

}  // namespace app
