#pragma once
// The command line: `dougong serve|chat|run|models|bench|config|version`.

namespace app {

/// Parses arguments, runs one subcommand and returns the process exit status.
int run_cli(int argc, char** argv);

}  // namespace app
