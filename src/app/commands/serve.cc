// dougong serve: the engine behind an HTTP server with the console.
#include "app/serve.h"

#include "app/commands/agent_commands.h"
#include "app/commands/commands.h"

namespace app {

Command serve_command() {
    return {.name = "serve",
            .summary = "Serve a model over HTTP, with the web console",
            .about =
                "Opens a model and serves it over an OpenAI-compatible HTTP API, with the web "
                "console at /. The default model is pulled on first use. SIGINT and SIGTERM "
                "let running answers finish; a second one ends the program at once.",
            .positionals = {},
            .options = upstream_options(),
            .examples = {{"dougong serve", "The default model on http://127.0.0.1:8080."},
                         {"dougong serve --model ./my.gguf --port 0",
                          "A file, on a free port that is printed."},
                         {"dougong serve --model smoke --offline",
                          "The embedded smoke-test model; needs nothing."}},
            .config_sections = {"server", "models", "engine", "sandbox", "log", "trace", "limits"},
            .run = [](const Args& args, Program& program) -> base::Result<int> {
                return serve(program, DG_TRY(models_of(args, program)));
            },
            .subcommands = {}};
}

}  // namespace app
