// dougong version: what this program was built from and which kernels it picked here.
#include <fmt/format.h>

#include "app/build_info.h"
#include "app/commands/commands.h"
#include "app/terminal/terminal.h"
#include "base/json/json.h"
#include "engine/kernels/kernels.h"

namespace app {
namespace {

base::Result<int> run(const Args& args, Program& program) {
    const BuildInfo& info = build_info();
    if (args.has("--json")) {
        program.terminal.out(
            base::to_text(base::json::object{{"version", info.version},
                                             {"commit", info.commit},
                                             {"compiler", info.compiler},
                                             {"build_type", info.build_type},
                                             {"kernel_target", engine::kernel_target_name()}}) +
            "\n");
        return 0;
    }
    program.terminal.out(fmt::format("dougong {}\ncommit   {}\ncompiler {} ({})\nkernels  {}\n",
                                     info.version, info.commit, info.compiler, info.build_type,
                                     engine::kernel_target_name()));
    return 0;
}

}  // namespace

Command version_command() {
    return {.name = "version",
            .summary = "Print version, commit, compiler and the instruction set in use",
            .about =
                "Prints the version, the git commit it was built from, the compiler, and the "
                "instruction set that the kernels use on this machine.",
            .positionals = {},
            .options = {{"--json", "", "One JSON object."}},
            .examples = {{"dougong version --json", "For bug reports and scripts."}},
            .config_sections = {},
            .run = run,
            .subcommands = {}};
}

}  // namespace app
