// dougong config: what is in force and where each value came from.
#include "app/commands/commands.h"
#include "app/config/print.h"
#include "app/terminal/terminal.h"

namespace app {
namespace {

base::Result<int> run(const Args& args, Program& program) {
    if (args.has("--schema")) {
        program.terminal.out(config_schema_json() + "\n");
    } else if (args.has("--template")) {
        program.terminal.out(config_template_yaml());
    } else if (args.has("--json")) {
        program.terminal.out(config_as_json(program.loaded) + "\n");
    } else {
        program.terminal.out(config_as_yaml(program.loaded));
    }
    return 0;
}

}  // namespace

Command config_command() {
    return {.name = "config",
            .summary = "Print the configuration in force and where each value came from",
            .about =
                "Prints the configuration in force, as a YAML file that can be used again, with "
                "the origin of each value: flags go before environment variables, which go "
                "before the file, which goes before the defaults.",
            .positionals = {},
            .options = {{"--json", "", "One JSON object with values and origins."},
                        {"--schema", "",
                         "Every field with unit, range, default, flag and variable, "
                         "as JSON."},
                        {"--template", "", "A commented file with every field at its default."}},
            .examples = {{"dougong config", "What a server started now would use."},
                         {"dougong config --template > dougong.yaml", "Start a file of your own."},
                         {"DOUGONG_SERVER_PORT=9000 dougong config --json",
                          "The same for a program to read."}},
            .config_sections = {"server", "engine", "models", "log", "trace", "limits"},
            .run = run,
            .subcommands = {}};
}

}  // namespace app
