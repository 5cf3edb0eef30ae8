#pragma once
// Runs another program to its end, without a shell, and lets the caller watch and stop it.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/core/result.h"

namespace engine {

struct ChildSpec {
    std::vector<std::string> arguments;                            ///< [0] is looked up in PATH
    std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours
    std::string output_path;                                       ///< takes stdout and stderr
};

/// Exit status of the child; 128 + signal when a signal ended it. `keep_going` (may be empty) is
/// asked ten times a second; false ends the child's whole process group with `cancelled`. The child
/// dies with us. Errors: failed_precondition (the program cannot be started: named).
base::Result<int> run_child(const ChildSpec& spec, const std::function<bool()>& keep_going);

}  // namespace engine
