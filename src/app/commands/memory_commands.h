#pragma once
// What the subcommands of `dougong memory` share, and those that live in files of their own.

#include <string>
#include <string_view>
#include <vector>

#include "app/commands/subcommand.h"
#include "app/memory_access.h"
#include "base/json/json.h"

namespace app {

/// One subcommand, with --url, --tenant and --json.
Command memory_subcommand(std::string_view name, std::string_view summary, std::string_view about,
                          std::vector<PositionalSpec> positionals, std::vector<OptionSpec> options,
                          std::vector<Example> examples, RunCommand run);

/// --user, --agent, --session, --run, after `options`.
std::vector<OptionSpec> with_scope(std::vector<OptionSpec> options);

/// facts, graph, chain, doctor.
std::vector<Command> memory_knowing_commands();
/// forget, receipts, compress, profile.
std::vector<Command> memory_upkeep_commands();

}  // namespace app
