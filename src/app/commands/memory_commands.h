#pragma once
// What the subcommands of `dougong memory` share, and those that live in files of their own.

#include <string>
#include <string_view>
#include <vector>

#include "app/command.h"
#include "app/memory_access.h"
#include "base/json/json.h"

namespace app {

/// One subcommand, with --url, --tenant and --json.
Command memory_subcommand(std::string_view name, std::string_view summary, std::string_view about,
                          std::vector<PositionalSpec> positionals, std::vector<OptionSpec> options,
                          std::vector<Example> examples,
                          base::Result<int> (*run)(const Args&, Program&));

/// The answer as it is with --json, else as `text` for people.
int tell(const Args& args, const Program& program, const base::json::object& answer,
         const std::string& text);

/// facts, graph, chain, doctor.
std::vector<Command> memory_knowing_commands();

}  // namespace app
