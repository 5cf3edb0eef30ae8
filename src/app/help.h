#pragma once
// Help text, the man page and the shell completion, all written from the command table.

#include <string>
#include <vector>

#include "app/command.h"

namespace app {

/// `path`: root, then the subcommands; the last one is explained. `width`: columns to wrap at.
std::string help_text(const std::vector<const Command*>& path, std::size_t width);

/// dougong(1) in roff.
std::string man_page(const Command& root, std::string_view version);

/// A bash script that completes commands and options.
std::string bash_completion(const Command& root);

}  // namespace app
