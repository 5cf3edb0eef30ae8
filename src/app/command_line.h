#pragma once
// From argv to a command, its arguments and the configuration flags. CLI11 lives behind this.

#include <span>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/config/load.h"
#include "base/core/result.h"

namespace app {

struct ParsedLine {
    std::vector<const Command*> path;  ///< root, then the subcommands named; never empty
    Args args;
    std::string config_file;        ///< --config
    std::vector<Setting> settings;  ///< configuration flags, in the table's order
    bool help = false, version = false;

    const Command& command() const { return *path.back(); }
};

/// `arguments` without the program's name. Errors: invalid_argument (unknown command or option with
/// the nearest known one, a missing value or positional, too many of them).
base::Result<ParsedLine> parse_command_line(const Command& root,
                                            std::span<const std::string> arguments);

}  // namespace app
