// dougong completion, dougong manual: files for the shell and for man, from the command table.
#include "app/build_info.h"
#include "app/commands/commands.h"
#include "app/help.h"
#include "app/terminal/terminal.h"

namespace app {
namespace {

base::Result<int> run_completion(const Args& args, Program& program) {
    const std::string shell = args.value("SHELL").value_or("bash");
    if (shell != "bash") {
        return base::fail_on("SHELL", base::Code::unimplemented,
                             "no completion for {}; bash is the one there is", shell);
    }
    program.terminal.out(bash_completion(command_table()));
    return 0;
}

base::Result<int> run_manual(const Args&, Program& program) {
    program.terminal.out(man_page(command_table(), build_info().version));
    return 0;
}

}  // namespace

Command completion_command() {
    return {.name = "completion",
            .summary = "Print a shell completion script",
            .about = "Prints a script that completes commands and options.",
            .positionals = {{"SHELL", "bash (the default)"}},
            .options = {},
            .examples = {{"source <(dougong completion bash)", "Complete in this shell."}},
            .config_sections = {},
            .run = run_completion,
            .subcommands = {}};
}

Command manual_command() {
    return {.name = "manual",
            .summary = "Print the manual page",
            .about = "Prints the manual page in roff, written from the same table as --help.",
            .positionals = {},
            .options = {},
            .examples = {{"dougong manual | man -l -", "Read it."}},
            .config_sections = {},
            .run = run_manual,
            .subcommands = {}};
}

}  // namespace app
