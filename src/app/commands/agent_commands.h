#pragma once
// Parts of `dougong agent`.

#include <string>
#include <vector>

#include "app/command.h"
#include "app/flow/flow_access.h"

namespace app {

/// `agent new` and `agent eval`, in agent_packs.cc.
std::vector<Command> agent_pack_commands();

/// The file that `word` means: itself, or the pack.yaml of that folder. Empty: a deployed agent.
std::string pack_file(const std::string& word);
/// Deploys the pack where a file is named. Gives the agent's name.
base::Result<std::string> deploy_pack(FlowAccess& access, const std::string& word);
/// Where the model answers, as --upstream says. Errors: invalid_argument.
base::Result<FlowAccess::Models> models_of(const Args& args, const Program& program);
/// --upstream, --upstream-model: whom model steps ask.
std::vector<OptionSpec> upstream_options();
/// A subcommand's own options, --upstream and those of all about runs.
std::vector<OptionSpec> with_model_options(std::vector<OptionSpec> own);

}  // namespace app
