// dougong agent new|eval: packs as files: begun and judged.
#include <fmt/format.h>

#include <filesystem>

#include "agent/eval/judge.h"
#include "app/commands/agent_commands.h"
#include "app/commands/flow_commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/server_client.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/terminal.h"
#include "base/files/files.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

constexpr std::uint64_t kFileBytesMax = 8u << 20;

constexpr std::string_view kBegun = R"PACK(name: {0}
description: Says in a sentence what this agent is for.
instructions: |
  You reach the goal you are given with the tools you have. Say here what it should know and how it
  should work.
model: {{max_tokens: 512}}
tools: [calculator, python, write_file, read_file, list_files]
policy:
  default: allow
  rules:
    - {{tool: write_file, when: "arguments.path.startswith('/')", do: deny, why: only the working folder}}
limits: {{turns: 12, tokens: 60000, time: 30m}}
examples:
  - {{goal: "What is 17 percent of 2340?"}}
evals:
  - {{name: percent, goal: "What is 17 percent of 2340?", contains: "397.8"}}
)PACK";

Result<int> begin(const Args& args, Program& program) {
    const std::string name = args.value("NAME").value_or("");
    const std::string folder = args.value("--in").value_or("packs") + "/" + name;
    const std::string file = folder + "/pack.yaml";
    const std::string text = fmt::format(kBegun, name);
    DG_TRY(agent::read_pack(text, file, {}));  // the name is all that can be wrong
    std::error_code error;
    if (std::filesystem::exists(file, error)) {
        return base::fail_on("NAME", Code::already_exists, "{} is there already", file);
    }
    std::filesystem::create_directories(folder, error);
    if (error) {
        return base::fail_on("--in", Code::unavailable, "cannot make {}: {}", folder,
                             error.message());
    }
    DG_TRY(base::write_file_atomically(file, text));
    program.terminal.out(fmt::format("{}\n", file));
    return 0;
}

struct Ended {
    json::value answer;
    std::string failed;  ///< why; empty: it answered
    json::value output;
};

/// Starts a run and waits for its end.
Result<Ended> answer_to(FlowAccess& access, const std::string& agent, const agent::Pack::Eval& eval,
                        const Interrupt& interrupt, std::string& run) {
    json::object body{{"goal", eval.goal}, {"labels", json::object{{"eval", eval.name}}}};
    if (!eval.context.is_null()) body["context"] = eval.context;
    run = json_text(
        DG_TRY(access.call("POST", fmt::format("/v1/agents/{}/runs", url_escape(agent)), &body)),
        "id");
    Ended ended;
    ended.failed = "it was stopped";
    DG_TRY(access.watch(
        run,
        [&](const json::object& event) {
            const std::string kind = json_text(event, "event");
            if (kind == "run_completed") {
                ended.failed.clear();
                if (const json::value* value = event.if_contains("value")) ended.output = *value;
                if (const json::object* fields = ended.output.if_object()) {
                    const json::value* given = fields->if_contains("answer");
                    if (given != nullptr) ended.answer = *given;
                }
                return false;
            }
            if (kind == "run_failed" || kind == "run_cancelled") {
                const json::value* error = event.if_contains("error");
                ended.failed = error != nullptr && error->is_object()
                                   ? json_text(error->get_object(), "message")
                                   : "it was cancelled";
                return false;
            }
            // Nobody answers for a person here.
            if (kind == "step_waiting" && event.contains("value")) {
                ended.failed = "it asked a person: " + json_text(event, "step");
                return false;
            }
            return true;
        },
        [&] { return interrupt.raised(); }));
    if (ended.failed.starts_with("it ")) {
        const json::object why{{"why", "evaluation: " + ended.failed}};
        (void)access.call("POST", fmt::format("/v1/runs/{}/cancel", url_escape(run)), &why);
    }
    return ended;
}

Result<int> evaluate(const Args& args, Program& program) {
    const std::string file = pack_file(args.value("PACK").value_or(""));
    if (file.empty()) {
        return base::fail_on("PACK", Code::invalid_argument,
                             "evaluations stand in a pack's file; name its folder or file");
    }
    const auto access =
        DG_TRY(FlowAccess::open(args, program, true, DG_TRY(models_of(args, program))));
    const std::string name = DG_TRY(deploy_pack(*access, file));
    // What the program's tools are called is the deployment's to check, which it has.
    std::vector<agent::Tool> known;
    const json::object deployed = DG_TRY(access->call("GET", "/v1/agents/" + url_escape(name)));
    if (const json::value* pack = deployed.if_contains("pack");
        pack != nullptr && pack->is_object()) {
        for (const auto& tool : pack->get_object().at("tools").as_object()) {
            known.push_back({std::string(tool.key()), "", {}, false});
        }
    }
    const agent::Pack pack =
        DG_TRY(agent::read_pack(DG_TRY(base::read_file(file, kFileBytesMax)), file, known));
    const std::uint32_t times = DG_TRY(args.count("--times", 1, 1000)).value_or(1);
    const auto only = args.value("--name");
    Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    json::array results;
    std::uint32_t passed = 0, all = 0;
    for (const agent::Pack::Eval& eval : pack.evals) {
        if (only && *only != eval.name) continue;
        std::uint32_t good = 0;
        json::array runs;
        for (std::uint32_t i = 0; i < times && !interrupt.raised(); ++i) {
            std::string run;
            const Ended ended = DG_TRY(answer_to(*access, name, eval, interrupt, run));
            const agent::Judged judged = ended.failed.empty() ? agent::judge(eval, ended.answer)
                                                              : agent::Judged{false, ended.failed};
            good += judged.passed ? 1 : 0;
            json::object one{{"run", run}, {"passed", judged.passed}, {"answer", ended.answer}};
            if (!judged.passed) one["why"] = judged.why;
            runs.push_back(std::move(one));
            if (!args.has("--json")) {
                program.terminal.out(fmt::format("{:<6} {:<20} {}{}\n",
                                                 judged.passed ? "passed" : "failed", eval.name,
                                                 run, judged.passed ? "" : "  " + judged.why));
            }
        }
        ++all;
        if (good == times) ++passed;
        results.push_back(
            {{"name", eval.name}, {"passed", good}, {"of", times}, {"runs", std::move(runs)}});
    }
    if (all == 0) {
        return base::fail_on("--name", Code::not_found, "{} has no evaluation{}", file,
                             only ? " '" + *only + "'" : "s");
    }
    const json::object answer{
        {"agent", name}, {"passed", passed}, {"of", all}, {"evals", std::move(results)}};
    tell(args, program, answer, fmt::format("{} of {} passed each time\n", passed, all));
    return passed == all ? 0 : 1;
}

}  // namespace

std::vector<Command> agent_pack_commands() {
    return {subcommand("new", "begin a pack", "Writes a small pack that runs, to be changed.",
                       {{"NAME", "Small letters, digits and '-'.", true}},
                       {{"--in", "FOLDER", "Where packs are [default: packs]."}},
                       {{"dougong agent new helper", "Writes packs/helper/pack.yaml."}}, begin),
            subcommand("eval", "give an agent its pack's evaluations and judge the answers",
                       "Each is a run, which stays to be looked at. Exit status 1: one has failed.",
                       {{"PACK", "A pack's folder or file.", true}},
                       with_model_options(
                           {{"--name", "NAME", "This evaluation alone."},
                            {"--times", "N", "Each so many times; it passes when all do."}}),
                       {{"dougong agent eval packs/assistant", ""}}, evaluate, {"models", "flow"})};
}

}  // namespace app
