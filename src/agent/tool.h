#pragma once
// A tool as an agent is offered it. Who does what it says is not this plane's business: a compiled
// pack names it in a step, and the program's one path of tools (policy, sandbox, redaction) runs
// it.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"

namespace agent {

struct Tool {
    std::string name, description;
    base::json::object arguments;  ///< a JSON Schema
    bool reads_only = false;       ///< calls of it may run beside each other
};

/// How a call of it becomes a step.
enum class Kind : std::uint8_t {
    tool,       ///< a `tool` step: the program's tools
    workspace,  ///< code in a sandbox, over files that outlive the call and any crash
    human,      ///< a person's answer
    agent,      ///< a run of another agent
};

/// A tool that every agent can be given, wherever it runs.
struct BuiltIn {
    Tool tool;
    Kind kind = Kind::tool;
    std::string_view source = {};  ///< of `workspace`: Python that finds `args`, leaves `result`
};

/// calculator, clock, ask_human, and those over the workspace: python, bash, read_file,
/// write_file, list_files.
const std::vector<BuiltIn>& built_in_tools();
const BuiltIn* built_in_tool(std::string_view name);

/// The tool by which an agent ends when its model can only call: never done, only read.
inline constexpr std::string_view kFinalAnswer = "final_answer";

}  // namespace agent
