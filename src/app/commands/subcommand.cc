#include "app/commands/subcommand.h"

#include <utility>

#include "app/server_client.h"

namespace app {

Command subcommand(std::string_view name, std::string_view summary, std::string_view about,
                   std::vector<PositionalSpec> positionals, std::vector<OptionSpec> options,
                   std::vector<Example> examples, RunCommand run,
                   std::vector<std::string_view> config_sections) {
    return {.name = name,
            .summary = summary,
            .about = about,
            .positionals = std::move(positionals),
            .options = std::move(options),
            .examples = std::move(examples),
            .config_sections = std::move(config_sections),
            .run = run,
            .subcommands = {}};
}

Command command_group(std::string_view name, std::string_view summary, std::string_view about,
                      std::vector<Command> subcommands) {
    return {.name = name,
            .summary = summary,
            .about = about,
            .positionals = {},
            .options = {},
            .examples = {},
            .config_sections = {},
            .run = nullptr,
            .subcommands = std::move(subcommands)};
}

Command server_subcommand(std::string_view name, std::string_view summary, std::string_view about,
                          std::vector<PositionalSpec> positionals, std::vector<OptionSpec> options,
                          std::vector<Example> examples, RunCommand run) {
    for (const OptionSpec& option : server_options()) options.push_back(option);
    options.push_back({"--json", "", "What the server answered, as JSON."});
    return subcommand(name, summary, about, std::move(positionals), std::move(options),
                      std::move(examples), run);
}

}  // namespace app
