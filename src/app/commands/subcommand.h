#pragma once
// Commands by their parts in order, as the tables of subcommands write them.

#include <string_view>
#include <vector>

#include "app/command.h"

namespace app {

using RunCommand = base::Result<int> (*)(const Args&, Program&);

/// One that runs.
Command subcommand(std::string_view name, std::string_view summary, std::string_view about,
                   std::vector<PositionalSpec> positionals, std::vector<OptionSpec> options,
                   std::vector<Example> examples, RunCommand run,
                   std::vector<std::string_view> config_sections = {});

/// One that only holds others.
Command command_group(std::string_view name, std::string_view summary, std::string_view about,
                      std::vector<Command> subcommands);

/// One that asks a running server: with the server's options and --json.
Command server_subcommand(std::string_view name, std::string_view summary, std::string_view about,
                          std::vector<PositionalSpec> positionals, std::vector<OptionSpec> options,
                          std::vector<Example> examples, RunCommand run);

}  // namespace app
