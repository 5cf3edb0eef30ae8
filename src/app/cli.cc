#include "app/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "app/command_line.h"
#include "app/commands/commands.h"
#include "app/commands/knowledge.h"
#include "app/config/load.h"
#include "app/help.h"
#include "app/terminal/terminal.h"

namespace app {
namespace {

int print_error(const Terminal& terminal, const base::Error& error) {
    terminal.err(
        fmt::format("{} {}\n", terminal.err_styled(Style::red, "dougong:"), error.message));
    return base::exit_status(error.code);
}

int print_help(const Terminal& terminal, const ParsedLine& line, bool asked) {
    const std::string text = help_text(line.path, std::min<std::size_t>(terminal.width(), 100));
    if (asked) {
        terminal.out(text);
        return 0;
    }
    terminal.err(text);
    return base::exit_status(base::Code::invalid_argument);
}

base::Result<int> run_command_line(const ParsedLine& line, const Environment& environment,
                                   Terminal& terminal) {
    const LoadedConfig loaded = DG_TRY(load_config(line.config_file, environment, line.settings));
    for (const std::string& warning : loaded.warnings) {
        terminal.err(
            fmt::format("{} {}\n", terminal.err_styled(Style::yellow, "dougong:"), warning));
    }
    const base::SystemClock clock;
    Program program{environment, loaded, clock, terminal};
    return line.command().run(line.args, program);
}

}  // namespace

const Command& command_table() {
    static const Command root{
        .name = "dougong",
        .summary = "serve and talk to language models on your own machine",
        .about =
            "Serves language models on your own machine: an engine, an OpenAI-compatible "
            "server, a web console and a chat for the terminal, in one program.",
        .positionals = {},
        .options = {{"-V,--version", "", "Print the version."}},
        .examples = {{"dougong serve", "Serve the default model and the console."},
                     {"dougong chat", "Talk to it in the terminal."},
                     {"dougong run 'Why is the sky blue?'", "Ask one question."}},
        .config_sections = {},
        .run = nullptr,
        .subcommands = {serve_command(), run_command(), chat_command(), models_command(),
                        sandbox_command(), memory_command(), knowledge_command(), audit_command(),
                        policy_command(), flow_command(), agent_command(), mcp_command(),
                        bench_command(), config_command(), version_command(), completion_command(),
                        manual_command()}};
    return root;
}

int run_cli(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);  // a closed pipe or socket is a failed write, not our end
    const Environment environment = system_environment();
    Terminal terminal(environment);
    const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);

    auto parsed = parse_command_line(command_table(), arguments);
    if (!parsed) return print_error(terminal, parsed.error());
    if (parsed->help) return print_help(terminal, *parsed, true);
    if (parsed->version) {
        parsed->path = {&command_table(), &*std::ranges::find(command_table().subcommands,
                                                              "version", &Command::name)};
    }
    if (parsed->command().run == nullptr) return print_help(terminal, *parsed, false);

    const auto status = run_command_line(*parsed, environment, terminal);
    return status ? *status : print_error(terminal, status.error());
}

}  // namespace app
