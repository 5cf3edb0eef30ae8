// dougong policy: check the files that say what agents may do, and explain a decision.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/commands/commands.h"
#include "app/terminal/terminal.h"
#include "base/files/files.h"
#include "base/json/json.h"
#include "sphere/policy/policy_store.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;
namespace policy = sphere::policy;

Result<int> check(const Args& args, Program& program) {
    const std::string path = *args.value("FILE");
    const auto store = DG_TRY(policy::PolicyStore::open(path, program.clock));
    const auto set = store->policies();
    if (args.has("--json")) {
        json::array policies;
        for (const policy::Policy* each : set->list()) {
            policies.push_back({{"name", each->name},
                                {"revision", each->revision},
                                {"rules", each->rules.size()},
                                {"dry_run", each->dry_run}});
        }
        program.terminal.out(base::to_text(json::object{{"digest", store->digest()},
                                                        {"policies", std::move(policies)}}) +
                             "\n");
        return 0;
    }
    for (const policy::Policy* each : set->list()) {
        program.terminal.out(fmt::format("{}{}: {} rules, tenants {}, agents {}{}\n", each->name,
                                         each->revision.empty() ? "" : " " + each->revision,
                                         each->rules.size(), fmt::join(each->tenants, ", "),
                                         fmt::join(each->agents, ", "),
                                         each->dry_run ? ", dry run" : ""));
    }
    program.terminal.out(fmt::format("digest {}\n", store->digest()));
    return 0;
}

Result<policy::ToolRequest> request_from(const Args& args) {
    policy::ToolRequest request;
    request.tenant = args.value("--tenant").value_or("default");
    request.agent = args.value("--agent").value_or("");
    request.data = args.all("--data");
    const auto tool = args.value("--tool");
    if (!tool) {
        return base::fail_on("--tool", Code::invalid_argument, "--tool is missing: which tool?");
    }
    request.tool = *tool;
    if (const auto text = args.value("--args")) {
        auto parsed = base::parse_json(*text);
        if (!parsed) return std::unexpected(std::move(parsed).error().with_context("--args"));
        request.arguments = std::move(*parsed);
    }
    return request;
}

json::object decision_json(const policy::Explanation& explained) {
    const policy::Decision& decision = explained.decision;
    json::array rules;
    for (const policy::RuleTrace& trace : explained.rules) {
        rules.push_back({{"rule", trace.rule},
                         {"effect", policy::effect_name(trace.effect)},
                         {"matches", trace.matches},
                         {"why", trace.why}});
    }
    return {{"effect", policy::effect_name(decision.effect)},
            {"cause", policy::cause_name(decision.cause)},
            {"policy", decision.policy},
            {"rule", decision.rule},
            {"reason", decision.reason},
            {"enforced", decision.enforced},
            {"rules", std::move(rules)}};
}

void print_explanation(const Terminal& terminal, const policy::Explanation& explained) {
    const policy::Decision& decision = explained.decision;
    terminal.out(fmt::format("{}{} ({}{}{}{}{})\n", policy::effect_name(decision.effect),
                             decision.enforced ? "" : ", not enforced: dry run",
                             policy::cause_name(decision.cause),
                             decision.policy.empty() ? "" : ", policy ", decision.policy,
                             decision.rule.empty() ? "" : ", rule ", decision.rule));
    if (!decision.reason.empty()) terminal.out(fmt::format("  {}\n", decision.reason));
    for (const policy::RuleTrace& trace : explained.rules) {
        terminal.out(fmt::format("  {} {:<5} {}{}{}\n", trace.matches ? "+" : "-",
                                 policy::effect_name(trace.effect), trace.rule,
                                 trace.why.empty() ? "" : ": ", trace.why));
    }
}

Result<int> explain(const Args& args, Program& program) {
    const policy::ToolRequest request = DG_TRY(request_from(args));
    const auto store = DG_TRY(policy::PolicyStore::open(*args.value("FILE"), program.clock));
    const policy::Explanation explained = store->policies()->explain(request);
    if (args.has("--json")) {
        program.terminal.out(base::to_text(decision_json(explained)) + "\n");
    } else {
        print_explanation(program.terminal, explained);
    }
    return explained.decision.blocks() ? base::exit_status(Code::permission_denied) : 0;
}

Result<int> schema(const Args&, Program& program) {
    program.terminal.out(base::to_text(policy::policy_schema()) + "\n");
    return 0;
}

}  // namespace

Command policy_command() {
    const PositionalSpec file{"FILE", "A policy file, YAML or JSON, or a folder of them.", true};
    return {
        .name = "policy",
        .summary = "check policies and explain their decisions",
        .about =
            "A policy says which tools an agent of a tenant may call with which arguments, and "
            "what a sandbox may take. What no rule allows is denied.",
        .positionals = {},
        .options = {},
        .examples = {{"dougong policy check examples/policies", "Check a folder of policies."}},
        .config_sections = {},
        .run = nullptr,
        .subcommands = {
            {.name = "check",
             .summary = "read policies and say what is wrong with line and column",
             .about = "",
             .positionals = {file},
             .options = {{"--json", "", "Print one JSON object."}},
             .examples = {{"dougong policy check policy.yaml", "Check a file."}},
             .config_sections = {},
             .run = check,
             .subcommands = {}},
            {.name = "explain",
             .summary = "say what would be decided, and why, rule by rule",
             .about = "Exit status: 0 when the call would go through.",
             .positionals = {file},
             .options = {{"--tool", "NAME", "The tool."},
                         {"--args", "JSON", "Its arguments, an object. [default: {}]"},
                         {"--tenant", "NAME", "For this tenant. [default: default]"},
                         {"--agent", "NAME", "For this agent."},
                         {"--data", "CLASS", "A data class in the arguments; may be repeated."},
                         {"--json", "", "Print one JSON object."}},
             .examples = {{"dougong policy explain policy.yaml --tool fs.read --args "
                           "'{\"path\":\"/etc/passwd\"}'",
                           "May it read that?"}},
             .config_sections = {},
             .run = explain,
             .subcommands = {}},
            {.name = "schema",
             .summary = "print the JSON Schema of a policy, for editors",
             .about = "",
             .positionals = {},
             .options = {},
             .examples = {{"dougong policy schema > policy.schema.json", "Keep it for an editor."}},
             .config_sections = {},
             .run = schema,
             .subcommands = {}}}};
}

}  // namespace app
