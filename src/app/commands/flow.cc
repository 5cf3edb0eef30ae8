// dougong flow: check workflow files, draw them, print their schema.
#include <fmt/format.h>

#include "app/commands/commands.h"
#include "app/commands/flow_commands.h"
#include "app/commands/subcommand.h"
#include "app/terminal/terminal.h"
#include "base/files/files.h"
#include "base/json/json.h"
#include "flow/definition/definition_shape.h"
#include "flow/definition/graph.h"
#include "flow/definition/read_definition.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

constexpr std::uint64_t kFileBytesMax = 8u << 20;  // the reader says what it really takes

json::object fault_json(const base::Fault& fault) {
    return {{"line", fault.line},
            {"column", fault.column},
            {"path", fault.path},
            {"message", fault.message}};
}

Result<flow::ReadDefinition> read(const std::string& file) {
    return flow::read_definition_faults(DG_TRY(base::read_file(file, kFileBytesMax)), file);
}

Result<int> validate(const Args& args, Program& program) {
    json::array files;
    bool good = true;
    for (const std::string& file : args.all("FILE")) {
        const flow::ReadDefinition made = DG_TRY(read(file));
        good = good && made.faults.empty();
        json::array faults;
        for (const base::Fault& fault : made.faults) {
            faults.push_back(fault_json(fault));
            if (!args.has("--json")) {
                program.terminal.err(flow::fault_line(file, fault) + "\n");
            }
        }
        json::object entry{{"file", file}, {"faults", std::move(faults)}};
        if (made.definition != nullptr) {
            const std::size_t steps = flow::graph_of(*made.definition).nodes.size();
            entry["name"] = made.definition->name;
            entry["hash"] = made.definition->hash;
            entry["steps"] = steps;
            if (!args.has("--json")) {
                program.terminal.out(
                    fmt::format("{}: workflow {}, {} steps\n", file, made.definition->name, steps));
            }
        }
        files.push_back(std::move(entry));
    }
    if (args.has("--json")) program.terminal.out(base::to_text(files) + "\n");
    return good ? 0 : base::exit_status(Code::invalid_argument);
}

Result<int> graph(const Args& args, Program& program) {
    const std::string file = *args.value("FILE");
    const auto made =
        DG_TRY(flow::read_definition(DG_TRY(base::read_file(file, kFileBytesMax)), file));
    const std::string format = args.value("--format").value_or("mermaid");
    if (format == "mermaid") {
        program.terminal.out(flow::graph_mermaid(*made));
    } else if (format == "dot") {
        program.terminal.out(flow::graph_dot(*made));
    } else if (format == "json") {
        program.terminal.out(base::to_text(flow::graph_json(*made)) + "\n");
    } else {
        return base::fail_on("--format", Code::invalid_argument,
                             "--format is '{}', expected mermaid, dot or json", format);
    }
    return 0;
}

Result<int> schema(const Args&, Program& program) {
    program.terminal.out(base::to_text(flow::definition_schema()) + "\n");
    return 0;
}

}  // namespace

Command flow_command() {
    Command group = command_group(
        "flow", "check, draw and run workflows",
        "A workflow says in YAML or JSON which steps run, in which order, and what happens when "
        "one "
        "fails.",
        {subcommand("validate", "read workflow files and say everything that is wrong with them",
                    "Faults are told as FILE:LINE:COLUMN. Exit status: 0 when there are none.",
                    {{"FILE", "A workflow, YAML or JSON.", true, true}},
                    {{"--json", "", "Print one JSON list, an entry for each file."}},
                    {{"dougong flow validate examples/flows/*.yaml", "Check some files."}},
                    validate),
         subcommand("graph", "draw a workflow's steps", "",
                    {{"FILE", "A workflow, YAML or JSON.", true}},
                    {{"--format", "WORD", "mermaid, dot or json. [default: mermaid]"}},
                    {{"dougong flow graph order.yaml --format dot | dot -Tsvg > order.svg",
                      "Draw it with Graphviz."}},
                    graph),
         subcommand("schema", "print the JSON Schema of a workflow, for editors", "", {}, {},
                    {{"dougong flow schema > workflow.schema.json", "Keep it for an editor."}},
                    schema)});
    for (Command& command : flow_run_commands()) group.subcommands.push_back(std::move(command));
    group.subcommands.push_back(flow_trace_command());
    group.subcommands.push_back(flow_blob_command());
    for (Command& command : flow_worker_commands()) group.subcommands.push_back(std::move(command));
    group.subcommands.push_back(flow_alarm_command());
    for (Command& command : flow_change_commands()) group.subcommands.push_back(std::move(command));
    return group;
}

}  // namespace app
